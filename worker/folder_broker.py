"""A private folder serves as Celery's broker for a run that has no server.

kombu's own `filesystem://` is the model, and three of its habits are why it is not used: a message
becomes visible before it is written, so a worker that looks at that moment dies of half a JSON
document; its table of exchanges has the same fault when several workers start at once; and a message
in hand lies for a moment in the system's public folder for temporary files.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, virtual

SCHEME = "folder"
LONGEST_WAIT_S = 0.2


def register() -> None:
    """Let broker URLs of the form folder:///path be understood in this process."""
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


def folder_url(folder: Path) -> str:
    return f"{SCHEME}://{folder.as_posix()}"


def folder_of(url: str) -> Path | None:
    """Return the folder that such a URL names; None for the URL of another broker."""
    scheme, _, path = url.partition("://")
    return Path(path) if scheme == SCHEME else None


class Channel(virtual.Channel):
    """A channel keeps each message in a file, and gives them out in the order in which they were put."""

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        unfinished = self._folder / f"{name}.unfinished"
        unfinished.write_text(json.dumps(message), encoding="utf-8")
        unfinished.rename(self._folder / f"{name}.{queue}")

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002
        for path in self._waiting(queue):
            # Renaming is what takes a message: of two workers one succeeds.
            taken = path.with_name(f"{path.name}.taken")
            try:
                path.rename(taken)
            except FileNotFoundError:
                continue
            message: dict[str, Any] = json.loads(taken.read_text(encoding="utf-8"))
            taken.unlink()
            return message
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._waiting(queue))

    def _purge(self, queue: str) -> int:
        waiting = self._waiting(queue)
        for path in waiting:
            path.unlink(missing_ok=True)
        return len(waiting)

    def _waiting(self, queue: str) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if path.name.partition(".")[2] == queue)

    @property
    def _folder(self) -> Path:
        return Path(self.connection.client.transport_options["folder"])


class Transport(virtual.Transport):
    """A transport looks again and again into the folder that its broker URL names."""

    Channel = Channel
    driver_type = driver_name = SCHEME

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:  # type: ignore[override]
        # Celery waits two seconds here, and looks only in between whether it is to stop.
        shorter = min(timeout, LONGEST_WAIT_S) if timeout else timeout
        super().drain_events(connection, timeout=shorter)  # type: ignore[no-untyped-call]

    def driver_version(self) -> str:
        return "-"
