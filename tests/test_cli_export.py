"""What was read leaves the database by `text` and `export`."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fumikura.cli.main import main
from fumikura.core.archives.listing import list_pages
from fumikura.core.export.formats import FORMATS
from fumikura.core.page import Reading
from fumikura.core.recognition.recipe import recipe_of
from fumikura.core.settings import read_settings
from fumikura.core.store.upgrading import open_database
from tests.handmade import handmade_reading, write_truth, write_zip
from tests.simple_store import make_page, make_reading, read_all, start_run

DOCUMENT = Path(__file__).parents[1] / "docs" / "formats.md"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a database: book tale with two pages, book poem with one, of which run 2 asks for one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FUMIKURA_DATABASE_URL", raising=False)
    engine = open_database("sqlite:///fumikura.db")
    pages = [make_page(1), make_page(2), make_page(3, book="poem")]
    start_run(engine, pages)
    read_all(engine, make_reading("いろ", "は"), make_reading("に", confidence=0.25), make_reading("ほへ"))
    start_run(engine, pages[2:])
    engine.dispose()
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_the_text_of_a_page_is_all_of_the_output() -> None:
    result = invoke("text", "tale_001")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "いろ\nは\n", "")


@pytest.mark.parametrize("arguments", [("tale",), ("1", "--book", "tale"), ("--run", "1", "--book", "tale")])
def test_the_text_of_several_pages_names_them(arguments: tuple[str, ...]) -> None:
    result = invoke("text", *arguments)

    assert result.stdout == "# tale_001\nいろ\nは\n\n# tale_002\nに\n\n"
    assert "2 pages" in result.stderr


def test_the_newest_run_is_meant_where_nothing_is_named() -> None:
    assert invoke("text").stdout == "# poem_003\nほへ\n\n"
    assert invoke("text").stderr == (
        "run 2: 1 page\nthat is the newest run alone; --run N takes another (see `fumikura status`)\n"
    )
    assert invoke("text", "--run", "2").stderr == "run 2: 1 page\n"


def test_unsure_characters_are_marked_on_request() -> None:
    assert invoke("text", "tale_002", "--unsure", "0.5").stdout == "〔に？〕\n"


def test_the_text_as_json_is_an_object_a_page() -> None:
    result = invoke("text", "1", "--json")

    assert [json.loads(line)["columns"] for line in result.stdout.splitlines()] == [
        ["ほへ"],
        ["いろ", "は"],
        ["に"],
    ]


def test_text_into_a_folder_is_the_export_of_text(folder: Path) -> None:
    texted, exported = (
        invoke("text", "tale", "-o", "a"),
        invoke("export", "--format", "txt", "--book", "tale", "b"),
    )

    assert (texted.exit_code, exported.exit_code) == (0, 0)
    for name in ("tale_001.txt", "tale_002.txt"):
        assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "told"),
    [
        (("text", "nobody"), 1, "there is no page 'nobody'"),
        (("text", "--run", "7"), 1, "there is no run 7"),
        (("text", "tale", "--book", "poem"), 2, "'tale' is a book, and another is given"),
        (("text", "--label", " "), 2, "--label names no character"),
        (("export", "--format", "txt", "--run", "7", "out"), 1, "there is no run 7"),
        (("export", "--format", "none", "out"), 2, "'none' is not one of"),
        (("export", "--format", "txt", "fumikura.db"), 2, "is a file"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(
    folder: Path, arguments: tuple[str, ...], exit_code: int, told: str
) -> None:
    result = invoke(*arguments)

    assert result.exit_code == exit_code
    assert told in result.stderr
    assert not (folder / "out").exists()


def test_an_export_counts_what_it_did() -> None:
    arguments = ("export", "--format", "txt", "--run", "1", "out", "--json")

    first, second = json.loads(invoke(*arguments).stdout), json.loads(invoke(*arguments).stdout)

    assert first == {
        "format": "txt",
        "out": "out",
        "pages": 3,
        "files_written": 3,
        "files_kept": 0,
        "left_out": [],
    }
    assert (second["pages"], second["files_written"], second["files_kept"]) == (3, 0, 3)


def test_an_export_of_what_was_not_read_yet_says_so(folder: Path) -> None:
    result = invoke("export", "--format", "txt", "--archive", "/scans/tale.zip", "--recipe", "abc", "out")

    assert result.exit_code == 0
    assert "nothing was read of archive /scans/tale.zip, recipe abc" in result.stderr
    assert not (folder / "out").exists()


def commands_of_the_document(verb: str) -> list[tuple[str, str]]:
    """What the tables of the document say of each format, and its example."""
    return re.findall(
        rf"^\| ([^|]+) \|.*\| `(fumikura {verb} [^`]+)` \|$", DOCUMENT.read_text(), re.MULTILINE
    )


@pytest.mark.usefixtures("scans")
def test_the_document_shows_a_command_for_every_format(folder: Path) -> None:
    rows = commands_of_the_document("export")

    for _, command in rows:
        program, *arguments = shlex.split(command)
        result = invoke(*arguments)
        assert result.exit_code == 0, f"{program} {arguments}: {result.output}"
        assert any((folder / arguments[-1]).iterdir())
    assert sorted(name.strip("`") for name, _ in rows) == sorted(FORMATS)


@pytest.fixture
def scans(folder: Path) -> list[Reading]:
    """scans.zip, and what the recipe that ships read on its two pages; run 3 asks for them."""
    write_zip(folder / "scans.zip", 2)
    pages = list_pages(["scans.zip"]).pages
    engine = open_database("sqlite:///fumikura.db")
    recipe = recipe_of(read_settings())
    start_run(engine, pages, recipe=recipe)
    readings = [handmade_reading(number, "一二三") for number in range(2)]
    read_all(engine, *readings, recipe=recipe)
    engine.dispose()
    return readings


def scores_with(truth: str) -> dict[str, float | None]:
    """What `run` says of the pages, which were read before, when they are compared with a truth."""
    result = invoke("run", "scans.zip", "--truth", truth, "--json")
    assert result.exit_code == 0, result.output
    scores: dict[str, float | None] = json.loads(result.stdout)["scores"]
    return scores


OF_BOXES = ("detection_f1", "character_f1", "character_accuracy")
OF_LINES = ("text_f1", "line_recall", "line_precision")
ROUND_TRIPS = {
    "alto": (*OF_BOXES, *OF_LINES),
    "page": (*OF_BOXES, *OF_LINES),
    "coco": OF_BOXES,
    "codh": OF_BOXES,
    "masks": ("dice", "iou"),
    "txt": ("text_f1",),
    "koji": ("text_f1",),
}


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize("name", [name for name in ROUND_TRIPS if name in FORMATS])
def test_what_is_exported_and_read_back_as_truth_fits_perfectly(name: str) -> None:
    exported = invoke("export", "--format", name, "--archive", "scans.zip", "out")

    scores = scores_with("out")

    assert exported.exit_code == 0
    assert {score: scores[score] for score in ROUND_TRIPS[name]} == dict.fromkeys(ROUND_TRIPS[name], 1)
    assert scores.get("text_error_rate", 0) == 0


@pytest.mark.usefixtures("scans")
def test_one_file_of_all_texts_is_truth_too() -> None:
    invoke("export", "--format", "txt", "--one-file", "--archive", "scans.zip", "out")

    assert (scores_with("out")["text_error_rate"], scores_with("out")["text_f1"]) == (0, 1)


@pytest.mark.usefixtures("scans")
def test_a_worse_truth_gives_worse_scores(folder: Path) -> None:
    write_truth(folder / "boxes.csv", 2)  # 一 in every box, where the second and third are read 二 and 三

    scores = scores_with("boxes.csv")

    assert (scores["detection_f1"], scores["character_f1"]) == pytest.approx((1, 1 / 3))


@pytest.mark.usefixtures("scans")
def test_the_document_shows_a_command_for_every_form_of_truth(folder: Path) -> None:
    write_forms(folder)
    for name in ("codh", "coco", "masks", "txt", "koji"):
        assert invoke("export", "--format", name, "--archive", "scans.zip", f"out/{name}").exit_code == 0

    for form, command in commands_of_the_document("run .*--truth"):
        result = invoke(*shlex.split(command)[1:], "--json")
        assert result.exit_code == 0, f"{form}: {result.output}"
        scores = json.loads(result.stdout)["scores"]
        assert any(value is not None for value in scores.values()), form


def write_forms(folder: Path) -> None:
    """The forms of truth that no export makes, or not here: of one page, by hand."""
    box = 'HPOS="90" VPOS="20" WIDTH="20" HEIGHT="20"'
    points = '<Coords points="90,20 110,20 110,40 90,40"/>'
    said = "<TextEquiv><Unicode>一</Unicode></TextEquiv>"
    corners = "<xmin>90</xmin><ymin>20</ymin><xmax>110</xmax><ymax>40</ymax>"
    line = f"<TextLine>{points}<Word>{points}{said}</Word></TextLine>"
    forms = {
        "alto": f'<alto><Layout><Page><TextLine {box}><String CONTENT="一" {box}/></TextLine></Page>'
        "</Layout></alto>",
        "page": f"<PcGts><Page><TextRegion>{line}</TextRegion></Page></PcGts>",
        "layout": "<annotation><object><name>2_handwritten</name>"
        f"<bndbox>{corners}</bndbox></object></annotation>",
    }
    for name, content in forms.items():
        (folder / name).mkdir()
        (folder / name / "book_00000_1.xml").write_text(content, encoding="utf-8")
    (folder / "train.csv").write_text("image_id,labels\nbook_00000_1,U+4E00 90 20 20 20\n")


def test_the_help_lists_every_format() -> None:
    shown = invoke("export", "--help").stdout

    assert all(f"  {name} " in shown and what in shown for name, (_, what) in FORMATS.items())
