"""This module checks piece by piece what a machine needs for reading.

Each function says in one line what it found, or raises a FumikuraError that says what is wrong and
what to do about it.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fumikura.core.counting import counted
from fumikura.core.errors import FumikuraError
from fumikura.core.recognition.recipe import find_context, find_weights, make_recipe
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine, connect, describe
from fumikura.core.store.existing_database import missing_file, sqlite_file
from fumikura.core.store.queries import overview
from fumikura.core.store.room import ask_for_room, try_to_write
from fumikura.core.store.upgrading import open_database

#: A page's mask, characters and their index, with room to spare (measured: 60 to 150 kB).
PAGE_SIZE_BYTES = 200_000
LOW_DISK_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """One thing of a machine that was checked.

    Attributes:
        finding: what was found; where `is_good` is false, with what to do about it.
    """

    subject: str
    is_good: bool
    finding: str


def check(subject: str, look: Callable[[], str]) -> Check:
    """Call `look`, and report what it says as good, or what it raises as bad."""
    try:
        return Check(subject, True, look())
    except FumikuraError as error:
        return Check(subject, False, str(error))


def look_at_devices(workers: Sequence[str], *, n_threads: int) -> str:
    """Try the device of each worker process that a run would start, with the threads that it would have."""
    from fumikura.core.recognition.models.device import try_device  # loads torch

    found = "; ".join(try_device(name, n_threads=n_threads) for name in dict.fromkeys(workers))
    return f"{found}; {counted(len(workers), 'worker')} side by side"


def look_at_precision(settings: Settings, names: Sequence[str]) -> str:
    from fumikura.core.recognition.models.on_openvino import is_installed  # loads torch
    from fumikura.core.recognition.models.precision import described

    found = described(settings.precision, names[0])
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    if names[0] == "cpu" and found.startswith("bf16") and is_x86 and not is_installed():
        return f"{found}; OpenVINO is faster on this processor: pip install 'fumikura[cpu]'"
    return found


def look_at_weights(settings: Settings) -> str:
    from fumikura.core.recognition.models.checkpoint import (  # loads torch
        load_classifier,
        load_context,
        load_segmenter,
    )

    segmenter = find_weights("segmenter", settings.segmenter_path)
    classifier = find_weights("classifier", settings.classifier_path)
    load_segmenter(segmenter)
    *_, vocabulary = load_classifier(classifier)
    context = find_context(settings)
    has_context = "no context"
    if context is not None:
        has_context = f"context of {counted(len(load_context(context).characters), 'character')}"
    recipe = make_recipe(segmenter, classifier, context, context_weight=settings.context_weight)
    return f"{counted(len(vocabulary), 'label')}; {has_context}; recipe {recipe.digest[:12]}"


def look_at_database(settings: Settings) -> str:
    name = describe(connect(settings.database_url).url)
    if (missing := missing_file(settings)) is not None:
        # Not opened: looking must not leave an empty database behind.
        _try_folder(missing.resolve().parent)
        return f"{name} will be made by the first `fumikura run`"
    with _opened(settings) as engine:
        try_to_write(engine)
        found = overview(engine)
    return f"{name} holds {counted(found.n_pages, 'page')} of {counted(found.n_runs, 'run')}"


def look_at_disk(settings: Settings) -> str:
    file = sqlite_file(settings)
    if file is not None:
        # SQLite follows links: what it writes lies beside the file that they lead to.
        return _room_in(file.resolve().parent)
    with _opened(settings) as engine:
        found = ask_for_room(engine)
    size = f"the database has {found.size_bytes / 1e9:,.1f} GB"
    if found.folder is not None:
        return f"{_room_in(found.folder)}; {size}"
    more = f"{1_000_000 * PAGE_SIZE_BYTES / 1e9:,.0f} GB"
    return f"the server's, which cannot be seen from here; {size}, and a million more pages take about {more}"


@contextmanager
def _opened(settings: Settings) -> Iterator[Engine]:
    engine = open_database(settings.database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def _room_in(folder: Path) -> str:
    if not folder.is_dir():
        raise FumikuraError(f"there is no folder {folder}; make it, or name a database elsewhere with --db")
    free = shutil.disk_usage(folder).free
    n_pages = about(free // PAGE_SIZE_BYTES)
    room = f"{free / 1e9:,.1f} GB free in {folder}, room for about {n_pages:,} pages"
    if free < LOW_DISK_BYTES:
        raise FumikuraError(f"only {room}; free some space, or name a database elsewhere with --db")
    return room


def about(number: int) -> int:
    """Round a guess down to two digits, as no more of it can be trusted."""
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return number // unit * unit


def _try_folder(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FumikuraError(
            f"nothing can be written in {folder} ({error.strerror}); name a database elsewhere with --db"
        ) from error
