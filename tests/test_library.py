"""The library: it reads what the command reads, answers what the database knows, and loads what it needs."""

from __future__ import annotations

import io
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import make_url

import fumikura
from fumikura.core.recognition.out_of_memory import OUT_OF_MEMORY
from fumikura.core.recognition.recipe import recipe_of
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from tests.simple_reader import FILLS_MEMORY, HEIGHT, PAPER, RAISES, RECIPE, SimpleReader
from tests.simple_store import OTHER_RECIPE, make_page, make_pages, make_reading, read_all, start_run

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "sqlalchemy", "numpy", "PIL", "alembic", "celery", "click")


@pytest.fixture
def simple() -> SimpleReader:
    return SimpleReader()


@pytest.fixture
def reader(simple: SimpleReader) -> fumikura.Reader:
    return fumikura.Reader("cpu", RECIPE.digest, simple, Settings())


@pytest.fixture
def database(engine: Engine) -> fumikura.Database:
    return fumikura.Database("", engine)


def test_importing_it_loads_nothing_that_takes_time() -> None:
    script = f"import sys, fumikura; print([name for name in {HEAVY} if name in sys.modules])"

    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert shown.stdout.strip() == "[]"


def test_asking_a_database_loads_no_torch(sqlite_url: str) -> None:
    script = (
        f"import sys, fumikura; fumikura.open_database({sqlite_url!r}).characters('人');"
        " print('torch' in sys.modules)"
    )

    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert shown.stdout.strip() == "False"


def test_every_public_name_is_there_and_documented() -> None:
    documents = (ROOT / "docs/library.md").read_text(encoding="utf-8")

    for name in fumikura.__all__:
        assert getattr(fumikura, name).__doc__, name
        assert re.search(rf"\b{name}\b", documents), name


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="read_scroll"):
        _ = fumikura.read_scroll  # type: ignore[attr-defined]


def test_a_path_bytes_and_an_open_image_are_read_alike(tmp_path: Path, reader: fumikura.Reader) -> None:
    path = tmp_path / "page.png"
    Image.new("RGB", (100, HEIGHT), PAPER).save(path)

    with Image.open(path) as image:
        readings = [
            fumikura.read_image(source, reader=reader)
            for source in (path, str(path), path.read_bytes(), image)
        ]

    assert [(one.text, one.width, one.height) for one in readings] == [("人口", 100, HEIGHT)] * 4


def test_an_open_image_is_turned_upright_and_stays_as_it_is(reader: fumikura.Reader) -> None:
    data = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its left side
    Image.new("RGB", (HEIGHT, 100), PAPER).save(data, "JPEG", exif=exif)

    with Image.open(data) as image:
        reading = fumikura.read_image(image, reader=reader)

        assert (reading.width, reading.height) == (100, HEIGHT)
        assert image.size == (HEIGHT, 100)


def test_images_are_read_in_batches_and_a_broken_one_gives_its_error(
    tmp_path: Path, simple: SimpleReader, reader: fumikura.Reader
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"<html>not found</html>")
    wide = Image.new("RGB", (90, HEIGHT), PAPER)
    images: list[Path | Image.Image] = [
        wide,
        tmp_path / "broken.jpg",
        wide.copy(),
        tmp_path / "missing.jpg",
        wide.copy(),
    ]

    found = list(fumikura.read_images(images, reader=reader, pages_per_batch=3))

    assert [type(one) for one in found] == [
        fumikura.Reading,
        fumikura.PageError,
        fumikura.Reading,
        fumikura.PageError,
        fumikura.Reading,
    ]
    assert "broken.jpg: not an image" in str(found[1])
    assert "missing.jpg cannot be read (No such file" in str(found[3])
    assert simple.group_sizes == [2, 1]


def test_no_more_images_are_taken_than_share_a_batch(reader: fumikura.Reader) -> None:
    taken: list[int] = []

    def images() -> Iterator[Image.Image]:
        for number in range(6):
            taken.append(number)
            yield Image.new("RGB", (80, HEIGHT), PAPER)

    readings = fumikura.read_images(images(), reader=reader, pages_per_batch=2)
    next(readings)

    assert taken == [0, 1]


@pytest.mark.parametrize(("pages_per_batch", "sizes"), [(3, [3, 1, 1, 1, 1]), (1, [1] * 4)])
def test_a_page_that_takes_too_much_memory_gives_its_error_alone(
    simple: SimpleReader, reader: fumikura.Reader, pages_per_batch: int, sizes: list[int]
) -> None:
    images = [Image.new("RGB", (90, HEIGHT), colour) for colour in (PAPER, FILLS_MEMORY, PAPER, PAPER)]

    found = list(fumikura.read_images(images, reader=reader, pages_per_batch=pages_per_batch))

    assert [isinstance(one, fumikura.Reading) for one in found] == [True, False, True, True]
    assert str(found[1]) == OUT_OF_MEMORY
    assert simple.group_sizes == sizes


def test_a_page_too_large_to_decode_gives_its_error(
    tmp_path: Path, reader: fumikura.Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: Any, **__: Any) -> None:
        raise MemoryError

    Image.new("RGB", (90, HEIGHT), PAPER).save(tmp_path / "huge.png")
    monkeypatch.setattr("fumikura.core.archives.images.decode", decode)

    (found,) = fumikura.read_images([tmp_path / "huge.png"], reader=reader)

    assert str(found) == f"{tmp_path / 'huge.png'}: {OUT_OF_MEMORY}"


def test_another_failure_is_raised(reader: fumikura.Reader) -> None:
    with pytest.raises(RuntimeError, match="blue pages cannot be read"):
        fumikura.read_image(Image.new("RGB", (90, HEIGHT), RAISES), reader=reader)


def test_a_path_with_a_zero_byte_is_an_image_that_cannot_be_read(reader: fumikura.Reader) -> None:
    with pytest.raises(fumikura.PageError, match=r"page.*\.jpg cannot be read \(.*null"):
        fumikura.read_image("page\0.jpg", reader=reader)


def test_a_batch_of_no_pages_is_refused(reader: fumikura.Reader) -> None:
    with pytest.raises(fumikura.FumikuraError, match="pages_per_batch=0 must be 1 or more"):
        next(fumikura.read_images([b""], reader=reader, pages_per_batch=0))


def test_one_broken_image_raises_its_error(reader: fumikura.Reader) -> None:
    with pytest.raises(fumikura.PageError, match="the file is empty"):
        fumikura.read_image(b"", reader=reader)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"device": "cuda:99"}, "cuda:99 does not work"),
        ({"device": "abacus"}, "abacus does not work"),
        ({"segmenter": "missing.safetensors"}, "there are no segmenter weights at missing.safetensors"),
        ({"segmenter": "zero\0byte"}, "there are no segmenter weights at zero"),
        ({"context_weight": -0.5}, "context_weight=-0.5 is too small"),
        ({"context_weight": float("nan")}, "context_weight=nan is too small"),
        ({"context_weight": float("inf")}, "context_weight=inf is too large"),
        ({"precision": "fp8"}, "precision='fp8' must be auto or fp32 or bf16"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(fumikura.FumikuraError, match=reason):
        fumikura.load_reader(**options)


@pytest.mark.slow
def test_options_make_the_recipe_that_a_run_with_them_has() -> None:
    reader = fumikura.load_reader(device="cpu", context_weight=0.25)

    assert reader.device == "cpu"
    assert reader.recipe_digest == recipe_of(Settings(context_weight=0.25)).digest


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(fumikura.FumikuraError, match=r"there is no database .*none\.db"):
        fumikura.open_database(tmp_path / "none.db")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("statement", [None, "CREATE TABLE sales (price INTEGER)"])
def test_a_file_of_another_program_is_left_alone(tmp_path: Path, statement: str | None) -> None:
    path = tmp_path / "sales.db"
    with closing(sqlite3.connect(path)) as connection:
        if statement is None:
            path.touch()
        else:
            connection.execute(statement)

        with pytest.raises(
            fumikura.FumikuraError, match=r"sales\.db is no database of fumikura .*another file"
        ):
            fumikura.open_database(path)

        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == ([] if statement is None else [("sales",)])


def test_a_database_with_a_zero_byte_in_its_path_is_not_there() -> None:
    with pytest.raises(fumikura.FumikuraError, match="there is no "):
        fumikura.open_database("zero\0byte.db")


def test_a_database_is_opened_by_path_or_url_or_variable(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUMIKURA_DATABASE_URL", sqlite_url)

    for place in (tmp_path / "fumikura.db", str(tmp_path / "fumikura.db"), sqlite_url, None):
        with fumikura.open_database(place) as opened:
            assert opened.url == sqlite_url
            assert opened.pages() == []


def test_the_password_of_a_database_does_not_show(postgres_url: str) -> None:
    secret = make_url(postgres_url).set(password="sesame").render_as_string(hide_password=False)

    with fumikura.open_database(secret) as opened:
        assert opened.pages() == []
        assert "sesame" not in repr(opened)


def test_characters_are_found_as_the_options_say(database: fumikura.Database) -> None:
    run_id, _ = start_run(database._engine, [make_page(1), make_page(2, book="diary")])
    read_all(
        database._engine, make_reading("春の", "山は", confidence=0.9), make_reading("春の山", confidence=0.4)
    )

    def found(text: str, **options: Any) -> list[str]:
        return [hit.page for hit in database.characters(text, **options)]

    assert found("の山") == ["tale_001", "diary_002"]
    assert found("の山", book="diary") == ["diary_002"]
    assert found("の山", min_confidence=0.5) == ["tale_001"]
    assert found("の山", run_id=run_id, limit=1) == ["tale_001"]
    assert database.characters("の山")[0].context == "春の山は"


def test_pages_come_with_scores_and_a_page_with_its_reading(database: fumikura.Database) -> None:
    start_run(database._engine, make_pages(1))
    saved = make_reading("春は", "曙")
    read_all(database._engine, saved)

    (page,) = database.pages(text="春は")
    reading = database.reading("tale_001")

    assert (page.name, page.status, page.n_characters, page.dice) == ("tale_001", "done", 3, None)
    assert database.pages(min_dice=0.1) == []
    assert reading.columns == ("春は", "曙")
    assert reading.text == "春は\n曙"
    assert np.array_equal(reading.mask, saved.mask)
    assert replace(reading, mask=saved.mask) == saved


def test_a_number_is_the_id_of_a_page_even_if_another_is_called_so(database: fumikura.Database) -> None:
    misleading = replace(make_page(1), member="2.jpg")
    start_run(database._engine, [misleading, make_page(2)])
    read_all(database._engine, make_reading("春"), make_reading("秋"))

    assert database.reading("2").text == "春"
    assert database.reading(2).text == "秋"


def test_a_page_that_is_not_read_has_no_reading(database: fumikura.Database) -> None:
    start_run(database._engine, make_pages(1))
    other_run, _ = start_run(database._engine, [], recipe=OTHER_RECIPE)

    with pytest.raises(fumikura.FumikuraError, match="'tale_001' has no such reading: it is queued"):
        database.reading("tale_001")
    with pytest.raises(fumikura.FumikuraError, match="it was not asked for"):
        database.reading("tale_001", run_id=other_run)
    with pytest.raises(fumikura.FumikuraError, match="there is no page 'nobody'"):
        database.reading("nobody")


def test_an_unknown_run_is_named(database: fumikura.Database) -> None:
    start_run(database._engine, make_pages(1))

    for question in (
        lambda: database.pages(run_id=99),
        lambda: database.characters("人", run_id=99),
        lambda: database.reading("tale_001", run_id=99),
    ):
        with pytest.raises(fumikura.FumikuraError, match="there is no run 99"):
            question()


@pytest.mark.parametrize(
    "option",
    [
        {"book": "ta\0le"},
        {"book": "\udc80"},
        {"text": "春\0"},
        {"run_id": 0},
        {"run_id": 2**31},
        {"run_id": 2**64},
        {"min_dice": float("nan")},
        {"max_dice": 1.5},
        {"limit": 0},
        {"limit": 2**63},
    ],
)
def test_what_no_database_can_be_asked_is_refused(
    database: fumikura.Database, option: dict[str, Any]
) -> None:
    ((name, value),) = option.items()

    with pytest.raises(fumikura.FumikuraError, match=rf"^{name}={re.escape(repr(value))} must "):
        database.pages(**option)


def test_the_other_questions_refuse_it_too(database: fumikura.Database) -> None:
    with pytest.raises(fumikura.FumikuraError, match="min_confidence=nan must lie in"):
        database.characters("人", min_confidence=float("nan"))
    with pytest.raises(fumikura.FumikuraError, match="page=4294967296 must be from 1"):
        database.reading(2**32)
    with pytest.raises(fumikura.FumikuraError, match=r"page='p.*' must hold Unicode"):
        database.reading("p\0")


@pytest.mark.parametrize("variable", ["cpu:2", "cpu,cuda:0"])
def test_the_reader_takes_the_first_device_that_the_variable_names(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("FUMIKURA_DEVICES", variable)

    assert fumikura.load_reader().device == "cpu"


def test_a_device_of_the_variable_that_does_not_work_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUMIKURA_DEVICES", "cuda:99")

    with pytest.raises(fumikura.FumikuraError, match="cuda:99"):
        fumikura.load_reader()
