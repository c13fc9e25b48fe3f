"""The room speaks the reader's language: what the templates and the script say is found in a catalogue.

English stands in the templates; a translation is `web/locale/<language>/LC_MESSAGES/room.po`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import polib
from starlette.requests import Request

LOCALE = Path(__file__).parent / "locale"
COOKIE = "fumikura_language"
LANGUAGES = ("en", "ja")
Translate = Callable[[str], str]

#: What the script says; it gets them in the language of the page.
SCRIPT_WORDS = (
    "read as", "column", "sure", "confirmed by people", "nothing is chosen", "saved", "undone",
    "not saved", "draw the box with the pointer", "label", "labels of the parts, such as ろは",
    "whole page confirmed", "column confirmed", "no character is before it",
)  # fmt: skip


def language_of(request: Request) -> str:
    """Choose a language: the one last asked for here, else the first of the browser's that we speak."""
    chosen = request.query_params.get("lang") or request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    for wanted in request.headers.get("accept-language", "").split(","):
        language = wanted.partition(";")[0].strip()[:2].lower()
        if language in LANGUAGES:
            return language
    return "en"


def translator(language: str) -> Translate:
    """Give what translates into a language; what it does not know stays English."""
    words = _catalogue(language)
    return lambda text: words.get(text, text)


@lru_cache
def _catalogue(language: str) -> Mapping[str, str]:
    file = LOCALE / language / "LC_MESSAGES" / "room.po"
    if language not in LANGUAGES or not file.is_file():
        return {}
    return {entry.msgid: entry.msgstr for entry in polib.pofile(str(file)) if entry.msgstr}
