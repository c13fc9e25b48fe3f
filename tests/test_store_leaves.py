"""Leaves of photographs and roles of characters, as they are kept, told and drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import ImageChops

from fumikura.core.export.plain_text import page_text
from fumikura.core.overlay import draw
from fumikura.core.page import Leaf, PageImage, Reading, Role
from fumikura.core.store.connecting import Engine
from fumikura.core.store.lookup import get_page
from fumikura.core.store.read_pages import Selection, stream_pages
from tests.simple_store import make_pages, make_reading, read_all, start_run

LEAVES = (
    Leaf(((50, 0), (100, 0), (100, 60), (52, 60)), scale=1.5),
    Leaf(((0, 0), (50, 0), (52, 60), (0, 60)), turned=90, is_negative=True, scale=1.5),
)


def reading_with_roles() -> Reading:
    reading = make_reading("いろは")
    main, furigana, note = reading.characters
    characters = (
        main,
        replace(note, role=Role.NOTE, leaf=1),
        replace(furigana, role=Role.FURIGANA, base=0, column_number=5),
    )
    return replace(reading, characters=characters, leaves=LEAVES)


def test_leaves_and_roles_are_told_as_they_were_saved(engine: Engine) -> None:
    reading = reading_with_roles()
    start_run(engine, make_pages(1))
    read_all(engine, reading)

    page = get_page(engine, make_pages(1)[0].name)

    assert page.leaves == LEAVES
    assert [(one.leaf, one.role, one.base) for one in page.characters] == [
        (0, Role.MAIN, None),
        (1, Role.NOTE, None),
        (0, Role.FURIGANA, 0),
    ]


def test_text_leaves_out_what_stands_beside_it(engine: Engine) -> None:
    reading = reading_with_roles()
    start_run(engine, make_pages(1))
    read_all(engine, reading)

    (page,) = stream_pages(engine, Selection())

    assert "".join(page_text(page).split()) == "いは" == "".join(reading.text.split())


def test_the_outline_of_a_leaf_is_drawn() -> None:
    page = PageImage(np.full((600, 1000, 3), 255, np.uint8), 100, 60)
    plain = draw(page, mask=None, characters=())

    drawn = draw(page, mask=None, characters=(), leaves=LEAVES)

    box = ImageChops.difference(plain, drawn).getbbox()
    assert box is not None
    assert box[2] - box[0] >= 990
