"""The header of a weights file says what the file holds. It is read without torch.

Format: https://github.com/huggingface/safetensors: eight bytes that give the header's length, then JSON.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

_LEARNT_PAGES = "learnt_pages"


def read_header(path: Path) -> Mapping[str, str]:
    """Return what a weights file says of itself, such as `kind`; nothing of a file of another form."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            return {}
        try:
            said = json.loads(file.read(size))["__metadata__"]
        except (ValueError, LookupError, TypeError):
            return {}
    is_sound = isinstance(said, dict) and all(isinstance(value, str) for value in said.values())
    return said if is_sound else {}


def learnt_pages(path: Path) -> frozenset[str]:
    """Return the digests of the pages that weights have learnt from; none of a file that does not tell."""
    try:
        found = json.loads(read_header(path).get(_LEARNT_PAGES, "[]"))
    except ValueError:
        return frozenset()
    return frozenset(map(str, found)) if isinstance(found, list) else frozenset()


def tell_learnt_pages(digests: Collection[str]) -> dict[str, str]:
    """Make the entry of a header from which `learnt_pages` knows them; none if there are none."""
    return {_LEARNT_PAGES: json.dumps(sorted(digests))} if digests else {}
