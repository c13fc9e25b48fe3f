"""What a second worker brings, against what a second process that only runs the networks brings.

    python -m benchmarks.scaling ARCHIVE

Each worker has one thread, and as many cores are used as there are workers (Linux: `taskset`). S is pages/s
of `fumikura run` with two workers over that with one, start-up left out; B is the same for bare processes
that run both networks on the first pages, decoded and cut beforehand. Rounds alternate; medians. Prints
Markdown.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

from benchmarks.roofline import N_PAGES, inputs_of
from fumikura.core.recognition.reader import load_networks
from fumikura.core.settings import Settings
from fumikura.worker.devices import child_environment

ROUNDS = 3
#: How often a bare process runs the networks on its pages.
REPEATS = 12


def bare(archive: str) -> float:
    """Pages/s of the two networks alone, in this process."""
    torch.set_num_threads(1)
    segmenter, classifier = load_networks(Settings(threads=1), "cpu")
    cut, characters, shapes = inputs_of(archive, segmenter, classifier, "cpu")
    print("ready", flush=True)
    sys.stdin.readline()  # until all are ready
    started_s = time.perf_counter()
    for _ in range(REPEATS):
        segmenter.maps(cut)
        classifier.look(characters, shapes)
    return REPEATS * N_PAGES / (time.perf_counter() - started_s)


def run_bare(archive: str, n: int) -> float:
    """Pages/s of n bare processes together."""
    command = [*on_cores(n), sys.executable, "-m", "benchmarks.scaling", archive, "--bare"]
    environment = child_environment(Settings(threads=1), "cpu", n)
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(n)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    # Not before all have loaded: otherwise the first would have the machine to itself.
    return sum(float(answer.split()[-1]) for answer in _answers(processes))


def _answers(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.communicate()[0] for process in processes]


def run_workers(archive: str, n: int) -> float:
    """Pages/s of `fumikura run` with n workers, start-up left out."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*on_cores(n), str(Path(sys.executable).with_name("fumikura")), "run", archive]
        command += ["--db", f"{folder}/pages.db", "--workers", str(n), "--devices", "cpu", "--json"]
        environment = {**os.environ, "FUMIKURA_THREADS": "1"}
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return float(json.loads(answer.stdout.splitlines()[-1])["steady_pages_per_second"])


def on_cores(n: int) -> list[str]:
    """What comes before a command that is to use the first n cores alone."""
    return ["taskset", "--cpu-list", ",".join(str(core) for core in range(n))]


def main(archive: str) -> None:
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for n in (1, 2):
            rates.setdefault(("networks alone", n), []).append(run_bare(archive, n))
            rates.setdefault(("fumikura run", n), []).append(run_workers(archive, n))
    middle = {key: median(values) for key, values in rates.items()}
    ratio = {name: middle[name, 2] / middle[name, 1] for name in ("networks alone", "fumikura run")}
    print(f"| | one, pages/s | two, pages/s | ratio |\n|{'---|' * 4}")
    for name, gain in ratio.items():
        print(f"| {name} | {middle[name, 1]:.2f} | {middle[name, 2]:.2f} | {gain:.2f} |")
    print(f"\nS / B = {ratio['fumikura run'] / ratio['networks alone']:.2f}")


if __name__ == "__main__":
    if "--bare" in sys.argv:
        print(bare(sys.argv[1]))
    else:
        main(sys.argv[1])
