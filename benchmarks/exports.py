"""Export a large book in every format that needs no scans, and tell time, pages a second, and memory.

    python -m benchmarks.exports --pages 10000 FOLDER [FORMAT]...

The database is made in FOLDER first, of pages with 300 characters and five next-best labels each; each export
is a process of its own, whose time on the processor and peak of resident memory the system tells: neither
depends on what else runs there. Nothing is deleted afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path

import numpy as np

from fumikura.core.export.formats import FORMATS
from fumikura.core.page import Box, Character, PageReference, Reading
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.store.saving import save_reading
from fumikura.core.store.upgrading import open_database
from tests.simple_store import WORKER, claim_all, start_run

RECIPE = Recipe(segmenter_digest="5" * 64, classifier_digest="c" * 64)
LABELS = "のにはてしをとれるなもりかたきくいよらさすまつあひみゆへそ心人"
COLUMNS, ROWS = 12, 25
NEEDING_SCANS = frozenset({"crops", "html", "iiif", "pdf"})


def make_reading(rng: np.random.Generator) -> Reading:
    """A page of 12 columns of 25 characters, each with five next-best labels."""
    characters = []
    for column in range(COLUMNS):
        for row in range(ROWS):
            best, *others = rng.choice(list(LABELS), 6, replace=False).tolist()
            box = Box(1700 - 140 * column, 100 + 85 * row, 90, 80)
            shares = tuple((label, 0.1 / (number + 1)) for number, label in enumerate(others))
            characters.append(Character(box, best, float(rng.uniform(0.3, 1)), shares, column))
    return Reading(np.zeros((1216, 920), bool), tuple(characters), 1800, 2380)


def fill(url: str, n_pages: int) -> None:
    """Put a book of so many pages into a new database, all of them read."""
    engine = open_database(url)
    pages = [
        PageReference("/scans/book.zip", f"book_{number:05}_1.jpg", _digest(number), 1000, "book")
        for number in range(n_pages)
    ]
    start_run(engine, pages, recipe=RECIPE)
    rng = np.random.default_rng(1)
    some = [make_reading(rng) for _ in range(20)]
    while claims := claim_all(engine, recipe=RECIPE):
        for number, claimed in enumerate(claims):
            save_reading(engine, claimed.reading_id, some[number % len(some)], worker=WORKER)
    engine.dispose()


def _digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def export(name: str, folder: Path, url: str) -> tuple[float, float, float]:
    """Run `fumikura export`; give its seconds, those on the processor, and its peak of memory in MB."""
    program = Path(sys.executable).with_name("fumikura")
    command = [str(program), "export", "--format", name, "--db", url, str(folder / name)]
    started_s = time.monotonic()
    child = os.posix_spawn(program, command, os.environ)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - started_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("formats", nargs="*", choices=list(FORMATS), metavar="FORMAT", help="[default: all]")
    parser.add_argument("--pages", type=int, default=10_000)
    given = parser.parse_args()
    database = given.folder / "pages.db"
    url = f"sqlite:///{database}"
    if not database.exists():
        given.folder.mkdir(parents=True, exist_ok=True)
        fill(url, given.pages)
    print("| format | seconds | on the processor | pages/s of that | MB of memory |\n|---|---|---|---|---|")
    for name in given.formats or FORMATS:
        if name in NEEDING_SCANS:
            continue
        seconds, busy, memory = export(name, given.folder, url)
        print(
            f"| `{name}` | {seconds:.1f} | {busy:.1f} | {given.pages / busy:,.0f} | {memory:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
