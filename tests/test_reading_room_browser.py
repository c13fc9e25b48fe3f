"""A real browser in the reading room: look, search, put right, and see that it stands."""

from __future__ import annotations

import io
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fumikura.core.archives.listing import list_pages
from fumikura.core.page import Box, Character, Reading
from fumikura.core.scoring.truth import load_truth
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import connect
from fumikura.core.store.lookup import get_page
from fumikura.core.store.upgrading import open_database
from fumikura.web.rendering import VIEWER
from tests.simple_store import OTHER_RECIPE, RECIPE, read_all, start_run

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
uvicorn = pytest.importorskip("uvicorn")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not VIEWER.exists(), reason="no viewer: install npm, then `pip install -e .`"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium, or set CHROMIUM"),
]

SAMPLES = Path(__file__).parents[1] / "samples"
CHOSEN_RED = np.array([216, 30, 30])
WIDTH, HEIGHT = 1300, 860


def sample_reading() -> Reading:
    """What the truth of a sample says, read at 0.9, with what else it may be."""
    boxes = load_truth([SAMPLES / "coordinate.csv"])["drawn_006"].boxes or ()
    with Image.open(SAMPLES / "drawn_006.jpg") as image:
        width, height = image.size
    others = (("ぬ", 0.04), ("め", 0.03), ("ね", 0.02), ("れ", 0.01))
    characters = [
        Character(one.box, one.label, 0.9, others, column)
        for one, column in zip(boxes, columns_of([one.box for one in boxes]), strict=True)
    ]
    return Reading(np.ones((3, 2), bool), tuple(characters), width, height)


def columns_of(boxes: list[Box]) -> list[int]:
    """A new column begins where the next box stands higher than the last."""
    numbers, number = [], 0
    for box, before in zip(boxes, [boxes[0], *boxes], strict=False):
        number += box.y + box.height < before.y
        numbers.append(number)
    return numbers


@pytest.fixture
def database(sqlite_url: str) -> str:
    engine = open_database(sqlite_url)
    start_run(engine, list_pages([str(SAMPLES / "drawn_006.jpg")]).pages)
    read_all(engine, sample_reading(), recipe=RECIPE)
    engine.dispose()
    return sqlite_url


@pytest.fixture
def address(database: str) -> Iterator[str]:
    """A reading room that may be edited."""
    from fumikura.web.app import make_app
    from fumikura.web.guards import host_names
    from fumikura.web.listening import listen
    from fumikura.web.pictures import Pictures
    from fumikura.web.room import Editing, Room

    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    settings, editing = Settings(database_url=database), Editing("Aoi")
    room = Room(
        engine=connect(database, only_reads=True),
        settings=settings,
        pictures=Pictures(settings),
        hosts=host_names(["127.0.0.1"], port),
        editing=editing,
        writing=connect(database),
    )
    server = uvicorn.Server(uvicorn.Config(make_app(room), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}/?token={editing.token}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Any, complaints: list[str], **more: Any) -> Any:
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, **more)
    page = context.new_page()
    page.set_default_timeout(30_000)

    def note(said: Any) -> None:
        if said.type == "error":
            complaints.append(said.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


def until(page: Any, expression: str) -> None:
    """Wait for something to hold. Playwright's own way evaluates a string in the page, which we forbid."""
    deadline = time.monotonic() + 30
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def ready(page: Any) -> None:
    page.wait_for_selector("#viewer[data-ready=true]")
    until(page, "room.viewer.world.getItemAt(0).getFullyLoaded()")
    page.wait_for_timeout(700)  # the view has come to rest


def on_screen(page: Any, n: int) -> tuple[float, float, float, float]:
    """Where a character's box is, in pixels of the window."""
    left, top, right, bottom = page.evaluate(
        "n => { const [x, y, w, h] = room.state.model.characters[n].box,"
        " a = room.place.getBoundingClientRect();"
        " const [l, t] = room.onScreen(x, y), [r, b] = room.onScreen(x + w, y + h);"
        " return [l + a.x, t + a.y, r + a.x, b + a.y] }",
        n,
    )
    return left, top, right, bottom


def test_a_page_is_found_looked_at_and_put_right(browser: Any, address: str, database: str) -> None:
    complaints: list[str] = []
    page = opened(browser, complaints)
    reading = sample_reading()
    n = 10
    phrase = "".join(one.label for one in reading.characters[n : n + 3])
    page.goto(address)

    # Searched, and opened at the hit.
    page.fill("input[name=q]", phrase)
    page.keyboard.press("Enter")
    page.locator(".hits a").first.click()
    ready(page)
    assert page.locator("#text .chosen").get_attribute("data-n") == str(n)

    # The box lies on its character: the frame is red, and what it holds is what the scan has there.
    page.evaluate("() => { room.viewer.viewport.zoomBy(5, null, true) }")
    page.evaluate(f"room.choose({n}, {{ pan: true }})")
    page.wait_for_timeout(700)
    until(page, "room.viewer.world.getItemAt(0).getFullyLoaded()")
    page.wait_for_timeout(300)
    left, top, right, bottom = on_screen(page, n)
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    edge = shot[round((top + bottom) / 2), round(left) - 1 : round(left) + 2]
    assert np.abs(edge - CHOSEN_RED).sum(axis=1).min() < 90
    inner = shot[round(top) + 4 : round(bottom) - 4, round(left) + 4 : round(right) - 4].mean(axis=2)
    box = reading.characters[n].box
    with Image.open(SAMPLES / "drawn_006.jpg") as scan:
        cut = scan.convert("L").crop((box.x, box.y, box.x + box.width, box.y + box.height))
    size = (round(right - left), round(bottom - top))
    known = np.asarray(cut.resize(size)).astype(float)[4:-4, 4:-4]
    rows, columns = (min(a, b) for a, b in zip(inner.shape, known.shape, strict=True))
    likeness = np.corrcoef(inner[:rows, :columns].ravel(), known[:rows, :columns].ravel())[0, 1]
    assert likeness > 0.7

    # Pointed at, a character says what it may be.
    x0, y0, x1, y1 = on_screen(page, n + 1)
    page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
    until(page, f"room.state.hovered === {n + 1}")
    assert page.locator("#detail li b").all_inner_texts() == [
        reading.characters[n + 1].label, "ぬ", "め", "ね", "れ",
    ]  # fmt: skip

    # One key puts a label right; then a box is drawn anew.
    page.locator(f"#text [data-n='{n}']").click()
    page.keyboard.press("2")
    until(page, f"room.state.model.characters[{n}].label === 'ぬ'")
    page.locator(f"#text [data-n='{n}']").click()
    page.wait_for_timeout(700)
    left, top, right, bottom = on_screen(page, n)
    page.keyboard.press("m")
    page.mouse.move(left - 4, top - 4)
    page.mouse.down()
    page.mouse.move(right + 6, bottom + 6, steps=4)
    page.mouse.up()
    until(page, f"room.state.model.characters[{n}].box[2] > {box.width}")
    moved = page.evaluate(f"room.state.model.characters[{n}].box")

    # Read anew by other weights, and loaded again, it stands.
    engine = open_database(database)
    start_run(engine, list_pages([str(SAMPLES / "drawn_006.jpg")]).pages, recipe=OTHER_RECIPE)
    read_all(engine, sample_reading(), recipe=OTHER_RECIPE)
    page.reload()
    ready(page)
    assert page.evaluate(f"room.state.model.characters[{n}].label") == "ぬ"
    assert page.evaluate(f"room.state.model.characters[{n}].box") == moved
    stored = get_page(engine, 1).characters[n]
    assert (stored.label, stored.confidence, stored.box) == ("ぬ", 1.0, Box(*moved))
    page.locator(f"#text [data-n='{n}']").click()
    page.keyboard.press("u")
    page.keyboard.press("u")
    deadline = time.monotonic() + 20
    while get_page(engine, 1).characters != sample_reading().characters and time.monotonic() < deadline:
        page.wait_for_timeout(100)
        page.keyboard.press("u")
    assert get_page(engine, 1).characters == sample_reading().characters
    assert [text for text in complaints if "409" not in text] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_a_screen_reader(browser: Any, address: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    complaints: list[str] = []
    page = opened(browser, complaints, color_scheme=scheme)
    page.goto(address)
    base = address.partition("/?")[0]

    found = {}
    for path in ("/", "/runs/1", "/pages/1?n=3", "/search?q=の", "/characters?label=の", "/failed"):
        page.goto(base + path)
        if "pages" in path:
            ready(page)
        violations = axe.run(page).response["violations"]
        found[path] = [one["id"] for one in violations if one["impact"] in ("serious", "critical")]

    assert found == {path: [] for path in found}
    assert complaints == []
