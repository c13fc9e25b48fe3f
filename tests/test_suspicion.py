"""A page that is probably read badly is said to be so, with the reason; a sound one is not."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from fumikura.cli.run_results import look_at_these, next_steps
from fumikura.core.archives.images import decode
from fumikura.core.page import Box, Character, PageImage, Reading, Suspicion
from fumikura.core.recognition.suspicion import suspicions, with_suspicions
from fumikura.core.store.connecting import Engine
from fumikura.core.store.page_list import count_suspicious, find_pages
from fumikura.core.store.queries import run_summary
from tests.simple_store import make_pages, make_reading, read_all, start_run

SAMPLES = Path(__file__).parents[1] / "samples"
NAMES = [path.stem for path in sorted(SAMPLES.glob("drawn_*.jpg"))]


def boxes_of(name: str) -> list[Box]:
    with (SAMPLES / "coordinate.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["Image"] == name]
    return [Box(*(int(row[side]) for side in ("X", "Y", "Width", "Height"))) for row in rows]


def scan(name: str) -> Image.Image:
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        return image.convert("RGB")


def page_of(image: Image.Image) -> PageImage:
    return decode(image, long_side=1216, max_pixels=10**9)


def read(page: PageImage, boxes: Sequence[Box], *, confidence: float = 0.9) -> Reading:
    """A reading of these boxes, with their union as its mask."""
    mask = np.zeros(page.pixels.shape[:2], bool)
    for box in boxes:
        left, top = round(box.x * page.scale), round(box.y * page.scale)
        right, bottom = round((box.x + box.width) * page.scale), round((box.y + box.height) * page.scale)
        mask[top:bottom, left:right] = True
    return Reading(mask, tuple(Character(box, "あ", confidence) for box in boxes), page.width, page.height)


@pytest.fixture
def sound() -> Image.Image:
    return scan("drawn_002")


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_page_is_not_suspicious(name: str) -> None:
    page = page_of(scan(name))

    assert suspicions(page, read(page, boxes_of(name))) == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_negative_is_said_to_be_one(name: str) -> None:
    page = page_of(ImageOps.invert(scan(name)))

    assert Suspicion.NEGATIVE in suspicions(page, read(page, boxes_of(name)))


@pytest.mark.parametrize("angle", [90, 270])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_on_its_side_is_said_to_be_turned(name: str, angle: int) -> None:
    page = page_of(scan(name).rotate(angle, expand=True))

    found = suspicions(page, read(page, []))

    assert Suspicion.TURNED in found
    assert Suspicion.FEW in found


def test_pages_side_by_side_are_a_scroll(sound: Image.Image) -> None:
    scroll = Image.new("RGB", (4 * sound.width, sound.height))
    for number in range(4):
        scroll.paste(sound, (number * sound.width, 0))

    page = page_of(scroll)

    assert Suspicion.SCROLL in suspicions(page, read(page, []))
    opening = page_of(scroll.crop((0, 0, 2 * sound.width, sound.height)))
    assert Suspicion.SCROLL not in suspicions(opening, read(opening, []))


def test_ink_without_characters_is_suspicious(sound: Image.Image) -> None:
    page = page_of(sound)

    assert suspicions(page, read(page, boxes_of("drawn_002")[:3])) == (Suspicion.FEW,)


def test_low_confidence_is_suspicious(sound: Image.Image) -> None:
    page, boxes = page_of(sound), boxes_of("drawn_002")

    assert suspicions(page, read(page, boxes, confidence=0.49)) == (Suspicion.UNSURE,)
    assert suspicions(page, read(page, boxes, confidence=0.51)) == ()


def test_tiny_characters_are_suspicious(sound: Image.Image) -> None:
    page = page_of(sound)
    reading = read(page, boxes_of("drawn_002"))
    tiny = [Character(Box(one.box.x, one.box.y, 12, 12), "あ", 0.9) for one in reading.characters]

    found = suspicions(page, Reading(reading.mask, tuple(tiny), page.width, page.height))

    assert found == (Suspicion.TINY,)


@pytest.mark.parametrize("shade", [0, 120, 250, 255])
@pytest.mark.parametrize("size", [(16, 16), (900, 1200)])
def test_an_empty_page_is_not_suspicious(shade: int, size: tuple[int, int]) -> None:
    page = page_of(Image.new("RGB", size, (shade, shade, shade)))

    assert suspicions(page, read(page, [])) == ()


def test_paper_with_grain_is_not_suspicious() -> None:
    grain = np.random.default_rng(1).normal(200, 6, (1200, 900, 1)).clip(0, 255).astype(np.uint8)
    page = page_of(Image.fromarray(np.repeat(grain, 3, axis=2)))

    assert suspicions(page, read(page, [])) == ()


def test_a_reading_keeps_the_rest_as_it_was(sound: Image.Image) -> None:
    page = page_of(sound)
    reading = read(page, boxes_of("drawn_002")[:3])

    found = with_suspicions(page, reading)

    assert (found.characters, found.suspicions) == (reading.characters, (Suspicion.FEW,))


@pytest.fixture
def run_id(engine: Engine) -> int:
    """Four pages: sound, a negative that is unsure, without characters, unsure alone."""
    found, _ = start_run(engine, make_pages(4))
    odd = make_reading("あい", confidence=0.3)
    read_all(
        engine,
        make_reading("あ", confidence=0.9),
        Reading(odd.mask, odd.characters, 300, 200, suspicions=(Suspicion.NEGATIVE, Suspicion.UNSURE)),
        make_reading(),
        make_reading("うえお", confidence=0.375),
    )
    return found


def names(engine: Engine, **conditions: object) -> list[int]:
    return [page.page_id for page in find_pages(engine, **conditions)]  # type: ignore[arg-type]


def test_suspicious_pages_can_be_listed(engine: Engine, run_id: int) -> None:
    (found,) = find_pages(engine, is_suspicious=True)

    assert found.page_id == 2
    assert found.suspicions == "white on black, low confidence"
    assert count_suspicious(engine, run_id) == 1
    assert names(engine, is_suspicious=True, run_id=run_id, recipe=None) == [2]


@pytest.mark.usefixtures("run_id")
def test_pages_can_be_listed_by_how_sure_they_are(engine: Engine) -> None:
    assert names(engine, max_confidence=0.375) == [2, 4]
    assert names(engine, order="confidence") == [2, 4, 1]
    assert names(engine, order="confidence", limit=1) == [2]
    assert names(engine, order="characters") == [3, 1, 2, 4]
    assert names(engine) == [1, 2, 3, 4]


def test_a_page_that_is_read_again_and_well_is_suspicious_no_more(engine: Engine) -> None:
    from tests.simple_store import OTHER_RECIPE

    pages = make_pages(1)
    start_run(engine, pages)
    odd = make_reading("あ")
    read_all(engine, Reading(odd.mask, odd.characters, 300, 200, suspicions=(Suspicion.TURNED,)))
    start_run(engine, pages, recipe=OTHER_RECIPE)
    read_all(engine, make_reading("あ"), recipe=OTHER_RECIPE)

    assert find_pages(engine, is_suspicious=True) == []


def test_a_run_ends_with_the_pages_to_look_at(engine: Engine, run_id: int) -> None:
    figures = {"run": run_id, "suspicious": count_suspicious(engine, run_id)}

    lines = look_at_these(engine, figures)
    steps = next_steps(run_summary(engine, run_id), database="sqlite:///fumikura.db", n_suspicious=1)

    assert lines[0].startswith("Look at these, 1 page ")
    assert lines[1].endswith("white on black, low confidence")
    assert any(f"query pages --suspicious --run {run_id} " in step for step in steps)
    assert look_at_these(engine, {"run": run_id, "suspicious": 0}) == []
