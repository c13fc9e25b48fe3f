"""Our reading against Tesseract 5 with `jpn_vert`, on the same pages and cores, in turns.

    python -m benchmarks.tesseract ARCHIVE [--pages 6] [--rounds 3] [--threads 1]

Tesseract gets each page as one command, `tesseract page.jpg - -l jpn_vert --psm 5`. Ours is end to end,
from the files to the rows in SQLite, by a warm process (`fumikura bench` measures the same); what both
need to start is printed apart, and Tesseract's is taken off in the second ratio. Beside the time on the
wall stands that of the processor, which hardly minds what else the machine does. Prints Markdown.
Needs the Debian packages tesseract-ocr and tesseract-ocr-jpn-vert.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from PIL import Image

from core.archive import list_pages, read_member
from core.settings import Settings
from worker.bench import Measurement, measure


@dataclass(frozen=True, slots=True)
class Round:
    """All pages once.

    Attributes:
        page_s: seconds a page on the wall.
        cpu_s: processor seconds a page.
        start_s: for what has to be there before the first page; ours includes the warm-up.
        n_characters: found on a page.
    """

    page_s: float
    cpu_s: float
    start_s: float
    n_characters: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("archive")
    parser.add_argument("--pages", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    check_tesseract()
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number, page in enumerate(islice(list_pages([arguments.archive]).pages, arguments.pages)):
            data = read_member(page.archive, page.member)
            (folder / f"{number:03}{Path(page.member).suffix}").write_bytes(data)
        files = sorted(folder.iterdir())
        pages = list_pages([str(folder)]).pages
        settings = Settings(devices="cpu", threads=arguments.threads)
        theirs, ours = [], []
        for _ in range(arguments.rounds):
            theirs.append(time_tesseract(files, arguments.threads))
            ours.append(in_short(measure(settings, pages, n_pages=len(pages))))
    print(f"{len(pages)} pages, {arguments.threads} threads, {arguments.rounds} rounds in turns\n")
    print_rates(theirs, ours)


def check_tesseract() -> None:
    """End with one line where there is no Tesseract that knows vertical Japanese."""
    found = ""
    if shutil.which("tesseract"):
        found = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True).stdout
    if "jpn_vert" not in found.split():
        sys.exit(
            "error: there is no tesseract with jpn_vert; apt-get install tesseract-ocr tesseract-ocr-jpn-vert"
        )


def time_tesseract(files: list[Path], threads: int) -> Round:
    """One round of Tesseract."""
    with TemporaryDirectory() as name:
        blank = Path(name) / "blank.png"
        Image.new("L", (64, 64), 255).save(blank)
        started_s = time.perf_counter()
        _tesseract(blank, threads)
        start_s = time.perf_counter() - started_s
    started_s, cpu_s = time.perf_counter(), -_children_cpu_s()
    texts = [_tesseract(file, threads) for file in files]
    seconds, cpu_s = time.perf_counter() - started_s, cpu_s + _children_cpu_s()
    n_pages, n_characters = len(files), sum(len("".join(text.split())) for text in texts)
    return Round(seconds / n_pages, cpu_s / n_pages, start_s, n_characters / n_pages)


def in_short(measured: Measurement) -> Round:
    """The same of ours."""
    return Round(
        1 / measured.pages_per_second,
        measured.cpu_s / measured.pages,
        measured.start_s + measured.warm_up_s,
        measured.inputs_per_page["crops"],
    )


def print_rates(theirs: list[Round], ours: list[Round]) -> None:
    pairs = list(zip(theirs, ours, strict=True))
    ratio = median(their.page_s / our.page_s for their, our in pairs)
    without_start = median((their.page_s - their.start_s) / our.page_s for their, our in pairs)
    cpu_ratio = median(their.cpu_s / our.cpu_s for their, our in pairs)
    print(
        f"× {ratio:.1f} pages/s (at least 5 is asked for), × {without_start:.1f} without Tesseract's starts,"
        f" × {cpu_ratio:.1f} in processor time\n"
    )
    print(f"| | pages/s | CPU s/page | start s | characters a page |\n|{'---|' * 5}")
    for name, rounds, often in (("fumikura", ours, "once"), ("Tesseract", theirs, "each page")):
        page_s, cpu_s, start_s, n_characters = (
            median(getattr(one, item.name) for one in rounds) for item in fields(Round)
        )
        print(f"| {name} | {1 / page_s:.3f} | {cpu_s:.2f} | {start_s:.2f} {often} | {n_characters:.0f} |")


def _children_cpu_s() -> float:
    """Processor seconds of all processes that ended under this one."""
    times = os.times()
    return times.children_user + times.children_system


def _tesseract(file: Path, threads: int) -> str:
    command = ["tesseract", str(file), "-", "-l", "jpn_vert", "--psm", "5"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": str(threads)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
