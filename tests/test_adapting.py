"""A classifier learns from the book that it reads, or is left as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fumikura.core.errors import DataSetError, UsageError
from fumikura.core.page import Box, Character, LabelledBox, PageImage
from fumikura.core.recognition.models.checkpoint import load_classifier, save_classifier
from fumikura.core.recognition.models.glyph_net import GlyphNet, GlyphNetConfig
from fumikura.core.training import adapting
from fumikura.core.training.adapting import Sureness, adapt, is_adapted, page_to_learn
from fumikura.core.training.datasets.training_pages import TrainingPage

LABELS = ("一", "口", "川")
SMALL = GlyphNetConfig(n_classes=3, stem=8, widths=(8, 8), blocks=(1, 1), embedding=16, dropout=0.0)


@pytest.fixture
def start(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "start.safetensors"
    save_classifier(path, GlyphNet(SMALL), SMALL, LABELS)
    return path


def drawn_page(rng: np.random.Generator, shown: list[str]) -> TrainingPage:
    """Draw characters below each other."""
    pixels = np.full((30 * len(shown), 40, 3), 230, np.uint8)
    for number, character in enumerate(shown):
        y, x = 30 * number + 4 + int(rng.integers(2)), 8 + int(rng.integers(3))
        cell = pixels[y : y + 20, x : x + 20]
        if character == "一":
            cell[8:12] = 20
        elif character == "川":
            cell[:, [0, 1, 2, 9, 10, 11, 17, 18, 19]] = 20
        else:
            cell[:] = 20
            cell[4:16, 4:16] = 230
    boxes = [LabelledBox(Box(8, 30 * number + 4, 22, 22), label) for number, label in enumerate(shown)]
    page = PageImage(pixels, width=40, height=len(pixels))
    return page_to_learn("page", page, (), min_confidence=0.8, known=boxes)


@pytest.fixture
def book() -> list[TrainingPage]:
    rng = np.random.default_rng(1)
    return [drawn_page(rng, [LABELS[number] for number in rng.integers(3, size=40)]) for _ in range(4)]


def test_weights_learn_the_hand_of_a_book(
    tmp_path: Path, start: Path, book: list[TrainingPage], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "book.safetensors"
    # The start has learnt nothing, and is to learn in a few steps.
    monkeypatch.setattr(adapting, "_LESSONS", replace(adapting._LESSONS, learning_rate=5e-3))

    done = adapt(book, start, out, device="cpu", progress=lambda *_: None, steps=60)

    assert done.helps
    assert (done.n_pages, done.n_taught, done.n_kept_back) == (4, 128, 32)
    assert done.after.loss < 0.99 * done.before.loss
    _, config, vocabulary = load_classifier(out)
    assert (config, vocabulary.labels) == (SMALL, LABELS)
    assert is_adapted(out)
    assert not is_adapted(start)


@pytest.mark.parametrize(
    ("before", "after", "helps"),
    [
        (Sureness(0.5, 0.9), Sureness(0.4, 0.9), True),
        (Sureness(0.5, 0.9), Sureness(0.4, 0.89), False),  # more are wrong
        (Sureness(0.5, 0.9), Sureness(0.51, 0.95), False),
        (Sureness(0.5, 0.9), Sureness(0.499, 0.9), False),  # may be chance
    ],
)
def test_weights_that_do_not_help_are_not_written(
    tmp_path: Path,
    start: Path,
    book: list[TrainingPage],
    monkeypatch: pytest.MonkeyPatch,
    before: Sureness,
    after: Sureness,
    helps: bool,
) -> None:
    out, judged = tmp_path / "book.safetensors", iter([before, after])
    monkeypatch.setattr(adapting, "_judge", lambda *_: next(judged))

    done = adapt(book, start, out, device="cpu", progress=lambda *_: None, steps=1)

    assert (done.before, done.after, done.helps) == (before, after, helps)
    assert out.exists() is helps


def test_too_little_to_learn_from_is_said(tmp_path: Path, start: Path) -> None:
    few = [drawn_page(np.random.default_rng(1), list(LABELS))]

    with pytest.raises(DataSetError, match=r"3 characters to learn from, and 40 are needed"):
        adapt(few, start, tmp_path / "out.safetensors", device="cpu", progress=lambda *_: None)


def test_what_fumikura_did_not_adapt_stays(start: Path, book: list[TrainingPage]) -> None:
    before = start.read_bytes()

    with pytest.raises(UsageError, match="is there already"):
        adapt(book, start, start, device="cpu", progress=lambda *_: None, steps=1)

    assert start.read_bytes() == before


def test_what_people_know_stands_before_what_was_read() -> None:
    page = PageImage(np.zeros((100, 100, 3), np.uint8), width=200, height=200)
    read = [
        Character(Box(10, 10, 20, 20), "の", 0.95),
        Character(Box(60, 60, 20, 20), "人", 0.95),
        Character(Box(100, 100, 20, 20), "川", 0.7),
    ]

    learnt = page_to_learn("p", page, read, min_confidence=0.8, known=[LabelledBox(Box(8, 8, 24, 24), "め")])

    assert learnt.labels == ("め", "人")
    assert learnt.boxes.tolist() == [[4, 4, 12, 12], [30, 30, 10, 10]]
