"""What `fumikura run` on one page takes beyond the import of torch, and where it goes.

    python -m benchmarks.start_up PAGE

Both take turns, after a round that warms the file cache; medians. The split comes from when the lines of
`fumikura --debug run` arrive. Prints Markdown.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROUNDS = 5
#: What has been done when a line with these words arrives.
STEPS = {
    "run 1:": "command imported, database made, page found and queued",
    "is process": "worker process begun",
    " ready.": "torch imported, weights loaded, broker connected",
    "chunk of 1": "page read and written",
}


def time_import() -> float:
    started_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, torchvision"], check=True)
    return time.perf_counter() - started_s


def time_run(page: str) -> list[float]:
    """Seconds at which each of the steps is done, and the command is."""
    fumikura = str(Path(sys.executable).with_name("fumikura"))
    with tempfile.TemporaryDirectory() as folder:
        command = [fumikura, "--debug", "run", page, "--db", f"{folder}/pages.db"]
        started_s = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder
        )
        assert process.stdout is not None
        found: dict[str, float] = {}
        for line in process.stdout:
            for words in STEPS:
                if words in line:
                    found.setdefault(words, time.perf_counter() - started_s)
        if process.wait():
            sys.exit(f"error: {' '.join(command)} ended with {process.returncode}")
        return [*(found[words] for words in STEPS), time.perf_counter() - started_s]


def main(page: str) -> None:
    page = str(Path(page).resolve())
    time_import(), time_run(page)
    imports, runs = [], []
    for _ in range(ROUNDS):
        imports.append(time_import())
        runs.append(time_run(page))
    done_s = [0.0, *(median(column) for column in zip(*runs, strict=True))]
    print(f"| step | seconds |\n|{'---|' * 2}")
    print(f"| `import torch, torchvision` alone | {median(imports):.2f} |")
    for name, taken_s in _split(done_s):
        print(f"| {name} | {taken_s:.2f} |")
    print(f"| all of `fumikura run` | {done_s[-1]:.2f} |")
    print(f"\nBeyond the import: {done_s[-1] - median(imports):.2f} s")


def _split(done_s: Sequence[float]) -> list[tuple[str, float]]:
    names = [*STEPS.values(), "worker ended, summary shown"]
    return [
        (name, after - before) for name, before, after in zip(names, done_s[:-1], done_s[1:], strict=True)
    ]


if __name__ == "__main__":
    main(sys.argv[1])
