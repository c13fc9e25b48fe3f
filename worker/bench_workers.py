"""This module starts the processes that `worker/bench.py` measures, all at once, as a run does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from fumikura.core.errors import FumikuraError
from fumikura.core.settings import Settings
from fumikura.worker.bench_process import WARM, result_file
from fumikura.worker.devices import child_environment, device_within

COMMAND = (sys.executable, "-P", "-m", "fumikura.worker.bench_process")


def run_workers(folder: Path, settings: Settings, devices: Sequence[str]) -> list[dict[str, Any]]:
    """Start a process for each device, and return what each of them measured.

    None begins with the pages that are timed before all are warm: what one worker reads alone is no measure
    of what several read that share cores, memory and the database.

    Raises:
        FumikuraError: one of them cannot read, and why.
    """
    with _started(folder, settings, devices) as workers:
        for worker, errors in workers:
            assert worker.stdout is not None
            if WARM not in worker.stdout:  # reads line by line, until it comes or the process ends
                raise FumikuraError(_reason(worker, errors))
        for worker, _ in workers:
            assert worker.stdin is not None
            worker.stdin.close()  # the sign to begin
        for worker, errors in workers:
            if worker.wait():
                raise FumikuraError(_reason(worker, errors))
    return [
        json.loads(result_file(folder, number).read_text(encoding="utf-8")) for number in range(len(devices))
    ]


@contextmanager
def _started(
    folder: Path, settings: Settings, devices: Sequence[str]
) -> Iterator[list[tuple[Popen[bytes], Path]]]:
    """Start the processes; end those that still run when the block is left. With each comes its stderr."""
    workers: list[tuple[Popen[bytes], Path]] = []
    with ExitStack() as stack:
        for number, device in enumerate(devices):
            errors = folder / f"errors-{number}.txt"
            with errors.open("wb") as file:
                worker = Popen(
                    [*COMMAND, str(folder), device_within(device), str(number)],
                    env=child_environment(settings, device, len(devices)),
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=file,
                )
            stack.enter_context(worker)  # closes the pipes and waits
            stack.callback(worker.kill)  # before that, and does nothing to one that has ended
            workers.append((worker, errors))
        yield workers


def _reason(worker: Popen[bytes], errors: Path) -> str:
    code = worker.wait()
    said = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = said[-1] if said else f"it said nothing and ended with {code}"
    return f"the process that is measured cannot read: {last}"
