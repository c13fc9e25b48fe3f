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
from fumikura.core.export.columns import box_around, mean_confidence, program
from fumikura.core.export.file_names import file_name
from fumikura.core.export.formats import Format, Style
from fumikura.core.export.scan_jpegs import jpeg_name, scan_jpeg
from fumikura.core.page import Box
from fumikura.core.read_page import ReadPage, marked_text

_CONTEXT = "http://iiif.io/api/presentation/3/context.json"
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
    head = {
        "@context": _CONTEXT,
        "id": f"{root}/manifest.json",
        "type": "Manifest",
        "label": {"none": [title]},
        "summary": {"en": [f"Read by {program()}, and looked at by nobody."]},
        "viewingDirection": "right-to-left",
    }
    file.write(_to_json(head).encode("utf-8", "replace").removesuffix(b"}") + b',"items":[')
    for number, page in enumerate(chain([first], remaining)):
        file.write(b",\n" if number else b"\n")
        file.write(_to_json(_canvas(page, root, style)).encode("utf-8", "replace"))
    file.write(b"\n]}\n")


def files(page: ReadPage, name: str, style: Style) -> Iterator[tuple[str, bytes]]:
    """Give the scan of a page, where no library shows it."""
    if page.canvas is None:
        yield f"{name}/images/{jpeg_name(page)}", scan_jpeg(page, style).data


def page_annotations(
    page: ReadPage, canvas: str, *, scale: tuple[float, float] = (1.0, 1.0)
) -> dict[str, Any]:
    """Make the annotation page of a page: what stands in each column, and where on the canvas.

    Args:
        canvas: its URI.
        scale: of the canvas, across and down: its pixels for one of the page.
    """
    annotations = [
        {
            "id": f"{canvas}/column/{number}",
            "type": "Annotation",
            "motivation": "supplementing",
            "body": {
                "type": "TextualBody",
                "value": marked_text(column),
                "language": "ja",
                "format": "text/plain",
            },
            "target": f"{canvas}#xywh={_area(box_around(column), scale)}",
        }
        for number, column in enumerate(page.columns, start=1)
    ]
    return {"id": f"{canvas}/text", "type": "AnnotationPage", "items": annotations}


def _canvas(page: ReadPage, root: str, style: Style) -> dict[str, Any]:
    """Make the canvas of a page, with its image and its text."""
    own = f"{root}/canvas/{quote(file_name(page.name))}-{page.digest[:8]}"
    found = _CANVAS_AREA.fullmatch(page.canvas or "")
    canvas, width, height = own, page.width, page.height
    if found is not None:
        canvas, width, height = found["id"], int(found["width"]), int(found["height"])
    painting = {
        "id": f"{own}/scan",
        "type": "Annotation",
        "motivation": "painting",
        "body": _image(page, root, style, width, height),
        "target": canvas,
    }
    scale = width / page.width, height / page.height
    metadata = [_told("Recipe", page.recipe_digest), _told("Read", page.finished_at.isoformat())]
    if page.characters:
        metadata.append(_told("Mean confidence", f"{mean_confidence(page.characters):.3f}"))
    return {
        "id": canvas,
        "type": "Canvas",
        "label": {"none": [page.label or page.name]},
        "width": width,
        "height": height,
        "metadata": metadata,
        "items": [{"id": f"{own}/scans", "type": "AnnotationPage", "items": [painting]}],
        "annotations": [page_annotations(page, canvas, scale=scale) | {"id": f"{own}/text"}],
    }


def _image(page: ReadPage, root: str, style: Style, width: int, height: int) -> dict[str, Any]:
    size = {"format": "image/jpeg", "width": width, "height": height}
    if page.canvas is None:
        return {"id": f"{root}/images/{quote(jpeg_name(page))}", "type": "Image", **size}
    linked = linked_image(page.sources, page.digest, limits=style.limits)
    image: dict[str, Any] = {"id": linked.address or linked.service, "type": "Image", **size}
    if linked.service:
        image["service"] = [_service(linked.service, is_version_3=linked.is_version_3)]
    return image


def _service(address: str, *, is_version_3: bool) -> dict[str, str]:
    """Name an Image API, of whose abilities a viewer learns from its info.json."""
    if is_version_3:
        return {"id": address, "type": "ImageService3", "profile": "level0"}
    return {"@id": address, "@type": "ImageService2", "profile": "http://iiif.io/api/image/2/level0.json"}


def _told(name: str, value: str) -> dict[str, Any]:
    return {"label": {"en": [name]}, "value": {"none": [value]}}


def _area(box: Box, scale: tuple[float, float]) -> str:
    across, down = scale
    sides = (box.x * across, box.y * down, box.width * across, box.height * down)
    return ",".join(str(max(0, round(side))) for side in sides)


FORMAT = Format(
    extents=("book", "page", "all"),
    suffix="/manifest.json",
    write=write,
    files=files,
    needs_base_url=True,
)
