"""This module measures how fast pages are read here, by the classes with which a run reads them.

Each measurement has processes of its own, as many as a run would start and started as workers are: what
one needs in memory, or has warmed up, is then not the next one's.
"""

from __future__ import annotations

import io
import json
import math
import shutil
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
from fumikura.core.host import processor
from fumikura.core.own_files import replacing
from fumikura.core.page import PageReference
from fumikura.core.recognition.recipe import recipe_of
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.upgrading import open_database
from fumikura.worker.bench_process import JOBS, TRACE
from fumikura.worker.bench_workers import run_workers
from fumikura.worker.devices import worker_devices

_JPEG_QUALITY = 90

#: What goes through the networks.
KINDS = ("patches", "crops")

#: What people want to know the hours of.
MANY_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measurement says how fast pages of one size were read.

    Attributes:
        long_side: of the pages' files, in pixels; None if they came as they are.
        device: of the first worker, as `try_device` describes it.
        precision: of the networks, and who computes them: "bf16, by OpenVINO".
        processor: of this machine, with what it has that makes networks fast.
        workers: processes that read side by side, as many as a run of so many pages would have.
        pages: that were timed, the failed ones included; the warm-up had others.
        seconds: from the first claim until the last page was written.
        cpu_s: of all threads of the workers in that time; it hardly minds what else the machine does.
        cpu_s_per_page: that over the pages that were read: what a page costs, however many read side by side.
        pages_per_second: of all workers together, each counted until its own last page was written: at the
            end of many pages hardly any time passes in which some have nothing left to read.
        pages_per_hour: at this rate, without start and warm-up.
        seconds_for_10_000_pages: at this rate, without start and warm-up.
        start_s: from the start of the processes until the weights of all were loaded.
        warm_up_s: for one group of pages of each after that.
        stages: seconds a page in each stage, and in all of them ("page"): `p50_s`, `p95_s`, and `share` of
            all. What a group of pages takes is shared evenly among them; stages overlap.
        networks_share: of a page's stages that the two networks are: segment and classify.
        inputs_per_page: patches and crops.
        batch_fill: share of the slots of groups ("pages") and of batches that held something real.
        gpu_utilisation: share of the time in which the GPU computed; None where that cannot be told.
        peak_memory_bytes: of the worker that took most; so too on the GPU.
    """

    long_side: int | None
    device: str
    precision: str
    processor: str
    workers: int
    pages: int
    failed: int
    seconds: float
    cpu_s: float
    cpu_s_per_page: float
    pages_per_second: float
    pages_per_hour: float
    seconds_for_10_000_pages: float
    start_s: float
    warm_up_s: float
    stages: Mapping[str, Mapping[str, float]]
    networks_share: float
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
    """Read some pages in processes of their own; a page that comes again comes under new bytes.

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
        devices = worker_devices(settings)[: math.ceil(n_pages / settings.chunk_size)]
        group = settings.pages_per_batch
        sizes = [group] * len(devices) + [n_pages, group if trace else 0]
        _write_pages(folder / "pages", pages, sum(sizes), long_side=long_side, settings=settings)
        _write_jobs(folder, engine, sizes, settings=settings)
        results = run_workers(folder, settings, devices)
        reasons = [failure.reason for failure in failures(engine)]
        engine.dispose()
        if trace is not None:
            with replacing(trace, is_trace) as unfinished:
                shutil.move(folder / TRACE, unfinished)
    if not any(_timings(one) for one in results):
        raise FumikuraError(f"none of the pages can be read; the first: {reasons[0]}")
    return _pooled(results, n_pages=n_pages, long_side=long_side)


def _timings(result: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """Give the seconds that each page of a worker's spent in each stage."""
    return [report["seconds"] for report in result["reports"] if report.get("page") == "done"]


def _pooled(results: Sequence[Mapping[str, Any]], *, n_pages: int, long_side: int | None) -> Measurement:
    """Make one measurement of what each worker measured of itself."""
    timings = [page for one in results for page in _timings(one)]
    groups = [report["batch_fill"] for one in results for report in one["reports"] if "batch_fill" in report]
    cpu_s, stages = sum(one["cpu_s"] for one in results), stages_of(timings)
    rate = sum(len(_timings(one)) / one["seconds"] for one in results)
    inputs, slots = ({kind: _total(results, kind, of) for kind in KINDS} for of in ("inputs", "slots"))
    busy = [one["gpu_utilisation"] for one in results if one["gpu_utilisation"] is not None]
    return Measurement(
        long_side=long_side,
        device=results[0]["device"],
        precision=results[0]["precision"],
        processor=processor(),
        workers=len(results),
        pages=n_pages,
        failed=n_pages - len(timings),
        seconds=max(one["seconds"] for one in results),
        cpu_s=cpu_s,
        cpu_s_per_page=cpu_s / len(timings),
        pages_per_second=rate,
        pages_per_hour=3600 * rate,
        seconds_for_10_000_pages=MANY_PAGES / rate,
        start_s=max(one["start_s"] for one in results),
        warm_up_s=max(one["warm_up_s"] for one in results),
        stages=stages,
        networks_share=sum(stages[name]["share"] for name in ("segment", "classify")),
        inputs_per_page={kind: inputs[kind] / len(timings) for kind in KINDS},
        batch_fill={
            "pages": sum(groups) / len(groups),
            **{kind: inputs[kind] / slots[kind] if slots[kind] else None for kind in KINDS},
        },
        gpu_utilisation=sum(busy) / len(busy) if busy else None,
        peak_memory_bytes=max(one["peak_memory_bytes"] for one in results),
        peak_gpu_memory_bytes=max(
            (one["peak_gpu_memory_bytes"] for one in results if one["peak_gpu_memory_bytes"]), default=None
        ),
    )


def _total(results: Sequence[Mapping[str, Any]], kind: str, of: str) -> int:
    return sum(one["fills"][kind][of] for one in results)


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


def _write_jobs(folder: Path, engine: Engine, sizes: Sequence[int], *, settings: Settings) -> None:
    """Queue the pages, and note the runs that ask for them.

    Args:
        sizes: pages of these runs: one to warm up each worker, one to time, one to trace.
    """
    recipe = recipe_of(settings)
    pages = iter(list_pages([str(folder / "pages")], limits=settings.limits).pages)
    runs: list[int | None] = []
    for size in sizes:
        runs.append(add_run(engine, recipe, command="bench") if size else None)
        if (run_id := runs[-1]) is not None:
            add_pages(engine, run_id, list(islice(pages, size)))
    *warm, timed, traced = runs
    jobs = {"warm": warm, "timed": timed, "traced": traced}
    (folder / JOBS).write_text(json.dumps(jobs), encoding="utf-8")
