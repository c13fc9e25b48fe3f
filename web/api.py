"""The same as JSON, for programs; /api/openapi.json describes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from fumikura.core.store.character_list import CharacterOrder, ListedCharacter, list_characters
from fumikura.core.store.failures import failures
from fumikura.core.store.hits import Hit
from fumikura.core.store.lookup import get_page
from fumikura.core.store.page_list import Order, PageSummary, find_pages
from fumikura.core.store.queries import RunSummary, list_runs, run_summary
from fumikura.core.store.search import find_characters
from fumikura.core.store.statistics import BookFigures, book_figures
from fumikura.web.page_model import page_as_dict
from fumikura.web.room import Room
from fumikura.web.rooms import PageId, the_room

router = APIRouter(prefix="/api", tags=["what was read"])
TheRoom = Annotated[Room, Depends(the_room)]
RunId = Annotated[int, Path(ge=1, lt=2**31)]
Name = Annotated[str | None, Query(max_length=200)]
Run = Annotated[int | None, Query(ge=1, lt=2**31)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Share = Annotated[float | None, Query(ge=0, le=1)]


@router.get("/runs")
def runs(room: TheRoom, limit: Limit = 50) -> list[RunSummary]:
    """List the runs, the newest first."""
    return list_runs(room.engine, limit=limit)


@router.get("/runs/{run_id}")
def run(run_id: RunId, room: TheRoom) -> dict[str, Any]:
    """Tell where a run stands."""
    summary = run_summary(room.engine, run_id)
    return {**asdict(summary), "is_over": summary.is_over}


@router.get("/books")
def books(room: TheRoom, limit: Limit = 200) -> list[BookFigures]:
    """List the books, the least sure first."""
    return book_figures(room.engine, limit=limit)


@router.get("/pages")
def pages(
    room: TheRoom,
    book: Name = None,
    run: Run = None,
    suspicious: bool = False,
    order: Order = "added",
    limit: Limit = 100,
    offset: Offset = 0,
) -> list[PageSummary]:
    """List pages, each with its reading in figures."""
    return find_pages(
        room.engine, book=book, run_id=run, is_suspicious=suspicious, order=order, limit=limit, offset=offset
    )


@router.get("/pages/{page_id}")
def page(page_id: PageId, room: TheRoom) -> dict[str, Any]:
    """Give a page with its characters, each with its box and the best labels."""
    return page_as_dict(room.engine, get_page(room.engine, page_id))


@router.get("/search")
def search(
    room: TheRoom,
    q: Annotated[str, Query(min_length=1, max_length=200)],
    fuzzy: bool = False,
    book: Name = None,
    run: Run = None,
    limit: Limit = 50,
) -> list[Hit]:
    """Find a phrase, with ? and *; forgivingly along the next-best labels too."""
    if fuzzy:
        from fumikura.core.store.forgiving import find_probable

        return find_probable(room.engine, q, book=book, run_id=run, limit=limit)
    return find_characters(room.engine, q, book=book, run_id=run, limit=limit)


@router.get("/characters")
def characters(
    room: TheRoom,
    labels: Annotated[str | None, Query(min_length=1, max_length=50)] = None,
    min_confidence: Share = None,
    max_confidence: Share = None,
    book: Name = None,
    run: Run = None,
    order: CharacterOrder = "place",
    limit: Limit = 100,
    offset: Offset = 0,
) -> list[ListedCharacter]:
    """List characters with their boxes and what else they may be."""
    return list_characters(
        room.engine,
        labels=labels,
        min_confidence=min_confidence,
        max_confidence=max_confidence,
        book=book,
        run_id=run,
        order=order,
        limit=limit,
        offset=offset,
    )


@router.get("/failed")
def failed(room: TheRoom, run: Run = None, limit: Limit = 200) -> list[dict[str, Any]]:
    """List the pages that could not be read, each with the reason."""
    return [asdict(one) for one in failures(room.engine, run, limit=limit)]
