"""This module writes PDF: the scans, and behind them invisible text that can be searched and copied.

The text layer is a font without glyphs, as Tesseract and OCRmyPDF have it: each character fills the place
where it stands. It is turned by 90 degrees, so that readers take a column for a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, BinaryIO, cast

from fumikura.core.export.columns import box_around, program
from fumikura.core.export.formats import Format, Style
from fumikura.core.export.glyphless_font import GlyphlessFont, pikepdf
from fumikura.core.export.scan_jpegs import ScanJpeg, scan_jpeg
from fumikura.core.page import Character
from fumikura.core.read_page import ReadPage

#: What a scan is taken to have, so that a page has a sensible size on paper.
_PIXELS_AN_INCH = 300
#: No side of a page may be longer, in points (PDF 1.7, annex C).
_LONGEST_SIDE = 14_400
#: Pages that are held at once; then they go to disk, until all are put together.
_PAGES_A_PART = 16  # a font's codes suffice for 4,000 characters a page
#: Parts of a character's height below and above its base line, as the font claims them.
_DESCENT = 0.12
#: Text of mode 3, which draws nothing.
_TEXT = "BT 3 Tr /Text %.3f Tf %s ET\n"


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:
    """Write pages with a bookmark each. A JPEG is taken as it is, other scans are saved as one.

    Raises:
        PageError: a scan is gone or cannot be read.
    """
    remaining, names = iter(pages), []
    with TemporaryDirectory() as folder, ExitStack() as opened, pikepdf.new() as pdf:
        while some := list(islice(remaining, _PAGES_A_PART)):
            names += [page.name for page in some]
            part = Path(folder) / f"{len(names)}.pdf"
            _write_part(part, some, style)
            # Their streams stay on disk until all is saved.
            pdf.pages.extend(opened.enter_context(pikepdf.open(part)).pages)
        with pdf.open_outline() as outline:
            outline.root.extend(pikepdf.OutlineItem(name, number) for number, name in enumerate(names))
        _describe(pdf)
        pdf.save(
            cast("BinaryIO", file),
            deterministic_id=True,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
        )


def _describe(pdf: pikepdf.Pdf) -> None:
    pdf.Root.Lang = pikepdf.String("ja")
    pdf.Root.ViewerPreferences = pikepdf.Dictionary(Direction=pikepdf.Name.R2L)
    with pdf.open_metadata(set_pikepdf_as_editor=False) as metadata:
        metadata["xmp:CreatorTool"] = program()
        metadata["pdf:Producer"] = f"pikepdf {pikepdf.__version__}"


def _write_part(path: Path, pages: Sequence[ReadPage], style: Style) -> None:
    """Write some pages, with a font of their own."""
    with pikepdf.new() as pdf:
        font = GlyphlessFont()
        reference = pdf.make_indirect(pikepdf.Dictionary())
        for page in pages:
            _add_page(pdf, page, scan_jpeg(page, style), font, reference)
        font.fill(pdf, reference)
        pdf.save(path)


def _add_page(pdf: pikepdf.Pdf, page: ReadPage, scan: ScanJpeg, font: GlyphlessFont, reference: Any) -> None:
    scale = min(72 / _PIXELS_AN_INCH, _LONGEST_SIDE / max(page.width, page.height))
    width, height = page.width * scale, page.height * scale
    image = pikepdf.Stream(
        pdf,
        scan.data,
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=scan.width,
        Height=scan.height,
        ColorSpace=pikepdf.Name.DeviceGray if scan.is_grey else pikepdf.Name.DeviceRGB,
        BitsPerComponent=8,
        Filter=pikepdf.Name.DCTDecode,
    )
    drawn = f"q {width:.3f} 0 0 {height:.3f} 0 0 cm /Scan Do Q\n"
    text = "".join(_column(column, page.height, scale, font) for column in page.columns)
    resources = pikepdf.Dictionary(
        XObject=pikepdf.Dictionary(Scan=image), Font=pikepdf.Dictionary(Text=reference)
    )
    pdf.pages.append(
        pikepdf.Page(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Page,
                MediaBox=[0, 0, round(width, 3), round(height, 3)],
                Resources=resources,
                Contents=pdf.make_stream((drawn + text).encode()),
            )
        )
    )


def _column(column: Sequence[Character], page_height: int, scale: float, font: GlyphlessFont) -> str:
    """Write a column from top to bottom; where it goes up again, as in a note, it begins anew."""
    turns = [
        place for place, (one, other) in enumerate(pairwise(column), start=1) if other.box.y <= one.box.y
    ]
    return "".join(
        _stretch(column[start:end], page_height, scale, font)
        for start, end in pairwise((0, *turns, len(column)))
    )


def _stretch(column: Sequence[Character], page_height: int, scale: float, font: GlyphlessFont) -> str:
    """Write characters that stand below each other.

    Each reaches to the head of the next, because readers take a gap for a blank.
    """
    around = box_around(column)
    size = max(1, around.width) * scale
    x, y = around.x * scale + _DESCENT * size, (page_height - column[0].box.y) * scale
    heads = [character.box.y for character in column]
    last = column[-1].box
    heads.append(max(last.y + last.height, last.y + 1))
    codes = "".join(
        font.code(character.label, round(1000 * (below - head) * scale / size))
        for character, (head, below) in zip(column, pairwise(heads), strict=True)
    )
    # PDFium, in Chrome, takes strings that begin at one height for one line, from the left: after a blank
    # at the foot of the column, the next one is a new line.
    foot, blank = (page_height - heads[-1]) * scale, font.code(" ", 1)
    # The matrix turns the base line down.
    turned = f"0 -1 1 0 {x:.3f}"
    drawn = f"{turned} {y:.3f} Tm <{codes}> Tj {turned} {foot:.3f} Tm <{blank}> Tj"
    return _TEXT % (size, drawn)


FORMAT = Format(extents=("book", "page"), suffix=".pdf", write=write)
