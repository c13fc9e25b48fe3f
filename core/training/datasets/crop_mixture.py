"""This module mixes banks of character images: real crops, what others cut out, and drawn glyphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fumikura.core.folding import fold
from fumikura.core.recognition.crops import outlines
from fumikura.core.training.datasets.augmentation import (
    FOR_CROPS,
    FOR_CUT_OUT,
    FOR_GLYPHS,
    ZOOM,
    Strength,
    distort,
)
from fumikura.core.training.datasets.crop_bank import (
    CropBank,
    bank_of_characters,
    bank_of_crops,
    bank_of_glyphs,
    drawable,
    joined,
)
from fumikura.core.training.datasets.loading import CharacterSet
from fumikura.core.training.datasets.training_pages import TrainingPage
from fumikura.core.training.drawing.fonts import GlyphFont
from fumikura.core.vocabulary import Vocabulary, clean_text, commonest_labels

#: Share of the crops whose shapes are not told, lest labels hang on them.
_HIDDEN = 0.2


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the mixture is a bank, how often each image is taken, and how hard it is distorted.

    Attributes:
        weights: (N,) how often each image is taken, in proportion.
        share: how much of a batch it fills, against the shares of the other parts.
        has_shapes: the shape of its boxes is that of a page's.
    """

    bank: CropBank
    weights: Tensor
    strength: Strength
    share: int
    has_shapes: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """This is a batch of crops as the classifier sees them, and what it should say.

    Attributes:
        crops: (B, 1, 64, 64) brightness in [0, 1].
        shapes: (B, 2) of the boxes by which they were cut, as `box_shapes` gives them; nan where unknown.
        corners: (B, 4) left, top, right, bottom of the true boxes in [-1, 1] of the crops.
    """

    crops: Tensor
    shapes: Tensor
    corners: Tensor


def real_part(bank: CropBank) -> Part:
    """Take real crops so that a label ten times as common is seen about three times as often."""
    counts = torch.bincount(bank.numbers)
    return Part(bank, counts[bank.numbers].float() ** -0.5, FOR_CROPS, share=62)


def cut_out_part(bank: CropBank) -> Part:
    """Take few characters that others cut out: they are many, of few labels, and would crowd out the rest."""
    return replace(real_part(bank), strength=FOR_CUT_OUT, share=13, has_shapes=False)


def drawn_part(bank: CropBank, frequencies: Tensor) -> Part:
    """Take drawn glyphs by the frequency (C,) of their labels in texts, evened out as for real crops."""
    forms = torch.bincount(bank.numbers, minlength=len(frequencies))
    weights = (frequencies.float() + 1).sqrt() / forms.clamp(min=1)
    return Part(bank, weights[bank.numbers], FOR_GLYPHS, share=25)


def mix_crops(
    pages: Sequence[TrainingPage],
    texts: Sequence[str],
    fonts: Sequence[GlyphFont],
    *,
    n_labels: int,
    cut_out: Sequence[CharacterSet] = (),
) -> tuple[dict[str, Part], Vocabulary]:
    """Make the parts by name, and the labels: the commonest of the texts that have a real crop or a glyph.

    Labels of real crops are always learnt, common or not. All are folded: texts say 氣 and boxes 気
    of the same strokes.
    """
    texts = [fold(clean_text(text)) for text in texts]
    boxed = {fold(label) for page in pages for label in page.labels}
    boxed |= {fold(label) for data in cut_out for label in data.labels}
    common = commonest_labels(texts, n_labels)
    wanted = [*common, *sorted(boxed - set(common))]
    known = boxed | drawable(fonts, wanted)
    vocabulary = Vocabulary([label for label in wanted if label in known])
    counts = Counter(char for text in texts for char in text)
    frequencies = torch.tensor([counts[label] for label in vocabulary.labels])
    parts = {"drawn glyphs": drawn_part(bank_of_glyphs(fonts, vocabulary), frequencies)}
    if pages:
        parts["real crops"] = real_part(bank_of_crops(pages, vocabulary))
    if cut_out:
        banks = [bank_of_characters(data, vocabulary) for data in cut_out]
        parts["cut out by others"] = cut_out_part(joined(banks))
    return parts, vocabulary


def draw_batch(parts: Sequence[Part], n_images: int, generator: torch.Generator) -> list[Tensor]:
    """Draw images uint8 (b, 1, 96, 96) by lot, of each part by its share, and the classes (B,) of them all.

    Returns:
        the images and the shapes (b, 2) of each part in turn, and the classes last.
    """
    each = n_images / sum(part.share for part in parts)
    drawn, numbers = [], []
    for part in parts:
        n_taken = round(each * part.share)
        taken = torch.multinomial(part.weights, n_taken, replacement=True, generator=generator)
        drawn += [part.bank.images[taken], part.bank.shapes[taken]]
        numbers.append(part.bank.numbers[taken])
    return [*drawn, torch.cat(numbers)]


def show(parts: Sequence[Part], drawn: Sequence[Tensor], generator: torch.Generator) -> Seen:
    """Distort what `draw_batch` drew, on whatever device it lies, which is the generator's."""
    seen = []
    for part, images, shapes in zip(parts, drawn[:-1:2], drawn[1::2], strict=True):
        crops, cut = distort(images.float() / 255, part.strength, generator)
        is_hidden = torch.rand(len(shapes), 1, generator=generator, device=shapes.device) < _HIDDEN
        told = _as_found(shapes, cut).masked_fill(is_hidden | (not part.has_shapes), torch.nan)
        seen.append((crops, told, _true_corners(shapes, cut)))
    return Seen(*(torch.cat(tensors) for tensors in zip(*seen, strict=True)))


def _as_found(shapes: Tensor, cut: Tensor) -> Tensor:
    """Say what shapes (B, 2) the boxes have by which crops were cut anew (`warps`)."""
    stretch = (cut[:, :, :2].norm(dim=1) / ZOOM).log()  # (B, 2): of width and height
    return torch.stack([shapes[:, 0] + stretch[:, 0] - stretch[:, 1], shapes[:, 1] + stretch[:, 1]], dim=1)


def _true_corners(shapes: Tensor, cut: Tensor) -> Tensor:
    """Find where boxes of these shapes lie in crops that were cut anew: (B, 4) in [-1, 1]."""
    linear, shift = cut[:, :, :2], cut[:, :, 2:]
    centre = torch.linalg.solve(linear, -shift)[:, :, 0]
    half = outlines(shapes) * ZOOM / linear.norm(dim=1)
    return torch.cat([centre - half, centre + half], dim=1)
