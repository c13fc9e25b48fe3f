"""The reading room shows what was read, and takes corrections from those alone who may make them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from fumikura.cli.main import main
from fumikura.core.archives.listing import list_pages
from fumikura.core.page import Suspicion
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import connect
from fumikura.core.store.upgrading import open_database
from fumikura.web import rendering
from fumikura.web.app import make_app
from fumikura.web.guards import PROOF_HEADER, host_names
from fumikura.web.pictures import Pictures
from fumikura.web.rendering import VIEWER
from fumikura.web.room import Editing, Room
from fumikura.web.words import LOCALE, SCRIPT_WORDS
from tests.handmade import BOX_SIDE, blots, handmade_reading, write_zip
from tests.simple_store import make_page, read_all, start_run

WEB = Path(__file__).parents[1] / "web"
HOST = "127.0.0.1:8321"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def database(tmp_path: Path, sqlite_url: str) -> str:
    """Two pages of an archive, and one that nobody read of a book with an evil name."""
    write_zip(tmp_path / "book.zip", 2)
    engine = open_database(sqlite_url)
    start_run(engine, list_pages([str(tmp_path / "book.zip")]).pages)
    read_all(engine, handmade_reading(0, "一二三"), handmade_reading(1, "一人口"))
    start_run(engine, [make_page(7, book=EVIL)])
    engine.dispose()
    return sqlite_url


def room_of(url: str, *, editing: Editing | None = None, origins: tuple[str, ...] = ()) -> Room:
    settings = Settings(database_url=url)
    return Room(
        engine=connect(url, only_reads=True),
        settings=settings,
        pictures=Pictures(settings),
        hosts=host_names(["127.0.0.1", "localhost"], 8321),
        editing=editing,
        writing=connect(url) if editing else None,
        origins=frozenset(origins),
    )


@pytest.fixture
def reader(database: str) -> Iterator[TestClient]:
    with TestClient(make_app(room_of(database)), base_url=f"http://{HOST}") as client:
        yield client


@pytest.fixture
def editing() -> Editing:
    return Editing("Aoi")


@pytest.fixture
def editor(database: str, editing: Editing) -> Iterator[TestClient]:
    """Who opened the address with the token."""
    with TestClient(make_app(room_of(database, editing=editing)), base_url=f"http://{HOST}") as client:
        assert client.get(f"/?token={editing.token}").status_code == 200
        client.headers |= {"origin": f"http://{HOST}", PROOF_HEADER: editing.proof}
        yield client


def first_box() -> list[int]:
    y, x = blots(0)[0]
    return [x - BOX_SIDE // 2, y - BOX_SIDE // 2, BOX_SIDE, BOX_SIDE]


@pytest.mark.parametrize(
    "path",
    [
        "/", "/runs/1", "/books?name=book", "/pages/1", "/search?q=一二", "/search?q=一入&fuzzy=true",
        "/characters?label=一", "/failed", "/?lang=ja", "/archives?path=nowhere", "/search?q=*",
    ],
)  # fmt: skip
def test_every_view_opens_and_allows_no_script_but_ours(reader: TestClient, path: str) -> None:
    answer = reader.get(path)

    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "alert(1)" not in answer.text or EVIL not in answer.text
    assert not re.search(r"<script(?![^>]*(src=|application/json))", answer.text)
    assert " style=" not in answer.text


def test_a_page_shows_its_text_in_columns(reader: TestClient) -> None:
    text = reader.get("/pages/1").text

    columns = re.findall(r"<p><button[^>]*>(.)</button></p>", text)
    assert columns == ["一", "二", "三"]
    model = json.loads(re.findall(r'id="model">(.*?)</script>', text, re.DOTALL)[0])
    assert model["characters"][0]["box"] == first_box()
    assert model["characters"][0]["best"] == [["一", 0.9]]


def test_names_from_outside_are_escaped(reader: TestClient) -> None:
    assert "&lt;script&gt;" in reader.get("/pages/3").text
    assert EVIL not in reader.get("/search", params={"q": EVIL}).text
    assert "Japanese" not in reader.get("/").text


def test_pictures_are_those_of_the_scan(reader: TestClient) -> None:
    assert reader.get("/pages/1/thumbnail.jpg").headers["content-type"] == "image/jpeg"
    x, y, w, h = first_box()
    part = reader.get(f"/pages/1/part/{x},{y},{w},{h}.jpg")
    assert part.status_code == 200
    info = reader.get("/iiif/1/info.json").json()
    assert (info["width"], info["height"], info["profile"]) == (120, 160, "level2")
    assert reader.get("/iiif/1", follow_redirects=False).headers["location"].endswith("/iiif/1/info.json")


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("full/max/0/default.jpg", (120, 160)),
        ("square/60,/0/default.png", (60, 60)),
        ("10,20,40,40/,20/90/gray.png", (20, 20)),
        ("pct:0,0,50,25/!30,30/0/default.jpg", (30, 20)),
        ("full/pct:50/270/bitonal.png", (80, 60)),
        ("100,150,500,500/max/!0/color.png", (20, 10)),
    ],
)
def test_images_come_in_the_part_and_size_that_is_asked_for(
    reader: TestClient, path: str, size: tuple[int, int]
) -> None:
    import io

    from PIL import Image

    answer = reader.get(f"/iiif/1/{path}")

    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == size


@pytest.mark.parametrize(
    "path",
    [
        "full/121,/0/default.jpg", "full/max/45/default.jpg", "500,0,1,1/max/0/default.jpg",
        "full/,/0/default.jpg", "full/max/0/default.gif", "pct:1.2.3,0,0,0/max/0/default.jpg",
        "full/pct:1e9/0/default.jpg",
    ],
)  # fmt: skip
def test_other_images_are_refused(reader: TestClient, path: str) -> None:
    assert reader.get(f"/iiif/1/{path}").status_code == 400


def test_a_viewer_finds_the_pages_of_a_run(reader: TestClient) -> None:
    manifest = reader.get("/iiif/runs/1/manifest.json").json()

    assert [canvas["label"]["none"] for canvas in manifest["items"]] == [["book_00000_1"], ["book_00001_1"]]
    service = manifest["items"][0]["items"][0]["items"][0]["body"]["service"][0]["id"]
    assert reader.get(f"{service}/info.json").status_code == 200
    notes = reader.get(manifest["items"][0]["annotations"][0]["id"]).json()["items"]
    assert notes[0]["body"]["value"] == "一"
    assert notes[0]["target"].endswith("xywh=" + ",".join(map(str, first_box())))


@pytest.mark.parametrize("version", [2, 1])
def test_a_viewer_searches_the_pages_that_its_manifest_shows(reader: TestClient, version: int) -> None:
    def found(address: str, phrase: str) -> list[tuple[str, str]]:
        services = {one.get("type", one.get("@type")): one for one in reader.get(address).json()["service"]}
        service = services[f"SearchService{version}"]
        answer = reader.get(service.get("id", service.get("@id")), params={"q": phrase})
        assert answer.headers["content-type"].startswith("application/ld+json")
        told = answer.json()
        assert told["@context"] == f"http://iiif.io/api/search/{version}/context.json"
        if version == 1:
            pairs = [(one["resource"]["chars"], one["on"]) for one in told["resources"]]
        else:
            pairs = [(one["body"]["value"], one["target"]) for one in told["items"]]
        return [(text, target.partition("/iiif/")[2]) for text, target in pairs]

    of_page, of_run = "/iiif/1/manifest.json", "/iiif/runs/1/manifest.json"
    corners = [f"{x - BOX_SIDE // 2},{y - BOX_SIDE // 2},{BOX_SIDE},{BOX_SIDE}" for y, x in blots(0)]

    assert found(of_page, "二三") == [("二三", f"1/canvas#xywh={corner}") for corner in corners[1:]]
    assert [target.partition("#")[0] for _, target in found(of_run, "人")] == ["2/canvas"]
    assert found(of_page, "人") == found(of_run, " ") == []


def test_nothing_but_pages_and_assets_is_given_out(reader: TestClient) -> None:
    for path in ("/assets/..%2fapp.py", "/assets/%2e%2e/app.py", "/pages/1/part/../../x.jpg", "/pages/99"):
        assert reader.get(path).status_code in (404, 422), path


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:8322", "127.0.0.1.evil.example:8321"])
def test_who_asks_by_another_name_is_refused(reader: TestClient, host: str) -> None:
    assert reader.get("/", headers={"host": host}).status_code == 421


def test_other_sites_see_images_only_where_that_was_allowed(database: str, reader: TestClient) -> None:
    origin = {"origin": "https://mirador.example"}
    room = room_of(database, origins=("https://mirador.example",))

    assert "access-control-allow-origin" not in reader.get("/iiif/1/info.json", headers=origin).headers
    with TestClient(make_app(room), base_url=f"http://{HOST}") as client:
        assert client.get("/iiif/1/info.json", headers=origin).headers["access-control-allow-origin"] == "*"


def test_a_label_is_put_right_and_undone(editor: TestClient) -> None:
    edit = {"kind": "label", "boxes": [first_box()], "labels": ["壱"]}

    after = editor.post("/api/pages/1/corrections", json=edit)

    assert after.status_code == 200, after.text
    assert after.json()["characters"][0]["label"] == "壱"
    assert after.json()["characters"][0]["best"] == [["一", 0.9]]
    assert after.json()["characters"][0]["by_people"]
    undone = editor.delete("/api/pages/1/corrections/last").json()
    assert undone["characters"][0]["label"] == "一"
    assert editor.delete("/api/pages/1/corrections/last").status_code == 409


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        ({"kind": "delete", "boxes": [first_box()]}, "二三"),
        ({"kind": "move", "boxes": [first_box()], "box": [90, 20, 25, 25]}, "一二三"),
        ({"kind": "split", "boxes": [first_box()], "labels": ["い", "ろ"]}, "いろ二三"),
        ({"kind": "add", "box": [90, 60, 20, 20], "labels": ["は"]}, "一は二三"),
        ({"kind": "confirm", "boxes": [first_box()]}, "一二三"),
        ({"kind": "page"}, "一二三"),
        ({"kind": "join", "boxes": [first_box(), [50, 20, 20, 20]], "labels": ["王"]}, "王三"),
        ({"kind": "order", "boxes": [first_box()], "after": [50, 20, 20, 20]}, "二一三"),
        ({"kind": "role", "boxes": [first_box()], "role": "note"}, "一二三"),
    ],
)
def test_each_correction_does_what_it_says(editor: TestClient, edit: dict[str, object], text: str) -> None:
    answer = editor.post("/api/pages/1/corrections", json=edit)

    assert answer.status_code == 200, answer.text
    assert "".join(one["label"] for one in answer.json()["characters"]) == text


@pytest.mark.parametrize(
    ("edit", "status"),
    [
        ({"kind": "label", "boxes": [[1, 2, 3, 4]], "labels": ["い"]}, 409),
        ({"kind": "label", "boxes": [first_box()], "labels": ["いろ"]}, 422),
        ({"kind": "label", "boxes": [], "labels": ["い"]}, 422),
        ({"kind": "add", "box": [9999, 0, 5, 5], "labels": ["い"]}, 422),
        ({"kind": "order", "boxes": [first_box()]}, 422),
        ({"kind": "everything"}, 422),
        ({}, 422),
    ],
)
def test_what_means_nothing_changes_nothing(editor: TestClient, edit: dict[str, object], status: int) -> None:
    assert editor.post("/api/pages/1/corrections", json=edit).status_code == status
    assert [one["label"] for one in editor.get("/api/pages/1").json()["characters"]] == ["一", "二", "三"]


def test_nobody_corrects_without_token_proof_and_origin(
    database: str, reader: TestClient, editor: TestClient, editing: Editing
) -> None:
    def ask(client: TestClient, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = client.post("/api/pages/1/corrections", json={"kind": "page"}, headers=named)
        return int(answer.status_code)

    assert ask(reader) == 403  # nothing can be corrected at all
    with TestClient(make_app(room_of(database, editing=editing)), base_url=f"http://{HOST}") as stranger:
        assert ask(stranger) == 401
        assert ask(stranger, authorization="Bearer guessed") == 401
        assert stranger.get("/?token=guessed").status_code == 200
        assert "fumikura-proof" not in stranger.get("/pages/1").text
        assert ask(stranger, authorization=f"Bearer {editing.token}") == 200  # a program
    assert ask(editor, origin="https://evil.example") == 403
    assert ask(editor, x_fumikura_proof="guessed") == 403
    assert ask(editor) == 200


def test_everything_is_said_in_japanese_too() -> None:
    templates = "".join(path.read_text("utf-8") for path in (WEB / "templates").glob("*.html"))
    said = {two or one for two, one in re.findall(r"""_\((?:"([^"]+)"|'([^']+)')\)""", templates)}
    catalogue = polib.pofile(str(LOCALE / "ja" / "LC_MESSAGES" / "room.po"))
    translated = {entry.msgid for entry in catalogue if entry.msgstr}

    assert said
    assert said | set(SCRIPT_WORDS) | set(Suspicion) <= translated
    script = "".join(
        path.read_text("utf-8") for path in (WEB / "assets").glob("*.js") if "min" not in path.name
    )
    assert set(re.findall(r'words\["([^"]+)"\]', script)) <= set(SCRIPT_WORDS)


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["report", "1", "-o", "report"]])
def test_without_its_viewer_the_room_says_where_it_comes_from(
    command: list[str], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FUMIKURA_DATABASE_URL", database)
    monkeypatch.setattr(rendering, "VIEWER", tmp_path / "gone.js")

    result = CliRunner().invoke(main, command)

    assert result.exit_code == 2
    assert "gone.js is missing; install npm" in result.output


@pytest.mark.skipif(not VIEWER.exists(), reason="no viewer: install npm, then `pip install -e .`")
def test_a_report_shows_the_same_without_a_server(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUMIKURA_DATABASE_URL", database)
    out = tmp_path / "report"

    result = CliRunner().invoke(main, ["report", "1", "-o", str(out), "--json"])

    assert (result.exit_code, json.loads(result.stdout)["n_pages"]) == (0, 2), result.output
    linked = {
        (file.parent / target).resolve()
        for file in out.rglob("*.html")
        for target in re.findall(r'(?:href|src)="([^"#]+)"', file.read_text("utf-8"))
    }
    assert all(path.is_file() and path.is_relative_to(out) for path in linked)
    assert ">二</button>" in (out / "pages" / "1.html").read_text("utf-8")
    assert CliRunner().invoke(main, ["report", "1", "-o", str(tmp_path / "report")]).exit_code == 0
