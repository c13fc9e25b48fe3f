"""This module understands manifests and collections of the IIIF Presentation API, versions 2 and 3.

What they hold is somebody else's: whatever is not as the specification has it counts as missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fumikura.core.archives.linked import LinkedPage
from fumikura.core.archives.urls import Place
from fumikura.core.errors import ArchiveError
from fumikura.core.limits import Limits

#: What stands near the beginning of each, in `@context`.
MARK = b"iiif.io/api/presentation"

_NO_IMAGE = "canvas without an image"


@dataclass(frozen=True, slots=True)
class Named:
    """This is a manifest or a collection that a collection names, by its address as it stands there."""

    address: str
    is_collection: bool


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection names manifests and further collections, in this order."""

    named: tuple[Named, ...]


def parse(data: bytes, place: Place, limits: Limits) -> Collection | tuple[LinkedPage, ...]:
    """Read a collection, or the pages of a manifest in their order.

    Raises:
        ArchiveError: it is neither, or names too many.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{place} is no IIIF manifest, for it is no JSON; correct the address") from error
    kind = _text(document, "type", "@type").removeprefix("sc:") if isinstance(document, dict) else ""
    if kind == "Collection":
        return Collection(tuple(_named(document)))
    if kind != "Manifest":
        raise ArchiveError(
            f"{place} is no IIIF manifest or collection of version 2 or 3; correct the address"
        )
    canvases = list(_canvases(document))
    if len(canvases) > limits.max_members:
        raise ArchiveError(f"{place} {limits.too_many()}")
    return tuple(_page(canvas, number) for number, canvas in enumerate(canvases, start=1))


def _named(collection: dict[str, Any]) -> Iterator[Named]:
    for name in ("items", "members", "collections", "manifests"):
        for item in _list(collection.get(name)):
            if address := _text(item, "id", "@id"):
                kind = _text(item, "type", "@type")
                yield Named(address, "Collection" in kind or (not kind and name == "collections"))


def _canvases(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sequences = _list(manifest.get("sequences"))
    # Of several sequences, the first is the usual order, the others are other ways through the same.
    listed = sequences[0].get("canvases") if sequences else manifest.get("items")
    yield from _list(listed)


def _page(canvas: dict[str, Any], number: int) -> LinkedPage:
    image = next(_images(canvas), None)
    service, is_version_3 = (None, False) if image is None else _service(image)
    return LinkedPage(
        number,
        "" if image is None else _text(image, "id", "@id"),
        service=service,
        is_version_3=is_version_3,
        width=_size(canvas.get("width")),
        height=_size(canvas.get("height")),
        label=_label(canvas.get("label")),
        canvas=_text(canvas, "id", "@id"),
        left_out=_NO_IMAGE if image is None else None,
    )


def _images(canvas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what is painted on a canvas: of a choice of images, the first."""
    for annotation in _list(canvas.get("images")):
        yield from _image(annotation.get("resource"))
    for page in _list(canvas.get("items")):
        for annotation in _list(page.get("items")):
            if annotation.get("motivation") in ("painting", ["painting"]):
                yield from _image(annotation.get("body"))


def _image(body: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Find the image in a body, which may be a choice of several, or a part of one."""
    for one in _list(body):
        kind = _text(one, "type", "@type")
        inner = one.get("default") or one.get("full") or one.get("source") or one.get("items")
        if kind in ("Image", "dctypes:Image", "dcterms:Image") or (not inner and _text(one, "id", "@id")):
            yield one
        elif depth < 3:
            yield from _image(inner, depth + 1)
        return


def _service(image: dict[str, Any]) -> tuple[str | None, bool]:
    """Find the Image API of an image, and tell whether it is of version 3."""
    for service in _list(image.get("service")):
        told = " ".join(_text(service, name) for name in ("type", "@type", "@context", "profile"))
        if "ImageService" in told or "/image" in told or "image-api" in told:
            return _text(service, "id", "@id") or None, "ImageService3" in told or "/image/3/" in told
    return None, False


def _label(value: Any) -> str:
    """Write a label in one line: in Japanese, else in the first language that it has."""
    if isinstance(value, dict) and "@value" not in value:
        value = value.get("ja") or next(iter(value.values()), None)
    elif isinstance(value, dict):
        value = value["@value"]
    if isinstance(value, list):
        value = value[0] if value else None
        return _label(value) if isinstance(value, dict) else _label([] if value is None else str(value))
    return " ".join(str(value or "").split())[:200]


def _list(value: Any) -> list[dict[str, Any]]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, dict)]


def _text(values: dict[str, Any], *names: str) -> str:
    """Give the first of some values that is a text; of a list of texts its first."""
    for name in names:
        value = values.get(name)
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, str) and first:
            return first
    return ""


def _size(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value < 10**9 else 0
