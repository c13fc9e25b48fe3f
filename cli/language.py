"""Help and messages come in the language of the reader: this module finds it, and translates.

They are English in the code and in the database, and are translated where they are shown, not where they
are made: why a page failed is stored by a worker, perhaps on another machine, and read by whoever asks.
`--json` and log lines stay English for programs. A message with values in it is found by its template,
`{path} is no zip`; in the translation `{error!t}` stands for a value that is a message too. What has
several parts, of which some may be missing, is joined by `sentences`: no template would fit it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from fumikura.cli.terminal import can_show

#: One folder a language, with what translators and their tools know: <language>/LC_MESSAGES/fumikura.po.
LOCALE = Path(__file__).parent / "locale"
#: The flag of messages that have values in them.
TEMPLATE_FLAG = "python-brace-format"
_PLACEHOLDER = re.compile(r"\{(\w+)(?:![rst])?(?::[^{}]*)?\}")
#: What is counted is a number with its noun, or "{number} pages" would be the end of many a sentence.
_VALUES = {
    **dict.fromkeys(["number", "run_id"], r"[\d,]+"),
    "counted": r"[\d,]+ [A-Za-z ]+?",
    "left": r"[\d:]+",
    "suffix": r"\.\S+",
    **dict.fromkeys(["glyph", "char"], "."),
}
#: What joins sentences, and words; translated like them.
JOINTS = ("; ", ", ")


class Told(str):
    """This text is in the reader's language, and is not translated again."""

    __slots__ = ()


@dataclass(frozen=True)
class Template:
    """A template is a message with placeholders for values."""

    message: str
    translation: str

    @cached_property
    def literals(self) -> list[str]:
        return _PLACEHOLDER.split(self.message)[::2]

    @cached_property
    def n_literal(self) -> int:
        return sum(map(len, self.literals))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = _PLACEHOLDER.findall(self.message)
        parts = [re.escape(self.literals[0])]
        for place, name in enumerate(names):
            value = _VALUES.get(name, ".*?")
            group = f"(?P={name})" if name in names[:place] else f"(?P<{name}>{value})"
            parts += [group, re.escape(self.literals[place + 1])]
        return re.compile("".join(parts), re.DOTALL)

    def values(self, text: str) -> dict[str, str] | None:
        """Return the values by name with which the template gives this text; None if it never does."""
        if not all(literal in text for literal in self.literals):
            return None
        found = self._pattern.fullmatch(text)
        return found and found.groupdict()


@dataclass(frozen=True)
class Catalogue:
    """A catalogue translates what it knows, and leaves the rest."""

    messages: Mapping[str, str] = field(default_factory=dict)
    templates: tuple[Template, ...] = ()

    def translate(self, text: str) -> str:
        if text in self.messages:
            return self.messages[text]
        for template in self.templates:
            values = template.values(text)
            if values is not None and self._are_counts(values):
                return self._filled(template.translation, values)
        return text

    def _are_counts(self, values: Mapping[str, str]) -> bool:
        """Tell whether what should be a number with its noun is one, and not the half of a sentence."""
        counted = values.get("counted")
        return counted is None or self.translate(counted) != counted

    def _filled(self, translation: str, values: Mapping[str, str]) -> str:
        def value(found: re.Match[str]) -> str:
            text = values[found[1]]
            return self.translate(text) if found[0].endswith("!t}") else text

        return _PLACEHOLDER.sub(value, translation)


_ENGLISH = Catalogue()
_chosen = [_ENGLISH]


def use_language(environment: Mapping[str, str]) -> None:
    """Show what follows in the language that the locale asks for; in English where it cannot be shown.

    Args:
        environment: with LANGUAGE, LC_ALL, LC_MESSAGES, LANG, which count as gettext has them count.
    """
    _chosen[0] = _ENGLISH
    for language in _wanted(environment):
        file = LOCALE / language / "LC_MESSAGES" / "fumikura.po"
        if language == "en" or language in ("C", "POSIX"):
            return
        if language.isalpha() and file.is_file():
            catalogue = _read(file)
            sample = "".join(list(catalogue.messages.values())[:20])
            if all(can_show(sample, stream) for stream in (sys.stdout, sys.stderr)):
                _chosen[0] = catalogue
            return


def is_english() -> bool:
    return _chosen[0] is _ENGLISH


def translated(text: str) -> Told:
    """Give a text of ours in the reader's language; as it is where there is no translation."""
    return text if isinstance(text, Told) else Told(_chosen[0].translate(text))


def sentences(*parts: str) -> Told:
    """Join sentences that stand for themselves, each in the reader's language; empty ones are left out."""
    return _joined(JOINTS[0], parts)


def enumerated(*words: str) -> Told:
    """Join words or parts of a sentence in the same way, with commas."""
    return _joined(JOINTS[1], words)


def _joined(joint: str, parts: Iterable[str]) -> Told:
    return Told(translated_as_a_whole(joint).join(translated(part) for part in parts if part))


def translated_as_a_whole(text: str) -> str:
    """Give a text without values in it in the reader's language; as it is where there is no translation."""
    return _chosen[0].messages.get(text, text)


def _wanted(environment: Mapping[str, str]) -> list[str]:
    """List the languages that are asked for, the dearest first."""
    locale = next(
        (value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), ""
    )
    if locale in ("C", "POSIX"):  # what scripts set to be sure of English; LANGUAGE then has no say
        return []
    wanted = (environment.get("LANGUAGE") or locale).split(":")
    return [re.split("[_.@]", one)[0] for one in wanted if one]


@lru_cache
def _read(file: Path) -> Catalogue:
    import polib  # not above: who reads English need not wait for it

    entries = [entry for entry in polib.pofile(str(file)) if entry.translated()]
    templates = [Template(one.msgid, one.msgstr) for one in entries if TEMPLATE_FLAG in one.flags]
    # Where several fit, the one that begins the text, as the others are within it; then what says most.
    templates.sort(key=lambda one: (bool(one.literals[0]), one.n_literal), reverse=True)
    return Catalogue({one.msgid: one.msgstr for one in entries}, tuple(templates))
