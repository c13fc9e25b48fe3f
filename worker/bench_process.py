"""This process reads pages as a worker does, and is measured. `worker/bench_workers.py` starts it.

It takes the pages of its runs as a worker does, but no message wakes it. Its
settings come from FUMIKURA_* variables. It says when it is warm, and begins with what is timed when its
standard input ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from fumikura.core.errors import FumikuraError
from fumikura.core.settings import Settings, read_settings

if TYPE_CHECKING:
    from fumikura.core.recognition.reader import PageReader

#: Files in the folder that all processes share.
JOBS, TRACE = "jobs.json", "trace.json"
#: The line with which a process says that it is warm.
WARM = b"warm\n"

_LOOK_EVERY_S = 0.05

Read = Callable[[int], object]


def main() -> int:
    """Read the jobs of a folder on a device, as one of several workers, and leave there what was measured."""
    folder, device, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    jobs = json.loads((folder / JOBS).read_text(encoding="utf-8"))
    try:
        result = _measure(read_settings(), device, number, jobs, folder)
    except FumikuraError as error:
        print(error, file=sys.stderr)
        return 1
    result_file(folder, number).write_text(json.dumps(result), encoding="utf-8")
    return 0


def result_file(folder: Path, number: int) -> Path:
    """Name the file in which a worker leaves what was measured of it."""
    return folder / f"result-{number}.json"


def _measure(
    settings: Settings, device: str, number: int, jobs: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    from fumikura.core.recognition.models.device import peak_gpu_bytes, traced, try_device
    from fumikura.core.recognition.models.precision import described as described_precision
    from fumikura.core.recognition.reader import load_reader
    from fumikura.core.store.upgrading import open_database
    from fumikura.worker.identity import worker_name
    from fumikura.worker.reports import STANDARD_OUTPUT, Reports
    from fumikura.worker.stream import Stream

    described = try_device(device)
    engine, reader = open_database(settings.database_url), load_reader(settings, device)
    path = folder / f"reports-{number}.jsonl"
    reports = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    stream = Stream(
        engine,
        reader,
        settings=settings,
        worker=worker_name(),
        stop=threading.Event(),
        reports=Reports(reports),
    )
    start_s = time.time() - psutil.Process().create_time()
    warm_up_s = _read(stream.read_waiting, jobs["warm"][number])
    os.truncate(reports, 0)  # pages of the warm-up do not count
    os.write(STANDARD_OUTPUT, WARM)
    sys.stdin.read()
    measured = _read_watched(stream.read_waiting, jobs["timed"], reader=reader, device=device)
    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if jobs["traced"] is not None and number == 0:
        with traced(folder / TRACE):
            _read(stream.read_waiting, jobs["traced"])
    return {
        "device": described,
        "precision": described_precision(settings.precision, device),
        "start_s": start_s,
        "warm_up_s": warm_up_s,
        "reports": told,
        "peak_gpu_memory_bytes": peak_gpu_bytes(device),
        **measured,
    }


def _read_watched(read: Read, run_id: int, *, reader: PageReader, device: str) -> dict[str, Any]:
    """Read a run, and measure what that takes."""
    from fumikura.core.recognition.models.device import gpu_utilisation

    process, fills = psutil.Process(), reader.count_batches()
    with (
        _looked_at(lambda: process.memory_info().rss) as memory,
        _looked_at(lambda: gpu_utilisation(device)) as busy,
    ):
        cpu_s = -time.process_time()
        seconds = _read(read, run_id)
        cpu_s += time.process_time()
    shares = [share for share in busy if share is not None]
    return {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "fills": {name: {"inputs": fill.n_inputs, "slots": fill.n_slots} for name, fill in fills.items()},
        "gpu_utilisation": sum(shares) / len(shares) if shares else None,
        "peak_memory_bytes": max(memory),
    }


def _read(read: Read, run_id: int) -> float:
    """Read a run; return the seconds until its last page was written."""
    started_s = time.perf_counter()
    while read(run_id):  # a turn ends after a while, also if pages wait
        pass
    return time.perf_counter() - started_s


@contextmanager
def _looked_at(look: Callable[[], Any]) -> Iterator[list[Any]]:
    """Look many times a second for as long as the block lasts, and collect what is found; at least once."""
    found, stop = [look()], threading.Event()

    def keep_looking() -> None:
        while not stop.wait(_LOOK_EVERY_S):
            found.append(look())

    thread = threading.Thread(target=keep_looking, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
