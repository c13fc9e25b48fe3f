"""Pages for the chaos suite: many that can be read, and a few that nobody survives.

Their archive lies in the folder `scans`, and is named by a link that leads through the working folder of
whoever asks: so each host, whose processes have a working folder of their own, can lose its mount alone.
"""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fumikura.core.page import PageReference
from tests.chaos.worker import POISONS
from tests.handmade import page_png


@dataclass(frozen=True, slots=True)
class Book:
    """An archive.

    Attributes:
        poison: what each page that cannot be read does, by its name.
    """

    pages: list[PageReference]
    poison: dict[str, str]

    @property
    def good(self) -> list[PageReference]:
        return [page for page in self.pages if Path(page.member).stem not in self.poison]


def draw_book(folder: Path, *, n_pages: int, n_poison: int, chance: random.Random) -> Book:
    """A zip of pages, the poison ones scattered among them, of each kind about as many."""
    kinds = list(POISONS)
    places = chance.sample(range(n_pages), n_poison)
    poison = {place: kinds[number % len(kinds)] for number, place in enumerate(places)}
    (folder / "scans").mkdir()
    (folder / "shelf").symlink_to("/proc/self/cwd/scans")
    path, pages = folder / "shelf" / "book.zip", []
    with zipfile.ZipFile(folder / "scans" / "book.zip", "w") as archive:
        for number in range(n_pages):
            member = f"book_{number:05}_1.png"
            data = _poison_png(number, poison[number]) if number in poison else page_png(number)
            archive.writestr(member, data)
            digest = hashlib.sha256(data).hexdigest()
            pages.append(PageReference(str(path), member, digest, len(data), "book"))
    return Book(pages, {f"book_{place:05}_1": kind for place, kind in poison.items()})


def _poison_png(number: int, kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (100 + number, 160), POISONS[kind]).save(out, "PNG")  # no two of the same bytes
    return out.getvalue()
