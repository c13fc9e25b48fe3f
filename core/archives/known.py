"""Spare a file that has not changed from being hashed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fumikura.core.archives.member import Member

#: Files that are looked up together.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class KnownFile:
    """This is what a file was when it was hashed.

    Attributes:
        stamp: by which it is told to be the same still.
        digest: the SHA-256 of its bytes then.
    """

    stamp: str
    digest: str
    size_bytes: int


#: Tells which members of an archive are known, by their names.
Lookup = Callable[[str, Sequence[str]], Mapping[str, KnownFile]]


def with_digests(archive: str, members: Iterator[Member], lookup: Lookup) -> Iterator[Member]:
    """Yield members in their order, with the digest of those that are known and have the same stamp still.

    A member without a stamp is yielded at once: its content may be there only until the next is asked for.
    """
    waiting: list[Member] = []
    for member in members:
        waiting.append(member)
        if member.stamp is None or len(waiting) == _AT_ONCE:
            yield from _looked_up(archive, waiting, lookup)
            waiting = []
    yield from _looked_up(archive, waiting, lookup)


def _looked_up(archive: str, members: Sequence[Member], lookup: Lookup) -> Iterator[Member]:
    names = [member.name for member in members if member.stamp is not None]
    known = lookup(archive, names) if names else {}
    for member in members:
        found = known.get(member.name)
        if found is not None and found.stamp == member.stamp:
            yield replace(member, digest=found.digest, size_bytes=found.size_bytes)
        else:
            yield member
