"""This module writes manifests of the IIIF Presentation API 3, with a W3C annotation for each column of text.

A page that came from a library's manifest lies on the library's own canvas, and shows its image; the scans of
others are written beside the manifest, as JPEG.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO, Any
from urllib.parse import quote

from fumikura.core.archives.scans import linked_image
from fumikura.core.export import presentation
from fumikura.core.export.columns import box_around, mean_confidence, program
from fumikura.core.export.file_names import file_name
from fumikura.core.export.formats import Format, Style
from fumikura.core.export.scan_jpegs import jpeg_name, scan_jpeg, thumbnail
from fumikura.core.read_page import ReadPage, marked_text

#: Of what stands in a viewer's list of pages, in pixels.
_THUMBNAIL_SIDE = 200
_CANVAS_AREA = re.compile(r"(?P<id>.+)#xywh=0,0,(?P<width>\d+),(?P<height>\d+)")
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:
    """Write a manifest, canvas after canvas.

    Raises:
        PageError: the manifest from which a page came cannot be read any more.
    """
    remaining = iter(pages)
    first = next(remaining)
    title = {"page": first.name, "book": first.book, "all": "pages that fumikura read"}[style.extent]
    root = f"{(style.base_url or '').rstrip('/')}/{quote(style.name)}"
    summary = {"summary": {"en": [f"Read by {program()}, and looked at by nobody."]}}
    head = presentation.manifest_head(f"{root}/manifest.json", title) | summary
    file.write(_to_json(head).encode("utf-8", "replace").removesuffix(b"}") + b',"items":[')
    for number, page in enumerate(chain([first], remaining)):
        file.write(b",\n" if number else b"\n")
        file.write(_to_json(_canvas(page, root, style)).encode("utf-8", "replace"))
    file.write(b"\n]}\n")


def files(page: ReadPage, name: str, style: Style) -> Iterator[tuple[str, bytes]]:
    """Give the scan of a page, and a small one for the list of pages, where no library shows it."""
    if page.canvas is None:
        scan = scan_jpeg(page, style)
        yield f"{name}/images/{jpeg_name(page)}", scan.data
        yield f"{name}/thumbnails/{jpeg_name(page)}", thumbnail(scan, _thumbnail_size(page))


def _thumbnail_size(page: ReadPage) -> tuple[int, int]:
    scale = min(1.0, _THUMBNAIL_SIDE / max(page.width, page.height))
    return max(1, round(page.width * scale)), max(1, round(page.height * scale))


def _canvas(page: ReadPage, root: str, style: Style) -> dict[str, Any]:
    """Make the canvas of a page, with its image and its text."""
    own = f"{root}/canvas/{quote(file_name(page.name))}-{page.digest[:8]}"
    found = _CANVAS_AREA.fullmatch(page.canvas or "")
    canvas, width, height = own, page.width, page.height
    if found is not None:
        canvas, width, height = found["id"], int(found["width"]), int(found["height"])
    scale = width / page.width, height / page.height
    texts = [
        presentation.annotation(
            f"{canvas}/column/{number}", marked_text(column), canvas, box_around(column), scale=scale
        )
        for number, column in enumerate(page.columns, start=1)
    ]
    metadata = [_told("Recipe", page.recipe_digest), _told("Read", page.finished_at.isoformat())]
    if page.characters:
        metadata.append(_told("Mean confidence", f"{mean_confidence(page.characters):.3f}"))
    return presentation.canvas(
        canvas,
        page.label or page.name,
        _image(page, root, style, width, height),
        presentation.annotation_page(f"{own}/text", texts),
        own=own,
        metadata=metadata,
        thumbnail=_thumbnail(page, root),
    )


def _thumbnail(page: ReadPage, root: str) -> dict[str, Any] | None:
    if page.canvas is not None:
        return None
    return presentation.image(f"{root}/thumbnails/{quote(jpeg_name(page))}", *_thumbnail_size(page))


def _image(page: ReadPage, root: str, style: Style, width: int, height: int) -> dict[str, Any]:
    if page.canvas is None:
        return presentation.image(f"{root}/images/{quote(jpeg_name(page))}", width, height)
    linked = linked_image(page.sources, page.digest, limits=style.limits)
    service = _service(linked.service, is_version_3=linked.is_version_3) if linked.service else None
    return presentation.image(linked.address or linked.service or "", width, height, service)


def _service(address: str, *, is_version_3: bool) -> dict[str, str]:
    """Name an Image API, of whose abilities a viewer learns from its info.json."""
    if is_version_3:
        return {"id": address, "type": "ImageService3", "profile": "level0"}
    return {"@id": address, "@type": "ImageService2", "profile": "http://iiif.io/api/image/2/level0.json"}


def _told(name: str, value: str) -> dict[str, Any]:
    return {"label": {"en": [name]}, "value": {"none": [value]}}


FORMAT = Format(
    extents=("book", "page", "all"),
    suffix="/manifest.json",
    write=write,
    files=files,
    needs_base_url=True,
)
