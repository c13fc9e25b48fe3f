"""Help is laid out here: in the reader's language, and by the cells that a terminal gives wide characters."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence

import click
from rich.cells import cell_len

from fumikura.cli.language import is_english, translated, translated_as_a_whole

#: What click writes behind the help of an option, such as [default: 5; x>=1].
_EXTRA = re.compile(r"(.*?)  \[([^\[\]]*)\]", re.DOTALL)
#: A command or word, and behind two spaces or more what it means.
_EXPLAINED = re.compile(r"(\s*\S.*?\s{2,})(\S.*)")
_WIDE = r"\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_TOKEN = re.compile(rf"[{_WIDE}]|[^\s{_WIDE}]+|\s+")
#: Characters that begin no line, and those that end none.
_NO_START = frozenset("]),.:;!?、。，．）」』】：；？！ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ")
_NO_END = frozenset("（「『【")


class Formatter(click.HelpFormatter):
    """This formatter translates what it is given, and folds it where wide characters may be folded."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or f"{translated('Usage:')} ")

    def write_heading(self, heading: str) -> None:
        super().write_heading(translated(heading))

    def write_text(self, text: str) -> None:
        if is_english():
            super().write_text(text)
            return
        indent = " " * self.current_indent
        width = self.width - len(indent)
        shown = []
        for is_raw, paragraph in paragraphs(text):
            lines = _as_they_are(paragraph) if is_raw else _folded(translated_as_a_whole(paragraph), width)
            shown.append("\n".join(indent + line for line in lines))
        self.write("\n\n".join(shown) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        if is_english():
            super().write_dl(list(rows), col_max, col_spacing)
            return
        rows = list(rows)
        start = min(max(len(first) for first, _ in rows), col_max) + col_spacing
        for first, second in rows:
            margin = " " * (self.current_indent + start)
            lines = _folded(_with_extra(second), max(self.width - len(margin), 10))
            head = f"{'':>{self.current_indent}}{first}"
            if len(head) + col_spacing > len(margin):
                self.write(f"{head}\n")
                head = ""
            self.write(f"{head:{len(margin)}}{lines[0]}\n")
            for line in lines[1:]:
                self.write(f"{margin}{line}\n")

    def getvalue(self) -> str:
        # Here, since click writes UTF-8 to a terminal that says it is ASCII.
        encoding = sys.stdout.encoding or "utf-8"
        return super().getvalue().encode(encoding, "backslashreplace").decode(encoding)


class Group(click.Group):
    """This group lists its commands with the whole sentence that says what each does."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.write_section(ctx, formatter, "Commands", self.list_commands(ctx))

    def write_section(
        self, ctx: click.Context, formatter: click.HelpFormatter, title: str, names: Sequence[str]
    ) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in names]
        with formatter.section(title):
            formatter.write_dl(
                [(name, translated(first_sentence(found)).rstrip(".。")) for name, found in commands if found]
            )


class Context(click.Context):
    """This context lays help out by our formatter."""

    formatter_class = Formatter


def speak_our_way(command: click.Command) -> click.Command:
    """Let a command, and those below it, show help by our formatter."""
    command.context_class = Context
    for below in getattr(command, "commands", {}).values():
        speak_our_way(below)
    return command


def first_sentence(command: click.Command) -> str:
    """Give the sentence that says what a command does."""
    _, first = next(paragraphs(command.help or ""), (False, ""))
    sentence, dot, _ = first.partition(". ")
    return f"{sentence}{dot}".strip()


def paragraphs(text: str) -> Iterator[tuple[bool, str]]:
    """Cut a help text into paragraphs; with each whether its lines stay as they are (\\b)."""
    for paragraph in re.split(r"\n[ \t]*\n", text.strip("\n")):
        if paragraph.lstrip().startswith("\b"):
            yield True, paragraph.partition("\n")[2]
        else:
            yield False, " ".join(paragraph.split())


def explained(line: str) -> tuple[str, str]:
    """Cut a line that stays as it is into a command or word, and what is said of it."""
    found = _EXPLAINED.fullmatch(line)
    if found is not None:
        return found[1], found[2]
    return ("", line) if not line.startswith(" ") else (line, "")


def extra(text: str) -> tuple[str, list[str]]:
    """Cut what click writes behind an option's help from it."""
    found = _EXTRA.fullmatch(text)
    return (found[1], found[2].split("; ")) if found is not None else (text, [])


def _with_extra(text: str) -> str:
    if (whole := translated_as_a_whole(text)) != text:
        return whole
    text, items = extra(text)
    behind = f"  [{'; '.join(map(translated, items))}]" if items else ""
    return translated_as_a_whole(text) + behind


def _as_they_are(paragraph: str) -> list[str]:
    cut = (explained(line) for line in paragraph.split("\n"))
    return [before + translated_as_a_whole(words) if words else before for before, words in cut]


def _folded(text: str, width: int) -> list[str]:
    """Fold a text into lines of so many cells."""
    lines, line = [], ""
    for token in _units(text):
        if line and cell_len(line + token.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += token if line else token.lstrip()
    return [*lines, line.rstrip()]


def _units(text: str) -> list[str]:
    """Cut a text where a line may end."""
    units: list[str] = []
    for token in _TOKEN.findall(text):
        if units and (token[0] in _NO_START or token.isspace() or units[-1][-1] in _NO_END):
            units[-1] += token
        else:
            units.append(token)
    return units
