"""Finding characters, phrases and pages."""

from __future__ import annotations

import pytest

from fumikura.core.errors import FumikuraError
from fumikura.core.page import Box, Scores
from fumikura.core.store.connecting import Engine
from fumikura.core.store.lookup import get_page
from fumikura.core.store.page_list import find_pages
from fumikura.core.store.pages import add_pages
from fumikura.core.store.queries import retry
from fumikura.core.store.saving import save_failure, save_reading
from fumikura.core.store.search import find_characters
from fumikura.core.store.tables import Status
from tests.simple_store import (
    OTHER_RECIPE,
    RECIPE,
    WORKER,
    claim_all,
    make_page,
    make_pages,
    make_reading,
    make_truth,
    read_all,
    start_run,
)


def test_a_character_is_found_on_every_page(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    read_all(engine, make_reading("いろ"), make_reading("はに"), make_reading("ろは", "ろ"))

    hits = find_characters(engine, "ろ")

    assert [(hit.page, hit.position, hit.column_number) for hit in hits] == [
        ("tale_001", 1, 0),
        ("tale_003", 0, 0),
        ("tale_003", 2, 1),
    ]


def test_a_hit_says_where_it_stands_and_what_is_around_it(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("いろは", "にほへ", confidence=0.75))

    (hit,) = find_characters(engine, "はに")

    assert (hit.archive, hit.member, hit.book) == ("/scans/tale.zip", "images/tale_001.jpg", "tale")
    # Third of the first column, first of the second, which stands 20 pixels further left.
    assert hit.boxes == (Box(290, 20, 10, 10), Box(270, 0, 10, 10))
    assert hit.box == hit.boxes[0]
    assert (hit.before, hit.label, hit.after) == ("いろ", "はに", "ほへ")
    assert hit.context == "いろはにほへ"
    assert hit.confidence == 0.75


def test_only_ten_characters_around_a_hit_are_shown(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("あ" * 12 + "ん" + "い" * 12))

    (hit,) = find_characters(engine, "ん")

    assert (hit.before, hit.after) == ("あ" * 10, "い" * 10)


def test_a_phrase_does_not_run_over_the_end_of_a_page(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    read_all(engine, make_reading("いろ"), make_reading("はに"))

    assert find_characters(engine, "ろは") == []


def test_overlapping_phrases_are_all_found(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("のののの"))

    assert [hit.position for hit in find_characters(engine, "ののの")] == [0, 1]


def test_a_phrase_is_searched_as_it_is_stored(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("がし"))

    # か with a combining mark, a space and a full stop that no page has.
    (hit,) = find_characters(engine, "か\u3099 し。")

    assert hit.label == "がし"


def test_old_kanji_find_what_is_stored_as_new_ones(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("天気"))

    (hit,) = find_characters(engine, "氣")

    assert hit.label == "気"


@pytest.mark.parametrize("text", ["", "。 ", "の" * 51])
def test_a_search_for_nothing_or_too_much_is_refused(engine: Engine, text: str) -> None:
    with pytest.raises(FumikuraError, match="1 to 50"):
        find_characters(engine, text)


def test_the_longest_phrase_is_found(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("の" * 51))

    assert len(find_characters(engine, "の" * 50)) == 2


def test_hits_can_be_narrowed(engine: Engine) -> None:
    pages = [make_page(1, book="tale"), make_page(2, book="diary")]
    start_run(engine, pages)
    read_all(engine, make_reading("いろ", confidence=0.9), make_reading("いろ", confidence=0.4))

    assert [hit.book for hit in find_characters(engine, "いろ", book="diary")] == ["diary"]
    assert [hit.book for hit in find_characters(engine, "いろ", min_confidence=0.9)] == ["tale"]
    assert len(find_characters(engine, "いろ", limit=1)) == 1


def test_the_newest_done_reading_of_a_page_counts(engine: Engine) -> None:
    first, _ = start_run(engine, make_pages(1))
    read_all(engine, make_reading("い"))
    second, _ = start_run(engine, make_pages(1), recipe=OTHER_RECIPE)
    read_all(engine, make_reading("ろ"), recipe=OTHER_RECIPE)

    assert find_characters(engine, "い") == []
    assert len(find_characters(engine, "ろ")) == 1
    assert len(find_characters(engine, "い", run_id=first)) == 1
    assert find_characters(engine, "い", run_id=second) == []
    assert len(find_characters(engine, "い", recipe=RECIPE.digest[:8])) == 1
    assert get_page(engine, "tale_001").text == "ろ"
    assert get_page(engine, "tale_001", run_id=first).text == "い"


def test_a_newer_reading_that_failed_does_not_hide_an_older_one(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("い"))
    start_run(engine, make_pages(1), recipe=OTHER_RECIPE)
    (claimed,) = claim_all(engine, recipe=OTHER_RECIPE)
    save_failure(engine, claimed.reading_id, "broken", worker=WORKER)

    (page,) = find_pages(engine)

    assert page.status == Status.DONE
    assert len(find_characters(engine, "い")) == 1


def test_many_hits_all_have_their_surroundings(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("いろ" * 250))

    hits = find_characters(engine, "い", limit=1000)

    assert len(hits) == 250
    assert all(hit.after.startswith("ろい") for hit in hits[:-1])


def test_pages_are_found_by_book_status_and_text(engine: Engine) -> None:
    start_run(engine, [make_page(1), make_page(2, book="diary"), make_page(3), make_page(4)])
    claims = claim_all(engine)
    save_reading(engine, claims[0].reading_id, make_reading("いろは"), worker=WORKER)
    save_reading(engine, claims[1].reading_id, make_reading("ろは"), worker=WORKER)
    save_failure(engine, claims[2].reading_id, "tale_003.jpg is empty", worker=WORKER)

    def names(**conditions: object) -> list[str]:
        return [page.name for page in find_pages(engine, **conditions)]  # type: ignore[arg-type]

    assert names() == ["tale_001", "diary_002", "tale_003", "tale_004"]
    assert names(limit=2) == ["tale_001", "diary_002"]
    assert names(book="tale") == ["tale_001", "tale_003", "tale_004"]
    assert names(text="ろは") == ["tale_001", "diary_002"]
    assert names(text="いろ", status=Status.DONE) == ["tale_001"]
    assert names(status=Status.FAILED) == ["tale_003"]
    assert names(status=Status.LEASED) == ["tale_004"]
    assert names(recipe="0" * 64) == []


def test_pages_are_found_by_their_dice(engine: Engine) -> None:
    pages = make_pages(3)
    run_id, _ = start_run(engine, pages)
    add_pages(engine, run_id, pages, truths={page.digest: make_truth("い") for page in pages[:2]})
    claims = claim_all(engine)
    for claimed, n_shared in zip(claims, (3, 1), strict=False):
        scores = Scores(pixel_tp=n_shared, pixel_fp=1, pixel_fn=1, n_truth=4, n_found=6, n_right=2)
        save_reading(
            engine,
            claimed.reading_id,
            make_reading("い"),
            worker=WORKER,
            scores=scores,
            truth=make_truth("い"),
        )

    first, second, third = find_pages(engine)

    # 2 × 3 / (2 × 3 + 1 + 1), 2 × 1 / (2 × 1 + 1 + 1), and 2 × 2 / (4 + 6)
    assert (first.dice, second.dice, third.dice) == (0.75, 0.5, None)
    assert first.character_f1 == pytest.approx(0.4)
    assert third.character_f1 is None
    assert find_pages(engine, min_dice=0.6) == [first]
    assert find_pages(engine, max_dice=0.6) == [second]


def test_a_page_answers_to_its_name_its_id_and_its_digest(engine: Engine) -> None:
    start_run(engine, make_pages(2))

    found = [get_page(engine, name).page_id for name in ("tale_002", "2", make_page(2).digest[:8].upper())]

    assert found == [2, 2, 2]


def test_a_page_that_was_not_read_has_no_reading(engine: Engine) -> None:
    start_run(engine, make_pages(1))

    details = get_page(engine, "tale_001")

    assert (details.status, details.text, details.mask_png) == (Status.QUEUED, None, None)
    assert (details.characters, details.scores, details.truth) == ((), None, None)


def test_a_page_holds_all_that_was_read(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    reading = make_reading("いろ", "は")
    read_all(engine, reading)

    details = get_page(engine, "tale_001")

    assert details.characters == reading.characters
    assert details.recipe_digest == RECIPE.digest
    assert details.timings_s == {"segment": 0.25}
    assert details.mask_png is not None
    assert details.mask_png.startswith(b"\x89PNG")


def test_a_page_that_does_not_exist_is_named(engine: Engine) -> None:
    for ask in (lambda: get_page(engine, "100%"), lambda: retry(engine, page="100%")):
        with pytest.raises(FumikuraError, match="no page '100%'"):
            ask()


def test_pages_of_one_name_are_told_apart_by_their_ids(engine: Engine) -> None:
    start_run(engine, [make_page(1)])
    other = make_page(2)
    start_run(engine, [type(other)("/scans/b.zip", "tale_001.png", other.digest, 9, "diary")])

    with pytest.raises(FumikuraError, match=r"1 \(book tale\), 2 \(book diary\); give one of these ids"):
        get_page(engine, "tale_001")


def test_kana_that_were_written_for_each_other_find_each_other(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    read_all(engine, make_reading("ゐなか"), make_reading("いナか"), make_reading("いなが"))

    hits = find_characters(engine, "いなか")

    assert [(hit.label, hit.why) for hit in hits] == [("ゐなか", "ゐ for い"), ("いナか", "ナ for な")]
    assert [hit.label for hit in find_characters(engine, "ヰナカ")] == ["ゐなか", "いナか"]
    assert find_characters(engine, "いなか", as_written=True) == []


def test_marks_of_repetition_are_written_out_in_the_phrase_and_on_the_page(engine: Engine) -> None:
    start_run(engine, make_pages(4))
    read_all(
        engine, make_reading("こゝろ"), make_reading("こころ"), make_reading("ほゞに"), make_reading("人々")
    )

    assert [hit.label for hit in find_characters(engine, "こころ")] == ["こゝろ", "こころ"]
    assert [hit.label for hit in find_characters(engine, "こゝろ")] == ["こゝろ", "こころ"]
    assert [hit.label for hit in find_characters(engine, "ほぼ")] == ["ほゞ"]
    assert [hit.label for hit in find_characters(engine, "人人")] == ["人々"]


def test_wildcards_stand_for_one_or_for_some_characters(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    read_all(engine, make_reading("なけれり", "なり"), make_reading("な" + "い" * 21 + "り"))

    assert [hit.label for hit in find_characters(engine, "な?れ")] == ["なけれ"]
    assert [hit.label for hit in find_characters(engine, "な*り")] == ["なけれり", "なり"]
    assert [hit.label for hit in find_characters(engine, "け*な*り")] == ["けれりなり"]
    assert [hit.label for hit in find_characters(engine, "り??")] == ["りなり"]
    assert find_characters(engine, "な*ぬ") == []


@pytest.mark.parametrize("text", ["?な", "な*?り", "*", "??"])
def test_a_wildcard_needs_a_character_before_it(engine: Engine, text: str) -> None:
    with pytest.raises(FumikuraError, match=r"1 to 50|\? where a character must stand"):
        find_characters(engine, text)
