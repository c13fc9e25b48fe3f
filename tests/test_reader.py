"""From pixels to characters, with weights whose answers are known beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fumikura.core.archives.images import decode
from fumikura.core.errors import CheckpointError
from fumikura.core.page import PageImage
from fumikura.core.recognition.context import ContextModel, in_context
from fumikura.core.recognition.models.checkpoint import load_context
from fumikura.core.recognition.reader import PageReader, load_reader
from fumikura.core.recognition.recipe import Parameters, find_weights, make_recipe, recipe_of
from fumikura.core.settings import Settings
from tests import handmade


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> PageReader:
    segmenter, classifier = handmade.write_weights(tmp_path_factory.mktemp("weights"))
    return load_reader(
        Settings(segmenter_path=segmenter, classifier_path=classifier, precision="fp32"), "cpu"
    )


def page(number: int) -> PageImage:
    return decode(handmade.page_png(number), long_side=Parameters().long_side, max_pixels=10**6)


def test_every_blot_is_a_character_in_reading_order(reader: PageReader) -> None:
    (reading,) = reader.read([page(5)])

    centres = [character.box.centre for character in reading.characters]
    assert [y for y, _ in centres] == pytest.approx([y for y, _ in handmade.blots(5)], abs=1)
    assert [x for _, x in centres] == pytest.approx([x for _, x in handmade.blots(5)], abs=1)
    assert [character.column_number for character in reading.characters] == [0, 1, 2]


def test_boxes_are_in_pixels_of_the_original(reader: PageReader) -> None:
    (reading,) = reader.read([page(5)])

    assert (reading.width, reading.height) == (handmade.WIDTH, handmade.HEIGHT)
    box = reading.characters[1].box
    assert [box.width, box.height] == pytest.approx([handmade.BOX_SIDE] * 2, abs=1)


def test_the_mask_has_working_resolution(reader: PageReader) -> None:
    (reading,) = reader.read([page(5)])

    assert reading.mask.dtype == bool
    scale = Parameters().long_side / handmade.HEIGHT
    assert reading.mask.shape == (handmade.HEIGHT * scale, handmade.WIDTH * scale)
    y, x = handmade.blots(5)[0]
    assert reading.mask[round(scale * y), round(scale * x)]
    assert not reading.mask[-1, 0]


def test_labels_come_with_their_alternatives(reader: PageReader) -> None:
    (reading,) = reader.read([page(5)])

    character = reading.characters[0]
    assert {character.label, *(label for label, _ in character.alternatives)} == set(handmade.LABELS)
    probabilities = [character.confidence, *(probability for _, probability in character.alternatives)]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-4)


def test_pages_read_together_are_read_as_alone(reader: PageReader) -> None:
    pages = [page(1), PageImage(np.full((700, 1280, 3), 255, np.uint8), 1280, 700), page(9)]

    together = reader.read(pages)

    for one, reading in zip(pages, together, strict=True):
        (alone,) = reader.read([one])
        assert [character.box for character in reading.characters] == [
            character.box for character in alone.characters
        ]
        assert np.array_equal(reading.mask, alone.mask)


@pytest.mark.slow
def test_the_weights_that_ship_are_as_sure_of_a_page_among_others_as_alone() -> None:
    shipped = load_reader(Settings(precision="fp32"), "cpu")
    sample = decode(Path("samples/drawn_001.jpg").read_bytes(), long_side=1280, max_pixels=10**8).pixels
    # Cut through characters, which then stand at all four edges.
    cuts = [
        sample[200:500, 150:430],
        sample[200:640, 300:600],
        sample[420:700, 200:500],
        sample[600:760, 90:600],
    ]
    pages = [PageImage(np.ascontiguousarray(cut), cut.shape[1], cut.shape[0]) for cut in cuts]

    together = shipped.read(pages)

    for one, reading in zip(pages, together, strict=True):
        (alone,) = shipped.read([one])
        assert len(alone.characters) > 5
        assert [(found.box, found.label) for found in reading.characters] == [
            (found.box, found.label) for found in alone.characters
        ]
        assert [found.confidence for found in reading.characters] == pytest.approx(
            [found.confidence for found in alone.characters], abs=1e-6
        )


def test_a_blank_page_has_no_characters(reader: PageReader) -> None:
    (reading,) = reader.read([PageImage(np.full((1280, 900, 3), 255, np.uint8), 900, 1280)])

    assert reading.characters == ()
    assert not reading.mask.any()
    assert reading.mean_confidence is None


def test_a_page_smaller_than_a_patch_is_read(reader: PageReader) -> None:
    (reading,) = reader.read([PageImage(np.full((20, 1280, 3), 255, np.uint8), 1280, 20)])

    assert reading.mask.shape == (32, 2048)  # 1.6 times, the most by which a strip is enlarged


def test_each_stage_is_timed(reader: PageReader) -> None:
    (reading,) = reader.read([page(5)])

    assert list(reading.timings_s) == ["look", "segment", "crop", "classify", "order", "context"]


def test_context_is_the_last_step_and_can_be_left_out(reader: PageReader, tmp_path: Path) -> None:
    segmenter, classifier = handmade.write_weights(tmp_path)
    settings = Settings(segmenter_path=segmenter, classifier_path=classifier, precision="fp32")
    without = load_reader(settings.overridden(context_weight=0.0), "cpu")

    (plain,) = without.read([page(5)])

    (reading,) = reader.read([page(5)])
    model = ContextModel(load_context(find_weights("context", None)))
    assert "context" not in plain.timings_s
    assert reading.characters == in_context(plain.characters, model, weight=settings.context_weight)
    assert reading.characters != plain.characters
    assert without.recipe.parameters.context is None


def test_the_recipe_changes_with_the_weights(tmp_path: Path) -> None:
    segmenter, classifier = handmade.write_weights(tmp_path)
    before = make_recipe(segmenter, classifier).digest
    again = make_recipe(segmenter, classifier).digest
    with classifier.open("ab") as file:
        file.write(b" ")

    assert before == again
    assert make_recipe(segmenter, classifier, classifier, context_weight=0.5).digest != before
    assert make_recipe(segmenter, classifier).digest != before


def test_a_recipe_knows_its_context_and_how_much_it_counts(tmp_path: Path) -> None:
    segmenter, classifier = handmade.write_weights(tmp_path)
    settings = Settings(segmenter_path=segmenter, classifier_path=classifier)

    plain = recipe_of(settings.overridden(context_weight=0.0))
    light, heavy = (recipe_of(settings.overridden(context_weight=weight)) for weight in (0.25, 0.5))

    assert len({plain.digest, light.digest, heavy.digest}) == 3
    assert plain == make_recipe(segmenter, classifier)
    # Not even a null, so that readings from before there was context are still found.
    assert "context" not in plain.as_dict()["parameters"]
    assert heavy.as_dict()["parameters"]["context"]["weight"] == 0.5


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no segmenter weights at .*absent"):
        load_reader(Settings(segmenter_path=tmp_path / "absent.safetensors"), "cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_reads_what_the_cpu_reads(reader: PageReader, tmp_path: Path) -> None:
    segmenter, classifier = handmade.write_weights(tmp_path)
    settings = Settings(segmenter_path=segmenter, classifier_path=classifier, precision="fp32")

    (on_gpu,) = load_reader(settings, "cuda:0").read([page(5)])

    (on_cpu,) = reader.read([page(5)])
    assert [character.box for character in on_gpu.characters] == [
        character.box for character in on_cpu.characters
    ]
