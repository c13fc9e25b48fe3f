"""This module keeps what a training leaves in its folder: its config, its state and its metrics.

The config tells trainings apart, so that none goes on with the state of another.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from fumikura.core.errors import CheckpointError, first_line
from fumikura.core.own_files import check_absent, in_our_folder, replacing
from fumikura.core.training.state_file import read_state, write_state

#: A line of the metrics; None is no number: the training diverged.
Row = Mapping[str, float | None]

STATE = "state.safetensors"
#: What a training writes. Where there is a config, all of these are ours.
_NAMES = (
    *("config.json", "metrics.jsonl", STATE, "curves.png"),
    *("segmenter.safetensors", "classifier.safetensors"),
)

#: May differ when a training is gone on with, perhaps on another machine.
_MAY_CHANGE = {"device", "precision"}


class Stateful(Protocol):
    """This can be saved and gone on with: a model, an optimizer, a schedule."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


def digest_of(*parts: bytes | memoryview) -> str:
    """Return the SHA-256 of some bytes, to tell trainings apart by what they learn from."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def file_digest(path: Path | None) -> str | None:
    return None if path is None else digest_of(path.read_bytes())


def check_folder(folder: Path) -> None:
    """See that a training may write into a folder: one has begun there, or nothing of its names is there.

    Raises:
        UsageError: files are there that a training would write over.
    """
    if not (folder / "config.json").is_file():
        check_absent(folder, _NAMES)


def keep_config(folder: Path, values: Mapping[str, Any]) -> None:
    """Write down what is trained, and how: config.json.

    Raises:
        CheckpointError: another training has begun in this folder.
        UsageError: none has, but files are there that a training writes.
    """
    check_folder(folder)
    path = folder / "config.json"
    wanted = json.loads(json.dumps(values, default=str))
    if path.exists():
        try:
            # Where nothing was kept, earlier code did not always say so.
            found = {"kept": 0.0, **json.loads(path.read_text(encoding="utf-8"))}
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged; delete the folder, or name another one") from error
        differing = sorted(
            name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
        )
        if set(differing) - _MAY_CHANGE:
            raise CheckpointError(
                f"{folder} holds another training (its {' and '.join(differing)} differ); name another folder"
            )
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path, in_our_folder) as unfinished:
        unfinished.write_text(json.dumps(wanted, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def load_state(folder: Path, state: Mapping[str, Stateful]) -> int:
    """Put every part back as it was saved, and return the steps that were done by then.

    Raises:
        CheckpointError: the folder holds the state of another training, or a damaged one.
    """
    path = folder / STATE
    if not path.exists():
        if (earlier := folder / "state.pt").exists():
            raise CheckpointError(
                f"{earlier} was saved by an earlier version of fumikura; go on with that one, or delete it,"
                " and this training begins anew"
            )
        _drop_metrics_after(folder, 0)
        return 0
    try:
        saved = read_state(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged; delete it, and this training begins anew") from error
    try:
        for name, part in state.items():
            part.load_state_dict(saved[name])
        step = int(saved["step"])
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} is the state of another training; name another folder") from error
    _drop_metrics_after(folder, step)
    return step


def save_state(folder: Path, step: int, state: Mapping[str, Stateful]) -> None:
    """Save every part, all or nothing."""
    saved = {"step": step, **{name: part.state_dict() for name, part in state.items()}}
    with _full_disk_in_one_line(folder), replacing(folder / STATE, in_our_folder) as unfinished:
        write_state(unfinished, saved)


def add_metrics(folder: Path, values: Mapping[str, float]) -> None:
    """Add a line to metrics.jsonl."""
    # A loss that is no number any more is one of the results; JSON has no word for it.
    row = {name: round(value, 6) if math.isfinite(value) else None for name, value in values.items()}
    with _full_disk_in_one_line(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _metrics_of(folder).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def read_metrics(folder: Path) -> list[Row]:
    """Read metrics.jsonl, a row for each line; None is a loss that is no number."""
    return [json.loads(line) for line in _metrics_of(folder).read_text(encoding="utf-8").splitlines()]


def _drop_metrics_after(folder: Path, step: int) -> None:
    """Drop the metrics of steps that will be taken again."""
    path = _metrics_of(folder)
    if path.exists():
        rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        try:
            kept = [row for row in rows if row.endswith("\n") and json.loads(row)["step"] <= step]
        except (TypeError, KeyError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged; delete it, and it begins anew") from error
        if kept != rows:
            with _full_disk_in_one_line(folder), replacing(path, in_our_folder) as unfinished:
                unfinished.write_text("".join(kept), encoding="utf-8")


def _metrics_of(folder: Path) -> Path:
    return folder / "metrics.jsonl"


@contextmanager
def _full_disk_in_one_line(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"the training cannot be saved in {folder} ({first_line(error)}); free some space, and give the"
            " same command again: it goes on from what was saved before"
        ) from error
