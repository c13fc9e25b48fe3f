"""This module draws pages with what was read and what should have been, and an HTML page that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from fumikura.core.errors import UsageError
from fumikura.core.folding import fold
from fumikura.core.limits import DEFAULT_LIMITS, Limits
from fumikura.core.marked_pictures import is_our_picture, save_picture
from fumikura.core.overlay import TRUTH, Colour, Mark, draw_marks
from fumikura.core.own_files import check_place, replacing
from fumikura.core.page import Character, Truth
from fumikura.core.scoring.comparison import ComparedPage, load_page
from fumikura.core.scoring.evaluation import page_figures
from fumikura.core.scoring.metrics import match

_RIGHT: Colour = (0, 92, 175)
_WRONG: Colour = (214, 64, 20)
_SPURIOUS: Colour = (170, 40, 150)
_UNKNOWN: Colour = (110, 110, 110)

_LEGEND = (
    (_RIGHT, "right"),
    (_WRONG, "wrong label: what was read, and below it what the truth says"),
    (TRUTH, "missed: what the truth says"),
    (_SPURIOUS, "no character: in no box of the truth"),
    (_UNKNOWN, "read where the truth does not tell"),
)

_FIGURES = {
    "character_f1": "character F1",
    "detection_f1": "detection F1",
    "character_accuracy": "label accuracy",
    "reading_order_accuracy": "reading order",
    "text_f1": "text F1",
    "text_error_rate": "text error rate",
}

#: Pixels of a drawn page's long side.
_LONG_SIDE = 1800

_TITLE = '<meta name="generator" content="fumikura"><title>The worst pages</title>'
_STYLE = """body { font-family: sans-serif; margin: 2em auto; max-width: 1400px; padding: 0 1em }
img { width: 100%; border: 1px solid #ccc }
li { list-style: none }
li b { display: inline-block; width: 1em; height: .7em; margin-right: .5em; border: 3px solid }"""


def marks(characters: Sequence[Character], truth: Truth | None) -> list[Mark]:
    """Mark every found box, and every missed one, in the colour of what it is."""
    boxes = truth.boxes or () if truth is not None else ()
    is_complete = truth is not None and truth.boxes is not None and not truth.is_partial
    partner = dict(match([one.box for one in characters], [one.box for one in boxes]))
    missed = [one for number, one in enumerate(boxes) if number not in set(partner.values())]
    drawn = [Mark(one.box, one.label, TRUTH) for one in missed]
    for number, one in enumerate(characters):
        if number not in partner:
            drawn.append(Mark(one.box, one.label, _SPURIOUS if is_complete else _UNKNOWN))
        elif fold(one.label) == fold(true := boxes[partner[number]].label):
            drawn.append(Mark(one.box, one.label, _RIGHT))
        else:
            drawn.append(Mark(one.box, one.label, _WRONG, truth=true))
    return drawn


def check_gallery(folder: Path) -> None:
    """Make the folder, unless it is there already, empty or with an older gallery.

    Raises:
        UsageError: it holds something else, which pictures of a gallery might be written over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / "index.html"
    if any(folder.iterdir()) and not (index.is_file() and _is_gallery(index)):
        raise UsageError(f"{folder} holds files that are no gallery; name an empty or a new folder")
    for picture in folder.glob("[0-9][0-9][0-9].jpg"):
        check_place(picture, is_our_picture)


def write_gallery(
    folder: Path, pages: Sequence[ComparedPage], *, max_pixels: int, limits: Limits = DEFAULT_LIMITS
) -> Path:
    """Draw the pages into a folder, in the place of an older gallery, with an index.html that shows them.

    Returns:
        The path of that.

    Raises:
        UsageError: the folder holds something else.
    """
    check_gallery(folder)
    for old in filter(is_our_picture, folder.glob("[0-9][0-9][0-9].jpg")):
        old.unlink()
    sections = []
    for number, page in enumerate(pages, start=1):
        image = load_page(page.known, long_side=_LONG_SIDE, max_pixels=max_pixels, limits=limits)
        file = f"{number:03}.jpg"
        drawing = draw_marks(image, marks(page.characters, page.known.truth))
        save_picture(drawing, folder / file, quality=85)
        sections.append(_section(page, file))
    path = folder / "index.html"
    with replacing(path, _is_gallery) as unfinished:
        unfinished.write_text(_page(sections), encoding="utf-8")
    return path


def _is_gallery(index: Path) -> bool:
    return _TITLE in index.read_text(encoding="utf-8", errors="replace")


def _page(sections: Sequence[str]) -> str:
    legend = "".join(
        f'<li><b style="color: rgb{colour}"></b>{escape(meaning)}</li>' for colour, meaning in _LEGEND
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"{_TITLE}<style>{_STYLE}</style></head>\n<body><h1>The worst pages</h1><ul>{legend}</ul>\n"
        f"{''.join(sections)}</body></html>\n"
    )


def _section(page: ComparedPage, file: str) -> str:
    name = escape(page.known.reference.name)
    read = escape("".join(character.label for character in page.characters))
    text = "" if page.known.text is None else f"<p>text: <span lang=ja>{escape(page.known.text)}</span></p>"
    return (
        f"<h2>{name}</h2><p>{escape(_figures(page))}</p><p>read: <span lang=ja>{read}</span></p>{text}"
        f'<a href="{file}"><img src="{file}" loading="lazy" alt="{name}"></a>\n'
    )


def _figures(page: ComparedPage) -> str:
    found = page_figures(page.measures) if page.measures is not None else {}
    known = [(title, found.get(name)) for name, title in _FIGURES.items()]
    return ", ".join(f"{title} {value:.3f}" for title, value in known if value is not None)
