"""This module lets a classifier learn from the book that it reads: a book is one hand.

What was read surely teaches what was not; texts that people know, and boxes that they drew, teach more.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from fumikura.core.archives.listing import list_pages
from fumikura.core.counting import counted
from fumikura.core.errors import DataSetError, PageError
from fumikura.core.folding import fold
from fumikura.core.limits import Limits
from fumikura.core.own_files import check_place, replacing
from fumikura.core.page import Character, LabelledBox, PageImage, ReadsPages, Truth
from fumikura.core.recognition.crops import box_shapes, cut_crops
from fumikura.core.recognition.models.checkpoint import load_classifier, save_classifier
from fumikura.core.recognition.models.inference import CROPS_AT_ONCE, Classifier
from fumikura.core.recognition.weights_header import learnt_pages, read_header, tell_learnt_pages
from fumikura.core.scoring.comparison import KnownPage, load_page, misfit
from fumikura.core.scoring.truth import load_truths, match_pages
from fumikura.core.settings import Settings
from fumikura.core.training.classifier import mixed_crops
from fumikura.core.training.datasets.crop_bank import bank_of_crops
from fumikura.core.training.datasets.crop_mixture import real_part
from fumikura.core.training.datasets.training_pages import TrainingPage
from fumikura.core.training.lessons import Lessons, find_precision
from fumikura.core.training.loop import Progress, train_network
from fumikura.core.training.run_folder import file_digest

#: Of so many characters one is kept back, to judge what was learnt from the others.
KEPT_BACK = 5
#: Fewer characters than this to learn from are no hand.
FEWEST = 40
_TEMPERATURES = (0.25, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
#: Where a weights file says of which other it is an adaptation, by SHA-256.
_FROM = "adapted_from"
_LESSONS = Lessons(batch_size=48, learning_rate=2e-4, smoothing=0.1, kept=0.5, keeps_statistics=True)


@dataclass(frozen=True, slots=True)
class Sureness:
    """This says how a classifier does on the characters that were kept back.

    Attributes:
        loss: mean negative log-probability of their labels, by the temperature that suits best: smoothed
            labels make weights less sure, which says nothing of what they know (Guo et al. 2017,
            arXiv:1706.04599).
        right: share that it names as they are labelled.
    """

    loss: float
    right: float


@dataclass(frozen=True, slots=True)
class Adaptation:
    """This says what was learnt from a book, and whether it helps.

    Attributes:
        n_pages: that had something to teach.
        n_taught: characters learnt from.
        n_kept_back: characters that judged it.
        before, after: what the weights make of these.
    """

    n_pages: int
    n_taught: int
    n_kept_back: int
    steps: int
    before: Sureness
    after: Sureness

    @property
    def helps(self) -> bool:
        """Tell whether the characters kept back are named no worse, and more surely by more than chance."""
        return self.after.loss < 0.99 * self.before.loss and self.after.right >= self.before.right


def choose_pages(
    archives: Sequence[str],
    truth: Sequence[Path],
    partial_truth: Sequence[Path],
    *,
    n_pages: int,
    limits: Limits,
    corrections: Mapping[str, Truth] | None = None,
) -> list[KnownPage]:
    """Choose distinct pages of some archives to learn from: those with truth, and others evenly spread.

    Args:
        corrections: what people put right, by the digest of the page; truth from files comes before it.

    Raises:
        ArchiveError: an archive is missing, or none holds a page.
        TruthError: a truth file cannot be understood.
    """
    named = load_truths(truth, partial_truth)
    pages = list({page.digest: page for page in list_pages(archives, limits=limits).pages}.values())
    truth_of = {**(corrections or {}), **match_pages(pages, named)}
    known = [page for page in pages if page.digest in truth_of]
    others = [page for page in pages if page.digest not in truth_of]
    n_others = min(len(others), max(0, n_pages - len(known)))
    spread = [others[number * len(others) // n_others] for number in range(n_others)]
    return [KnownPage(page, truth_of.get(page.digest), None) for page in (*known, *spread)]


def learn_page(
    reader: ReadsPages, page: KnownPage, settings: Settings, *, min_confidence: float
) -> TrainingPage:
    """Read a page, and choose what it teaches.

    Raises:
        PageError: it cannot be read, or its truth is that of another scan.
    """
    image = load_page(
        page, long_side=reader.long_side, max_pixels=settings.max_pixels, limits=settings.limits
    )
    if problem := misfit(page.truth, image):
        raise PageError(problem)
    [reading] = reader.read([image])
    known = (page.truth.boxes if page.truth is not None else None) or ()
    return page_to_learn(
        page.reference.name, image, reading.characters, min_confidence=min_confidence, known=known
    )


def page_to_learn(
    name: str,
    page: PageImage,
    read: Sequence[Character],
    *,
    min_confidence: float,
    known: Sequence[LabelledBox] = (),
) -> TrainingPage:
    """Choose what a page teaches: what people know, and what was read surely elsewhere.

    Args:
        read: its characters, after context.
        min_confidence: of a character that teaches.
        known: boxes that people drew or confirmed, or that their text gave.
    """
    sure = [
        LabelledBox(one.box, one.label)
        for one in read
        if one.confidence >= min_confidence and not any(_is_in(one, item) for item in known)
    ]
    boxes = [(item.box.x, item.box.y, item.box.width, item.box.height) for item in (*known, *sure)]
    return TrainingPage(
        name=name,
        book="",
        pixels=torch.from_numpy(page.pixels).permute(2, 0, 1).contiguous(),
        boxes=(np.array(boxes, np.float32).reshape(-1, 4) * page.scale).astype(np.float32),
        labels=tuple(item.label for item in (*known, *sure)),
        ignored=np.zeros(page.pixels.shape[:2], bool),
    )


def adapt(
    pages: Sequence[TrainingPage],
    start: Path,
    out: Path,
    *,
    device: str,
    progress: Progress,
    steps: int | None = None,
    seed: int = 1,
) -> Adaptation:
    """Learn from the pages of a book, and write new weights if they do better on what was kept back.

    Args:
        start: weights of a classifier that reads pages.
        out: where the new weights go, if they help; else nothing is written.
        steps: batches of 48 characters; None chooses 60 to 400 by how many characters there are.

    Raises:
        DataSetError: the pages have too little to learn from.
        CheckpointError: `start` does not read pages.
        UsageError: something that is not ours stands at `out`.
    """
    check_adapted(out)
    classifier = _load(start, device)
    labels = classifier.vocabulary.labels
    folded = {fold(label) for label in labels}
    taught, kept_back = zip(*(_divided(page, folded) for page in pages), strict=True) if pages else ((), ())
    n_taught, n_kept_back = (sum(len(page.labels) for page in part) for part in (taught, kept_back))
    if n_taught < FEWEST:
        raise DataSetError(
            f"only {counted(n_taught, 'character')} to learn from, and {FEWEST} are needed: give more pages"
            " of the book, what people know of them with --partial-truth, or a lower --min-confidence"
        )
    lessons = replace(
        _LESSONS,
        steps=steps or min(400, max(60, 4 * n_taught // _LESSONS.batch_size)),
        seed=seed,
        precision=find_precision("auto", device),
    )
    part = real_part(bank_of_crops(taught, classifier.vocabulary))
    material = partial(mixed_crops, [part], labels, config=classifier.config)
    with tempfile.TemporaryDirectory() as folder:
        path = train_network(
            material, Path(folder), lessons=lessons, device=device, progress=progress, start=start
        )
        adaptation = Adaptation(
            n_pages=sum(bool(page.labels) for page in taught),
            n_taught=n_taught,
            n_kept_back=n_kept_back,
            steps=lessons.steps,
            before=_judge(classifier, kept_back),
            after=_judge(_load(path, device), kept_back),
        )
        if adaptation.helps:
            model, config, vocabulary = load_classifier(path)
            history = {
                _FROM: file_digest(start) or "",
                "adapted_to": json.dumps([page.name for page in pages]),
                **tell_learnt_pages(learnt_pages(start)),
            }
            with replacing(out, is_adapted) as unfinished:
                save_classifier(unfinished, model, config, vocabulary.labels, history=history)
    return adaptation


def check_adapted(path: Path) -> None:
    """See that nothing stands where adapted weights are to go, or only such weights.

    Raises:
        UsageError: something else does.
    """
    check_place(path, is_adapted)


def is_adapted(path: Path) -> bool:
    """Tell whether a file holds weights that `adapt` wrote."""
    return _FROM in read_header(path)


def _load(path: Path, device: str) -> Classifier:
    return Classifier(path, device=device, precision="fp32", crops_per_batch=CROPS_AT_ONCE)


def _divided(page: TrainingPage, known: Container[str]) -> tuple[TrainingPage, TrainingPage]:
    """Part the characters of a page, those with known labels, into what teaches and what judges."""
    numbers = [number for number, label in enumerate(page.labels) if fold(label) in known]
    judges = numbers[KEPT_BACK - 1 :: KEPT_BACK]
    return _with_only(page, sorted(set(numbers) - set(judges))), _with_only(page, judges)


def _with_only(page: TrainingPage, numbers: Sequence[int]) -> TrainingPage:
    labels = tuple(page.labels[number] for number in numbers)
    return replace(page, boxes=page.boxes[list(numbers)], labels=labels)


def _judge(classifier: Classifier, pages: Sequence[TrainingPage]) -> Sureness:
    """See what a classifier makes of the characters of some pages, as it would read them."""
    logarithms, classes = [], []
    for page in pages:
        if page.labels:
            boxes = torch.from_numpy(page.boxes)
            cut = cut_crops([page.pixels], [boxes], side=classifier.config.crop_side)
            likely, _ = classifier.look(cut, box_shapes(boxes))
            logarithms.append(likely.cpu().clamp(min=1e-12).log())
            classes += [classifier.vocabulary.number(fold(label)) for label in page.labels]
    if not classes:
        return Sureness(0.0, 1.0)
    logits, wanted = torch.cat(logarithms), torch.tensor(classes)
    losses = [functional.cross_entropy(logits / temperature, wanted).item() for temperature in _TEMPERATURES]
    return Sureness(min(losses), (logits.argmax(dim=1) == wanted).float().mean().item())


def _is_in(character: Character, known: LabelledBox) -> bool:
    y, x = character.box.centre
    box = known.box
    return box.x <= x < box.x + box.width and box.y <= y < box.y + box.height
