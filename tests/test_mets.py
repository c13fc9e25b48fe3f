"""METS files name the images of a work: in the folder where they lie, or on the web."""

from __future__ import annotations

from pathlib import Path

import pytest

from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.errors import ArchiveError
from tests.simple_archives import JPEG
from tests.test_iiif import HERE
from tests.web import running_web

GROUPS = {
    "THUMBS": ["t/1.jpg", "t/2.jpg"],
    "DEFAULT": ["img/p10.jpg", "img/p2.jpg"],
    "FULLTEXT": ["alto/1.xml", "alto/2.xml"],
}


def mets(groups: dict[str, list[str]], *, declared: str = "") -> str:
    """Make a METS file whose pages stand in the order of the lists, and whose files in the other."""
    sections, pointers = [], [""] * max(map(len, groups.values()))
    for use, hrefs in groups.items():
        files: list[str] = []
        for number, href in enumerate(hrefs):
            kind = "text/xml" if href.endswith(".xml") else "image/jpeg"
            file_id = f"{use}_{number}"
            place = f'<mets:FLocat LOCTYPE="URL" xlink:href="{href}"/>'
            files.insert(0, f'<mets:file ID="{file_id}" MIMETYPE="{kind}">{place}</mets:file>')
            pointers[number] += f'<mets:fptr FILEID="{file_id}"/>'
        sections.append(f'<mets:fileGrp USE="{use}">{"".join(files)}</mets:fileGrp>')
    pages = "".join(
        f'<mets:div TYPE="page" ORDER="{n}" ORDERLABEL="{n}r">{inside}</mets:div>'
        for n, inside in enumerate(pointers, start=1)
    )
    return (
        f"<?xml version='1.0'?>{declared}"
        '<mets:mets xmlns:mets="http://www.loc.gov/METS/" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f"<mets:fileSec>{''.join(sections)}</mets:fileSec>"
        f'<mets:structMap TYPE="PHYSICAL"><mets:div TYPE="physSequence">{pages}</mets:div></mets:structMap>'
        "</mets:mets>"
    )


@pytest.fixture
def book(tmp_path: Path) -> Path:
    for name in (path for paths in GROUPS.values() for path in paths):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(JPEG + name.encode())
    path = tmp_path / "mets.xml"
    path.write_text(mets(GROUPS))
    return path


def test_the_best_group_is_read_in_the_order_of_the_pages_and_from_its_folder(book: Path) -> None:
    pages = list_pages([str(book)]).pages

    assert [(page.member, page.label) for page in pages] == [("img/p10.jpg", "1r"), ("img/p2.jpg", "2r")]
    assert {page.archive for page in pages} == {str(book.parent)}
    alone = {page.digest for page in list_pages([str(book.parent / "img")]).pages}
    assert {page.digest for page in pages} == alone


def test_another_group_and_some_pages_are_named_behind_it(book: Path) -> None:
    assert [page.member for page in list_pages([f"{book}#THUMBS"]).pages] == ["t/1.jpg", "t/2.jpg"]
    assert [page.member for page in list_pages([f"{book}#THUMBS,2-2"]).pages] == ["t/2.jpg"]
    with pytest.raises(ArchiveError, match=r"has no file group 'BEST' of images; it has THUMBS, DEFAULT"):
        list_pages([f"{book}#BEST"])


def test_what_lies_elsewhere_is_no_page_of_it(book: Path, tmp_path: Path) -> None:
    hrefs = ["../secret.jpg", "/etc/p.jpg", "file:///etc/p.jpg", "javascript:a.jpg", "img/p2.jpg"]
    book.write_text(mets({"DEFAULT": hrefs}))

    listing = list_pages([str(book)])

    assert [page.member for page in listing.pages] == ["img/p2.jpg"]
    assert [(file.member, file.kind) for file in listing.left_out] == [
        (href, "address that mets.xml may not name, as it leads out of its folder") for href in hrefs[:4]
    ]
    assert tmp_path == book.parent


def test_files_on_the_web_are_fetched_when_they_are_read(book: Path) -> None:
    with running_web() as web:
        web.files["/b/img/p2.jpg"] = JPEG
        web.files["/b/mets.xml"] = mets({"DEFAULT": ["img/p1.jpg", "img/p2.jpg"]}).encode()
        book.write_text(mets({"DEFAULT": [f"{web.url}/b/img/p1.jpg", f"{web.url}/b/img/p2.jpg"]}))

        for place in (str(book), f"{web.url}/b/mets.xml"):
            _, page = list_pages([place], limits=HERE).pages
            assert ("GET", "/b/img/p2.jpg") not in web.asked
            assert page.archive == place
            assert read_member(page.archive, page.member, digest=page.digest, limits=HERE) == JPEG
            web.asked.clear()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (mets({"FULLTEXT": ["alto/1.xml"]}), "names no images; ask its library"),
        (mets(GROUPS, declared="<!DOCTYPE mets>"), "has a document type"),
        (mets(GROUPS)[:-9], "is no METS file"),
    ],
)
def test_a_mets_file_without_images_or_damaged_is_one_line(book: Path, data: str, problem: str) -> None:
    book.write_text(data)

    with pytest.raises(ArchiveError, match=problem):
        list_pages([str(book)])
