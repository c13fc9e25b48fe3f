"""A run ends with figures, as JSON or as tables, and with what to try next."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.table import Table

from fumikura.cli.language import Told, enumerated, translated
from fumikura.cli.output import console_for, counted, make_table, printable
from fumikura.core.export.excerpt import first_lines
from fumikura.core.page import Scores
from fumikura.core.scoring.metrics import pool
from fumikura.core.settings import Settings, variable
from fumikura.core.store.connecting import Engine
from fumikura.core.store.page_list import find_pages
from fumikura.core.store.queries import RunSummary

#: Suspicious pages that a run names at its end.
_N_NAMED = 5

MASK_SCORES = ("dice", "iou", "accuracy", "precision", "recall", "f1")
CHARACTER_SCORES = ("detection_f1", "character_f1", "character_accuracy")
#: Of truth that tells texts or lines.
TEXT_SCORES = ("text_error_rate", "text_f1", "line_recall", "line_precision")
_KINDS = (
    ("Mask against truth", MASK_SCORES),
    ("Characters against truth", CHARACTER_SCORES),
    ("Text and lines against truth", TEXT_SCORES),
)
_TITLES = {
    "dice": "Dice",
    "iou": "IoU",
    "accuracy": "pixel accuracy",
    "precision": "pixel precision",
    "recall": "pixel recall",
    "f1": "F1",
    "detection_f1": "detection F1",
    "character_f1": "character F1",
    "character_accuracy": "character accuracy",
    "text_error_rate": "text error rate",
    "text_f1": "text F1",
    "line_recall": "line recall",
    "line_precision": "line precision",
}


def figures(
    summary: RunSummary, scores: Sequence[tuple[str, Scores]], *, seconds: float, steady_rate: float | None
) -> dict[str, Any]:
    """Return the object that `run --json` ends with.

    Args:
        scores: of each page that has truth and was not learnt from, with the page's book.
    """
    pooled = pool(one for _, one in scores)
    names: tuple[str, ...] = (*MASK_SCORES, *CHARACTER_SCORES)
    if pooled:  # what texts and lines tell stands only where they are known
        names += tuple(name for name in TEXT_SCORES if pooled[name] is not None)
    return {
        "run": summary.run,
        "pages": summary.pages,
        "done": summary.done,
        "failed": summary.failed,
        "skipped": summary.skipped,
        "characters": summary.characters,
        "seconds": round(seconds, 3),
        "pages_per_second": round(summary.done / seconds, 3),
        "steady_pages_per_second": None if steady_rate is None else round(steady_rate, 3),
        "scores": pooled and {name: pooled[name] for name in names},
    }


def tables(figures: Mapping[str, Any], scores: Sequence[tuple[str, Scores]]) -> list[Table]:
    """Show these figures to people, with the scores of each book where there are several."""
    counts = [
        (translated("pages"), figures["pages"]),
        (translated("read now"), figures["done"]),
        (translated("read before"), figures["skipped"]),
        (translated("failed"), figures["failed"]),
    ]
    # Of a run that was interrupted: or its counts would not add up.
    if n_left := figures["pages"] - sum(figures[name] for name in ("done", "skipped", "failed")):
        counts.append((translated("not read: waiting or cancelled"), n_left))
    counts += [
        (translated("characters on these pages"), figures["characters"]),
        (translated("seconds"), f"{figures['seconds']:.1f}"),
    ]
    if figures["done"]:
        counts.append((translated("pages/s"), f"{figures['pages_per_second']:.2f}"))
    if figures["steady_pages_per_second"] is not None:
        counts.append((translated("pages/s without start-up"), f"{figures['steady_pages_per_second']:.2f}"))
    title = f"Run {figures['run']}"
    shown = [make_table("", "", numbers=[1], rows=counts, title=title, header=False)]
    if figures["scores"] is not None:
        books = _by_book(scores)
        for title, scored in _KINDS:
            if any(figures["scores"].get(score) is not None for score in scored):
                shown.append(_score_table(title, scored, books))
    return shown


def excerpt(engine: Engine, run_id: int) -> list[str]:
    """Return the first lines of what was read, under the name of their page; none where nothing was."""
    found = first_lines(engine, run_id)
    if found is None:
        return []
    page, lines = found
    width = console_for(sys.stdout).width - 2
    cut = [line if cell_len(line) <= width else f"{set_cell_size(line, width - 2)}…" for line in lines]
    more = ["  …"] if len(page.columns) > len(lines) else []
    return [
        translated(f"Read on {printable(page.name)}, the columns from the right:"),
        *(f"  {line}" for line in cut),
        *more,
        "",
    ]


def left_out(learnt: Sequence[tuple[str, Scores]]) -> list[str]:
    """Say of how many pages the scores are left out, since the weights have learnt from them."""
    if not learnt:
        return []
    pooled = pool(one for _, one in learnt) or {}
    known = [(name, pooled.get(name)) for name in ("dice", "character_f1", "character_accuracy")]
    found = {translated(_TITLES[name]): value for name, value in known if value is not None}
    shown = enumerated(*(Told(f"{title} {value:.3f}") for title, value in found.items()))
    told = translated(
        f"{counted(len(learnt), 'page')} with truth left out of the scores: learnt from this page."
        f" On what weights have learnt from they are better than on other books ({shown})."
    )
    return [told, ""]


def look_at_these(engine: Engine, figures: Mapping[str, Any]) -> list[str]:
    """Name the first pages whose reading should be looked at, with the reason, a line each."""
    if not figures["suspicious"]:
        return []
    first = find_pages(engine, run_id=figures["run"], is_suspicious=True, limit=_N_NAMED)
    width = max(cell_len(printable(page.name)) for page in first)
    rest = figures["suspicious"] - len(first)
    lines = [translated(f"Look at these, {counted(figures['suspicious'], 'page')} that may be read badly:")]
    for page in first:
        reasons = enumerated(*(page.suspicions or "").split(", "))
        lines.append(Told(f"  {set_cell_size(printable(page.name), width)}  {reasons}"))
    if rest > 0:
        lines.append(Told(f"  {translated(f'and {rest:,} more')}"))
    return [*lines, ""]


def next_steps(summary: RunSummary, *, database: str, n_suspicious: int = 0) -> list[str]:
    """Return the commands to try now, a line each, as they have to be typed here."""
    program, where = _program(), _database_option(database)
    steps = []
    if summary.cancelled:
        steps.append(("run ...", "the same again, for the pages that were cancelled"))
    if summary.failed:
        steps.append((f"failed{where}", "which pages failed, and why"))
    if n_suspicious:
        wanted = f"query pages --suspicious --run {summary.run}{where}"
        steps.append((wanted, "the pages that should be looked at"))
    if summary.characters:
        steps.append((f"text{where}", "what this run read; `export` writes it into files"))
        steps.append((f"query characters 人{where}", "where a character stands"))
        steps.append((f"query pages{where}", f"the pages, to draw one with `{program} show PAGE{where}`"))
    width = max((cell_len(command) for command, _ in steps), default=0)
    lines = [f"  {program} {set_cell_size(command, width)}    {translated(what)}" for command, what in steps]
    return ["try next:", *lines] if lines else []


def _program() -> str:
    """Return what starts this program: its path where the shell would not find it by its name."""
    started = Path(sys.argv[0])
    is_hidden = started.name == "fumikura" and shutil.which("fumikura") is None
    return str(started) if is_hidden else "fumikura"


def _database_option(url: str) -> str:
    """Return the --db that further commands need; nothing for the default, or where a variable names it."""
    is_known = url in (Settings().database_url, os.environ.get(variable("database_url")))
    path = url.removeprefix("sqlite:///")
    # Other URLs may hold a password, which is not to be shown.
    return "" if is_known or path == url else f" --db {shlex.quote(path)}"


def _by_book(scores: Sequence[tuple[str, Scores]]) -> dict[str, list[Scores]]:
    books: dict[str, list[Scores]] = defaultdict(list)
    for book, one in scores:
        books[book].append(one)
    if len(books) > 1:
        books[translated("all books")] = [one for _, one in scores]
    return books


def _score_table(title: str, names: Sequence[str], books: Mapping[str, list[Scores]]) -> Table:
    headers = [_TITLES[name] for name in names]
    rows = []
    for book, scores in books.items():
        pooled = pool(scores)
        rows.append([book, len(scores), *(pooled[name] if pooled else None for name in names)])
    return make_table("book", "pages", *headers, numbers=range(1, 2 + len(names)), rows=rows, title=title)
