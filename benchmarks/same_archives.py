"""Whether a book reads the same from a zip, a PDF, a TIFF of several pages, and a IIIF manifest.

    python -m benchmarks.same_archives [--read N] ZIP FOLDER

FOLDER gets the PDF and the TIFF; the manifest comes from a server on this machine, of images that are not
larger than what a reading asks for. The pixels of all pages are compared, and what is read on the first N.
JPEGs that are saved anew, and so have other pixels, are compared with the zip too. F1 is `character_f1`, with
what was read from the zip as truth. Prints Markdown.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import pypdfium2
from PIL import Image

from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.limits import Limits
from fumikura.core.page import LabelledBox, PageImage, PageReference, Reading, Truth
from fumikura.core.recognition.reader import PageReader, load_reader
from fumikura.core.scoring.metrics import pool, score
from fumikura.core.settings import read_settings
from tests.iiif_library import VERSION_3, add_manifest
from tests.web import Web, running_web

LIMITS = Limits(allow_private_addresses=True, max_file_bytes=1 << 30, requests_per_second=1000)
QUALITIES = (95, 90)


def decoded(page: PageReference, long_side: int | None) -> PageImage:
    data = read_member(page.archive, page.member, digest=page.digest, limits=LIMITS)
    return decode(data, long_side=long_side, max_pixels=10**9)


def as_pdf(jpegs: Sequence[bytes], path: Path) -> None:
    """Make a PDF of JPEGs, as scanners do."""
    document = pypdfium2.PdfDocument.new()
    for jpeg in jpegs:
        image = pypdfium2.PdfImage.new(document)
        image.load_jpeg(io.BytesIO(jpeg), inline=True)
        width, height = image.get_px_size()
        image.set_matrix(pypdfium2.PdfMatrix().scale(width / 4, height / 4))
        page = document.new_page(width / 4, height / 4)
        page.insert_obj(image)
        page.gen_content()
    document.save(path)


def as_tiff(jpegs: Sequence[bytes], path: Path) -> None:
    first, *others = (Image.open(io.BytesIO(jpeg)) for jpeg in jpegs)
    first.save(path, save_all=True, append_images=others, compression="tiff_lzw")


def as_manifest(web: Web, jpegs: Sequence[bytes]) -> str:
    url = add_manifest(web, [Image.open(io.BytesIO(jpeg)) for jpeg in jpegs], version=VERSION_3)
    for number, jpeg in enumerate(jpegs, start=1):
        web.files[f"/book/image%2F{number}/full/max/0/default.jpg"] = jpeg  # to the byte
    return url


def as_other_jpegs(jpegs: Sequence[bytes], folder: Path, quality: int) -> None:
    folder.mkdir()
    for number, jpeg in enumerate(jpegs):
        Image.open(io.BytesIO(jpeg)).save(folder / f"{number:04}.jpg", quality=quality)


def read(reader: PageReader, pages: Sequence[PageReference]) -> list[Reading]:
    return [reader.read([decoded(page, reader.long_side)])[0] for page in pages]


def n_same_pixels(pages: Sequence[PageReference], others: Sequence[PageReference]) -> int:
    pairs = zip(pages, others, strict=True)
    return sum(np.array_equal(decoded(a, None).pixels, decoded(b, None).pixels) for a, b in pairs)


def f1(readings: Sequence[Reading], others: Sequence[Reading]) -> float:
    """Score some readings with others as truth."""
    truths = [Truth(tuple(LabelledBox(c.box, c.label) for c in one.characters)) for one in readings]
    ratios = pool(score(other, truth) for other, truth in zip(others, truths, strict=True)) or {}
    return ratios["character_f1_as_written"] or 0.0


@click.command()
@click.argument("archive", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--read", "n_read", default=6, show_default=True, help="Pages that are read from each.")
def main(archive: Path, folder: Path, n_read: int) -> None:
    """Compare the other forms of a zip of JPEGs with it."""
    folder.mkdir(parents=True)
    pages = list_pages([str(archive)]).pages
    jpegs = [read_member(page.archive, page.member) for page in pages]
    as_pdf(jpegs, folder / "book.pdf")
    as_tiff(jpegs, folder / "book.tif")
    reader = load_reader(read_settings(), "cpu")
    wanted = read(reader, pages[:n_read])
    print(
        "| form | pages of the same pixels | of the pages read, the same characters | F1 |\n|---|---|---|---|"
    )
    with running_web() as web:
        for form in (str(folder / "book.pdf"), str(folder / "book.tif"), as_manifest(web, jpegs)):
            others = list_pages([form], limits=LIMITS).pages
            readings = read(reader, others[:n_read])
            n_same = sum(a.characters == b.characters for a, b in zip(wanted, readings, strict=True))
            same = f"{n_same_pixels(pages, others)} of {len(pages)}"
            print(f"| {form} | {same} | {n_same} of {n_read} | {f1(wanted, readings):.4f} |", flush=True)
    for quality in QUALITIES:
        again = folder / f"quality_{quality}"
        as_other_jpegs(jpegs[:n_read], again, quality)
        others = list_pages([str(again)]).pages
        print(f"| JPEG, quality {quality} | – | – | {f1(wanted, read(reader, others)):.4f} |", flush=True)


if __name__ == "__main__":
    main()
