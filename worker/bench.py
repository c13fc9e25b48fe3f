"""This module measures how fast pages are read here, by the classes with which a run reads them.

Each measurement has a process of its own, which starts as a worker does: what one needs in memory, or
has warmed up, is then not the next one's.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.errors import FumikuraError, PageError
from fumikura.core.own_files import replacing
from fumikura.core.page import PageReference
from fumikura.core.recognition.recipe import recipe_of
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.upgrading import open_database
from fumikura.worker.bench_process import JOBS, RESULT, TRACE
from fumikura.worker.devices import child_environment, device_within, find_devices

COMMAND = (sys.executable, "-P", "-m", "fumikura.worker.bench_process")

_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measurement says how fast pages of one size were read.

    Attributes:
        long_side: of the pages' files, in pixels; None if they came as they are.
        device: as `try_device` describes it.
        pages: that were timed, the failed ones included; the warm-up had others.
        seconds: from the first claim until the last page was written.
        cpu_s: of all the worker's threads in that time; it hardly minds what else the machine does.
        start_s: from the start of the process until its weights were loaded.
        warm_up_s: for one group of pages after that.
        stages: seconds a page in each stage, and in all of them ("page"): `p50_s`, `p95_s`, and `share` of
            all. What a group of pages takes is shared evenly among them; stages overlap.
        inputs_per_page: patches and crops.
        batch_fill: share of the slots of groups ("pages") and of batches that held something real.
        gpu_utilisation: share of the time in which the GPU computed; None where that cannot be told.
    """

    long_side: int | None
    device: str
    pages: int
    failed: int
    seconds: float
    cpu_s: float
    pages_per_second: float
    start_s: float
    warm_up_s: float
    stages: Mapping[str, Mapping[str, float]]
    inputs_per_page: Mapping[str, float]
    batch_fill: Mapping[str, float | None]
    gpu_utilisation: float | None
    peak_memory_bytes: int
    peak_gpu_memory_bytes: int | None


def measure(
    settings: Settings,
    pages: Sequence[PageReference],
    *,
    n_pages: int,
    long_side: int | None = None,
    trace: Path | None = None,
) -> Measurement:
    """Read some pages in a process of their own; a page that comes again comes under new bytes.

    Args:
        settings: the database is one in a temporary folder, whatever they say.
        long_side: to which the pages are resized before; None leaves their files as they are.
        trace: a file for a trace of one more group of pages, in Chrome's form.

    Raises:
        FumikuraError: no page can be read, or none on this device.
    """
    with TemporaryDirectory(prefix="fumikura-bench-") as name:
        folder = Path(name)
        settings = settings.overridden(database_url=str(folder / "bench.db"))
        engine = open_database(settings.database_url)
        group = settings.pages_per_batch
        sizes = {"warm": group, "timed": n_pages, "traced": group if trace else 0}
        _write_pages(folder / "pages", pages, sum(sizes.values()), long_side=long_side, settings=settings)
        _write_jobs(folder, engine, sizes, settings=settings)
        result = _run(folder, settings)
        reasons = [failure.reason for failure in failures(engine)]
        engine.dispose()
        if trace is not None:
            with replacing(trace, is_trace) as unfinished:
                shutil.move(folder / TRACE, unfinished)
    reports, inputs = result.pop("reports"), result.pop("inputs")
    timings = [report["seconds"] for report in reports if report.get("page") == "done"]
    groups = [report["batch_fill"] for report in reports if "batch_fill" in report]
    if not timings:
        raise FumikuraError(f"none of the pages can be read; the first: {reasons[0]}")
    result["batch_fill"] = {"pages": sum(groups) / len(groups), **result["batch_fill"]}
    return Measurement(
        long_side=long_side,
        pages=n_pages,
        failed=n_pages - len(timings),
        pages_per_second=len(timings) / result["seconds"],
        stages=stages_of(timings),
        inputs_per_page={name: n_inputs / len(timings) for name, n_inputs in inputs.items()},
        **result,
    )


def is_trace(path: Path) -> bool:
    """Tell whether a file is a trace that `measure` wrote."""
    with path.open("rb") as file:
        return b'"program": "fumikura"' in file.read(4096)


def stages_of(timings: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Work out `Measurement.stages` from the seconds that each page spent in each stage."""
    seconds = {name: [page[name] for page in timings] for name in timings[0]}
    seconds["page"] = [sum(page.values()) for page in timings]
    total_s = sum(seconds["page"])
    return {
        name: {
            "p50_s": float(np.percentile(some, 50)),
            "p95_s": float(np.percentile(some, 95)),
            "share": sum(some) / total_s,
        }
        for name, some in seconds.items()
    }


def _write_pages(
    folder: Path, pages: Sequence[PageReference], n_files: int, *, long_side: int | None, settings: Settings
) -> None:
    folder.mkdir()
    written: list[Path] = []
    for number, page in enumerate(islice(cycle(pages), n_files)):
        if number < len(pages):
            data = _page_file(page, long_side=long_side, settings=settings)
        else:
            data = written[number - len(pages)].read_bytes()
        written.append(folder / f"{number:06}{Path(page.member).suffix if long_side is None else '.jpg'}")
        # No decoder looks behind the end of an image; to the store they are other pages.
        written[-1].write_bytes(data + b"%d" % number)


def _page_file(page: PageReference, *, long_side: int | None, settings: Settings) -> bytes:
    """Return the bytes of a page's file, resized if so asked."""
    try:
        data = read_member(page.archive, page.member, digest=page.digest, limits=settings.limits)
        if long_side is None:
            return data
        image = decode(data, long_side=long_side, max_pixels=settings.max_pixels)
    except PageError as error:
        raise PageError(f"{page.member} in {page.archive} cannot be measured: {error}") from error
    out = io.BytesIO()
    Image.fromarray(image.pixels).save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue()


def _write_jobs(folder: Path, engine: Engine, sizes: Mapping[str, int], *, settings: Settings) -> None:
    """Queue the pages, and note for each job the run that asks for its pages."""
    recipe = recipe_of(settings)
    pages = iter(list_pages([str(folder / "pages")], limits=settings.limits).pages)
    jobs: dict[str, int | None] = {}
    for name, size in sizes.items():
        jobs[name] = add_run(engine, recipe, command=f"bench {name}") if size else None
        if (run_id := jobs[name]) is not None:
            add_pages(engine, run_id, list(islice(pages, size)))
    (folder / JOBS).write_text(json.dumps(jobs), encoding="utf-8")


def _run(folder: Path, settings: Settings) -> dict[str, Any]:
    """Start the process that reads the jobs, and return what it measured."""
    device = find_devices(settings.devices)[0]
    done = subprocess.run(
        [*COMMAND, str(folder), device_within(device)],
        env=child_environment(settings, device, 1),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it said nothing and ended with {done.returncode}"]
        raise FumikuraError(f"the process that is measured cannot read: {said[-1]}")
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return result
