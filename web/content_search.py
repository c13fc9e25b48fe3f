"""Search what was read from within a viewer: the Content Search API 2.0 and 1.0 (iiif.io/api/search)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from fumikura.core.export import presentation
from fumikura.core.page import Box
from fumikura.core.store.hits import Hit
from fumikura.core.store.search import find_characters
from fumikura.web.iiif import LdJson, address_of
from fumikura.web.room import Room
from fumikura.web.rooms import PageId, the_room

router = APIRouter(prefix="/iiif", tags=["IIIF"])
TheRoom = Annotated[Room, Depends(the_room)]
RunId = Annotated[int, Path(ge=1, lt=2**31)]
Phrase = Annotated[str, Query(max_length=200)]

_CONTEXT = "http://iiif.io/api/search/2/context.json"
_OLDER_CONTEXT = "http://iiif.io/api/search/1/context.json"
#: The first ones, in the order of the pages.
_HITS_SHOWN = 500


@router.get("/{page_id}/search")
@router.get("/{page_id}/search/1")
def search_page(page_id: PageId, request: Request, room: TheRoom, q: Phrase = "") -> Response:
    """Find a phrase on a page, as `query text` does."""
    return _answer(request, _found(request, room, q, page_id=page_id))


@router.get("/runs/{run_id}/search")
@router.get("/runs/{run_id}/search/1")
def search_run(run_id: RunId, request: Request, room: TheRoom, q: Phrase = "") -> Response:
    """Find a phrase on the pages of a run."""
    return _answer(request, _found(request, room, q, run_id=run_id))


def _found(
    request: Request, room: Room, phrase: str, *, page_id: int | None = None, run_id: int | None = None
) -> list[dict[str, Any]]:
    """Give an annotation for each column in which the phrase was read."""
    hits: Sequence[Hit] = ()
    if phrase.strip():
        hits = find_characters(room.engine, phrase, page_id=page_id, run_id=run_id, limit=_HITS_SHOWN)
    return [one for hit in hits for one in _annotations(hit, address_of(request, hit.page_id))]


def _answer(request: Request, found: Sequence[dict[str, Any]]) -> Response:
    """Answer in the version of the API that the address names: 1 where it ends in it, else 2."""
    if request.url.path.endswith("/1"):
        return _older_answer(request, found)
    return LdJson({"@context": _CONTEXT, **presentation.annotation_page(str(request.url), found)})


def _older_answer(request: Request, found: Sequence[dict[str, Any]]) -> Response:
    resources = [
        {
            "@id": one["id"],
            "@type": "oa:Annotation",
            "motivation": "sc:painting",
            "resource": {"@type": "cnt:ContentAsText", "chars": one["body"]["value"]},
            "on": one["target"],
        }
        for one in found
    ]
    known = {"@id": str(request.url), "@type": "sc:AnnotationList"}
    return LdJson({"@context": _OLDER_CONTEXT, **known, "resources": resources})


def _annotations(hit: Hit, address: str) -> Iterator[dict[str, Any]]:
    for number, box in enumerate(_parts(hit.boxes)):
        name = f"{address}/found/{hit.position}-{number}"
        yield presentation.annotation(name, hit.label, f"{address}/canvas", box, motivation="highlighting")


def _parts(boxes: Sequence[Box]) -> Iterator[Box]:
    """Unite boxes that stand below each other; where a phrase goes up again, the next column begins."""
    turns = [place for place, (one, other) in enumerate(pairwise(boxes), start=1) if other.y <= one.y]
    for start, end in pairwise((0, *turns, len(boxes))):
        some = boxes[start:end]
        left, top = min(box.x for box in some), min(box.y for box in some)
        right = max(box.x + box.width for box in some)
        yield Box(left, top, right - left, max(box.y + box.height for box in some) - top)
