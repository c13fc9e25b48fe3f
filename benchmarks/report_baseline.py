"""Our reading against the reports' way of working: how much faster, and what each step contributes.

    OMP_NUM_THREADS=1 python -m benchmarks.report_baseline ARCHIVE [--pages 4] [--patches 99] [--rounds 3]

Their way: the report's U-Net and plain classifier in evaluation and inference mode, fp32, patches of 128
pixels every 64 one by one at the page's own resolution, crops one by one. Their weights are random, which
takes the same time but finds nothing: crops are cut where our reading found characters. Nobody waits
for all their patches: a random sample is timed and multiplied, and so are tiles and crops. Rounds are
interleaved; a figure is the median of its rounds, a ratio that of the rounds' ratios. The pages should be
of one size. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from statistics import mean, median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.page import Box, PageImage
from fumikura.core.recognition.models.inference import Batches
from fumikura.core.recognition.models.plain_cnn import PlainCNN, PlainCNNConfig
from fumikura.core.recognition.models.unet import UNet, UNetConfig
from fumikura.core.recognition.reader import PageReader, load_reader
from fumikura.core.settings import Settings

REPORT_UNET = UNetConfig(widths=(64, 128, 256), bottleneck=512, out_channels=1, is_normalised=False)
REPORT_CLASSIFIER = PlainCNNConfig(n_classes=500)
PATCH, STRIDE = 128, 64
#: Two 3 × 3 convolutions on each of the levels down and up see 44 pixels; pooling adds up to 7.
HALO = 56
LONGEST_TILE = 960
TILES_PER_BATCH = 2


@dataclass(frozen=True, slots=True)
class Samples:
    """The pages, decoded both ways, and what is cut from them.

    Attributes:
        files: their bytes.
        own: pages at their own resolution.
        working: at ours.
        boxes: of the characters that we find, by page.
    """

    files: list[bytes]
    own: list[PageImage]
    working: list[PageImage]
    boxes: list[list[Box]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("archive")
    parser.add_argument("--pages", type=int, default=4)
    parser.add_argument("--patches", type=int, default=99, help="of theirs, in all rounds together")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    reader = load_reader(Settings(), "cpu")
    samples = load_samples(arguments.archive, arguments.pages, reader)
    steps = make_steps(samples, reader, rng, n_patches=max(1, arguments.patches // arguments.rounds))
    rounds = [[seconds() for seconds in steps.values()] for _ in range(arguments.rounds)]
    print(f"{arguments.pages} pages, {torch.get_num_threads()} threads\n")
    print_ladder(list(steps), rounds)
    print_overheads(samples, reader)


def load_samples(archive: str, n_pages: int, reader: PageReader) -> Samples:
    files = [read_member(page.archive, page.member) for page in islice(list_pages([archive]).pages, n_pages)]
    working = [_decode(data, reader.long_side) for data in files]
    readings = reader.read(working)  # also the warm-up
    boxes = [[character.box for character in reading.characters] for reading in readings]
    return Samples(files, [_decode(data, None) for data in files], working, boxes)


# In one piece, because what one step changes against the one before must be seen at a glance.
def make_steps(
    samples: Samples, reader: PageReader, rng: np.random.Generator, *, n_patches: int
) -> dict[str, Callable[[], float]]:
    """Each step's name, and what measures it once in seconds a page; it keeps what those before changed."""
    unet = UNet(REPORT_UNET).eval()
    ours = Batches(UNet(REPORT_UNET).eval(), device="cpu", precision="auto", batch_size=TILES_PER_BATCH)
    classifier = PlainCNN(REPORT_CLASSIFIER).eval()
    long_side = reader.long_side

    def with_crops(segment_s: Callable[[], float], side: int | None) -> Callable[[], float]:
        return lambda: _decode_s(samples, side) + segment_s() + _crops_s(samples, classifier, rng)

    def tiled(pages: Sequence[PageImage], batch: int, run: Callable[[Tensor], object]) -> float:
        (n_rows, height), (n_columns, width) = _tiles(pages[0])
        inputs = _cut_some(pages, (height, width), batch, rng)
        return n_rows * n_columns / batch * _seconds(lambda: run(inputs))

    def plainly(inputs: Tensor) -> object:
        return unet(inputs.float() / 255)

    def as_ours(inputs: Tensor) -> object:
        return ours(inputs, lambda model, batch: model(batch.float() / 255).float())

    def theirs() -> float:
        inputs = [_cut_some(samples.own, (PATCH, PATCH), 1, rng) for _ in range(n_patches)]
        n_all = mean(math.prod(_count(side) for side in page.pixels.shape[:2]) for page in samples.own)
        return n_all / n_patches * _seconds(lambda: [plainly(one) for one in inputs])

    return {
        "their way": with_crops(theirs, None),
        "tiles with just the halo": with_crops(lambda: tiled(samples.own, 1, plainly), None),
        f"{TILES_PER_BATCH} tiles a batch": with_crops(
            lambda: tiled(samples.own, TILES_PER_BATCH, plainly), None
        ),
        "bf16 and channels last": with_crops(lambda: tiled(samples.own, TILES_PER_BATCH, as_ours), None),
        f"{long_side} pixels": with_crops(
            lambda: tiled(samples.working, TILES_PER_BATCH, as_ours), long_side
        ),
        "our segmenter": with_crops(lambda: _ours_s(samples, reader, without="classify"), long_side),
        "our classifier, in batches": lambda: _decode_s(samples, long_side) + _ours_s(samples, reader),
    }


def print_ladder(names: Sequence[str], rounds: Sequence[Sequence[float]]) -> None:
    """A row a step.

    Args:
        rounds: seconds a page of each step, round by round.
    """
    print(f"| each with what stands above it | × their way | × the step before | s/page |\n|{'---|' * 4}")
    before = [1.0, *(median(row[i] / row[i + 1] for row in rounds) for i, _ in enumerate(pairwise(names)))]
    for number, name in enumerate(names):
        gain = median(row[0] / row[number] for row in rounds)
        seconds = median(row[number] for row in rounds)
        print(f"| {name} | {gain:.1f} | {before[number]:.2f} | {seconds:.3f} |")
    first, last = (median(1 / row[number] for row in rounds) for number in (0, -1))
    gain = median(row[0] / row[-1] for row in rounds)
    print(f"\nOurs {last:.3f} pages/s, theirs {first:.5f}: × {gain:.0f} (at least 100 is asked for)\n")


def print_overheads(samples: Samples, reader: PageReader) -> None:
    """Pixels that each way of cutting computes for one of the page."""
    fills = reader.count_batches()
    reader.read(samples.working)
    n_own, n_working = (
        sum(page.pixels.size // 3 for page in pages) for pages in (samples.own, samples.working)
    )
    n_theirs = sum(math.prod(_count(side) for side in page.pixels.shape[:2]) for page in samples.own)
    n_tiled = sum(math.prod(n_tiles * side for n_tiles, side in _tiles(page)) for page in samples.own)
    print(f"| way of cutting | pixels computed for one of the page |\n|{'---|' * 2}")
    print(f"| patches of {PATCH} every {STRIDE} | {n_theirs * PATCH**2 / n_own:.2f} |")
    print(f"| the same network in tiles, halo {HALO} | {n_tiled / n_own:.2f} |")
    print(f"| ours | {fills['patches'].n_pixels / n_working:.2f} |")


def _decode(data: bytes, long_side: int | None) -> PageImage:
    return decode(data, long_side=long_side, max_pixels=Settings().max_pixels)


def _decode_s(samples: Samples, long_side: int | None) -> float:
    return _seconds(lambda: [_decode(data, long_side) for data in samples.files]) / len(samples.files)


def _ours_s(samples: Samples, reader: PageReader, *, without: str = "") -> float:
    """Seconds a page of our reading behind the decoder, one stage left out."""
    [reading, *_] = reader.read(samples.working)
    return sum(seconds for stage, seconds in reading.timings_s.items() if stage != without)


def _crops_s(samples: Samples, classifier: nn.Module, rng: np.random.Generator, n_crops: int = 33) -> float:
    """Seconds for the crops of a page, one by one, from those of some."""
    every = [(page, box) for page, boxes in zip(samples.own, samples.boxes, strict=True) for box in boxes]
    some = [every[number] for number in rng.integers(len(every), size=n_crops)]
    seconds = _seconds(lambda: [classifier(_crop(page.pixels, box)) for page, box in some])
    return seconds / n_crops * len(every) / len(samples.own)


def _crop(pixels: NDArray[np.uint8], box: Box) -> Tensor:
    """One character (1, 3, S, S) in [0, 1]."""
    cut = torch.from_numpy(pixels[box.y : box.y + box.height, box.x : box.x + box.width])
    side = REPORT_CLASSIFIER.crop_side
    return functional.interpolate(cut.permute(2, 0, 1)[None].float() / 255, (side, side), mode="bilinear")


def _cut_some(
    pages: Sequence[PageImage], shape: tuple[int, int], count: int, rng: np.random.Generator
) -> Tensor:
    """uint8 (count, 3, height, width), from anywhere on the pages; smaller ones are continued."""
    cut = []
    for number in rng.integers(len(pages), size=count):
        pixels = pages[number].pixels
        below, right = (max(0, want - have) for have, want in zip(pixels.shape, shape, strict=False))
        pixels = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")
        y, x = (rng.integers(have - want + 1) for have, want in zip(pixels.shape, shape, strict=False))
        cut.append(torch.from_numpy(pixels[y : y + shape[0], x : x + shape[1]]).permute(2, 0, 1))
    return torch.stack(cut)


def _count(length: int) -> int:
    """Patches of theirs one after another on a side of the page."""
    return 1 + math.ceil(max(0, length - PATCH) / STRIDE)


def _tiles(page: PageImage) -> list[tuple[int, int]]:
    """Number and length of the tiles down and across a page: as few as may be, and as short."""
    stride, tiles = REPORT_UNET.stride, []
    for length in page.pixels.shape[:2]:
        n_tiles = max(1, math.ceil((length - 2 * HALO) / (LONGEST_TILE - 2 * HALO)))
        side = math.ceil((length + (n_tiles - 1) * 2 * HALO) / n_tiles / stride) * stride
        tiles.append((n_tiles, side))
    return tiles


def _seconds(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    with torch.inference_mode():
        work()
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
