"""What fumikura says to people, found in its source: run this to bring the catalogues up to date.

python -m tests.messages    adds new messages to each .po, to be translated, and drops what is gone
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import click
import polib

from fumikura.cli.help_text import explained, extra, first_sentence, paragraphs
from fumikura.cli.language import JOINTS, LOCALE, TEMPLATE_FLAG
from fumikura.cli.main import SECTIONS, main
from fumikura.core.page import Suspicion
from fumikura.core.store.tables import Status
from fumikura.core.store.workers import State

ROOT = Path(__file__).parents[1]
#: Besides errors: who is called with messages for people.
SPEAKERS = {
    "say", "fail", "put", "confirm", "translated", "waiting", "BadParameter", "ClickException", "make_table",
    "track", "add_task", "TextColumn", "counted", "sentences", "enumerated", "LeftOut", "check",
}  # fmt: skip
#: What stands in the database in English, and is shown.
_SHOWN_WORDS: tuple[Iterable[str], ...] = (Suspicion, Status, State)
#: What click puts together of its messages.
_PUT_TOGETHER = (
    "Usage:", "Usage: {rest}", "Missing argument {hint}.", "Missing option {hint}.",
    "Missing argument {hint}. Choose from: {choices}", "Missing option {hint}. Choose from: {choices}",
    "No such option {name}. {hint}", "No such command {name}. {hint}",
)  # fmt: skip
#: What heads of tables are called until they come into one.
_HEADS = {"columns", "counts", "more"}
#: Log lines stay English.
_LOGGING = {"debug", "info", "warning", "error", "exception", "critical"}
_WORD = re.compile(r"[A-Za-z]{2,}")


@lru_cache
def all_messages() -> dict[str, bool]:
    """Return what is said to people; with each whether it is a template with values in it."""
    said = [message for path, tree in sources() for message in _in_source(tree, is_wide=_is_wide(path))]
    said += [*_of_click(), *_PUT_TOGETHER, *_in_help(main, ("fumikura",)), *SECTIONS]
    said += [str(word) for words in _SHOWN_WORDS for word in words]
    said += [f"{{number}} {status}" for status in Status]
    found = {message: _is_template(message) for message in said if _is_said(message)}
    return found | dict.fromkeys(JOINTS, False)


@lru_cache
def sources() -> list[tuple[Path, ast.AST]]:
    """Parse what may speak; names of texts that a module keeps for several messages stand for these texts."""
    paths = [path for folder in ("cli", "core", "web", "worker") for path in (ROOT / folder).rglob("*.py")]
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(paths)}
    texts = {path: _kept_texts(tree) for path, tree in trees.items()}
    public = {name: text for kept in texts.values() for name, text in kept.items() if name[0] != "_"}
    return [(path, _Spelt(public | texts[path]).visit(tree)) for path, tree in trees.items()]


def _kept_texts(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and (
            isinstance(node.value, ast.JoinedStr)
            or (isinstance(node.value, ast.Constant) and " " in str(node.value.value))
        )
    }


class _Spelt(ast.NodeTransformer):
    """Puts texts in the place of the names that modules keep them under."""

    def __init__(self, texts: dict[str, ast.expr]) -> None:
        self._texts = texts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        text = self._texts.get(node.id) if isinstance(node.ctx, ast.Load) else None
        return node if text is None else self.visit(text)


def _is_wide(path: Path) -> bool:
    """Tell whether a file makes sentences piece by piece, for people alone."""
    return "cli" in path.relative_to(ROOT).parts or path.name in ("doctor.py", "kinds.py", "listing.py")


#: Beginnings of what nobody reads in a terminal: web pages, headers, click's words to programmers.
_NOT_SAID = (
    "--", "<", "Basic ", "_id", "{task.", "Arguments take", "Boolean option", "Could not determine",
    "DeprecationWarning", "Name '", "No options defined", "Unknown color", "Value must be an", "deprecated",
    "[", "/", "text/plain", "; {device}",
    "Press any key", "Repeat for", "Error: The two", "Confirm the", "Do you want", "Choice(", "env var",
)  # fmt: skip


def _is_said(message: str) -> bool:
    words = re.sub(r"\{\w+\}", "", message)
    # A whole help text with its \b is shown, and translated, by its paragraphs.
    return bool(_WORD.search(words)) and "\b" not in message and not message.startswith(_NOT_SAID)


def _is_template(message: str) -> bool:
    return re.search(r"\{\w+[^}]*\}", message) is not None


def _in_source(tree: ast.AST, *, is_wide: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_speaker(node):
            if _name(node) == "counted":
                yield from _counted(node)
                continue
            for argument in (
                *node.args,
                *(word.value for word in node.keywords if word.arg in ("title", "description")),
            ):
                yield from _templates(argument)
        elif is_wide and isinstance(node, ast.Call) and _name(node) == "append":
            yield from (text for text in _templates(node.args[0]) if " " in text.strip())
        elif isinstance(node, ast.Return) or (is_wide and isinstance(node, ast.Assign | ast.AugAssign)):
            is_head = not isinstance(node, ast.Return) and _target(node) in _HEADS
            yield from (text for text in _templates(node.value) if is_head or " " in text.strip())


def _target(node: ast.Assign | ast.AugAssign) -> str:
    target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


def _is_speaker(call: ast.Call) -> bool:
    name = _name(call)
    return name in SPEAKERS or name.endswith("Error")


def _name(call: ast.Call) -> str:
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _counted(call: ast.Call) -> Iterator[str]:
    noun = call.args[1]
    if isinstance(noun, ast.Constant) and isinstance(noun.value, str):
        yield f"{{number}} {noun.value}"
        yield f"{{number}} {noun.value}s"


def _templates(node: ast.AST | None) -> Iterator[str]:
    """Give the messages that an expression may come to."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
        return
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)):
        parts = _parts(node)
        if any(isinstance(part, str) for part in parts):
            yield _filled(parts)
        inner = [part for part in parts if isinstance(part, ast.AST)]
    elif isinstance(node, ast.Call):
        if _is_speaker(node) or _name(node) in _LOGGING:
            return
        inner = [*node.args]
    elif isinstance(node, ast.IfExp):
        inner = [node.body, node.orelse]
    elif isinstance(node, ast.BoolOp | ast.Tuple | ast.List):
        inner = list(ast.iter_child_nodes(node))
    elif isinstance(node, ast.GeneratorExp | ast.ListComp):
        inner = [node.elt]
    elif isinstance(node, ast.Dict):
        inner = list(node.values)
    else:
        return
    for one in inner:
        yield from _templates(one)


def _parts(node: ast.AST) -> list[str | ast.AST]:
    if isinstance(node, ast.JoinedStr):
        return [part for value in node.values for part in _parts(value)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_parts(node.left), *_parts(node.right)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.FormattedValue):
        is_text = isinstance(node.value, ast.Constant | ast.JoinedStr)
        return _parts(node.value) if is_text else [node.value]
    return [node]


def _filled(parts: list[str | ast.AST]) -> str:
    """Write parts as a template, in which the same value has the same name."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        code = ast.unparse(part)
        if code not in names:
            words = re.findall(r"[a-z]\w+", re.sub(r"'[^']*'", "", code)) or ["value"]
            word = next((word for word in words[:1] if word not in taken), None) or f"value{len(names)}"
            names[code] = word
            taken.add(word)
        text += f"{{{names[code]}}}"
    return text


def _in_help(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    yield first_sentence(command)
    for is_raw, paragraph in paragraphs(inspect.cleandoc(command.help or "")):
        if is_raw:
            lines = (explained(line)[1] for line in paragraph.split("\n"))
            yield from (line for line in lines if not line.startswith("fumikura "))
        else:
            yield paragraph
    context = click.Context(command, info_name=path[-1])
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            text, items = extra(record[1])
            yield text
            yield from (item for item in items if item.startswith("default: ("))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _in_help(below, (*path, name))


def _of_click() -> Iterator[str]:
    """Give what click itself says of how a command is called."""
    for name in ("core", "decorators", "exceptions", "formatting", "parser", "termui", "types"):
        source = Path(str(importlib.import_module(f"click.{name}").__file__)).read_text("utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and _name(node) in ("_", "ngettext"):
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield re.sub(r"\{(\w+)![rs]\}", r"{\1}", argument.value)


def update(path: Path) -> None:
    """Bring a catalogue up to date: what is new has no translation yet."""
    before = {entry.msgid: entry for entry in polib.pofile(str(path))} if path.exists() else {}
    catalogue = polib.POFile()  # wrapped as most tools wrap them, so that changes stay small
    catalogue.metadata = {"Language": path.parts[-3], "Content-Type": "text/plain; charset=UTF-8"}
    for message, is_template in sorted(all_messages().items()):
        translation = before[message].msgstr if message in before else ""
        flags = [TEMPLATE_FLAG] if is_template else []
        catalogue.append(polib.POEntry(msgid=message, msgstr=translation, flags=flags))
    catalogue.save(str(path))


if __name__ == "__main__":
    for found in LOCALE.glob("*/LC_MESSAGES/fumikura.po"):
        update(found)
