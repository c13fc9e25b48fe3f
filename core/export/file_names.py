"""This module names the files of an export after pages and books, on whatever disk they land."""

from __future__ import annotations

import hashlib
import re
import unicodedata

#: What some file system takes for a separator, a wildcard or nothing that may stand in a name.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|]')
#: Names of devices that Windows finds in every folder.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
#: A file's name has 255 bytes; an ending, and the mark of a second page of this name, come after.
_LONGEST = 180
#: Digits of a page's digest that tell it from another one of the same name.
_N_DIGITS = 8


def file_name(name: str) -> str:
    """Make a name that every file system takes, and that is hidden nowhere; plain names stay as they are."""
    safe = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).rstrip(" .")
    if not safe or safe.startswith(".") or _DEVICES.match(safe):
        safe = f"_{safe}"
    data = safe.encode("utf-8", "replace")
    if len(data) <= _LONGEST:
        return data.decode()
    short = data[: _LONGEST - _N_DIGITS - 1].decode(errors="ignore")
    return f"{short}-{hashlib.sha256(data).hexdigest()[:_N_DIGITS]}"


class FileNames:
    """These are the names that an export has given so far, so that none is given twice."""

    def __init__(self) -> None:
        self._given: set[bytes] = set()

    def name(self, wanted: str, mark: str) -> str:
        """Name a file; where another one has the name, or one that differs in capitals alone, with a mark.

        Args:
            mark: tells this one from all others of its name, such as a digest.
        """
        safe = file_name(wanted)
        if self._take(safe):
            return safe
        marked = f"{safe}-{mark[:_N_DIGITS]}"
        if not self._take(marked):
            marked = f"{safe}-{mark}"
            self._take(marked)
        return marked

    def _take(self, name: str) -> bool:
        """Note a name, unless it is taken; of each 8 bytes are kept, for the names of a million pages."""
        short = hashlib.sha256(name.casefold().encode()).digest()[:8]
        is_free = short not in self._given
        self._given.add(short)
        return is_free
