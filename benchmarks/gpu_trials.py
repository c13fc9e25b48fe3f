"""What might make a GPU read faster, tried apart: decoding by nvJPEG, and compiled networks.

    python -m benchmarks.gpu_trials ARCHIVE [--device cuda:0] [--pages 8] [--backend inductor]

Prints one JSON object: JPEGs a second decoded by a worker's way in one thread and by nvJPEG, and pages a
second of each network as it runs and compiled, in turns; medians of three rounds. On a CPU there is no
nvJPEG: its figures are null.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median

import click
import torch
from torch import Tensor
from torchvision.io import decode_jpeg

from benchmarks.roofline import inputs_of
from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.recognition.models.checkpoint import load_classifier, load_segmenter
from fumikura.core.recognition.models.inference import fold_normalisation
from fumikura.core.recognition.models.precision import dtype_of, find_precision
from fumikura.core.recognition.reader import load_networks
from fumikura.core.recognition.recipe import Parameters, find_weights
from fumikura.core.settings import Settings, read_settings

ROUNDS = 3


@click.command()
@click.argument("archive")
@click.option("--device", default="cuda:0")
@click.option("--pages", "n_pages", default=8)
@click.option("--backend", default="inductor", help="Of torch.compile; eager compiles nothing.")
def main(archive: str, device: str, n_pages: int, backend: str) -> None:
    """Try both, and print what came of it."""
    found = {
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "jpegs_per_second": jpegs(archive, device, n_pages),
        "pages_per_second": compiled(archive, device, backend),
    }
    print(json.dumps(found))


def jpegs(archive: str, device: str, n_pages: int) -> dict[str, float | None]:
    """JPEGs a second, by who decodes them."""
    files = [
        data
        for page in list_pages([archive]).pages[:n_pages]
        if (data := read_member(page.archive, page.member)).startswith(b"\xff\xd8")
    ]
    raw = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in files]

    def ours() -> None:
        for data in files:
            decode(data, long_side=Parameters().long_side, max_pixels=Settings().max_pixels)

    def nvjpeg() -> None:
        decode_jpeg(raw, device=device)

    ways: dict[str, Callable[[], None]] = {"a worker's thread, at working resolution": ours}
    if device.startswith("cuda"):
        ways["nvJPEG, whole"] = nvjpeg
    seconds = in_turns(ways, device)
    return {name: len(files) / seconds[name] for name in ways} | (
        {} if len(ways) > 1 else {"nvJPEG, whole": None}
    )


def compiled(archive: str, device: str, backend: str) -> dict[str, float]:
    """Pages a second of each network, as it runs and compiled."""
    settings = read_settings()
    cut, characters, shapes = inputs_of(archive, *load_networks(settings, device), device)
    cut, characters, shapes = cut[:1], characters[:256], shapes[:256].to(device)
    dtype = dtype_of(find_precision("auto", device))
    ways: dict[str, Callable[[], None]] = {}
    for name, model, inputs in (
        ("segmenter", load_segmenter(find_weights("segmenter", settings.segmenter_path))[0], (cut.float(),)),
        (
            "classifier",
            load_classifier(find_weights("classifier", settings.classifier_path))[0],
            (characters / 255, shapes),
        ),
    ):
        fold_normalisation(model)
        plain = model.to(device).to(memory_format=torch.channels_last)
        ways[name] = _run(plain, inputs, device, dtype)
        ways[f"{name}, compiled"] = _run(torch.compile(plain, backend=backend), inputs, device, dtype)
    return {name: 1 / seconds for name, seconds in in_turns(ways, device).items()}


def _run(
    model: Callable[..., Tensor], inputs: tuple[Tensor, ...], device: str, dtype: torch.dtype
) -> Callable[[], None]:
    def run() -> None:
        with torch.inference_mode(), torch.autocast(torch.device(device).type, dtype=dtype):
            model(*inputs)

    return run


def in_turns(ways: dict[str, Callable[[], None]], device: str) -> dict[str, float]:
    """Seconds of each, the median of its rounds; a first one warms up."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 + ROUNDS):
        for name, run in ways.items():
            started_s = time.perf_counter()
            run()
            if device.startswith("cuda"):
                torch.cuda.synchronize(device)
            taken[name].append(time.perf_counter() - started_s)
    return {name: median(some[1:]) for name, some in taken.items()}


if __name__ == "__main__":
    main()
