"""This module scores how well a classifier names the test images of a data set: figures and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from fumikura.core.errors import DataSetError
from fumikura.core.folding import fold
from fumikura.core.recognition.models.inference import CROPS_AT_ONCE, likeliest
from fumikura.core.recognition.models.loaded import LoadedClassifier
from fumikura.core.scoring.calibration import Sureness, calibration_error, reliability
from fumikura.core.training.datasets.loading import CharacterSet
from fumikura.core.training.image_sheets import N_MISREAD, N_RIGHT, ConfusedPair, draw_pairs, draw_samples
from fumikura.core.training.plots import draw_confusion, draw_reliability

_N_BEST = 5
_N_SAMPLES = 100


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """These are the answers that a classifier gave for test images.

    Attributes:
        images: uint8 (N, S, S) or (N, S, S, 3).
        labels: (C,) of the classes of the weights, which all numbers mean.
        targets: (N,) the right class of each image.
        numbers: (N, K) the likeliest classes, best first.
        confidences: (N, K) their probabilities.
    """

    images: NDArray[np.uint8]
    labels: tuple[str, ...]
    targets: NDArray[np.int64]
    numbers: NDArray[np.int64]
    confidences: NDArray[np.float32]

    @property
    def classes(self) -> NDArray[np.int64]:
        """Return the classes (T,) that have a test image, in the order of the weights."""
        return np.unique(self.targets)


@dataclass(frozen=True, slots=True)
class Confusion:
    """This is a label that was read as another, and how often, of so many images with the label."""

    label: str
    read_as: str
    n_misread: int
    n_images: int


def ask_classifier(
    classifier: LoadedClassifier,
    test: CharacterSet,
    *,
    device: str,
    leave_out_unknown: bool = False,
    is_inverted: bool = False,
) -> Answers:
    """Ask a classifier for the labels of all images of a test split.

    A label that the weights do not know is looked for in its usual form: 氣 is right as 気.

    Args:
        leave_out_unknown: images whose label the weights do not know do not count.
        is_inverted: turn dark into light first, and light into dark.

    Raises:
        DataSetError: there is no test image, or a label of some that the weights do not know.
    """
    numbers = _class_numbers(test.labels, classifier.labels)
    targets = numbers[test.targets]
    is_known = targets >= 0
    if not leave_out_unknown:
        _check_known(test, is_known)
    images, targets = (255 - test.images if is_inverted else test.images)[is_known], targets[is_known]
    if not len(targets):
        raise DataSetError("the data set has no test image with a label of the weights; name another of them")
    firsts = range(0, len(images), CROPS_AT_ONCE)
    crops = (classifier.crops_of(images[first : first + CROPS_AT_ONCE]) for first in firsts)
    confidences, best = likeliest(classifier, crops, device=device, n_labels=_N_BEST)
    return Answers(images, classifier.labels, targets, best, confidences)


def _class_numbers(labels: Sequence[str], known: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of each label, -1 where there is none."""
    numbers = {label: number for number, label in enumerate(known)}
    return np.array([numbers.get(label, numbers.get(fold(label), -1)) for label in labels], np.int64)


def _check_known(test: CharacterSet, is_known: NDArray[np.bool_]) -> None:
    unknown = [test.labels[target] for target in np.unique(test.targets[~is_known])]
    if unknown:
        raise DataSetError(
            f"the weights do not know {len(unknown)} labels of the data set ({' '.join(unknown[:20])}"
            f"{' …' if len(unknown) > 20 else ''}), of {np.count_nonzero(~is_known):,} of"
            f" {len(is_known):,} test images; leave these out with --known-labels, or name other weights"
        )


def label_figures(answers: Answers) -> dict[str, Any]:
    """Compute all figures by name; macro ones are means over the classes that have a test image."""
    read, classes = answers.numbers[:, 0], answers.classes
    precision, recall, f1, _ = precision_recall_fscore_support(
        answers.targets, read, labels=classes, average="macro", zero_division=0
    )
    surenesses = _surenesses(answers)
    return {
        "images": len(read),
        "classes": len(classes),
        "accuracy": float((read == answers.targets).mean()),
        "accuracy_top5": float((answers.numbers == answers.targets[:, None]).any(axis=1).mean()),
        "balanced_accuracy": float(recall),  # the same number under its other name
        "macro_precision": float(precision),
        "macro_recall": float(recall),
        "macro_f1": float(f1),
        "calibration_error": calibration_error(surenesses),
        "calibration": [asdict(one) for one in reliability(surenesses)],
    }


def _surenesses(answers: Answers) -> list[Sureness]:
    is_right = answers.numbers[:, 0] == answers.targets
    return list(zip(answers.confidences[:, 0].tolist(), is_right.tolist(), strict=True))


def confusions(answers: Answers, *, limit: int) -> list[Confusion]:
    """List the most frequent confusions, ties in the order of the classes."""
    n_images = np.bincount(answers.targets, minlength=len(answers.labels))
    is_wrong = answers.numbers[:, 0] != answers.targets
    pairs = np.stack([answers.targets[is_wrong], answers.numbers[is_wrong, 0]])
    found, counts = np.unique(pairs, axis=1, return_counts=True)
    return [
        Confusion(answers.labels[true], answers.labels[read], int(counts[place]), int(n_images[true]))
        for place in np.argsort(-counts, kind="stable")[:limit]
        for true, read in [found[:, place]]
    ]


def confusion_counts(answers: Answers) -> NDArray[np.int64]:
    """Count images by true class and by the class they were read as, the last for all others: (T, T + 1)."""
    classes = answers.classes
    place_of = np.full(len(answers.labels), len(classes))
    place_of[classes] = np.arange(len(classes))
    counts: NDArray[np.int64] = confusion_matrix(
        place_of[answers.targets], place_of[answers.numbers[:, 0]], labels=range(len(classes) + 1)
    )
    return counts[:-1]


def picture_paths(folder: Path) -> list[Path]:
    """List the files that `draw_pictures` writes."""
    names = ("confusion_matrix", "confused_pairs", "samples", "reliability")
    return [folder / f"{name}.png" for name in names]


def draw_pictures(answers: Answers, folder: Path, *, limit: int) -> list[Path]:
    """Draw what a person judges a classifier by; the paths of the PNG files.

    Args:
        limit: confusions that are shown with their images.
    """
    matrix, pairs, samples, sureness = paths = picture_paths(folder)
    read, labels = answers.numbers[:, 0], answers.labels
    draw_confusion(matrix, confusion_counts(answers), [labels[number] for number in answers.classes])
    draw_pairs(pairs, [_with_images(one, answers) for one in confusions(answers, limit=limit)])
    chosen = _choose_samples(answers.targets)
    draw_samples(
        samples,
        answers.images[chosen],
        true=[labels[number] for number in answers.targets[chosen]],
        read=[labels[number] for number in read[chosen]],
    )
    surenesses = _surenesses(answers)
    draw_reliability(sureness, reliability(surenesses), error=calibration_error(surenesses) or 0.0)
    return paths


def _choose_samples(targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Choose the first hundred images, or, where they are sorted by class, a hundred of all."""
    n_samples = min(_N_SAMPLES, len(targets))
    is_by_class = np.count_nonzero(np.diff(targets)) < len(np.unique(targets))
    last = len(targets) - 1 if is_by_class else n_samples - 1
    return np.linspace(0, last, n_samples).astype(np.int64)


def _with_images(confusion: Confusion, answers: Answers) -> ConfusedPair:
    true, other = (answers.labels.index(label) for label in (confusion.label, confusion.read_as))
    read, targets = answers.numbers[:, 0], answers.targets
    return ConfusedPair(
        confusion.label,
        confusion.read_as,
        confusion.n_misread,
        confusion.n_images,
        misread=answers.images[(targets == true) & (read == other)][:N_MISREAD],
        true_examples=answers.images[(targets == true) & (read == true)][:N_RIGHT],
        read_examples=answers.images[(targets == other) & (read == other)][:N_RIGHT],
    )
