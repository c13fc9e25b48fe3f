"""This module mixes banks of character images: real crops, what others cut out, and drawn glyphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fumikura.core.folding import fold
from fumikura.core.training.datasets.augmentation import (
    FOR_CROPS,
    FOR_CUT_OUT,
    FOR_GLYPHS,
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


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the mixture is a bank, how often each image is taken, and how hard it is distorted.

    Attributes:
        weights: (N,) how often each image is taken, in proportion.
        share: how much of a batch it fills, against the shares of the other parts.
    """

    bank: CropBank
    weights: Tensor
    strength: Strength
    share: int = 3


def real_part(bank: CropBank) -> Part:
    """Take real crops so that a label ten times as common is seen about three times as often."""
    counts = torch.bincount(bank.numbers)
    return Part(bank, counts[bank.numbers].float() ** -0.5, FOR_CROPS)


def cut_out_part(bank: CropBank) -> Part:
    """Take few characters that others cut out: they are many, of few labels, and would crowd out the rest."""
    return replace(real_part(bank), strength=FOR_CUT_OUT, share=1)


def drawn_part(bank: CropBank, frequencies: Tensor) -> Part:
    """Take drawn glyphs by the frequency (C,) of their labels in texts, evened out as for real crops."""
    forms = torch.bincount(bank.numbers, minlength=len(frequencies))
    weights = (frequencies.float() + 1).sqrt() / forms.clamp(min=1)
    return Part(bank, weights[bank.numbers], FOR_GLYPHS)


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


def draw_batch(parts: Sequence[Part], n_images: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw crops (B, 1, 64, 64) and their classes (B,) by lot, of each part by its share."""
    each = n_images / sum(part.share for part in parts)
    crops, numbers = [], []
    for part in parts:
        n_taken = round(each * part.share)
        taken = torch.multinomial(part.weights, n_taken, replacement=True, generator=generator)
        darkness = part.bank.images[taken].float() / 255
        crops.append(distort(darkness, part.strength, generator))
        numbers.append(part.bank.numbers[taken])
    return torch.cat(crops), torch.cat(numbers)
