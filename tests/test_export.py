"""Pages leave the database whole, in order, and into folders where nothing of others is touched."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from fumikura.core.errors import UsageError
from fumikura.core.export import exporting, folder
from fumikura.core.export.exporting import Exported, export
from fumikura.core.export.file_names import FileNames, file_name
from fumikura.core.export.formats import FORMATS, Extent, Format, Style, load_format
from fumikura.core.page import PageReference
from fumikura.core.read_page import ReadPage
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import Selection, find_selection, stream_keys, stream_pages
from tests.simple_store import (
    OTHER_RECIPE,
    RECIPE,
    make_page,
    make_pages,
    make_reading,
    read_all,
    read_small_book,
    start_run,
)


@pytest.fixture
def two_books(engine: Engine) -> Engine:
    """A database with tale_001 to tale_003 and, added in between, poem_004."""
    pages = [make_page(1), make_page(4, book="poem"), make_page(2), make_page(3)]
    start_run(engine, pages)
    read_all(
        engine,
        make_reading("いろ", "は"),
        make_reading("に気"),
        make_reading("ほへ", confidence=0.25),
        make_reading(),
    )
    return engine


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder to export into."""
    path = tmp_path / "out"
    path.mkdir()
    return path


def texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def test_pages_come_book_after_book_as_they_were_added(two_books: Engine) -> None:
    pages = list(stream_pages(two_books, Selection()))

    assert [page.name for page in pages] == ["poem_004", "tale_001", "tale_002", "tale_003"]
    assert ["".join(one.label for one in page.characters) for page in pages] == ["に気", "いろは", "ほへ", ""]
    assert [[len(column) for column in page.columns] for page in pages] == [[2], [2, 1], [2], []]
    assert pages[0].characters[0].alternatives == (("ぬ", 0.25), ("め", 0.125))
    assert (pages[0].archive, pages[0].member) == ("/scans/tale.zip", "images/poem_004.jpg")
    assert [page.version for page in pages] == [key.version for key in stream_keys(two_books, Selection())]


def test_pages_are_not_lost_where_one_portion_ends(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fumikura.core.store.read_pages._KEYS_AT_ONCE", 2)
    monkeypatch.setattr("fumikura.core.store.read_pages.PAGES_AT_ONCE", 3)
    pages = [make_page(number, book="ab"[number % 2]) for number in range(1, 10)]
    start_run(engine, pages)
    read_all(engine, *[make_reading("い")] * 9)

    names = [page.name for page in stream_pages(engine, Selection())]

    assert names == [f"a_00{number}" for number in (2, 4, 6, 8)] + [
        f"b_00{number}" for number in (1, 3, 5, 7, 9)
    ]


def test_a_selection_leaves_out_other_pages_and_characters(two_books: Engine) -> None:
    def read(selection: Selection) -> dict[str, str]:
        pages = stream_pages(two_books, selection, alternatives=False)
        return {page.name: "".join(one.label for one in page.characters) for page in pages}

    assert read(Selection(book="poem")) == {"poem_004": "に気"}
    assert read(Selection(page="tale_002")) == {"tale_002": "ほへ"}
    assert read(Selection(archive="/scans/other.zip")) == {}
    assert read(Selection(book="tale", min_confidence=0.5)) == {
        "tale_001": "いろは",
        "tale_002": "",
        "tale_003": "",
    }
    assert read(Selection(page="tale_002", max_confidence=0.25)) == {"tale_002": "ほへ"}
    assert read(Selection(page="tale_001", max_confidence=0.25)) == {"tale_001": ""}
    # 氣 is the old form of 気, as it is for searches.
    assert read(Selection(book="poem", labels=frozenset("氣"))) == {"poem_004": "気"}


def test_a_filtered_character_keeps_its_position(two_books: Engine) -> None:
    (page,) = stream_pages(two_books, Selection(book="poem", labels=frozenset("気")))

    assert page.positions == (1,)


def test_each_page_has_its_newest_reading_unless_a_run_or_recipe_is_named(engine: Engine) -> None:
    run_id = read_small_book(engine)

    def first(selection: Selection) -> list[str]:
        return ["".join(one.label for one in page.characters) for page in stream_pages(engine, selection)]

    assert first(Selection())[0] == "なる気なるあらずを"
    assert first(Selection(recipe=OTHER_RECIPE.digest[:8])) == ["あらす"]
    assert first(Selection(run_id=1)) == ["あらす"]
    assert len(first(Selection(run_id=run_id))) == 5  # the sixth page failed


def test_a_name_is_a_page_or_a_book_before_it_is_a_number(engine: Engine) -> None:
    def page(member: str, book: str) -> PageReference:
        return PageReference(
            "/scans", member, digest=member.encode().hex().ljust(64, "0"), size_bytes=1, book=book
        )

    start_run(engine, [page("1.png", "x"), page("p.png", "2"), page("q.png", "x")])

    assert find_selection(engine, "1") == Selection(page="1")
    assert find_selection(engine, "2") == Selection(book="2")
    assert find_selection(engine, "3") == Selection(page="3")  # the id of q
    start_run(engine, [page("1.png", "x")])
    start_run(engine, [page("1.png", "x")])
    assert find_selection(engine, "3") == Selection(run_id=3)


def test_text_has_a_line_a_column_and_marks_what_is_unsure(two_books: Engine, out: Path) -> None:
    exported = export(two_books, Selection(), out, format_name="txt", style=Style(unsure_below=0.3))

    assert texts(out) == {
        "poem_004.txt": "に気\n",
        "tale_001.txt": "いろ\nは\n",
        "tale_002.txt": "〔ほ？〕〔へ？〕\n",
        "tale_003.txt": "",
    }
    assert (exported.n_pages, exported.n_written, exported.n_kept) == (4, 4, 0)
    assert exported.n_characters == 7


@pytest.mark.parametrize(("extent", "names"), [("book", ["poem.txt", "tale.txt"]), ("all", ["pages.txt"])])
def test_one_file_of_several_pages_names_them(
    two_books: Engine, out: Path, extent: Extent, names: list[str]
) -> None:
    export(two_books, Selection(), out, format_name="txt", extent=extent)

    found = texts(out)
    assert list(found) == names
    assert (
        "".join(found.values())
        == "# poem_004\nに気\n\n# tale_001\nいろ\nは\n\n# tale_002\nほへ\n\n# tale_003\n\n"
    )


def test_json_lines_hold_all_that_is_known(two_books: Engine, out: Path) -> None:
    export(two_books, Selection(book="poem"), out, format_name="jsonl")

    page = json.loads((out / "pages.jsonl").read_text(encoding="utf-8"))

    assert (page["page"], page["book"], page["width"], page["text"]) == ("poem_004", "poem", 300, "に気")
    assert page["recipe"] == RECIPE.digest
    assert page["characters"][1] == {
        "position": 1,
        "column_number": 0,
        "leaf": 0,
        "role": "main",
        "base": None,
        "box": [290, 10, 10, 10],
        "label": "気",
        "confidence": 0.5,
        "alternatives": [["ぬ", 0.25], ["め", 0.125]],
    }


def test_the_table_has_a_row_a_character_and_opens_in_spreadsheets(two_books: Engine, out: Path) -> None:
    export(two_books, Selection(), out, format_name="csv")

    data = (out / "characters.csv").read_bytes()
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))

    assert data.startswith(b"\xef\xbb\xbf")
    assert len(rows) == 7
    assert rows[1] == {
        "page": "poem_004",
        "book": "poem",
        "position": "2",
        "column": "1",
        "x": "290",
        "y": "10",
        "width": "10",
        "height": "10",
        "label": "気",
        "confidence": "0.5000",
        "alternatives": "ぬ 0.2500 め 0.1250",
        "leaf": "1",
        "role": "main",
    }


def test_an_export_that_was_interrupted_goes_on(two_books: Engine, out: Path) -> None:
    def interrupted(n_pages: int) -> None:
        if n_pages == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(two_books, Selection(), out, format_name="txt", progress=interrupted)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.txt")}

    exported = export(two_books, Selection(), out, format_name="txt")

    assert len(before) == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (exported.n_pages, exported.n_written, exported.n_kept) == (4, 2, 2)
    assert list(out.glob(".*")) == [out / folder.LIST_NAME]


def test_a_page_that_was_read_anew_is_written_anew_and_no_other(two_books: Engine, out: Path) -> None:
    export(two_books, Selection(), out, format_name="txt")
    start_run(two_books, [make_page(1)], recipe=OTHER_RECIPE)
    read_all(two_books, make_reading("新"), recipe=OTHER_RECIPE)

    exported = export(two_books, Selection(), out, format_name="txt")

    assert (exported.n_written, exported.n_kept) == (1, 3)
    assert texts(out)["tale_001.txt"] == "新\n"


@pytest.mark.parametrize("extent", ["book", "all"])
def test_a_file_of_several_pages_is_written_anew_when_one_changed(
    two_books: Engine, out: Path, extent: Extent
) -> None:
    export(two_books, Selection(), out, format_name="jsonl", extent=extent)
    same = export(two_books, Selection(), out, format_name="jsonl", extent=extent)
    start_run(two_books, [make_page(1)], recipe=OTHER_RECIPE)
    read_all(two_books, make_reading("新"), recipe=OTHER_RECIPE)
    changed = export(two_books, Selection(), out, format_name="jsonl", extent=extent)

    assert (same.n_written, same.n_pages) == (0, 4)
    assert (changed.n_written, changed.n_pages) == (1, 4)
    assert any("新" in text for text in texts(out).values())


def test_files_of_others_stay_as_they_are(two_books: Engine, out: Path) -> None:
    foreign = out / "tale_001.txt"
    foreign.write_text("mine")

    with pytest.raises(UsageError, match=r"tale_001\.txt is there already and not of this export"):
        export(two_books, Selection(), out, format_name="txt")

    assert foreign.read_text() == "mine"


def test_a_link_in_the_place_of_a_file_is_not_followed(two_books: Engine, out: Path) -> None:
    target = out.with_name("elsewhere")
    (out / "tale_001.txt").symlink_to(target)

    with pytest.raises(UsageError, match="not of this export"):
        export(two_books, Selection(), out, format_name="txt")

    assert not target.exists()


def test_a_file_that_somebody_changed_is_not_written_over(two_books: Engine, out: Path) -> None:
    export(two_books, Selection(), out, format_name="txt")
    (out / "tale_001.txt").write_text("put right by hand")
    start_run(two_books, [make_page(1)], recipe=OTHER_RECIPE)
    read_all(two_books, make_reading("新"), recipe=OTHER_RECIPE)

    with pytest.raises(UsageError, match="was changed since it was exported"):
        export(two_books, Selection(), out, format_name="txt")

    assert (out / "tale_001.txt").read_text() == "put right by hand"


def test_a_crash_between_list_and_file_leaves_a_file_that_is_known(
    two_books: Engine, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(two_books, Selection(), out, format_name="txt")
    start_run(two_books, [make_page(1)], recipe=OTHER_RECIPE)
    read_all(two_books, make_reading("新"), recipe=OTHER_RECIPE)
    with monkeypatch.context() as patched:
        patched.setattr(folder.NewFiles, "put_in_place", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export(two_books, Selection(), out, format_name="txt")
    crashed = texts(out)["tale_001.txt"]

    for _ in range(2):
        export(two_books, Selection(), out, format_name="txt")

    assert crashed == "いろ\nは\n"


def test_what_a_killed_export_left_does_not_stay(two_books: Engine, out: Path) -> None:
    (out / ".tale_001.txt.fumikura-unfinished").write_text("cut off")

    export(two_books, Selection(), out, format_name="txt")

    assert texts(out)["tale_001.txt"] == "いろ\nは\n"
    assert list(out.glob(".*")) == [out / folder.LIST_NAME]


@pytest.mark.skipif(sys.platform == "win32", reason="its locks are of another kind")
def test_two_exports_do_not_work_in_one_folder(two_books: Engine, out: Path) -> None:
    what = {"format": "txt"}

    with folder.opened_folder(out, what), pytest.raises(UsageError, match="another export is writing into"):
        export(two_books, Selection(), out, format_name="txt")

    with folder.opened_folder(out, what):
        pass


def test_another_export_needs_another_folder(two_books: Engine, out: Path) -> None:
    export(two_books, Selection(), out, format_name="txt")

    with pytest.raises(UsageError, match=r"holds another export \(--format txt, --file-per page\); name"):
        export(two_books, Selection(), out, format_name="jsonl")
    with pytest.raises(UsageError, match="another export"):
        export(two_books, Selection(book="poem"), out, format_name="txt")


def test_the_export_of_a_newer_run_goes_on_where_that_holds_the_same_pages(engine: Engine, out: Path) -> None:
    older, _ = start_run(engine, make_pages(2))
    read_all(engine, make_reading("い"), make_reading("ろ"))
    export(engine, Selection(run_id=older), out, format_name="txt")
    newer, _ = start_run(engine, make_pages(3))
    read_all(engine, make_reading("は"))

    exported = export(engine, Selection(run_id=newer), out, format_name="txt")

    assert (exported.n_written, exported.n_kept) == (1, 2)
    assert sorted(path.name for path in out.glob("*.txt")) == ["tale_001.txt", "tale_002.txt", "tale_003.txt"]
    with pytest.raises(UsageError, match=f"export of run {newer}, .* or --run {newer} to go on with that"):
        export(engine, Selection(run_id=older), out, format_name="txt")


def test_a_list_that_was_cut_off_is_gone_on_with(two_books: Engine, out: Path) -> None:
    export(two_books, Selection(), out, format_name="txt")
    listing = out / folder.LIST_NAME
    lines = listing.read_bytes().splitlines(keepends=True)
    (out / "tale_003.txt").unlink()
    listing.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])

    exported = export(two_books, Selection(), out, format_name="txt")

    assert (exported.n_written, exported.n_kept) == (1, 3)
    assert len(listing.read_bytes().splitlines()) == 5


def test_a_damaged_list_is_one_line(two_books: Engine, out: Path) -> None:
    (out / folder.LIST_NAME).write_text("nonsense\n")

    with pytest.raises(UsageError, match="is damaged"):
        export(two_books, Selection(), out, format_name="txt")


def test_nothing_read_makes_no_folder(engine: Engine, out: Path) -> None:
    start_run(engine, make_pages(1))

    assert export(engine, Selection(), out / "new", format_name="txt") == Exported()
    assert not (out / "new").exists()


def test_pages_of_one_name_get_files_of_their_own(engine: Engine, out: Path) -> None:
    def page(number: int, member: str) -> PageReference:
        return PageReference("/scans", member, digest=str(number) * 64, size_bytes=1, book="b")

    start_run(engine, [page(1, "a/x.png"), page(2, "b/x.png"), page(3, "b/X.png"), page(4, "..png")])
    read_all(engine, *[make_reading(label) for label in "いろはに"])

    for _ in range(2):
        export(engine, Selection(), out, format_name="txt")

    assert texts(out) == {
        "x.txt": "い\n",
        "x-22222222.txt": "ろ\n",
        "X-33333333.txt": "は\n",
        "_.txt": "に\n",
    }


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("200010454_00016_1", "200010454_00016_1"),
        ("源氏物語 一", "源氏物語 一"),
        ("../../etc/passwd", "_.._.._etc_passwd"),
        ("..", "_"),
        ("", "_"),
        (".hidden", "_.hidden"),
        ("a\nb\x9f:*?", "a_b____"),
        ("CON", "_CON"),
        ("com1.x", "_com1.x"),
        ("a. ", "a"),
    ],
)
def test_names_of_files_are_safe_everywhere(name: str, safe: str) -> None:
    assert file_name(name) == safe


def test_long_names_are_cut_between_characters_and_stay_different() -> None:
    one, other = file_name("源" * 200 + "一"), file_name("源" * 200 + "二")

    assert one != other
    assert max(len(one.encode()), len(other.encode())) <= 180


def test_a_name_given_twice_is_marked() -> None:
    names = FileNames()

    assert [names.name("a", "1" * 64), names.name("A", "2" * 64)] == ["a", "A-22222222"]
    assert names.name("a", "2" * 64) == "a-" + "2" * 64  # on some file systems, A-22222222 is its name too


def test_a_format_that_makes_several_files_a_page_drops_those_that_are_no_more(
    two_books: Engine, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files(page: ReadPage, name: str, style: Style) -> Iterable[tuple[str, bytes]]:  # noqa: ARG001
        for number, one in enumerate(page.characters):
            yield f"{one.label}/{name}_{number}.bin", b"x"

    made = Format(extents=("page",), files=files)
    monkeypatch.setattr(exporting, "load_format", lambda _: made)
    export(two_books, Selection(book="tale"), out, format_name="made")
    before = list(texts(out))
    start_run(two_books, [make_page(1)], recipe=OTHER_RECIPE)
    read_all(two_books, make_reading("ろは"), recipe=OTHER_RECIPE)

    export(two_books, Selection(book="tale"), out, format_name="made")

    assert before == [
        "い/tale_001_0.bin",
        "は/tale_001_2.bin",
        "へ/tale_002_1.bin",
        "ほ/tale_002_0.bin",
        "ろ/tale_001_1.bin",
    ]
    assert list(texts(out)) == [
        "は/tale_001_1.bin",
        "へ/tale_002_1.bin",
        "ほ/tale_002_0.bin",
        "ろ/tale_001_0.bin",
    ]


def test_every_format_can_be_loaded() -> None:
    for name in FORMATS:
        found = load_format(name)
        assert found.write is not None or found.files is not None
        assert found.extents
