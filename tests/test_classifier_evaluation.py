"""Scores of classifiers and segmenters on data sets, with numbers worked by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from torch import Tensor, nn

from fumikura.core.errors import DataSetError
from fumikura.core.recognition.models.encoder_decoder import EncoderDecoderConfig
from fumikura.core.recognition.models.loaded import LoadedClassifier, LoadedSegmenter
from fumikura.core.recognition.models.simple_cnn import SimpleCNNConfig
from fumikura.core.training.classifier_evaluation import (
    Answers,
    ask_classifier,
    confusion_counts,
    confusions,
    label_figures,
)
from fumikura.core.training.datasets.loading import CharacterSet, PatchSet
from fumikura.core.training.segmenter_evaluation import score_patches

_SIDE = 8


class _TopRow(nn.Module):
    """The brighter the pixel of a class in the top row, the likelier the class."""

    def forward(self, crops: Tensor) -> Tensor:
        return 20 * crops[:, 0, 0]


class _Darkness(nn.Module):
    """Takes what is darker than the middle for ink, and gives a second map that means nothing."""

    def forward(self, pixels: Tensor) -> Tensor:
        assert pixels.shape[2] % 4 == pixels.shape[3] % 4 == 0
        return 20 * (0.5 - pixels[:, :2])


def classifier(labels: Sequence[str]) -> LoadedClassifier:
    config = SimpleCNNConfig(n_classes=_SIDE, crop_side=_SIDE)
    others = [f"x{number}" for number in range(_SIDE - len(labels))]
    return LoadedClassifier(_TopRow(), config, (*labels, *others))


def images(read: Sequence[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Images that `_TopRow` reads as these classes; the class after each is the next best."""
    made = np.zeros((len(read), _SIDE, _SIDE), np.uint8)
    for image, number in zip(made, read, strict=True):
        image[0, number], image[0, (number + 1) % _SIDE] = 255, 100
    return made


def answers(true: str, read: Sequence[int], labels: str = "あいう", **options: bool) -> Answers:
    of_set = tuple(dict.fromkeys(true))
    targets = np.array([of_set.index(label) for label in true])
    return ask_classifier(
        classifier(labels), CharacterSet(images(read), targets, of_set), device="cpu", **options
    )


def test_figures_are_means_over_the_classes_that_have_test_images() -> None:
    found = label_figures(answers("あああいいう", [0, 0, 1, 1, 1, 1]))

    # あ: 2 of 3 found, 2 of 2 right. い: 2 of 2 found, 2 of 4 right. う: never found.
    assert (found["images"], found["classes"]) == (6, 3)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == found["macro_recall"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["macro_precision"] == pytest.approx((1 + 2 / 4 + 0) / 3)
    assert found["macro_f1"] == pytest.approx((4 / 5 + 4 / 6 + 0) / 3)
    assert found["accuracy_top5"] == 1.0  # い is next best of あ, う of い, and the rest ties


def test_the_right_label_counts_among_the_best_five_only_if_it_is_there() -> None:
    pixels = np.zeros((1, _SIDE, _SIDE), np.uint8)
    pixels[0, 0, 1:6] = 200  # five classes stand before the first
    test = CharacterSet(pixels, np.array([0]), ("あ",))

    found = label_figures(ask_classifier(classifier("あいう"), test, device="cpu"))

    assert found["accuracy_top5"] == 0.0


def test_confidence_is_compared_with_how_often_it_is_right() -> None:
    found = label_figures(answers("ああああ", [0, 0, 0, 1]))

    # Logits 20, 20 * 100 / 255 and six times 0: sure of each by more than 0.99.
    last = found["calibration"][-1]
    assert last["characters"] == 4
    assert last["accuracy"] == 0.75
    assert found["calibration_error"] == pytest.approx(0.25, abs=0.01)


def test_confusions_are_counted_and_the_most_frequent_stands_first() -> None:
    found = confusions(answers("あいいいうう", [1, 0, 0, 1, 2, 0]), limit=2)

    assert [(one.label, one.read_as, one.n_misread, one.n_images) for one in found] == [
        ("い", "あ", 2, 3),
        ("あ", "い", 1, 1),
    ]


def test_the_matrix_has_a_last_column_for_labels_that_no_test_image_has() -> None:
    counts = confusion_counts(answers("ああうう", [0, 2, 2, 1]))

    assert counts.tolist() == [[1, 1, 0], [0, 1, 1]]


def test_an_old_form_is_right_as_the_usual_one_if_the_weights_know_only_that() -> None:
    usual = answers("氣", [0], labels="気")
    both = answers("氣", [0], labels="気氣")

    assert label_figures(usual)["accuracy"] == 1.0
    assert label_figures(both)["accuracy"] == 0.0


def test_labels_that_the_weights_do_not_know_are_counted_and_named() -> None:
    with pytest.raises(DataSetError, match=r"do not know 2 labels .*\(え お\), of 3 of 4 test images"):
        answers("あええお", [0, 0, 0, 0])

    assert label_figures(answers("あええお", [0, 0, 0, 0], leave_out_unknown=True))["images"] == 1


def test_a_data_set_of_which_the_weights_know_nothing_has_no_score() -> None:
    with pytest.raises(DataSetError, match="no test image with a label of the weights"):
        answers("え", [0], leave_out_unknown=True)


def test_images_of_another_size_and_in_colour_are_read_too() -> None:
    large = np.kron(images([0, 2]), np.ones((1, 3, 3), np.uint8))
    test = CharacterSet(np.repeat(large[..., None], 3, axis=3), np.array([0, 1]), ("あ", "う"))

    assert label_figures(ask_classifier(classifier("あいう"), test, device="cpu"))["accuracy"] == 1.0


def test_images_can_be_turned_over_first() -> None:
    turned = CharacterSet(255 - images([0, 2]), np.array([0, 1]), ("あ", "う"))

    found = ask_classifier(classifier("あいう"), turned, device="cpu", is_inverted=True)

    assert label_figures(found)["accuracy"] == 1.0


def test_pixels_of_all_patches_are_pooled_at_any_size() -> None:
    pixels = np.full((2, 5, 5, 3), 255, np.uint8)
    pixels[0, :2] = 0  # ten pixels of ink
    masks = np.zeros((2, 5, 5), bool)
    masks[0, 1:4], masks[1, 0, :1] = True, True  # 16 pixels, of which 5 are found
    segmenter = LoadedSegmenter(_Darkness(), EncoderDecoderConfig(widths=(1, 1)))

    found = score_patches(segmenter, PatchSet(pixels, masks), device="cpu")

    assert segmenter.config.stride == 4
    assert found["precision"] == pytest.approx(5 / 10)
    assert found["recall"] == pytest.approx(5 / 16)
    assert found["dice"] == found["f1"] == pytest.approx(2 * 5 / (10 + 16))
    assert found["iou"] == pytest.approx(5 / 21)
    assert found["accuracy"] == pytest.approx((50 - 5 - 11) / 50)


def test_the_threshold_decides_what_is_ink() -> None:
    grey = np.full((1, 4, 4, 3), 115, np.uint8)  # 20 * (0.5 - 115 / 255) = 0.98, a probability of 0.73
    segmenter = LoadedSegmenter(_Darkness(), EncoderDecoderConfig(widths=(1, 1)))
    patches = PatchSet(grey, np.ones((1, 4, 4), bool))

    recalls = [
        score_patches(segmenter, patches, device="cpu", threshold=threshold)["recall"]
        for threshold in (0.5, 0.8)
    ]

    assert recalls == [1.0, 0.0]
