"""One name, however it is typed: が is one character or two, from a Mac."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.scoring.truth import load_truth
from fumikura.core.store.connecting import Engine
from fumikura.core.store.lookup import get_page
from fumikura.core.store.page_list import find_pages
from tests.simple_archives import JPEG, Make, every_kind
from tests.simple_store import make_page, start_run

Form = Literal["NFC", "NFD"]
FORMS: tuple[Form, ...] = ("NFC", "NFD")


@every_kind
def test_names_from_a_mac_are_those_that_people_type(tmp_path: Path, make: Make) -> None:
    names = ["がくの本/ぱ1.jpg", "がくの本/ぱ2.jpg"]
    archive = make(tmp_path, {unicodedata.normalize("NFD", name): name.encode() for name in names})

    pages = list_pages([archive]).pages

    assert [page.member for page in pages] == names
    assert {page.book for page in pages} == {"がくの本"}
    assert [read_member(page.archive, page.member).decode() for page in pages] == names


@pytest.mark.parametrize(
    "pattern", ["がくの本", "がくの本/ぱ.jpg", "がく*", "がくの本/*.jpg", "が*/ぱ.jpg", "ぱ.zip"]
)
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_a_path_is_found_in_whatever_form_it_is_typed(
    tmp_path: Path, pattern: str, typed: Form, stored: Form
) -> None:
    folder = tmp_path / unicodedata.normalize(stored, "がくの本")
    folder.mkdir()
    (folder / unicodedata.normalize(stored, "ぱ.jpg")).write_bytes(JPEG)
    with zipfile.ZipFile(tmp_path / unicodedata.normalize(stored, "ぱ.zip"), "w") as archive:
        archive.writestr("p.jpg", JPEG)

    (page,) = list_pages([f"{tmp_path}/{unicodedata.normalize(typed, pattern)}"]).pages

    assert page.archive == f"{tmp_path}/{'ぱ.zip' if pattern == 'ぱ.zip' else 'がくの本'}"
    assert read_member(page.archive, page.member) == JPEG


def test_two_folders_that_look_the_same_are_both_read(tmp_path: Path) -> None:
    for form in FORMS:
        folder = tmp_path / unicodedata.normalize(form, "がく")
        folder.mkdir()
        (folder / "p.jpg").write_bytes(form.encode())
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system takes both for one")

    together = list_pages([str(tmp_path)]).pages
    apart = [
        page
        for form in FORMS
        for page in list_pages([f"{tmp_path}/{unicodedata.normalize(form, 'がく')}"]).pages
    ]

    for pages in (together, apart):
        assert sorted(read_member(page.archive, page.member) for page in pages) == [b"NFC", b"NFD"]


@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_a_page_is_found_by_its_name_and_book_in_whatever_form_they_are_typed(
    engine: Engine, typed: Form
) -> None:
    book = "がくの本"
    older = make_page(2, book=unicodedata.normalize("NFD", book))  # as earlier versions kept it
    start_run(engine, [make_page(1, book=book), older])

    found = find_pages(engine, book=unicodedata.normalize(typed, book))

    assert [one.page_id for one in found] == [1, 2]
    for number in (1, 2):
        assert get_page(engine, unicodedata.normalize(typed, f"{book}_00{number}")).page_id == number


IMAGES = ["がく_1", "C:\\scans\\book\\がく_1.jpg", "book/がく_1.jfif", "book\\がく_1.TIF", " がく_1 "]


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("head", ["Unicode,Image,X,Y,Width,Height", "image_id,labels"])
def test_truth_names_a_page_with_any_slashes_and_in_any_form(
    tmp_path: Path, image: str, form: Form, head: str
) -> None:
    name = unicodedata.normalize(form, image)
    row = f"{name},U+3042 1 1 5 5" if head.startswith("image") else f"U+3042,{name},1,1,5,5"
    (tmp_path / "truth.csv").write_text(f"{head}\n{row}\n", "utf-8")

    assert list(load_truth([tmp_path / "truth.csv"])) == ["がく_1"]


def test_a_mask_from_a_mac_fits_its_page(tmp_path: Path) -> None:
    mask = tmp_path / f"{unicodedata.normalize('NFD', 'がく')}.png"
    Image.new("1", (20, 20), 1).save(mask)

    assert list(load_truth([mask])) == ["がく"]
