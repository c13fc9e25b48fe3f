"""`run` and `enqueue` hand archives in, and say what was found in them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from fumikura.cli.language import translated
from fumikura.cli.output import counted, say, waiting
from fumikura.core.archives.listing import LeftOut
from fumikura.core.intake import Submitted, submit, survey
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.existing_database import missing_file
from fumikura.core.store.upgrading import open_database

#: Of ignored files, so many kinds are named, and so many files of each.
_N_KINDS = 8
_N_NAMES = 3


def submit_archives(
    settings: Settings,
    archives: Sequence[str],
    *,
    recipe: Recipe,
    verb: str,
    book: str | None,
    truth: Sequence[Path],
    partial_truth: Sequence[Path],
) -> tuple[Engine, Submitted]:
    """Submit archives, say on stderr what was found in them, and return the opened database too."""
    # Opened first, lest an hour of hashing be in vain; but a file is made only for pages.
    engine = None if missing_file(settings) else open_database(settings.database_url)
    with waiting("looking for pages") as status:
        found = survey(
            archives,
            book=book,
            truth=truth,
            partial_truth=partial_truth,
            limits=settings.limits,
            progress=lambda n_pages: status.update(translated(f"looking for pages: {n_pages:,}")),
        )
        engine = engine or open_database(settings.database_url)
        submitted = submit(engine, found, recipe=recipe, command=f"{verb} {shlex.join(archives)}")
    for line in _findings(submitted, is_truth_given=bool(truth or partial_truth)):
        say(line)
    return engine, submitted


def _findings(submitted: Submitted, *, is_truth_given: bool) -> list[str]:
    added = submitted.added
    found = f"run {submitted.run_id}: {counted(added.n_pages, 'page')}"
    if added.n_done == added.n_pages:
        found += " read before"
    elif added.n_done:
        found += f", {added.n_done:,} of them read before"
    if submitted.left_out:
        found += f"; {counted(len(submitted.left_out), 'other file')} ignored"
    lines = [found, *_ignored(submitted.left_out)]
    if added.n_quarantined:
        left = counted(added.n_quarantined, "page")
        lines.append(f"{left} quarantined and left alone; `fumikura retry` queues such pages again")
    if is_truth_given:
        lines.append(f"truth is known for {submitted.n_with_truth:,} of {counted(added.n_pages, 'page')}")
    if is_truth_given and not submitted.n_with_truth:
        lines.append(
            "no page has a name that the truth names: compare the file names with those in the truth"
        )
    return lines


def _ignored(files: Sequence[LeftOut]) -> list[str]:
    """Name the files that are no pages, kind by kind, first those that could become pages."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for file in files:
        kinds.setdefault((file.kind, file.remedy), []).append(file.member or file.archive)
    lines = []
    for (kind, remedy), names in sorted(kinds.items(), key=lambda item: (not item[0][1], item[0]))[:_N_KINDS]:
        shown = ", ".join(names[:_N_NAMES])
        more = f" and {len(names) - _N_NAMES:,} more" if len(names) > _N_NAMES else ""
        lines.append(f"ignored: {len(names):,} × {kind} ({shown}{more})" + (f"; {remedy}" if remedy else ""))
    return lines
