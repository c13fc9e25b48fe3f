"""The state of a training: safetensors and JSON, and nothing that could be run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from fumikura.core.training.state_file import read_state, write_state

ROOT = Path(__file__).parents[1]


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    tensor = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    state = {"a": {0: tensor, 1: tensor}, "b": [(0.9, None), "x", True, float("inf")], "c": []}

    write_state(tmp_path / "state", state)

    back = read_state(tmp_path / "state")
    assert back["a"].keys() == {0, 1}
    assert all(torch.equal(found, tensor) for found in back["a"].values())
    assert (back["b"], back["c"]) == (state["b"], [])


def test_a_pickle_in_the_place_of_a_state_is_not_opened(tmp_path: Path) -> None:
    torch.save({"step": 1}, tmp_path / "state")

    with pytest.raises(ValueError, match="holds no state of a training"):
        read_state(tmp_path / "state")


def test_what_is_no_number_or_text_is_refused_when_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="holds a set"):
        write_state(tmp_path / "state", {"steps": {1, 2}})

    assert not list(tmp_path.iterdir())


def test_no_pickle_is_read_anywhere() -> None:
    pickled = re.compile(r"\btorch\.load\b|^\s*(import|from) pickle\b|allow_pickle=True", re.MULTILINE)
    paths = [path for folder in ("core", "worker", "cli") for path in (ROOT / folder).rglob("*.py")]

    assert len(paths) > 100
    assert [str(path) for path in paths if pickled.search(path.read_text())] == []
