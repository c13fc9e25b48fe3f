"""The least that a page can take on this machine, and how near the networks come to it.

    python -m benchmarks.roofline ARCHIVE [DEVICE]

Operations are counted by torch while the networks that ship read pages; the bytes are those of their weights
and of what their layers read and write, each once. The machine's rates are those of a large matrix product
and of a large copy, in the precision and with the threads of the reading. The floor of a network is the
longer of the two times (Williams et al. 2009, doi:10.1145/1498765.1498785). Prints Markdown.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fumikura.core.archives.listing import list_pages
from fumikura.core.recognition import crops, patches
from fumikura.core.recognition.models.checkpoint import load_classifier, load_segmenter
from fumikura.core.recognition.models.inference import Classifier, Segmenter
from fumikura.core.recognition.models.precision import is_bf16_fast
from fumikura.core.recognition.reader import load_networks
from fumikura.core.recognition.recipe import Parameters, find_weights
from fumikura.core.scoring.comparison import KnownPage, load_page
from fumikura.core.settings import Settings

N_PAGES, ROUNDS = 4, 5
_SIDE = 4096
_AT_ONCE = 64


def main(archive: str, device: str = "cpu") -> None:
    segmenter, classifier = load_networks(Settings(), device)
    cut, characters, shapes = inputs_of(archive, segmenter, classifier, device)
    dtype = torch.bfloat16 if is_bf16_fast(torch.device(device)) else torch.float32
    operations_s, bytes_s = _peaks(device, dtype)
    print(
        f"{torch.get_num_threads()} threads, {dtype}: {operations_s / 1e9:.0f} GFLOP/s in a matrix product,"
        f" {bytes_s / 1e9:.1f} GB/s in a copy\n"
    )
    print("| network | GFLOP a page | MB a page | floor, s | measured, s | share of the floor's rate |")
    print(f"|{'---|' * 6}")
    # As they come from their files: only torch's own layers can be counted.
    plain_segmenter = load_segmenter(find_weights("segmenter", None))[0].to(device)
    plain_classifier = load_classifier(find_weights("classifier", None))[0].to(device)
    for name, model, inputs, run in (
        ("segmenter", plain_segmenter, cut, lambda: segmenter.maps(cut)),
        ("classifier", plain_classifier, characters, lambda: classifier.look(characters, shapes)),
    ):
        n_operations, n_bytes = _work(model, inputs, dtype)
        floor_s = max(n_operations / operations_s, n_bytes / bytes_s) / N_PAGES
        taken_s = _time(run, device) / N_PAGES
        print(
            f"| {name} | {n_operations / N_PAGES / 1e9:.1f} | {n_bytes / N_PAGES / 1e6:.0f} | {floor_s:.3f} |"
            f" {taken_s:.3f} | {floor_s / taken_s:.0%} |"
        )


def inputs_of(
    archive: str, segmenter: Segmenter, classifier: Classifier, device: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Of an archive's first pages, padded to one shape: patches, and crops and shapes of all characters."""
    parameters, stride = Parameters(), segmenter.config.stride
    pages = [
        torch.from_numpy(
            load_page(
                KnownPage(page, None, None),
                long_side=parameters.long_side,
                max_pixels=Settings().max_pixels,
            ).pixels
        ).permute(2, 0, 1)
        for page in list_pages([archive]).pages[:N_PAGES]
    ]
    height, width = (max(page.shape[side] for page in pages) for side in (1, 2))
    grid = patches.Grid(height, width, parameters.patch_side, parameters.halo, stride)
    padded = [
        nn.functional.pad(page, (0, width - page.shape[2], 0, height - page.shape[1])) for page in pages
    ]
    cut = torch.cat([patches.cut(page, grid) for page in padded]).to(device)
    boxes = [
        crops.find_boxes(maps, peak_threshold=segmenter.config.peak_threshold) for maps in segmenter.maps(cut)
    ]
    on_device = [page.to(device) for page in padded]
    shapes = torch.cat([crops.box_shapes(page_boxes) for page_boxes in boxes])
    return cut, crops.cut_crops(on_device, boxes, side=classifier.config.crop_side), shapes


def _work(model: nn.Module, inputs: Tensor, dtype: torch.dtype) -> tuple[float, float]:
    """Operations, and bytes read and written by the layers that multiply."""
    n_values = sum(parameter.numel() for parameter in model.parameters())

    def count(_: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal n_values
        n_values += sum(one.numel() for one in given) + out.numel()

    layers = [
        layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        for batch in inputs.split(_AT_ONCE):
            model(batch.float())
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops(), n_values * dtype.itemsize


def _peaks(device: str, dtype: torch.dtype) -> tuple[float, float]:
    """Operations and bytes a second."""
    factor = torch.rand(_SIDE, _SIDE, device=device, dtype=dtype)
    copied = torch.empty(1 << 28, device=device, dtype=torch.uint8)  # larger than any cache
    source = torch.zeros_like(copied)
    product_s = _time(lambda: factor @ factor, device)
    copy_s = _time(lambda: copied.copy_(source), device)
    return 2 * _SIDE**3 / product_s, 2 * copied.numel() / copy_s


def _time(run: Callable[[], object], device: str) -> float:
    """Seconds, the median of some rounds after one that warms up."""
    taken = []
    for _ in range(1 + ROUNDS):
        started_s = time.perf_counter()
        run()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started_s)
    return median(taken[1:])


if __name__ == "__main__":
    main(*sys.argv[1:])
