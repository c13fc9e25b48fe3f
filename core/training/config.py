"""What a folder trains, written down: so that no training goes on with the state of another."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from fumikura.core.errors import CheckpointError

#: May differ when a training is gone on with, perhaps on another machine.
_MAY_CHANGE = {"device", "precision"}


def digest_of(*parts: bytes | memoryview) -> str:
    """What some bytes are known by, so that another training is told by what it learns from."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def file_digest(path: Path | None) -> str | None:
    return None if path is None else digest_of(path.read_bytes())


def keep_config(folder: Path, **values: Any) -> None:
    """Write down what is trained, and how: config.json.

    Raises:
        CheckpointError: another training has begun in this folder.
    """
    path = folder / "config.json"
    wanted = json.loads(json.dumps(values, default=str))
    if path.exists():
        try:
            found = dict(json.loads(path.read_text(encoding="utf-8")))
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
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(wanted, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)
