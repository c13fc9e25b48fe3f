"""What people put right stands, whatever is read afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fumikura.core.corrections import Correction, Kind, corrected
from fumikura.core.errors import FumikuraError
from fumikura.core.page import Box, Character, LabelledBox, Reading
from fumikura.core.scoring.metrics import score
from fumikura.core.store.connecting import Engine
from fumikura.core.store.corrections import correct, corrected_truths, history, undo
from fumikura.core.store.forgetting import doomed_by_run, forget
from fumikura.core.store.lookup import get_page
from fumikura.core.store.read_pages import Selection, stream_keys
from fumikura.core.store.search import find_characters
from tests.simple_store import (
    OTHER_RECIPE,
    make_page,
    make_pages,
    make_reading,
    make_truth,
    read_all,
    start_run,
)

FIRST, SECOND, THIRD = (Box(290, 10 * row, 10, 10) for row in range(3))
LABEL = Correction(Kind.LABEL, old=SECOND, old_label="ろ", new=SECOND, label="る")


def texts(engine: Engine, page: str = "tale_001") -> str | None:
    return get_page(engine, page).text


def test_a_label_that_was_put_right_is_what_is_shown_and_found(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("いろは", "に"))

    correct(engine, "tale_001", [LABEL], who="Aoi")

    page = get_page(engine, "tale_001")
    assert page.text == "いるは\nに"
    assert page.characters[1] == Character(SECOND, "る", 1.0, (), 0)
    assert page.mean_confidence == (0.5 * 3 + 1) / 4
    assert find_characters(engine, "ろ") == []
    assert [hit.context for hit in find_characters(engine, "いる")] == ["いるはに"]


def test_it_survives_new_readings_by_the_same_and_by_other_weights(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("いろは"))
    correct(engine, "tale_001", [LABEL], who="Aoi")
    start_run(engine, make_pages(1), recipe=OTHER_RECIPE)

    # Other weights saw the boxes a little elsewhere.
    read = make_reading("うろは")
    moved = tuple(replace(one, box=replace(one.box, y=one.box.y + 2)) for one in read.characters)
    read_all(engine, replace(read, characters=moved), recipe=OTHER_RECIPE)

    assert texts(engine) == "うるは"
    assert get_page(engine, "tale_001").characters[1].box == SECOND


def test_where_another_reading_cut_a_character_in_two_the_correction_takes_the_place_of_both() -> None:
    halves = (Box(290, 10, 10, 6), Box(290, 16, 10, 4))
    read = [Character(FIRST, "い", 0.9), *(Character(box, "こ", 0.4) for box in halves)]

    right = corrected(read, [LABEL])

    assert [one.label for one in right] == ["い", "る"]


def test_undoing_brings_back_what_was_read(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("いろは"))
    before = get_page(engine, "tale_001")
    correct(engine, "tale_001", [LABEL], who="Aoi")
    correct(engine, "tale_001", [Correction(Kind.DELETE, old=FIRST, old_label="い")], who="Aoi")

    undone = [undo(engine, "tale_001"), undo(engine, "tale_001"), undo(engine, "tale_001")]

    assert [act and act.kind for act in undone] == [Kind.DELETE, Kind.LABEL, None]
    after = get_page(engine, "tale_001")
    assert (after.characters, after.text, after.mean_confidence) == (before.characters, "いろは", 0.5)


def test_an_act_in_the_middle_can_be_undone_and_all_stay_in_the_history(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("いろは"))
    first = correct(engine, "tale_001", [LABEL], who="Aoi")
    correct(engine, "tale_001", [Correction(Kind.DELETE, old=FIRST)], who="Ren")

    undo(engine, "tale_001", act=first)

    assert texts(engine) == "ろは"
    acts = history(engine, "tale_001")
    assert [(act.who, act.kind, act.undone_at is None) for act in acts] == [
        ("Aoi", "label", False),
        ("Ren", "delete", True),
    ]
    with pytest.raises(FumikuraError, match="no act 1"):
        undo(engine, "tale_001", act=first)


def test_boxes_are_added_split_joined_and_put_in_order() -> None:
    read = make_reading("いろ", "は").characters
    added = Correction(Kind.ADD, new=Box(291, 25, 9, 9), label="に")
    halves = [
        Correction(Kind.SPLIT, old=FIRST, old_label="い", new=Box(290, 0, 10, 5), label="ほ"),
        Correction(Kind.SPLIT, new=Box(290, 5, 10, 5), label="へ", after=Box(290, 0, 10, 5)),
    ]
    joined = [
        Correction(Kind.JOIN, old=SECOND),
        Correction(Kind.JOIN, old=FIRST, new=Box(290, 0, 10, 20), label="と"),
    ]
    last = Correction(Kind.ORDER, old=FIRST, new=FIRST, after=Box(270, 0, 10, 10))

    def text(*corrections: Correction) -> tuple[str, ...]:
        return Reading(make_reading().mask, corrected(read, corrections), 300, 200).columns

    assert text(added) == ("いろに", "は")
    assert text(*halves) == ("ほへろ", "は")
    assert text(*joined) == ("と", "は")
    assert text(last) == ("ろ", "はい")
    assert text(Correction(Kind.ADD, new=Box(240, 0, 10, 10), label="ち")) == ("いろ", "は", "ち")
    assert text(Correction(Kind.DELETE, old=Box(270, 0, 10, 10))) == ("いろ",)


def test_a_confirmed_page_takes_nothing_from_later_readings(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("いろ"))
    confirmed = [
        Correction(Kind.CONFIRM, old=box, new=box, label=label)
        for box, label in ((FIRST, "い"), (SECOND, "ろ"))
    ]
    correct(engine, "tale_001", [*confirmed, Correction(Kind.PAGE)], who="Aoi")
    start_run(engine, make_pages(1), recipe=OTHER_RECIPE)

    read_all(engine, make_reading("はにほへ", "と"), recipe=OTHER_RECIPE)

    assert texts(engine) == "いろ"


def test_scores_compare_what_was_read_and_not_what_people_made_of_it(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("いろは"))
    truth = make_truth("い", "る", "は")

    correct(engine, "tale_001", [LABEL], who="Aoi")

    page = get_page(engine, "tale_001")
    assert page.reading is not None
    assert page.reading_as_read is not None
    assert score(page.reading_as_read, truth).n_right == 2
    assert score(page.reading, truth).n_right == 3


def test_corrections_come_out_as_truth(engine: Engine) -> None:
    pages = make_pages(3)
    start_run(engine, pages)
    read_all(engine, make_reading("いろは"), make_reading("い"), make_reading("い"))
    correct(engine, "tale_001", [LABEL], who="Aoi")
    confirmed = Correction(Kind.CONFIRM, old=FIRST, old_label="い", new=FIRST, label="い")
    correct(engine, "tale_002", [confirmed, Correction(Kind.PAGE)], who="Aoi")

    truths = corrected_truths(engine)

    assert truths[pages[0].digest].boxes == (LabelledBox(SECOND, "る"),)
    assert truths[pages[0].digest].is_partial
    assert truths[pages[1].digest].boxes == (LabelledBox(FIRST, "い"),)
    assert not truths[pages[1].digest].is_partial
    assert pages[2].digest not in truths


def test_an_export_knows_that_a_page_was_put_right_since(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("いろは"))
    (before,) = stream_keys(engine, Selection())

    correct(engine, "tale_001", [LABEL], who="Aoi")

    (after,) = stream_keys(engine, Selection())
    assert after.version != before.version


def test_forgetting_a_run_leaves_what_people_did(engine: Engine) -> None:
    run_id, _ = start_run(engine, [make_page(1)])
    read_all(engine, make_reading("いろは"))
    correct(engine, "tale_001", [LABEL], who="Aoi")

    forget(engine, doomed_by_run(engine, run_id))
    start_run(engine, [make_page(1)])
    read_all(engine, make_reading("いろは"))

    assert texts(engine) == "いるは"


def test_nothing_is_corrected_on_a_page_that_is_not_there(engine: Engine) -> None:
    with pytest.raises(FumikuraError, match="no page"):
        correct(engine, "tale_001", [LABEL], who="Aoi")
