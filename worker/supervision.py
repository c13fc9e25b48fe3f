"""A launcher starts its worker processes here, watches and replaces them, and ends them together."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, Any

from fumikura.core.errors import DatabaseError, FumikuraError
from fumikura.core.pauses import pause_s
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import hand_back, return_leases
from fumikura.core.store.workers import Card, State, note_end, note_worker, remove_worker, worker_names
from fumikura.worker.devices import child_environment, device_within, worker_devices
from fumikura.worker.emergency_exit import TOOK_TOO_LONG
from fumikura.worker.identity import host_name, is_dead, worker_name
from fumikura.worker.prometheus import Metrics
from fumikura.worker.reports import IDLE, LOADED, READING, READY, RUNS, TRIED, listen
from fumikura.worker.worker_process import AWAY, UNFIT

log = logging.getLogger(__name__)

#: Safe path (-P): a folder named `fumikura` where the user happens to stand is not ours.
COMMAND = (sys.executable, "-P", "-m", "fumikura.worker.worker_process")

#: Seconds from the order to end until a child is killed.
GRACE_S = 10.0
#: Seconds to wait for what a dead child wrote last; its own children may keep the pipe open.
LAST_REPORTS_S = 1.0
#: A child that ended so often in a row before it was ready for pages will not do better.
MAX_FAILURES = 3


@dataclass
class Child:
    """A child is a place for one worker process, with the process that fills it now, if any.

    Attributes:
        place: the device, numbered where several children share it.
        name: under which its pages are leased.
        start_at_s: monotonic time before which no process is started.
        n_failures: ends in a row before the process was ready for pages, so that none can be blamed.
        exit_code: of the last process that ended.
        said: the states that the last process reached, see `worker/reports.py`; READING only while it reads.
        reports: the thread that listens to it.
    """

    number: int
    device: str
    place: str
    process: subprocess.Popen[bytes] | None = None
    name: str = ""
    start_at_s: float = 0.0
    n_failures: int = 0
    exit_code: int | None = None
    said: set[str] = field(default_factory=set)
    reports: threading.Thread | None = None

    @property
    def is_idle(self) -> bool:
        return self.process is not None and READY in self.said and READING not in self.said

    @property
    def is_hopeless(self) -> bool:
        return self.exit_code == UNFIT or (self.n_failures >= MAX_FAILURES and self.exit_code != AWAY)


class Children:
    """These are the worker processes of this machine.

    Args:
        most: so many at most; None means as many as the settings want.
        run_id: the one run whose pages they read; None means all that waits for the recipe.
        logs: folder for what the children write to standard error; None passes it on to ours.
        command: what starts a child.
        metrics: where the children's reports are counted; None means that nobody listens to them.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        recipe: Recipe,
        *,
        most: int | None = None,
        run_id: int | None = None,
        logs: Path | None = None,
        command: Sequence[str] = COMMAND,
        metrics: Metrics | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._recipe = recipe
        self._logs = logs
        self._command = command
        self._metrics = metrics
        #: Called, in any thread, when a worker is ready for pages or has none any more.
        self.on_idle: Callable[[], object] = lambda: None
        devices = worker_devices(settings)[:most]
        self._run_id = run_id
        self._children = [Child(*places) for places in zip(count(), devices, _places(devices), strict=False)]
        self._forget_the_dead()
        if metrics is not None:
            for child in self._children:
                metrics.begin(child.device)

    @property
    def names(self) -> list[str]:
        """Return the names under which the processes that live now lease pages."""
        return [child.name for child in self._children if child.process is not None]

    @property
    def stage(self) -> str:
        """Tell the state that the foremost process has reached; empty if none runs yet."""
        said = {state for child in self._children if child.process is not None for state in child.said}
        return next((state for state in (READY, TRIED, LOADED, RUNS) if state in said), "")

    @property
    def n_idle(self) -> int:
        """Count the workers that are ready, and have nothing to read."""
        return sum(child.is_idle for child in self._children)

    def _forget_the_dead(self) -> None:
        """Remove the rows that workers of this host left which were killed with their launcher."""
        for name in filter(is_dead, worker_names(self._engine)):
            remove_worker(self._engine, name)

    def look_after(self) -> None:
        """Clear away what ended and start what is missing; to be called a few times a second.

        Raises:
            FumikuraError: no child can start, and why.
        """
        for child in self._children:
            if child.process is not None and (code := child.process.poll()) is not None:
                self._clear_away(child, code)
            is_due = child.exit_code != UNFIT and time.monotonic() >= child.start_at_s
            if child.process is None and is_due:
                self._start(child)
        if all(child.process is None and child.is_hopeless for child in self._children):
            raise FumikuraError(self._last_words(self._children[-1]))

    def stop(self, *, grace_s: float = GRACE_S) -> None:
        """End all children, which hand back what they have not read; by force after so many seconds."""
        processes = [child.process for child in self._children if child.process is not None]
        try:
            for process in processes:
                process.terminate()
            deadline_s = time.monotonic() + grace_s
            with suppress(subprocess.TimeoutExpired):
                for process in processes:
                    process.wait(max(0.0, deadline_s - time.monotonic()))
        finally:
            for child in self._children:
                if child.process is not None:
                    child.process.kill()
                    _close(child)
                with suppress(DatabaseError):  # leases run out by themselves
                    hand_back(self._engine, child.name)
                    remove_worker(self._engine, child.name)

    def _start(self, child: Child) -> None:
        arguments = ["--device", device_within(child.device), "--recipe", self._recipe.digest]
        arguments += ["--place", child.place]
        if self._run_id is not None:
            arguments += ["--run", str(self._run_id)]
        level = logging.getLevelName(log.getEffectiveLevel())
        settings = self._settings
        if self._logs is not None:
            settings = replace(settings, log_format="text")  # of which the last words are for a person
        environment = child_environment(settings, child.device, len(self._children))
        with self._open_log(child) as errors:
            child.process = subprocess.Popen(
                [*self._command, *arguments, "--log-level", level],
                env=environment,
                stdin=subprocess.PIPE,  # never written to: that it closes tells the child of our end
                stdout=subprocess.PIPE,  # reports
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for us alone
            )
        child.name = worker_name(child.process.pid)
        said: set[str] = set()  # of this process alone, however late it is heard
        child.said = said
        child.reports = listen(child.process, partial(self._take, child.device, said))
        log.info(
            "worker %d on %s is process %d",
            child.number,
            child.device,
            child.process.pid,
            extra={"worker": f"{host_name(self._settings)}/{child.place}"},
        )
        self._note_start(child)

    def _note_start(self, child: Child) -> None:
        """Let others know of it at once: until it can say so itself it loads libraries for seconds."""
        host = host_name(self._settings)
        label = f"{host}/{child.place}"
        card = Card(child.name, label, host, child.place, self._recipe.digest, self._run_id)
        with suppress(DatabaseError):
            note_worker(self._engine, card, State.STARTING, reason=None, n_done=0)

    def _take(self, device: str, said: set[str], event: Mapping[str, Any]) -> None:
        """Heed an event that a process reports."""
        if "state" in event:
            said.add(event["state"])
            if event["state"] == IDLE:
                said.discard(READING)
            if event["state"] in (READY, IDLE):
                self.on_idle()
        elif self._metrics is not None:
            self._metrics.take(device, event)

    def _clear_away(self, child: Child, code: int) -> None:
        """Return the pages of a child that ended, and say when the next one starts."""
        _close(child)
        child.process, child.exit_code = None, code
        n_returned = self._return_leases(child)
        if self._metrics is not None:
            self._metrics.note_end(child.device, was_ready=READY in child.said)
        # Whether it had pages would tell less: the feeder, too, returns those of the dead.
        child.n_failures = 0 if READY in child.said else child.n_failures + 1
        wait_s = 0.0 if n_returned else pause_s(max(1, child.n_failures))
        child.start_at_s = time.monotonic() + wait_s
        log.warning(
            "worker %d on %s ended with %s; %d pages go back to the queue",
            child.number,
            child.device,
            _describe(code),
            n_returned,
            extra={"worker": f"{host_name(self._settings)}/{child.place}"},
        )

    def _return_leases(self, child: Child) -> int:
        try:
            how = f"with {_describe(child.exit_code)}"
            note_end(self._engine, child.name, f"the last process ended {how}")
            if child.exit_code == AWAY:
                return hand_back(self._engine, child.name)  # no page is to blame for a server
            if child.exit_code == TOOK_TOO_LONG:
                how = f"by the time limit of {self._settings.page_time_limit_s:g} s a page"
            return return_leases(self._engine, child.name, self._settings.max_attempts, how=how)
        except DatabaseError as error:
            log.warning("%s; the feeder will return the pages of worker %d", error, child.number)
            return 0

    def _open_log(self, child: Child) -> AbstractContextManager[IO[bytes] | None]:
        if self._logs is None:
            return nullcontext()
        return (self._logs / f"worker-{child.number}.log").open("ab")

    def _last_words(self, child: Child) -> str:
        what = "no worker can start"
        if LOADED in child.said and TRIED not in child.said:
            what = "every worker here ends over a page drawn for a trial, so all pages stay in the queue"
        if self._logs is None:
            return f"{what} ({_describe(child.exit_code)}); what it said stands above"
        lines = (self._logs / f"worker-{child.number}.log").read_text(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        if child.exit_code == UNFIT:
            return last
        ending = f"{what}; the last one ended with {_describe(child.exit_code)}"
        return f"{ending}: {last}" if last else f"{ending}; `fumikura doctor` may tell more"


def _places(devices: Sequence[str]) -> list[str]:
    """Name devices, with a number where several are the same: cuda:0, cpu#1, cpu#2."""
    numbers = {device: count(1) for device in devices}
    return [f"{one}#{next(numbers[one])}" if devices.count(one) > 1 else one for one in devices]


def _close(child: Child) -> None:
    """Wait for a process that is about to end, and for its last reports."""
    if child.process is None:
        return
    child.process.wait()
    if child.process.stdin is not None:
        child.process.stdin.close()
    if child.reports is not None:
        child.reports.join(LAST_REPORTS_S)


def _describe(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # most of the real-time signals have no name
        return f"signal {-code}"
