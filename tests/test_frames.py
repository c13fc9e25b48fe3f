"""Pages inside PDF files and TIFF files of several pages are listed unseen, and read one by one."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest
from numpy.typing import NDArray
from PIL import Image

from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.errors import PageError
from fumikura.core.limits import Limits
from fumikura.core.page import PageReference
from tests.hostile import encode
from tests.simple_archives import Make, every_kind

N_PAGES = 3


def scan(number: int, size: tuple[int, int] = (60, 80)) -> Image.Image:
    """Grey paper with a grain and a black bar, lower on each page."""
    paper = np.random.default_rng(number).integers(200, 255, size[::-1], dtype=np.uint8)
    paper[20 * number : 20 * number + 10, 10:40] = 0
    return Image.fromarray(paper)


def scans() -> list[Image.Image]:
    return [scan(number) for number in range(N_PAGES)]


def book(kind: str, pages: list[Image.Image], **options: Any) -> bytes:
    return encode(pages[0], kind, save_all=True, append_images=pages[1:], **options)


def pdf_of(pages: list[Image.Image], **options: Any) -> bytes:
    """Make a PDF that holds each page as a JPEG of its own, as scanners do."""
    return book("PDF", pages, **options)


def pixels(page: PageReference) -> NDArray[np.uint8]:
    data = read_member(page.archive, page.member, digest=page.digest)
    return decode(data, long_side=None, max_pixels=10**8).pixels[:, :, 0]


def reason(page: PageReference, limits: Limits | None = None) -> str:
    with pytest.raises(PageError) as caught:
        read_member(page.archive, page.member, digest=page.digest, limits=limits or Limits())
    return str(caught.value)


@every_kind
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_each_page_of_a_tiff_has_the_pixels_of_its_scan(tmp_path: Path, make: Make, compression: str) -> None:
    archive = make(tmp_path, {"a/book.tif": book("TIFF", scans(), compression=compression)})

    pages = list_pages([archive]).pages

    assert [page.member for page in pages] == [f"a/book.tif/book_000{n}" for n in (1, 2, 3)]
    assert {page.book for page in pages} == {"book"}
    for page, original in zip(pages, scans(), strict=True):
        assert np.array_equal(pixels(page), np.asarray(original))


def test_a_bigtiff_and_one_of_jpegs_give_their_pages(tmp_path: Path) -> None:
    colours = [image.convert("RGB") for image in scans()]
    (tmp_path / "big.tif").write_bytes(book("TIFF", scans(), big_tiff=True))
    (tmp_path / "jpeg.tif").write_bytes(book("TIFF", colours, compression="jpeg", quality=95))

    shown = [pixels(page) for page in list_pages([str(tmp_path)]).pages]

    for number in range(N_PAGES):
        assert np.array_equal(shown[number], np.asarray(scan(number)))
        with Image.open(tmp_path / "jpeg.tif") as image:
            image.seek(number)
            assert np.array_equal(shown[N_PAGES + number], np.asarray(image.convert("RGB"))[:, :, 0])


@every_kind
def test_each_page_of_a_pdf_is_the_jpeg_in_it_byte_by_byte(tmp_path: Path, make: Make) -> None:
    document = pypdfium2.PdfDocument.new()
    jpegs = [encode(image, "JPEG", quality=90) for image in scans()]
    for jpeg in jpegs:
        image = pypdfium2.PdfImage.new(document)
        image.load_jpeg(io.BytesIO(jpeg), inline=True)
        image.set_matrix(pypdfium2.PdfMatrix().scale(300, 400))
        page = document.new_page(300, 400)
        page.insert_obj(image)
        page.gen_content()
    out = io.BytesIO()
    document.save(out)
    document.close()

    pages = list_pages([make(tmp_path, {"book.pdf": out.getvalue()})]).pages

    assert [page.name for page in pages] == ["book_0001", "book_0002", "book_0003"]
    assert [read_member(page.archive, page.member, digest=page.digest) for page in pages] == jpegs


def test_a_scan_of_one_bit_a_pixel_keeps_its_pixels(tmp_path: Path) -> None:
    bits = [image.convert("1") for image in scans()]
    (tmp_path / "book.pdf").write_bytes(pdf_of(bits))

    shown = [pixels(page) for page in list_pages([str(tmp_path / "book.pdf")]).pages]

    for page, original in zip(shown, bits, strict=True):
        assert np.array_equal(page, np.asarray(original.convert("L")))


def test_a_turned_page_is_drawn_as_it_is_shown_with_the_pixels_of_its_scan(tmp_path: Path) -> None:
    (tmp_path / "flat.pdf").write_bytes(pdf_of([scan(1, (600, 800)).convert("RGB")]))
    document = pypdfium2.PdfDocument(tmp_path / "flat.pdf")
    document[0].set_rotation(90)
    document.save(tmp_path / "turned.pdf")
    document.close()

    (page,) = list_pages([str(tmp_path / "turned.pdf")]).pages

    shown = pixels(page)
    assert shown.shape == (600, 800)
    apart = np.abs(shown.astype(int) - np.rot90(np.asarray(scan(1, (600, 800))), -1))
    assert apart.mean() < 8


def test_a_page_that_is_no_scan_is_drawn_at_300_dpi(tmp_path: Path) -> None:
    document = pypdfium2.PdfDocument.new()
    document.new_page(144, 72)
    document.save(tmp_path / "blank.pdf")
    document.close()

    (page,) = list_pages([str(tmp_path / "blank.pdf")]).pages

    assert pixels(page).shape == (300, 600)


def test_listing_a_pdf_knows_pages_by_its_digest_and_needs_neither_numpy_nor_pillow(tmp_path: Path) -> None:
    (tmp_path / "book.pdf").write_bytes(pdf_of(scans()))
    code = (
        "import sys; from fumikura.core.archives.listing import list_pages\n"
        f"print(*[page.digest for page in list_pages([{str(tmp_path)!r}]).pages])\n"
        "assert not {'numpy', 'PIL', 'torch'} & set(sys.modules)"
    )

    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    whole = hashlib.sha256((tmp_path / "book.pdf").read_bytes()).hexdigest()
    expected = [hashlib.sha256(f"{whole}\0pdf 300\0{n}".encode()).hexdigest() for n in (1, 2, 3)]
    assert listed.stdout.split() == expected


def test_the_same_pdf_in_two_places_is_one_book(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.pdf").write_bytes(pdf_of(scans(), creationDate=0, modDate=0))
    (tmp_path / "b.pdf").write_bytes((tmp_path / "a.pdf").read_bytes())

    pages = list_pages([str(tmp_path)]).pages

    assert [page.digest for page in pages[:3]] == [page.digest for page in pages[3:]]


@every_kind
@pytest.mark.parametrize("kind", ["pdf", "tiff"])
def test_a_page_of_a_file_that_changed_is_refused(tmp_path: Path, make: Make, kind: str) -> None:
    name = f"book.{kind}"
    pages = list_pages([make(tmp_path, {name: book(kind, scans())})]).pages

    make(tmp_path, {name: book(kind, [*scans(), scan(1, (70, 80))])})

    assert f"{name} in" in (problem := reason(pages[0]))
    assert problem.endswith("is no longer the file that was added; add it again")


def test_a_tiff_of_one_page_is_known_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "p.tif").write_bytes(data := encode(scan(1), "TIFF"))

    (page,) = list_pages([str(tmp_path)]).pages

    assert (page.member, page.digest) == ("p.tif", hashlib.sha256(data).hexdigest())


def test_a_tiff_that_is_cut_off_gives_the_pages_that_it_holds(tmp_path: Path) -> None:
    data = bytearray(book("TIFF", scans(), compression="raw"))
    (tmp_path / "book.tif").write_bytes(data)
    pages = list_pages([str(tmp_path)]).pages
    cut = bytes(data[: len(data) - 2000])

    (tmp_path / "book.tif").write_bytes(cut)

    found = list_pages([str(tmp_path)]).pages
    assert len(pages) == N_PAGES
    assert np.array_equal(pixels(found[0]), np.asarray(scan(0)))
    with pytest.raises(PageError, match="cut off"):
        pixels(found[-1])


ENCRYPTED = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"3 0 obj<</Filter/Standard/V 1/R 2/P -4/O<" + b"11" * 32 + b">/U<" + b"22" * 32 + b">>>endobj\n"
    b"trailer<</Root 1 0 R/Encrypt 3 0 R/ID[<00><00>]/Size 4>>\n%%EOF\n"
)


def test_what_is_no_pdf_fails_alone_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n")
    (tmp_path / "b.pdf").write_bytes(b"")
    (tmp_path / "c.pdf").write_bytes(pdf_of(scans())[:300])
    (tmp_path / "d.pdf").write_bytes(ENCRYPTED)
    (tmp_path / "p.png").write_bytes(encode(scan(0), "PNG"))

    pages = list_pages([str(tmp_path)]).pages

    assert [page.member for page in pages] == ["a.pdf", "b.pdf", "c.pdf", "d.pdf", "p.png"]
    for page in pages[:3]:
        assert "the PDF is damaged or none" in reason(page)
    assert reason(pages[3]) == "the PDF is encrypted; save it without its password"


def test_a_page_of_200_000_points_fails_before_it_is_drawn(tmp_path: Path) -> None:
    document = pypdfium2.PdfDocument.new()
    for size in (200_000, 72):
        document.new_page(size, size)
    document.save(tmp_path / "vast.pdf")
    document.close()

    vast, small = list_pages([str(tmp_path)]).pages

    assert "× 833333 pixels, more than 80,000,000 in all" in reason(vast)
    assert pixels(small).shape == (300, 300)


@pytest.mark.slow
def test_ten_thousand_pages_are_listed_and_the_last_one_read(tmp_path: Path) -> None:
    document = pypdfium2.PdfDocument.new()
    for _ in range(10_000):
        document.new_page(36, 72)
    document.save(tmp_path / "long.pdf")
    document.close()

    pages = list_pages([str(tmp_path)]).pages

    assert len({page.digest for page in pages}) == 10_000
    assert pixels(pages[-1]).shape == (300, 150)


def test_a_pdf_of_more_pages_than_an_archive_may_hold_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "book.pdf").write_bytes(pdf_of(scans()))

    (page,) = list_pages([str(tmp_path)], limits=Limits(max_members=2)).pages

    assert "the PDF holds more than 2 pages; split it" in reason(page, Limits(max_members=2))


def jpeg_2000(tile_side: int) -> bytes:
    """Make a JPEG 2000 whose head claims tiles of this side."""
    data = bytearray(encode(Image.new("L", (4000, 4000)), "JPEG2000"))
    at = data.index(b"\xff\x51") + 22  # in SIZ: the width and height of a tile
    data[at : at + 8] = tile_side.to_bytes(4, "big") * 2
    return bytes(data)


def test_a_jpeg_2000_of_sixteen_million_tiles_is_one_line() -> None:
    with pytest.raises(PageError, match=r"the image is damaged|is cut off"):
        decode(jpeg_2000(1), long_side=None, max_pixels=80_000_000)


def test_a_jpeg_2000_whose_only_tile_claims_the_world_is_read() -> None:
    page = decode(jpeg_2000(2**31 - 1), long_side=None, max_pixels=80_000_000)

    assert (page.width, page.height, page.pixels.max()) == (4000, 4000, 0)


def test_a_jpeg_2000_of_too_many_pixels_fails_before_it_is_decoded() -> None:
    with pytest.raises(PageError, match="has 4000 × 4000 pixels, more than"):
        decode(jpeg_2000(4000), long_side=None, max_pixels=15_000_000)
