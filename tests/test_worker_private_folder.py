"""The private folder of a run."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fumikura.worker.identity import worker_name
from fumikura.worker.private_folder import private_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_nobody_else_may_enter_it_and_it_goes_at_the_end() -> None:
    with private_folder() as folder:
        mode = stat.S_IMODE(folder.stat().st_mode)

    assert mode == 0o700
    assert not folder.exists()


def test_the_folder_of_a_killed_run_goes_when_the_next_one_begins(temporary: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        owner = worker_name(process.pid)
        process.kill()
    stale = temporary / "fumikura-run-stale"
    stale.mkdir()
    (stale / "owner").write_text(owner)

    with private_folder():
        assert not stale.exists()


def test_folders_of_runs_that_live_or_are_being_made_stay(temporary: Path) -> None:
    living, being_made = temporary / "fumikura-run-living", temporary / "fumikura-run-made"
    living.mkdir()
    being_made.mkdir()
    (living / "owner").write_text(worker_name())

    with private_folder():
        assert living.exists()
        assert being_made.exists()
