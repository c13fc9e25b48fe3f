"""Train the network that names characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from fumikura.core.folding import fold
from fumikura.core.recognition.models.checkpoint import save_classifier
from fumikura.core.recognition.models.glyph_net import GlyphNet, GlyphNetConfig
from fumikura.core.training.config import digest_of, file_digest, keep_config
from fumikura.core.training.datasets.crop_bank import (
    CropBank,
    bank_of_characters,
    bank_of_crops,
    bank_of_glyphs,
    drawable,
    joined,
)
from fumikura.core.training.datasets.distort import FOR_CROPS, FOR_CUT_OUT, FOR_GLYPHS, Strength, distort
from fumikura.core.training.datasets.loading import CharacterSet
from fumikura.core.training.datasets.training_pages import TrainingPage
from fumikura.core.training.drawing.glyphs import GlyphFont
from fumikura.core.training.loop import Precision, Progress, Run, fit
from fumikura.core.training.starting_weights import begin_with, keep_part
from fumikura.core.vocabulary import Vocabulary, clean_text, commonest_labels


@dataclass(frozen=True, slots=True)
class ClassifierTraining:
    """How the classifier is trained.

    Attributes:
        batch_size: characters of a batch, of each source by its share.
        steps: batches seen in all.
        learning_rate: the highest; it rises at first and falls to nothing (one cycle).
        smoothing: label smoothing, since drawn forms and real ones differ.
        kept: share of the weights that it began with in those that it ends with.
    """

    batch_size: int = 192
    steps: int = 3000
    learning_rate: float = 2e-3
    smoothing: float = 0.05
    kept: float = 0.0
    seed: int = 1
    precision: Precision = "fp32"


@dataclass(frozen=True, slots=True)
class Source:
    """A bank of character images, how often each is taken, and how hard it is distorted.

    Attributes:
        weights: (N,) how often each image is taken, in proportion.
        share: parts of a batch.
    """

    bank: CropBank
    weights: Tensor
    strength: Strength
    share: int = 3


def real_source(bank: CropBank) -> Source:
    """Real crops; a label ten times as common is seen about three times as often."""
    counts = torch.bincount(bank.numbers)
    return Source(bank, counts[bank.numbers].float() ** -0.5, FOR_CROPS)


def cut_out_source(bank: CropBank) -> Source:
    """Characters that others cut out: many, of few labels, which must not crowd out the others."""
    return replace(real_source(bank), strength=FOR_CUT_OUT, share=1)


def drawn_source(bank: CropBank, frequencies: Tensor) -> Source:
    """Drawn glyphs, by the frequency (C,) of their labels in texts, evened out likewise."""
    forms = torch.bincount(bank.numbers, minlength=len(frequencies))
    weights = (frequencies.float() + 1).sqrt() / forms.clamp(min=1)
    return Source(bank, weights[bank.numbers], FOR_GLYPHS)


def classifier_data(
    pages: Sequence[TrainingPage],
    texts: Sequence[str],
    fonts: Sequence[GlyphFont],
    *,
    n_labels: int,
    cut_out: Sequence[CharacterSet] = (),
) -> tuple[dict[str, Source], Vocabulary]:
    """Sources by name, and the labels: the commonest of the texts that have a real crop or a glyph.

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
    sources = {"drawn glyphs": drawn_source(bank_of_glyphs(fonts, vocabulary), frequencies)}
    if pages:
        sources["real crops"] = real_source(bank_of_crops(pages, vocabulary))
    if cut_out:
        banks = [bank_of_characters(data, vocabulary) for data in cut_out]
        sources["cut out by others"] = cut_out_source(joined(banks))
    return sources, vocabulary


def train_classifier(
    sources: Sequence[Source],
    vocabulary: Vocabulary,
    folder: Path,
    *,
    training: ClassifierTraining,
    device: str,
    progress: Progress,
    start: Path | None = None,
) -> Path:
    """Train on some sources by their shares, or go on with what was cut off in this folder.

    Args:
        start: weights to begin with; labels that they know keep what they learnt.

    Returns:
        The weights file.

    Raises:
        CheckpointError: `start` is another network, or the folder holds another training.
    """
    torch.manual_seed(training.seed)
    config = GlyphNetConfig(n_classes=len(vocabulary))
    model = GlyphNet(config)
    if start is not None:
        begin_with(model, start, labels=vocabulary.labels)
    images = [
        digest_of(part.numpy().data)
        for source in sources
        for part in (source.bank.images, source.bank.numbers)
    ]
    keep_config(
        folder,
        labels=vocabulary.labels,
        images=images,
        start=file_digest(start),
        device=device,
        **asdict(training),
    )

    def losses(model: torch.nn.Module, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        crops, numbers = batch
        logits = model(crops).float()
        return {"label": functional.cross_entropy(logits, numbers, label_smoothing=training.smoothing)}

    run = Run(
        folder,
        model,
        training.steps,
        training.learning_rate,
        device,
        seed=training.seed,
        precision=training.precision,
    )
    fit(run, lambda first: _batches(sources, training, first), losses, progress=progress)
    if start is not None and training.kept:
        keep_part(model, start, training.kept, labels=vocabulary.labels)
    path = folder / "classifier.safetensors"
    save_classifier(path, model, config, vocabulary.labels)
    return path


def _batches(
    sources: Sequence[Source], training: ClassifierTraining, first: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Crops (B, 1, 64, 64) and classes (B,) of every step from one on."""
    part = training.batch_size / sum(source.share for source in sources)
    for step in range(first, training.steps):
        # Seeded by the step: a resumed training sees what it would have seen.
        generator = torch.Generator().manual_seed(training.seed * 1_000_003 + step)
        crops, numbers = [], []
        for source in sources:
            n_taken = round(part * source.share)
            taken = torch.multinomial(source.weights, n_taken, replacement=True, generator=generator)
            darkness = source.bank.images[taken].float() / 255
            crops.append(distort(darkness, source.strength, generator))
            numbers.append(source.bank.numbers[taken])
        yield torch.cat(crops), torch.cat(numbers)
