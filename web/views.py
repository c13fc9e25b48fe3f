"""The views of the reading room, as pages for a browser."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from PIL import Image
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse

from fumikura.core.errors import FumikuraError
from fumikura.core.page import Box, Character
from fumikura.core.store.character_list import list_characters
from fumikura.core.store.failures import failures
from fumikura.core.store.hits import Hit
from fumikura.core.store.lookup import get_page, page_place
from fumikura.core.store.neighbours import neighbours
from fumikura.core.store.page_list import find_pages
from fumikura.core.store.queries import list_runs, run_summary
from fumikura.core.store.search import find_characters
from fumikura.core.store.statistics import book_figures
from fumikura.web.guards import may_edit
from fumikura.web.page_model import page_as_dict
from fumikura.web.rendering import ASSETS, ServerLinks, render
from fumikura.web.room import Room
from fumikura.web.rooms import PageId, the_room
from fumikura.web.words import COOKIE, LANGUAGES, language_of

router = APIRouter(include_in_schema=False)
TheRoom = Annotated[Room, Depends(the_room)]
RunId = Annotated[int, Path(ge=1, lt=2**31)]
PageNumber = Annotated[int, Query(ge=1, le=100_000)]
Text = Annotated[str, Query(max_length=200)]

#: Pages, hits or crops on one page of a view.
PAGES_SHOWN, HITS_SHOWN, CROPS_SHOWN, SUSPICIOUS_SHOWN, FAILURES_SHOWN = 48, 40, 120, 24, 200
_MARGIN = 12


def show(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Fill a template for who asks."""
    room: Room = request.app.state.room
    is_editor = may_edit(room, request)
    proof = room.editing.proof if is_editor and room.editing is not None else ""
    shared = {"path": request.url.path, "query": "", "is_fuzzy": False, "book": None, "proof": proof}
    text = render(template, language=language_of(request), links=ServerLinks(), values={**shared, **values})
    return HTMLResponse(text, status_code=status)


@router.get("/")
def home(request: Request, room: TheRoom) -> Response:
    return show(
        request,
        "home.html",
        runs=list_runs(room.engine, limit=20),
        books=book_figures(room.engine, limit=200),
    )


@router.get("/runs/{run_id}")
def run(request: Request, room: TheRoom, run_id: RunId, p: PageNumber = 1) -> Response:
    summary = run_summary(room.engine, run_id)
    return _wall(request, room, p, title=f"run {run_id}", run=summary, chosen={"run_id": run_id})


@router.get("/books")
def book(request: Request, room: TheRoom, name: Text, p: PageNumber = 1) -> Response:
    return _wall(request, room, p, title=name, run=None, chosen={"book": name})


@router.get("/archives")
def archive(
    request: Request, room: TheRoom, path: Annotated[str, Query(max_length=4000)], p: PageNumber = 1
) -> Response:
    return _wall(request, room, p, title=path, run=None, chosen={"archive": path})


def _wall(
    request: Request, room: Room, number: int, *, title: str, run: Any, chosen: dict[str, Any]
) -> Response:
    suspicious = (
        find_pages(room.engine, is_suspicious=True, order="confidence", limit=SUSPICIOUS_SHOWN, **chosen)
        if number == 1
        else []
    )
    offset = PAGES_SHOWN * (number - 1)
    pages = find_pages(room.engine, limit=PAGES_SHOWN + 1, offset=offset, **chosen)
    more = len(pages) > PAGES_SHOWN
    return show(
        request,
        "wall.html",
        title=title,
        run=run,
        suspicious=suspicious,
        pages=pages[:PAGES_SHOWN],
        number=number,
        more=more,
        book=chosen.get("book"),
        kept={"name": title} if "book" in chosen else {"path": title} if "archive" in chosen else {},
    )


@router.get("/failed")
def failed(
    request: Request, room: TheRoom, run: Annotated[int | None, Query(ge=1, lt=2**31)] = None
) -> Response:
    rows = list(failures(room.engine, run, limit=FAILURES_SHOWN))
    return show(request, "failed.html", rows=rows, run=run)


@router.get("/pages/{page_id}")
def page(
    request: Request, room: TheRoom, page_id: PageId, n: Annotated[int | None, Query(ge=0)] = None
) -> Response:
    details = get_page(room.engine, page_id)
    before, after = neighbours(room.engine, page_id)
    return show(
        request,
        "page.html",
        page=details,
        model=page_as_dict(room.engine, details),
        columns=columns_of(details.characters),
        before=before,
        after=after,
        chosen=n,
        can_edit=may_edit(room, request),
        image=f"/iiif/{page_id}/info.json",
        mask=f"/pages/{page_id}/mask.png",
    )


def columns_of(characters: Sequence[Character]) -> list[list[tuple[int, Character]]]:
    """Part characters in reading order into columns, each with its number on the page."""
    columns: list[list[tuple[int, Character]]] = []
    last = None
    for number, one in enumerate(characters):
        if one.column_number != last:
            columns.append([])
            last = one.column_number
        columns[-1].append((number, one))
    return columns


@router.get("/search")
def search(
    request: Request,
    room: TheRoom,
    q: Text = "",
    fuzzy: bool = False,
    book: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    hits: list[Hit] = []
    problem = None
    if q.strip():
        try:
            hits = _found(room, q, is_fuzzy=fuzzy, book=book or None)
        except FumikuraError as error:
            problem = str(error)
    return show(
        request,
        "search.html",
        query=q,
        is_fuzzy=fuzzy,
        book=book or None,
        hits=[(hit, _around(hit.boxes)) for hit in hits],
        problem=problem,
        is_full=len(hits) == HITS_SHOWN,
    )


def _found(room: Room, text: str, *, is_fuzzy: bool, book: str | None) -> list[Hit]:
    if is_fuzzy:
        from fumikura.core.store.forgiving import find_probable

        return find_probable(room.engine, text, book=book, limit=HITS_SHOWN)
    return find_characters(room.engine, text, book=book, limit=HITS_SHOWN)


def _around(boxes: tuple[Box, ...]) -> str:
    """Write the part of the page around some boxes as an address has it."""
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    right, bottom = max(box.x + box.width for box in boxes), max(box.y + box.height for box in boxes)
    more = max(_MARGIN, (bottom - top) // (2 * len(boxes)))
    return f"{max(0, left - more)},{max(0, top - more)},{right - left + 2 * more},{bottom - top + 2 * more}"


@router.get("/characters")
def characters(
    request: Request,
    room: TheRoom,
    label: Annotated[str, Query(max_length=16)] = "",
    book: Annotated[str | None, Query(max_length=200)] = None,
    p: PageNumber = 1,
) -> Response:
    found, problem = [], None
    if label.strip():
        try:
            found = list_characters(
                room.engine,
                labels=label,
                as_written=True,
                book=book or None,
                order="confidence",  # the odd ones first
                limit=CROPS_SHOWN + 1,
                offset=CROPS_SHOWN * (p - 1),
            )
        except FumikuraError as error:
            problem = str(error)
    return show(
        request,
        "characters.html",
        label=label,
        book=book or None,
        crops=[(one, _around((one.box,))) for one in found[:CROPS_SHOWN]],
        more=len(found) > CROPS_SHOWN,
        number=p,
        problem=problem,
    )


@router.get("/language/{language}")
def choose_language(language: str, request: Request) -> Response:
    back = request.headers.get("referer", "")
    path = back.split("://", 1)[-1].partition("/")[2] if request.url.netloc in back else ""
    response = RedirectResponse(f"/{path.lstrip('/')}", status_code=303)
    if language in LANGUAGES:
        response.set_cookie(COOKIE, language, samesite="lax", max_age=365 * 86400)
    return response


@router.get("/pages/{page_id}/thumbnail.jpg")
def thumbnail(room: TheRoom, page_id: PageId) -> Response:
    return _picture(room.pictures.thumbnail(page_place(room.engine, page_id), 320))


@router.get("/pages/{page_id}/part/{region}.jpg")
def part(
    room: TheRoom,
    page_id: PageId,
    region: Annotated[str, Path(pattern=r"^\d{1,6},\d{1,6},\d{1,5},\d{1,5}$")],
    height: Annotated[int, Query(ge=16, le=1200)] = 200,
) -> Response:
    x, y, w, h = (int(number) for number in region.split(","))
    return _picture(
        room.pictures.part(page_place(room.engine, page_id), Box(x, y, max(1, w), max(1, h)), height)
    )


@router.get("/pages/{page_id}/mask.png")
def mask(room: TheRoom, page_id: PageId) -> Response:
    """Give the mask as a picture that is clear where no character stands."""
    png = get_page(room.engine, page_id).mask_png
    if png is None:
        raise FumikuraError(f"page {page_id} has no mask; it was not read yet")
    with Image.open(io.BytesIO(png)) as image:
        ink = image.convert("L").point(lambda level: 96 * (level > 0))
    coloured = Image.new("RGBA", ink.size, (214, 64, 20, 0))
    coloured.putalpha(ink)
    out = io.BytesIO()
    coloured.save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png")


def _picture(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=86400"})


@router.get("/assets/{name}")
def asset(name: Annotated[str, Path(pattern=r"^[a-z_]{1,40}(\.min)?\.(css|js|svg|txt)$")]) -> Response:
    file = ASSETS / name
    if not file.is_file():
        raise FumikuraError(f"there is no {name}")
    return FileResponse(file, headers={"cache-control": "no-cache"})
