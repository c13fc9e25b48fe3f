"""Read an archive with the shipped weights: pages a second, the share of each stage, peak memory.

    python benchmarks/read_archive.py ARCHIVE

Prints Markdown, as it stands in docs/benchmarks.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from core.store.lookup import find_pages, get_page
from core.store.session import open_database


def main(archive: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "benchmark.db"
        summary, peaks = _run(
            [str(Path(sys.executable).with_name("fumikura")), "run", archive, "--db", str(database), "--json"]
        )
        stages: Counter[str] = Counter()
        engine = open_database(f"sqlite:///{database}")
        for page in find_pages(engine, run_id=summary["run"], limit=sys.maxsize):
            stages.update(get_page(engine, page.digest).timings_s or {})
    print(f"| pages | pages/s | without start-up | characters | failed |\n|{'---|' * 5}")
    print(
        f"| {summary['done']} | {summary['pages_per_second']:.2f} | {summary['steady_pages_per_second']:.2f} "
        f"| {summary['characters']} | {summary['failed']} |\n"
    )
    total_s = sum(stages.values())
    print(f"| stage | share | s/page |\n|{'---|' * 3}")
    for stage, seconds in stages.items():
        print(f"| {stage} | {seconds / total_s:.0%} | {seconds / summary['done']:.3f} |")
    print(f"\nPeak memory: {', '.join(f'{name} {size / 2**20:.0f} MiB' for name, size in peaks.items())}")


def _run(command: list[str]) -> tuple[dict[str, Any], dict[str, int]]:
    """What the command printed, and the largest resident size of the command and of its workers."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    root = psutil.Process(process.pid)
    peaks = {"command": 0, "workers": 0}
    while process.poll() is None:
        try:
            peaks["command"] = max(peaks["command"], root.memory_info().rss)
            workers = sum(child.memory_info().rss for child in root.children(recursive=True))
            peaks["workers"] = max(peaks["workers"], workers)
        except psutil.NoSuchProcess:
            pass  # it ended while it was looked at
        time.sleep(0.2)
    if process.returncode:
        sys.exit(process.returncode)
    assert process.stdout is not None
    return json.loads(process.stdout.read().splitlines()[-1]), peaks


if __name__ == "__main__":
    main(sys.argv[1])
