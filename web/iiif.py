"""Images and annotations as IIIF has them: Image API 3.0, level 2, Presentation API 3.0 and W3C annotations.

After https://iiif.io/api/image/3.0/ and https://iiif.io/api/presentation/3.0/; Mirador opens what it finds.
"""

from __future__ import annotations

import io
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from PIL import Image
from starlette.responses import JSONResponse, RedirectResponse

from fumikura.core.export import presentation
from fumikura.core.store.lookup import PagePlace, get_page, page_place
from fumikura.core.store.page_list import find_pages
from fumikura.web.pictures import jpeg
from fumikura.web.room import Room
from fumikura.web.rooms import PageId, the_room

router = APIRouter(prefix="/iiif", tags=["IIIF"])
TheRoom = Annotated[Room, Depends(the_room)]

_LD_JSON = "application/ld+json"
_IMAGE_CONTEXT = "http://iiif.io/api/image/3/context.json"
#: Pixels of a side that are sent at most; nothing is enlarged.
MAX_SIDE = 8192
_PIXELS = re.compile(r"(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})")
_PERCENT = re.compile(r"pct:([\d.]{1,12}),([\d.]{1,12}),([\d.]{1,12}),([\d.]{1,12})")
_SIZE = re.compile(r"(!?)(\d{0,6}),(\d{0,6})")
_FORMATS = {"jpg": "image/jpeg", "png": "image/png"}


class LdJson(JSONResponse):
    """This answer is linked data."""

    media_type = _LD_JSON


@router.get("/{page_id}", include_in_schema=False)
def base(page_id: PageId, request: Request) -> Response:
    """Lead from an image's address to what is known of it."""
    return RedirectResponse(f"{address_of(request, page_id)}/info.json", status_code=303)


@router.get("/{page_id}/info.json")
def info(page_id: PageId, request: Request, room: TheRoom) -> Response:
    """Tell what parts and sizes of a page's image can be had."""
    width, height = _size(room, page_place(room.engine, page_id))
    factors = [2**power for power in range(8) if max(width, height) / 2**power > 128] or [1]
    return LdJson(
        {
            "@context": _IMAGE_CONTEXT,
            "id": address_of(request, page_id),
            "type": "ImageService3",
            "protocol": "http://iiif.io/api/image",
            "profile": "level2",
            "width": width,
            "height": height,
            "maxWidth": MAX_SIDE,
            "maxHeight": MAX_SIDE,
            "tiles": [{"width": 512, "height": 512, "scaleFactors": factors}],
            "extraQualities": ["color", "gray", "bitonal"],
            "extraFeatures": ["mirroring"],
        }
    )


@router.get("/{page_id}/{region}/{size}/{rotation}/{quality}.{form}", response_class=Response)
def image(
    page_id: PageId,
    region: Annotated[str, Path(max_length=80)],
    size: Annotated[str, Path(max_length=40)],
    rotation: Annotated[str, Path(max_length=10)],
    quality: Annotated[str, Path(max_length=10)],
    form: Annotated[str, Path(max_length=5)],
    room: TheRoom,
) -> Response:
    """Give a part of a page's image, in a size, turned, and in colours as asked for."""
    if form not in _FORMATS or quality not in ("default", "color", "gray", "bitonal"):
        raise HTTPException(400, "the image is to be had as default, color, gray or bitonal, .jpg or .png")
    scan = room.pictures.scan(page_place(room.engine, page_id))
    box = _region(region, scan.width, scan.height)
    wanted = _wanted(size, box[2] - box[0], box[3] - box[1])
    mirrored, degrees = rotation.startswith("!"), rotation.removeprefix("!")
    if degrees not in ("0", "90", "180", "270"):
        raise HTTPException(400, f"rotation {rotation!r} is none of 0, 90, 180, 270, with or without !")
    part = scan.resize(wanted, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    if mirrored:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    part = part.rotate(-int(degrees), expand=True)
    if quality in ("gray", "bitonal"):
        part = part.convert("L")
    if quality == "bitonal":
        part = part.point(lambda level: 255 * (level > 127))
    headers = {
        "cache-control": "private, max-age=86400",
        "link": '<http://iiif.io/api/image/3/level2.json>;rel="profile"',
    }
    return Response(_encoded(part, form), media_type=_FORMATS[form], headers=headers)


@router.get("/{page_id}/manifest.json")
def page_manifest(page_id: PageId, request: Request, room: TheRoom) -> Response:
    """Give a manifest of one page."""
    page = page_place(room.engine, page_id)
    return LdJson(
        _manifest(request, room, f"{address_of(request, page_id)}/manifest.json", page.name, [page])
    )


@router.get("/runs/{run_id}/manifest.json")
def run_manifest(run_id: Annotated[int, Path(ge=1, lt=2**31)], request: Request, room: TheRoom) -> Response:
    """Give a manifest of a run's pages that were read, 1,000 at most."""
    found = find_pages(room.engine, run_id=run_id, limit=1000)
    pages = [page_place(room.engine, one.page_id) for one in found if one.width]
    address = str(request.url.replace(query=""))
    return LdJson(_manifest(request, room, address, f"run {run_id}", pages))


@router.get("/{page_id}/annotations.json")
def page_annotations(page_id: PageId, request: Request, room: TheRoom) -> Response:
    """Give what was read on a page as annotations, one a character."""
    page = get_page(room.engine, page_id)
    base = address_of(request, page_id)
    notes = [
        presentation.annotation(f"{base}/annotations/{number}", one.label, f"{base}/canvas", one.box)
        for number, one in enumerate(page.characters)
    ]
    return LdJson(_whole(presentation.annotation_page(f"{base}/annotations.json", notes)))


def _manifest(
    request: Request, room: Room, address: str, label: str, pages: list[PagePlace]
) -> dict[str, Any]:
    return {
        **presentation.manifest_head(address, label),
        "service": _searches(address.removesuffix("/manifest.json")),
        "items": [_canvas(request, room, page) for page in pages],
    }


def _searches(address: str) -> list[dict[str, str]]:
    """Name the content search, for viewers of version 2, and for those of 1, such as Mirador 4."""
    older = {
        "@context": "http://iiif.io/api/search/1/context.json",
        "@id": f"{address}/search/1",
        "@type": "SearchService1",
        "profile": "http://iiif.io/api/search/1/search",
    }
    return [{"id": f"{address}/search", "type": "SearchService2"}, older]


def _canvas(request: Request, room: Room, page: PagePlace) -> dict[str, Any]:
    base = address_of(request, page.page_id)
    width, height = _size(room, page)
    service = {"id": base, "type": "ImageService3", "profile": "level2"}
    return presentation.canvas(
        f"{base}/canvas",
        page.name,
        presentation.image(f"{base}/full/max/0/default.jpg", width, height, service),
        {"id": f"{base}/annotations.json", "type": "AnnotationPage"},
        own=f"{base}/canvas",
    )


def _whole(part: dict[str, Any]) -> dict[str, Any]:
    """Make a document of its own of a part."""
    return {"@context": presentation.CONTEXT, **part}


def address_of(request: Request, page_id: int) -> str:
    """Give what all addresses of a page begin with."""
    return f"{request.url.scheme}://{request.url.netloc}/iiif/{page_id}"


def _size(room: Room, page: PagePlace) -> tuple[int, int]:
    if page.width and page.height:
        return page.width, page.height
    scan = room.pictures.scan(page)
    return scan.width, scan.height


def _region(text: str, width: int, height: int) -> tuple[int, int, int, int]:
    """Give left, top, right and bottom of a region, in pixels of the page."""
    if text == "full":
        return 0, 0, width, height
    if text == "square":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side
    try:
        if (pixels := _PIXELS.fullmatch(text)) is not None:
            x, y, w, h = (int(part) for part in pixels.groups())
        elif (percent := _PERCENT.fullmatch(text)) is not None:
            shares = [float(part) / 100 for part in percent.groups()]
            x, y, w, h = (
                round(share * side) for share, side in zip(shares, (width, height) * 2, strict=True)
            )
        else:
            raise ValueError
    except ValueError:
        raise HTTPException(
            400, f"region {text!r} is none of full, square, x,y,w,h and pct:x,y,w,h"
        ) from None
    if w == 0 or h == 0 or x >= width or y >= height:
        raise HTTPException(400, f"region {text!r} is empty, or lies outside of the page")
    return x, y, min(width, x + w), min(height, y + h)


def _wanted(text: str, width: int, height: int) -> tuple[int, int]:
    """Give width and height of the picture that is sent for a region of this size."""
    if text == "max":
        return _fitted(width, height, min(MAX_SIDE, width), min(MAX_SIDE, height))
    try:
        if text.startswith("pct:"):
            share = float(text[4:13]) / 100
            w, h = max(1, round(share * width)), max(1, round(share * height))
        elif (size := _SIZE.fullmatch(text)) is not None and (size[2] or size[3]):
            w, h = int(size[2] or 0), int(size[3] or 0)
            if size[1]:
                w, h = _fitted(width, height, w, h)
            w, h = w or max(1, round(h * width / height)), h or max(1, round(w * height / width))
        else:
            raise ValueError
    except (ValueError, OverflowError):
        raise HTTPException(400, f"size {text!r} is none of max, w,  ,h  w,h  !w,h  and pct:n") from None
    if not (0 < w <= width and 0 < h <= height and max(w, h) <= MAX_SIDE):
        raise HTTPException(400, f"size {text!r} is larger than the region, or nothing")
    return w, h


def _fitted(width: int, height: int, most_wide: int, most_high: int) -> tuple[int, int]:
    if not (most_wide and most_high):
        raise ValueError
    scale = min(most_wide / width, most_high / height, 1)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _encoded(part: Image.Image, form: str) -> bytes:
    if form == "jpg":
        return jpeg(part)
    out = io.BytesIO()
    part.save(out, "PNG")
    return out.getvalue()
