"""A phrase is found although it was read otherwise; characters are listed and counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner

from fumikura.cli.main import main
from fumikura.core.errors import FumikuraError
from fumikura.core.page import Box, Reading
from fumikura.core.store.character_list import list_characters
from fumikura.core.store.connecting import Engine
from fumikura.core.store.forgiving import find_probable
from fumikura.core.store.statistics import BookFigures, Frequency, book_figures, frequencies
from fumikura.core.store.upgrading import open_database
from tests.simple_store import make_page, make_pages, make_reading, read_all, start_run


def misread(reading: Reading, **others: tuple[str, float, float]) -> Reading:
    """The reading with some characters read as others: c2=("ろ", 0.6, 0.3) reads ろ, what was there next."""
    characters = list(reading.characters)
    for name, (label, confidence, rest) in others.items():
        right = characters[int(name[1:])]
        characters[int(name[1:])] = replace(
            right, label=label, confidence=confidence, alternatives=((right.label, rest), ("め", 0.01))
        )
    return replace(reading, characters=tuple(characters))


def test_a_misread_phrase_is_found_by_what_it_may_be(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    text = make_reading("いろはにほへ", confidence=0.9)
    read_all(
        engine,
        misread(text, c2=("ほ", 0.6, 0.3)),
        text,
        misread(text, c2=("ほ", 0.8, 0.1), c3=("こ", 0.7, 0.2)),
    )

    hits = find_probable(engine, "ろはに")

    assert [hit.page for hit in hits] == ["tale_002", "tale_001", "tale_003"]
    assert [hit.probability for hit in hits] == pytest.approx([0.9**3, 0.9 * 0.3 * 0.9, 0.9 * 0.1 * 0.2])
    assert (hits[1].label, hits[1].why) == ("ろほに", "は 0.30 read as ほ 0.60")
    assert hits[1].boxes[0] == Box(290, 10, 10, 10)
    assert (hits[1].before, hits[1].after) == ("い", "ほへ")


def test_a_character_that_was_missed_or_is_one_too_many_hides_no_phrase(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    read_all(
        engine,
        make_reading("あいろはほへ", confidence=0.9),
        make_reading("あいろはぬにほへ", confidence=0.9),
    )

    hits = find_probable(engine, "いろはにほへ")

    assert {hit.page: hit.why.partition(": ")[2] for hit in hits} == {
        "tale_001": "one was missed",
        "tale_002": "one too many was read",
    }
    assert {hit.label for hit in hits} == {"いろはほへ", "いろはぬにほへ"}


def test_it_is_narrowed_to_a_book_or_a_run(engine: Engine) -> None:
    first, _ = start_run(engine, [make_page(1), make_page(2, book="diary")])
    reading = misread(make_reading("いろは", confidence=0.9), c1=("こ", 0.6, 0.3))
    read_all(engine, reading, reading)
    second, _ = start_run(engine, [make_page(1)])

    assert [hit.book for hit in find_probable(engine, "いろは", book="diary")] == ["diary"]
    assert [hit.book for hit in find_probable(engine, "いろは", run_id=second)] == ["tale"]
    assert len(find_probable(engine, "いろは", run_id=first)) == 2
    assert find_probable(engine, "ぬるを") == []


@pytest.mark.parametrize("text", ["い", "い*は"])
def test_one_character_alone_is_not_searched_forgivingly(engine: Engine, text: str) -> None:
    with pytest.raises(FumikuraError, match="two characters or more"):
        find_probable(engine, text)


def test_characters_are_listed_by_what_they_are_and_where_they_stand(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    read_all(engine, make_reading("いろ", "い", confidence=0.9), make_reading("いろ", confidence=0.4))

    assert [(one.page, one.position) for one in list_characters(engine, labels="い")] == [
        ("tale_001", 0),
        ("tale_001", 2),
        ("tale_002", 0),
    ]
    unsure = list_characters(engine, max_confidence=0.5, order="confidence", limit=1)
    assert [(one.label, one.alternatives) for one in unsure] == [("い", (("ぬ", 0.25), ("め", 0.125)))]
    # The second column alone, by the middle of its box.
    part = list_characters(engine, region=Box(275, 5, 1, 1), page_id=1)
    assert [(one.label, one.column_number) for one in part] == [("い", 1)]


def test_labels_groups_and_books_are_counted(engine: Engine) -> None:
    start_run(engine, [make_page(1), make_page(2, book="diary")])
    read_all(engine, make_reading("いろい", "ろい", confidence=0.75), make_reading("はろ", confidence=0.25))

    first, second = frequencies(engine, limit=2)
    assert first == Frequency("い", 3, 0.75)
    assert (second.text, second.count) == ("ろ", 3)
    assert second.mean_confidence == pytest.approx((0.75 + 0.75 + 0.25) / 3)
    assert frequencies(engine, n=3, book="tale", limit=1) == [Frequency("いろい", 2, 0.75)]
    assert book_figures(engine) == [BookFigures("diary", 1, 2, 0.25), BookFigures("tale", 1, 5, 0.75)]


def test_each_form_of_an_answer_tells_the_same(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUMIKURA_DATABASE_URL", sqlite_url)
    engine = open_database(sqlite_url)
    start_run(engine, make_pages(1))
    read_all(engine, misread(make_reading("いろは", confidence=0.9), c1=("こ", 0.6, 0.3)))
    engine.dispose()

    def ask(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["query", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "tale_001" in ask("text", "いろは", "--fuzzy", "--csv").splitlines()[1]
    assert "read as こ 0.60" in ask("text", "いろは", "--fuzzy")
    assert ask("characters", "は", "--csv").splitlines()[1] == (
        '1,tale_001,tale,1,2,0,"290,20,10,10",は,0.9,ぬ 0.25 め 0.125'
    )
    assert ask("stats", "--n", "2", "--csv").splitlines()[1:] == ["いこ,1,0.9", "こは,1,0.6"]
    assert ask("stats", "--books", "--json").startswith('{"book": "tale"')
    assert ask("runs", "--csv").splitlines()[1].startswith("1,")
    assert ask("characters", "--region", "285,0,20,12", "--csv").count("\n") == 2
