"""This module makes the parts of IIIF manifests that exports and the reading room share.

After https://iiif.io/api/presentation/3.0/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fumikura.core.page import Box

CONTEXT = "http://iiif.io/api/presentation/3/context.json"


def manifest_head(address: str, label: str) -> dict[str, Any]:
    """Begin a manifest; its `items` are missing."""
    return {
        "@context": CONTEXT,
        "id": address,
        "type": "Manifest",
        "label": {"none": [label]},
        "viewingDirection": "right-to-left",
    }


def canvas(
    address: str,
    label: str,
    image: Mapping[str, Any],
    annotations: Mapping[str, Any],
    *,
    own: str,
    metadata: Sequence[Mapping[str, Any]] = (),
    thumbnail: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the canvas of a page, on which its image lies.

    Args:
        address: its URI, which may be a library's.
        image: as `image` makes it; the canvas has its size.
        annotations: a page of annotations, whole or by its id.
        own: what URIs of our own begin with.
        thumbnail: a small image of it, where no Image API gives one.
    """
    painting = {
        "id": f"{own}/scan",
        "type": "Annotation",
        "motivation": "painting",
        "body": image,
        "target": address,
    }
    return {
        "id": address,
        "type": "Canvas",
        "label": {"none": [label]},
        "width": image["width"],
        "height": image["height"],
        **({"metadata": list(metadata)} if metadata else {}),
        **({"thumbnail": [thumbnail]} if thumbnail else {}),
        "items": [{"id": f"{own}/scans", "type": "AnnotationPage", "items": [painting]}],
        "annotations": [annotations],
    }


def image(address: str, width: int, height: int, service: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Make what is painted on a canvas: a JPEG, and the Image API that gives it in other sizes."""
    size = {"format": "image/jpeg", "width": width, "height": height}
    return {"id": address, "type": "Image", **size, **({"service": [service]} if service else {})}


def annotation_page(address: str, annotations: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Put annotations together."""
    return {"id": address, "type": "AnnotationPage", "items": list(annotations)}


def annotation(
    address: str,
    text: str,
    canvas: str,
    box: Box,
    *,
    motivation: str = "supplementing",
    scale: tuple[float, float] = (1.0, 1.0),
) -> dict[str, Any]:
    """Make a W3C annotation: what stands somewhere on a canvas.

    Args:
        box: in pixels of the page.
        scale: of the canvas, across and down: its pixels for one of the page.
    """
    across, down = scale
    sides = (box.x * across, box.y * down, box.width * across, box.height * down)
    area = ",".join(str(max(0, round(side))) for side in sides)
    return {
        "id": address,
        "type": "Annotation",
        "motivation": motivation,
        "body": {"type": "TextualBody", "value": text, "language": "ja", "format": "text/plain"},
        "target": f"{canvas}#xywh={area}",
    }
