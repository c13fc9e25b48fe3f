"""This script redraws samples/: python -m samples.redraw FONT_FOLDER... [--samples samples]

The pages of samples/text.txt, each in a style of its own, with truth in CODH's
format. The same fonts give the same pages, pixel for pixel.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fumikura.core.training.drawing.fonts import GlyphFont, load_fonts
from fumikura.core.training.drawing.style import PageStyle, draw_style
from fumikura.core.training.drawing.synthetic import CSV_HEADER, render_page, truth_rows

LONG_SIDE = 1800
JPEG_QUALITY = 68


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample says how it differs from the style that its seed draws.

    Attributes:
        size: of a kanji, relative to the page's height.
        is_verse: a line of the text is a column of the page.
        layout, style: fields of `Layout` and `PageStyle` that are set, not drawn.
    """

    seed: int
    size: float
    is_verse: bool = False
    layout: Mapping[str, Any] = field(default_factory=dict)
    style: Mapping[str, Any] = field(default_factory=dict)


_CALM = {"n_holes": 0, "n_seals": 0, "n_stains": 0}

SAMPLES = {
    # Woodblock, furigana, owners' seals over the text.
    "drawn_001": Sample(
        4,
        0.034,
        layout={"furigana_share": 0.7, "pitch": 1.7, "fading": 0.15},
        style={"frame_lines": 2, "weight": 0.09, "n_seals": 4, "tone": (243, 236, 216)},
    ),
    # A manuscript: linked strokes, a brush that runs dry.
    "drawn_002": Sample(
        12,
        0.036,
        layout={"link_share": 0.9, "fading": 0.9, "gap": 0.0, "wobble": 1.3, "pitch": 1.5},
        style=_CALM | {"frame_lines": 0, "weight": 0.06, "hentaigana_share": 0.7, "stretch": 1.3},
    ),
    # Close print on paper that smoke, water and worms have known.
    "drawn_003": Sample(
        23,
        0.027,
        layout={"pitch": 1.35, "gap": -0.03, "furigana_share": 0.0, "note_share": 0.02},
        style={"frame_lines": 1, "weight": 0.12, "n_stains": 3, "n_holes": 5, "tone": (184, 163, 134)},
    ),
    # The other side shows through.
    "drawn_004": Sample(
        31,
        0.034,
        layout={"pitch": 1.4, "link_share": 0.7},
        style=_CALM | {"bleed": 0.24, "frame_lines": 0, "tone": (238, 222, 182)},
    ),
    # Text below a picture.
    "drawn_005": Sample(
        42, 0.034, layout={"pitch": 1.5}, style={"frame_lines": 1, "n_seals": 2, "tone": (245, 233, 196)}
    ),
    # Verse in a large hand.
    "drawn_006": Sample(
        57,
        0.045,
        is_verse=True,
        layout={"furigana_share": 0.0, "pitch": 1.55, "link_share": 0.8, "gap": 0.05, "fading": 0.7},
        style={"frame_lines": 0, "stretch": 1.15, "weight": 0.08, "n_seals": 2, "n_holes": 0},
    ),
}


def draw_samples(folder: Path, fonts: Sequence[GlyphFont]) -> None:
    """Draw all samples into the folder that holds their text."""
    texts = read_texts(folder / "text.txt")
    with (folder / "coordinate.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(CSV_HEADER)
        for name, sample in SAMPLES.items():
            rng = np.random.default_rng(sample.seed)
            text: str | list[str] = texts[name] if sample.is_verse else "".join(texts[name])
            image, boxes = render_page(text, fonts=fonts, rng=rng, style=make_style(sample, rng))
            image.save(folder / f"{name}.jpg", quality=JPEG_QUALITY, optimize=True)
            rows.writerows(truth_rows(name, boxes))


def make_style(sample: Sample, rng: np.random.Generator) -> PageStyle:
    style = draw_style(rng, long_side=LONG_SIDE)
    layout = replace(style.layout, size=sample.size * LONG_SIDE, **sample.layout)
    return replace(style, layout=layout, **sample.style)


def read_texts(path: Path) -> dict[str, list[str]]:
    """Read lines of text by page; a line `# name` starts a page."""
    texts: dict[str, list[str]] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            name = line.removeprefix("# ")
            texts[name] = []
        elif line:
            texts[name].append(line)
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "fonts", nargs="+", type=Path, help="folders with the fonts that samples/README.md names"
    )
    parser.add_argument("--samples", type=Path, default=Path("samples"), help="folder with text.txt")
    options = parser.parse_args()
    draw_samples(options.samples, load_fonts(options.fonts))


if __name__ == "__main__":
    main()
