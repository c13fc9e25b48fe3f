"""This module writes pages for a browser: the scan beside its text, in columns as it stands there.

They need no server, no network and no script; what comes from names and scans is text and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import chain
from typing import IO
from urllib.parse import quote

from fumikura.core.export.columns import xml_text
from fumikura.core.export.formats import Format, Style
from fumikura.core.export.scan_jpegs import jpeg_name, scan_jpeg
from fumikura.core.page import Character
from fumikura.core.read_page import ReadPage, marked_text

#: Of the scans, in pixels: as large as a screen shows them.
_LONG_SIDE = 1600
_HEAD = """<!DOCTYPE html>
<html lang="ja">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #8886 }}
body {{ margin: 0 auto; max-width: 100rem; padding: 1rem;
  font-family: "Yu Mincho", "Noto Serif CJK JP", serif }}
h1, h2 {{ font-weight: normal; overflow-wrap: anywhere }}
h2 {{ font-size: 1rem; margin: 0; padding: .5rem 0 }}
section {{ border-top: 1px solid var(--line); padding-bottom: 2rem }}
section > div {{ display: flex; gap: 2rem; align-items: flex-start; flex-wrap: wrap }}
img {{ width: auto; height: auto; max-width: min(100%, 45rem); max-height: 90vh }}
.text {{ max-width: 100%; max-height: 90vh; overflow: auto; writing-mode: vertical-rl;
  font-size: 1.3rem; line-height: 1.8 }}
.text p {{ margin: 0; white-space: nowrap }}
.unsure {{ text-decoration: underline dotted; text-underline-offset: .2em }}
</style>
</head>
<body>
<h1>{title}</h1>
"""


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:
    """Write pages one below the other. Characters of less confidence than asked for are underlined."""
    remaining = iter(pages)
    first = next(remaining)
    title = {"page": first.name, "book": first.book, "all": "fumikura"}[style.extent]
    file.write(_HEAD.format(title=_text(title)).encode())
    for page in chain([first], remaining):
        file.write(_section(page, style).encode())
    file.write(b"</body>\n</html>\n")


def files(page: ReadPage, name: str, style: Style) -> Iterator[tuple[str, bytes]]:
    """Give the scan of a page."""
    yield f"{name}/images/{jpeg_name(page)}", scan_jpeg(page, style, long_side=_LONG_SIDE).data


def _section(page: ReadPage, style: Style) -> str:
    columns = "\n".join(f"<p>{_column(column, style.unsure_below)}</p>" for column in page.columns)
    label = f" · {_text(page.label)}" if page.label else ""
    scale = min(1.0, _LONG_SIDE / max(page.width, page.height))
    size = f'width="{round(page.width * scale)}" height="{round(page.height * scale)}"'
    return (
        f'<section id="page-{page.page_id}">\n<h2>{_text(page.name)}{label}</h2>\n<div>\n'
        f'<img src="images/{_text(quote(jpeg_name(page)))}" alt="{_text(page.name)}" {size} loading="lazy">\n'
        f'<div class="text">\n{columns}\n</div>\n</div>\n</section>\n'
    )


def _column(column: Sequence[Character], unsure_below: float | None) -> str:
    if unsure_below is None:
        return _text(marked_text(tuple(column)))
    return "".join(
        f'<span class="unsure" title="{character.confidence:.0%}">{_text(character.label)}</span>'
        if character.confidence < unsure_below
        else _text(character.label)
        for character in column
    )


def _text(text: str) -> str:
    return escape(xml_text(text))


FORMAT = Format(extents=("book", "page", "all"), suffix="/index.html", write=write, files=files)
