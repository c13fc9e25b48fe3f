"""This module chooses the first lines of what was read, to be shown at the end of a run."""

from __future__ import annotations

from fumikura.core.read_page import ReadPage, marked_text
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import Selection, fetch_pages, first_keys

#: Pages that are looked at for one with text: covers and blank leaves come first in many books.
_LOOKED_AT = 20


def first_lines(engine: Engine, run_id: int, *, n_lines: int = 4) -> tuple[ReadPage, list[str]] | None:
    """Give the first page of a run that has so many columns, or else the most, and its first ones.

    None if nothing was read on the first pages.
    """
    keys = first_keys(engine, run_id, _LOOKED_AT)
    pages = fetch_pages(engine, keys, Selection(run_id=run_id), alternatives=False, masks=False)
    chosen: ReadPage | None = None
    for page in pages:
        if page.text_columns and (chosen is None or len(page.text_columns) > len(chosen.text_columns)):
            chosen = page
        if chosen is not None and len(chosen.text_columns) >= n_lines:
            break
    if chosen is None:
        return None
    # A lone character is often a page number, or the scale beside an opening.
    long = [column for column in chosen.text_columns if len(column) > 1] or chosen.text_columns
    return chosen, [marked_text(column) for column in long[:n_lines]]
