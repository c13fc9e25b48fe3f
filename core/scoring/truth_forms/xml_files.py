"""This module parses XML files of strangers: nothing in them is fetched, expanded or too large."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fumikura.core.errors import TruthError, first_line

#: A page of 4,000 characters with their alternatives has some 4 MB.
MAX_BYTES = 100_000_000


def parse(path: Path) -> Any:
    """Parse an XML file, and give its root element.

    Raises:
        TruthError: it is no XML, has a document type, which could hold a bomb, or is too large.
    """
    from lxml import etree  # only XML needs it

    _check_size(path)
    # huge_tree stays off: libxml2 then refuses what is nested or long beyond reason.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(path.read_bytes(), parser)
    except etree.XMLSyntaxError as error:
        raise TruthError(_no_xml(path, error)) from error
    if root.getroottree().docinfo.doctype:
        raise TruthError(f"{path} declares a document type, which could hold anything; take that line out")
    return root


def root_kind(path: Path) -> str:
    """Give the name of a file's root element, without parsing more of it.

    Raises:
        TruthError: it does not begin as XML does, or is too large.
    """
    from lxml import etree

    _check_size(path)
    with path.open("rb") as file:
        try:
            begun = etree.iterparse(
                file, events=("start",), resolve_entities=False, no_network=True, load_dtd=False
            )
            return kind(next(begun)[1])
        except (etree.XMLSyntaxError, StopIteration) as error:
            raise TruthError(_no_xml(path, error)) from error


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise TruthError(f"{path} has {size:,} bytes, more than a page can need; leave it out")


def _no_xml(path: Path, error: Exception) -> str:
    return f"{path} is no XML ({first_line(error)}); correct it, or leave it out"


def kind(element: Any) -> str:
    """Give the name of an element, whatever its namespace; versions of a schema differ in that alone."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def children(element: Any, *kinds: str) -> Iterator[Any]:
    """Give the children of some kinds, in the order of the file."""
    return (child for child in element if kind(child) in kinds)


def below(element: Any, *kinds: str) -> Iterator[Any]:
    """Give all elements of some kinds below this one, in the order of the file."""
    return (child for child in element.iter() if kind(child) in kinds)


def place(path: Path, element: Any) -> str:
    """Say where an element stands, for messages."""
    return f"{path}, line {element.sourceline}"


def number(element: Any, name: str, path: Path) -> float:
    """Read a number from an attribute.

    Raises:
        TruthError: it is none, or not there.
    """
    value = element.get(name)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise TruthError(f"{place(path, element)}: {name}={value!r} is no number; correct it") from error
