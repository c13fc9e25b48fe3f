"""Our reading against Tesseract 5 with `jpn_vert`, on the same pages and cores, in turns.

    python -m benchmarks.tesseract ARCHIVE [--pages 6] [--rounds 3] [--threads 1]

Tesseract gets each page as one command, `tesseract page.jpg - -l jpn_vert --psm 5`. Ours is end to end,
from the files to the rows in SQLite, by a warm process (`fumikura bench` measures the same); what both
need to start is printed apart, and Tesseract's is taken off in the second ratio. Prints Markdown.
Needs the Debian packages tesseract-ocr and tesseract-ocr-jpn-vert.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from PIL import Image

from core.archive import list_pages, read_member
from core.settings import Settings
from worker.bench import Measurement, measure


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
            ours.append(measure(settings, pages, n_pages=len(pages)))
    print(f"{len(pages)} pages, {arguments.threads} threads, {arguments.rounds} rounds in turns\n")
    print_rates(len(pages), theirs, ours)


def check_tesseract() -> None:
    """End with one line where there is no Tesseract that knows vertical Japanese."""
    found = ""
    if shutil.which("tesseract"):
        found = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True).stdout
    if "jpn_vert" not in found.split():
        sys.exit(
            "error: there is no tesseract with jpn_vert; apt-get install tesseract-ocr tesseract-ocr-jpn-vert"
        )


def time_tesseract(files: list[Path], threads: int) -> tuple[float, float, int]:
    """Seconds for all pages, seconds of a start on an empty one, and characters read."""
    with TemporaryDirectory() as name:
        blank = Path(name) / "blank.png"
        Image.new("L", (64, 64), 255).save(blank)
        started_s = time.perf_counter()
        _tesseract(blank, threads)
        start_s = time.perf_counter() - started_s
    started_s = time.perf_counter()
    texts = [_tesseract(file, threads) for file in files]
    return time.perf_counter() - started_s, start_s, sum(len("".join(text.split())) for text in texts)


def print_rates(n_pages: int, theirs: list[tuple[float, float, int]], ours: list[Measurement]) -> None:
    pairs = list(zip(theirs, ours, strict=True))
    ratio = median(our.pages_per_second * seconds / n_pages for (seconds, _, _), our in pairs)
    without_start = median(
        our.pages_per_second * (seconds - n_pages * start_s) / n_pages for (seconds, start_s, _), our in pairs
    )
    print(f"× {ratio:.1f} (at least 5 is asked for); × {without_start:.1f} without Tesseract's starts\n")
    print(f"| | pages/s | start s | characters a page |\n|{'---|' * 4}")
    n_characters = ours[0].inputs_per_page["crops"]
    print(
        f"| fumikura | {median(our.pages_per_second for our in ours):.3f} "
        f"| {median(our.start_s + our.warm_up_s for our in ours):.1f} once, {ours[0].start_s:.1f} of it "
        f"until the weights are there | {n_characters:.0f} |"
    )
    print(
        f"| Tesseract | {median(n_pages / seconds for seconds, _, _ in theirs):.3f} "
        f"| {median(start_s for _, start_s, _ in theirs):.2f} each page | {theirs[0][2] / n_pages:.0f} |"
    )


def _tesseract(file: Path, threads: int) -> str:
    command = ["tesseract", str(file), "-", "-l", "jpn_vert", "--psm", "5"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": str(threads)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
