"""Whether what is faster reads the same: each way to compute against plain fp32, with the same weights.

    python -m benchmarks.agreement [--truth BOXES]... [--device cuda:0] [--pages N] PAGES...

A character agrees if the other reading has one with the same label and a box of IoU >= 0.8; the share is
that of the longer of the two readings, so that neither may leave out or add characters. The scores are
those of the pages with truth, as differences from fp32 in points. FUMIKURA_SEGMENTER_PATH and its like name
other weights than those that ship. The ways of another device are compared with fp32 on the CPU. Prints
Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import torch
from torchvision.ops import box_iou

from fumikura.core.archives.listing import list_pages
from fumikura.core.page import Character, Reading
from fumikura.core.recognition.reader import load_reader
from fumikura.core.recognition.recipe import Parameters
from fumikura.core.scoring.comparison import KnownPage, load_page
from fumikura.core.scoring.metrics import pool, score
from fumikura.core.scoring.truth import load_truths, match_pages
from fumikura.core.settings import read_settings

MIN_IOU = 0.8
WHOLE = Parameters().patch_side
#: Name, precision, longest side of a patch; the first is what the others are compared with.
WAYS = (
    ("fp32, whole pages", "fp32", WHOLE),
    ("fp32, patches of 704", "fp32", 704),
    ("bf16, whole pages", "bf16", WHOLE),
)
#: Of GPUs alone.
WAYS_OF_GPUS = (("fp16, whole pages", "fp16", WHOLE),)
SCORES = ("dice", "detection_f1", "character_accuracy", "character_f1")


def count_agreeing(first: Sequence[Character], second: Sequence[Character]) -> int:
    """Characters of the same label and place in both."""
    if not first or not second:
        return 0
    is_same = torch.tensor([[one.label == other.label for other in second] for one in first])
    agrees = (box_iou(_corners(first), _corners(second)) >= MIN_IOU) & is_same
    return min(int(agrees.any(dim=0).sum()), int(agrees.any(dim=1).sum()))


def _corners(characters: Sequence[Character]) -> torch.Tensor:
    boxes = [character.box for character in characters]
    return torch.tensor([(b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes], dtype=torch.float)


def read(
    pages: Sequence[KnownPage], precision: str, patch_side: int, *, device: str = "cpu"
) -> list[Reading]:
    """The pages in order, one at a time."""
    settings = read_settings().overridden(precision=precision)
    reader = load_reader(settings, device)
    parameters = replace(reader.recipe.parameters, patch_side=patch_side)
    reader.recipe = replace(reader.recipe, parameters=parameters)
    return [
        reader.read([load_page(page, long_side=reader.long_side, max_pixels=settings.max_pixels)])[0]
        for page in pages
    ]


def scores(pages: Sequence[KnownPage], readings: Sequence[Reading]) -> dict[str, float]:
    """Points out of a hundred."""
    scored = (score(reading, page.truth) for page, reading in zip(pages, readings, strict=True) if page.truth)
    ratios = pool(scored) or {}
    return {name: 100 * (ratios.get(name) or float("nan")) for name in SCORES}


@click.command()
@click.argument("archives", nargs=-1, required=True)
@click.option("--truth", multiple=True, type=click.Path(path_type=Path, exists=True))
@click.option("--device", default="cpu")
@click.option("--pages", "n_pages", type=int, help="Only the first so many.")
def main(archives: Sequence[str], truth: Sequence[Path], device: str, n_pages: int | None) -> None:
    """Compare every way with the first."""
    listed = list_pages(archives).pages[:n_pages]
    truth_of = match_pages(listed, load_truths(truth, ()))
    pages = [KnownPage(page, truth_of.get(page.digest), None) for page in listed]
    _, *plainest = WAYS[0]
    wanted = read(pages, *plainest)
    plain_scores = scores(pages, wanted)
    print(f"{len(pages)} pages, {sum(len(reading.characters) for reading in wanted)} characters\n")
    print(f"| way | characters that agree | {' | '.join(SCORES)} |\n|{'---|' * (2 + len(SCORES))}")
    ways = WAYS[1:] if device == "cpu" else (WAYS[0], *WAYS[1:], *WAYS_OF_GPUS)
    for name, *way in ways:
        readings = read(pages, *way, device=device)
        pairs = [(one.characters, other.characters) for one, other in zip(wanted, readings, strict=True)]
        share = sum(count_agreeing(*pair) for pair in pairs) / sum(max(map(len, pair)) for pair in pairs)
        differences = (value - plain_scores[name] for name, value in scores(pages, readings).items())
        print(f"| {name} | {share:.2%} | {' | '.join(f'{points:+.2f}' for points in differences)} |")


if __name__ == "__main__":
    main()
