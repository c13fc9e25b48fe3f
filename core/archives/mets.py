"""This module understands METS files (loc.gov/standards/mets): a library's list of the files of one work.

A file group holds all pages in one form, such as masters or thumbnails; one group is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fumikura.core.archives.kinds import is_page_name
from fumikura.core.archives.urls import Place
from fumikura.core.errors import ArchiveError
from fumikura.core.limits import Limits

#: What stands near the beginning of each.
MARK = b"http://www.loc.gov/METS/"

_LINK = "{http://www.w3.org/1999/xlink}href"
#: Uses of file groups, the best to read first; of others the first in the file.
_BEST_FIRST = ("OCR-D-IMG", "MASTER", "ORIGINAL", "PRESERVATION", "MAX", "DEFAULT", "IMAGE", "REFERENCE")


@dataclass(frozen=True, slots=True)
class MetsFile:
    """This is an image that a METS file names.

    Attributes:
        href: address, or path from the folder of the METS file.
        label: what people call the page; empty if nobody says.
    """

    href: str
    label: str = ""


def files_of(data: bytes, place: Place, group: str | None, limits: Limits) -> tuple[MetsFile, ...]:
    """Give the images of a file group in the order of the pages.

    Args:
        group: its USE or ID; None chooses the best one that holds images.

    Raises:
        ArchiveError: it is no METS file, or names no images.
    """
    root = _root(data, place)
    groups = {name: files for name, files in _groups(root) if files}
    if not groups:
        raise ArchiveError(f"{place} is a METS file that names no images; ask its library for one that does")
    if group is not None and group not in groups:
        raise ArchiveError(f"{place} has no file group {group!r} of images; it has {', '.join(groups)}")
    chosen = groups[group] if group is not None else groups[min(groups, key=_rank)]
    if len(chosen) > limits.max_members:
        raise ArchiveError(f"{place} {limits.too_many()}")
    order = _order(root)
    last = len(order)
    in_order = sorted(chosen, key=lambda file_id: order.get(file_id, (last, ""))[0])
    return tuple(MetsFile(chosen[one], order.get(one, (0, ""))[1]) for one in in_order)


def _root(data: bytes, place: Place) -> Any:
    from lxml import etree  # not above: most archives are no METS

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ArchiveError(f"{place} is no METS file ({error}); copy it again from its source") from error
    if root.getroottree().docinfo.doctype:
        raise ArchiveError(f"{place} has a document type (DTD), which is not read; take it out")
    if etree.QName(root).localname != "mets":
        raise ArchiveError(f"{place} is no METS file; name one, or a folder of images")
    return root


def _groups(root: Any) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield for each group its name and its images, by their ids. Groups may lie in groups."""
    for number, group in enumerate(root.iter("{*}fileGrp"), start=1):
        files = dict(_images(group.findall("{*}file")))
        yield group.get("USE") or group.get("ID") or f"group {number}", files


def _images(files: Sequence[Any]) -> Iterator[tuple[str, str]]:
    for number, file in enumerate(files):
        place = file.find("{*}FLocat")
        href = "" if place is None else place.get(_LINK) or place.get("LOCREF") or ""
        kind = file.get("MIMETYPE") or ""
        # What says nothing of its kind is told by its name.
        if href and (kind.startswith("image/") or (not kind and is_page_name(href))):
            yield file.get("ID") or f"file {number}", href


def _rank(name: str) -> int:
    upper = name.upper()
    ranks = (place for place, best in enumerate(_BEST_FIRST) if best in upper)
    return len(_BEST_FIRST) + 1 if "THUMB" in upper else next(ranks, len(_BEST_FIRST))


def _order(root: Any) -> dict[str, tuple[int, str]]:
    """Give for each file its place among the pages, and what the page is called."""
    maps = root.findall("{*}structMap") or root.findall("{*}structSec/{*}structMap")
    physical = [one for one in maps if (one.get("TYPE") or "").upper() == "PHYSICAL"] or maps[:1]
    order: dict[str, tuple[int, str]] = {}
    for one in physical:
        for number, part in enumerate(one.iter("{*}div")):
            label = part.get("ORDERLABEL") or part.get("LABEL") or ""
            for pointer in (*part.findall("{*}fptr"), *part.findall("{*}fptr//{*}area")):
                if file_id := pointer.get("FILEID"):
                    order.setdefault(file_id, (number, " ".join(label.split())[:200]))
    return order
