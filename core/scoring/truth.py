"""This module loads what people say is on each page, and finds the pages that they speak of.

How each form of truth is read stands in `truth_forms`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from fumikura.core.archives.names import one_form
from fumikura.core.errors import TruthError
from fumikura.core.page import PageReference, Truth
from fumikura.core.scoring.truth_forms.finding import all_files, read_file

Known = TypeVar("Known")

#: What a truth may tell, by what people call it: of each, a page has one.
_PARTS = {"boxes": "boxes", "a mask": "mask_png", "a text": "text", "lines": "lines"}


def load_truths(complete: Sequence[Path], partial: Sequence[Path]) -> dict[str, Truth]:
    """Load truth of both kinds; a page that has both is compared with what is complete."""
    return {**load_truth(partial, partial=True), **load_truth(complete)}


def match_pages(pages: Iterable[PageReference], known: Mapping[str, Known]) -> dict[str, Known]:
    """Find what is known of each page, by its digest, from what is known by page name.

    Raises:
        TruthError: two different pages have a name that something is known of.
    """
    found: dict[str, PageReference] = {}
    for page in pages:
        if page.name not in known:
            continue
        other = found.setdefault(page.name, page)
        if other.digest != page.digest:
            raise TruthError(
                f"the truth for {page.name!r} fits two different pages, {other.archive}/{other.member} and"
                f" {page.archive}/{page.member}; read them in two runs, each with its own --truth"
            )
    return {page.digest: known[name] for name, page in found.items()}


def load_truth(paths: Sequence[Path], *, partial: bool = False) -> dict[str, Truth]:
    """Load the truth of each page, by page name (a file name without its ending).

    Args:
        paths: files, or folders; what counts of a folder, `truth_forms.finding.files_in` says.
        partial: some characters of these pages lack a box.

    Raises:
        TruthError: names the file and the line.
    """
    try:
        return _merge(all_files(paths), partial=partial)
    except OSError as error:
        raise TruthError(f"{error.filename} cannot be read ({error.strerror}); correct that") from error


def truth_files(paths: Sequence[Path]) -> list[Path]:
    """Find the files that `load_truth` reads.

    Raises:
        TruthError: there is nothing at one of the paths, or no truth in a folder.
    """
    return list(all_files(paths))


def _merge(files: Iterable[Path], *, partial: bool) -> dict[str, Truth]:
    truths: dict[str, Truth] = {}
    sources: dict[tuple[str, str], Path] = {}
    for path in files:
        for name, truth in ((one_form(name), truth) for name, truth in read_file(path).items()):
            told = {
                part: getattr(truth, part) for part in _PARTS.values() if getattr(truth, part) is not None
            }
            for called, part in _PARTS.items():
                if part in told and (first := sources.setdefault((name, part), path)) != path:
                    raise TruthError(
                        f"page {name!r} has {called} in {first} and in {path}; leave one of them out"
                    )
            before = truths.get(name, Truth(is_partial=partial))
            truths[name] = replace(before, **told, is_ordered=before.is_ordered or truth.is_ordered)
    return truths
