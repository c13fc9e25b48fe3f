"""Holes in the heap go back to the system."""

from __future__ import annotations

import ctypes

import psutil
import pytest

from fumikura.worker import spare_memory
from fumikura.worker.spare_memory import SpareMemory

BLOCK_BYTES = 50_000
N_BLOCKS = 4000


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not the GNU C library")
def test_what_lies_between_blocks_in_use_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare_memory, "_EVERY_S", 0.0)
    process, memory = psutil.Process(), SpareMemory()
    blocks = [bytes(BLOCK_BYTES) + b"x" for _ in range(N_BLOCKS)]
    blocks = blocks[::20]
    full = process.memory_info().rss

    memory.give_back()

    assert full - process.memory_info().rss > N_BLOCKS * BLOCK_BYTES / 2
    assert len(blocks) == N_BLOCKS / 20


def test_it_is_done_every_two_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SpareMemory()
    done: list[int] = []
    monkeypatch.setattr(memory, "_trim", done.append)

    memory.give_back()

    assert done == []
