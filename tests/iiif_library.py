"""A library's IIIF server, small: manifests of version 2 and 3, and images in the size that is asked for."""

from __future__ import annotations

import json
from typing import Any

from PIL import Image

from tests.hostile import encode
from tests.web import Web

VERSION_2, VERSION_3 = 2, 3


def add_manifest(
    web: Web,
    images: list[Image.Image],
    *,
    name: str = "/book/manifest.json",
    version: int = VERSION_3,
    size: str = "max",
    full: tuple[int, int] | None = None,
) -> str:
    """Put a manifest on a server, with images that it gives in one size, and return its URL.

    Args:
        size: as the Image API has it, the only one that is there.
        full: what info.json and canvases claim; None is the size of each image.
    """
    folder = name.rpartition("/")[0]
    canvases = []
    for number, image in enumerate(images, start=1):
        path = f"{folder}/image%2F{number}"
        width, height = full or image.size
        web.files[f"{path}/info.json"] = json.dumps(_info(web.url + path, width, height, version)).encode()
        web.files[f"{path}/full/{size}/0/default.jpg"] = encode(image, "JPEG", quality=95)
        make = _canvas_2 if version == VERSION_2 else _canvas_3
        canvases.append(make(f"{web.url}{folder}", f"{web.url}{path}", number, width, height))
    manifest = _manifest_2 if version == VERSION_2 else _manifest_3
    web.files[name] = json.dumps(manifest(web.url + name, canvases), ensure_ascii=False).encode()
    return web.url + name


def collection(url: str, *named: tuple[str, str]) -> bytes:
    """A collection of version 3 that names things by (type, address)."""
    items = [{"id": address, "type": kind, "label": {"none": ["x"]}} for kind, address in named]
    context = "http://iiif.io/api/presentation/3/context.json"
    return json.dumps({"@context": context, "id": url, "type": "Collection", "items": items}).encode()


def _info(service: str, width: int, height: int, version: int) -> dict[str, Any]:
    context = f"http://iiif.io/api/image/{version}/context.json"
    if version == VERSION_2:
        level = [f"http://iiif.io/api/image/{version}/level2.json"]
        return {"@context": context, "@id": service, "width": width, "height": height, "profile": level}
    known = {"id": service, "type": "ImageService3", "profile": "level2"}
    return {"@context": context, **known, "width": width, "height": height}


def _canvas_2(folder: str, service: str, number: int, width: int, height: int) -> dict[str, Any]:
    canvas = f"{folder}/canvas/{number}"
    resource = {
        "@id": f"{service}/full/full/0/default.jpg",
        "@type": "dctypes:Image",
        "service": {
            "@context": "http://iiif.io/api/image/2/context.json",
            "@id": service,
            "profile": "http://iiif.io/api/image/2/level2.json",
        },
    }
    image = {"@type": "oa:Annotation", "motivation": "sc:painting", "resource": resource, "on": canvas}
    size = {"width": width, "height": height}
    return {"@id": canvas, "@type": "sc:Canvas", "label": f"{number}丁", **size, "images": [image]}


def _canvas_3(folder: str, service: str, number: int, width: int, height: int) -> dict[str, Any]:
    canvas = f"{folder}/canvas/{number}"
    body = {
        "id": f"{service}/full/max/0/default.jpg",
        "type": "Image",
        "service": [{"id": service, "type": "ImageService3", "profile": "level2"}],
    }
    painting = {"type": "Annotation", "motivation": "painting", "body": body, "target": canvas}
    page = {"id": f"{canvas}/page", "type": "AnnotationPage", "items": [painting]}
    label = {"en": [f"leaf {number}"], "ja": [f"{number}丁"]}
    size = {"width": width, "height": height}
    return {"id": canvas, "type": "Canvas", "label": label, **size, "items": [page]}


def _manifest_2(url: str, canvases: list[dict[str, Any]]) -> dict[str, Any]:
    context = "http://iiif.io/api/presentation/2/context.json"
    sequences = [{"@type": "sc:Sequence", "canvases": canvases}]
    return {"@context": context, "@id": url, "@type": "sc:Manifest", "label": "書", "sequences": sequences}


def _manifest_3(url: str, canvases: list[dict[str, Any]]) -> dict[str, Any]:
    context = "http://iiif.io/api/presentation/3/context.json"
    return {"@context": context, "id": url, "type": "Manifest", "label": {"ja": ["書"]}, "items": canvases}
