"""Our reading against Tesseract 5 with `jpn_vert`, on the same pages and cores, in turns.

    python -m benchmarks.tesseract ARCHIVE [--rounds 3] [--cores 2]

Tesseract gets each page as one command, `tesseract page.jpg - -l jpn_vert --psm 5`: one after the other with
as many threads as there are cores, as it is called, and also as many at once as there are cores, with one
thread each. Ours is the steady rate of `fumikura run` from the files to the rows in SQLite, with a worker of
one thread for each core. Prints Markdown. Needs Linux (`taskset`) and the Debian packages tesseract-ocr and
tesseract-ocr-jpn-vert.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.scaling import on_cores, run_workers
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("archive")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    cores = arguments.cores
    check_tesseract()
    rates: dict[str, list[float]] = {}
    with TemporaryDirectory() as name:
        files = copy_pages(arguments.archive, Path(name))
        for _ in range(arguments.rounds):
            for title, rate in (
                (f"fumikura, {cores} workers", run_workers(arguments.archive, cores)),
                (f"Tesseract, {cores} threads", run_tesseract(files, cores, at_once=1)),
                (f"Tesseract, {cores} pages at once", run_tesseract(files, cores, at_once=cores)),
            ):
                rates.setdefault(title, []).append(rate)
    ours = next(iter(rates.values()))
    print(f"{len(files)} pages, {cores} cores, {arguments.rounds} rounds in turns\n")
    print("| | pages/s | fumikura reads |\n|---|---|---|")
    for title, found in rates.items():
        ratio = median(our / one for our, one in zip(ours, found, strict=True))
        print(f"| {title} | {median(found):.2f} | × {ratio:.1f} |")


def check_tesseract() -> None:
    """End with one line where there is no Tesseract that knows vertical Japanese."""
    found = ""
    if shutil.which("tesseract"):
        found = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True).stdout
    if "jpn_vert" not in found.split():
        sys.exit(
            "error: there is no tesseract with jpn_vert; apt-get install tesseract-ocr tesseract-ocr-jpn-vert"
        )


def copy_pages(archive: str, folder: Path) -> list[Path]:
    """The pages of an archive as files of a folder."""
    files = []
    for number, page in enumerate(list_pages([archive]).pages):
        files.append(folder / f"{number:03}{Path(page.member).suffix}")
        files[-1].write_bytes(read_member(page.archive, page.member))
    return files


def run_tesseract(files: list[Path], cores: int, *, at_once: int) -> float:
    """Pages/s of Tesseract, with an even share of the cores for each page."""
    environment = {**os.environ, "OMP_THREAD_LIMIT": str(cores // at_once)}

    def read(file: Path) -> None:
        command = [*on_cores(cores), "tesseract", str(file), "-", "-l", "jpn_vert", "--psm", "5"]
        subprocess.run(command, env=environment, capture_output=True, check=True)

    started_s = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(read, files))
    return len(files) / (time.perf_counter() - started_s)


if __name__ == "__main__":
    main()
