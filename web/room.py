"""The reading room's belongings, which all its views share."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.web.pictures import Pictures


@dataclass(frozen=True, slots=True)
class Editing:
    """This lets those who know the token correct what was read.

    Attributes:
        who: as it is noted with each correction.
    """

    who: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def proof(self) -> str:
        """Give what a page of ours sends along with a correction; no page of others can know it."""
        return hashlib.sha256(f"a page of ours {self.token}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Room:
    """A room shows one database.

    Attributes:
        engine: only reads.
        writing: the same database, to write; None where nobody may correct.
        hosts: by which names, with their ports, it may be asked.
        origins: of other sites whose pages may show our images.
    """

    engine: Engine
    settings: Settings
    pictures: Pictures
    hosts: frozenset[str]
    editing: Editing | None = None
    writing: Engine | None = None
    origins: frozenset[str] = frozenset()
