"""This module holds what every `fumikura prepare` command is asked for, and what it prints."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fumikura.cli import options
from fumikura.cli.language import translated
from fumikura.cli.options import FiniteRange, gathered
from fumikura.cli.output import console_for, make_table, print_json, print_tables, say

if TYPE_CHECKING:
    from fumikura.core.training.preparing.writing import NewDataSet

Item = TypeVar("Item")

#: A manifest's counts, and how they are called in the table.
_COLUMNS = {
    "n_books": "books",
    "n_pages": "pages",
    "n_patches": "patches",
    "n_dropped": "dropped",
    "n_classes": "classes",
    "n_images": "images",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan says of any data set where it goes, and which books are for testing."""

    out: Path
    test_books: tuple[str, ...]
    test_share: float
    seed: int
    as_json: bool

    def of(self, books: Iterable[str], files: Iterable[Path]) -> NewDataSet:
        """Plan a data set of these books, or fonts, that is made from these files."""
        from fumikura.core.training.datasets.splits import choose_test_books
        from fumikura.core.training.preparing.writing import NewDataSet, digests

        chosen = choose_test_books(books, self.test_books, share=self.test_share, seed=self.seed)
        return NewDataSet(self.out, chosen, digests(files), _tracked)


#: The command gets them as its `plan`.
planned = gathered(
    "plan",
    Plan,
    Plan.__slots__,
    [
        click.option(
            "--test-book", "test_books", multiple=True, metavar="NAME", help="A book to test on. Repeatable."
        ),
        click.option(
            "--test-share",
            type=FiniteRange(0, 1),
            default=0.2,
            metavar="X",
            help="Share of the books to test on, where none is named.",
        ),
        click.option("--seed", default=1, help="Same seed, same data set."),
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            required=True,
            metavar="FOLDER",
            help="Where the data set goes: a folder that is new or empty.",
        ),
        options.as_json,
    ],
)


def _tracked(items: Sequence[Item]) -> Iterable[Item]:
    """Give the items, and show a bar on stderr."""
    from rich.progress import track

    return track(items, description=translated("preparing"), console=console_for(sys.stderr), transient=True)


def report(manifest: dict[str, Any], plan: Plan) -> None:
    """Print the counts of the splits."""
    splits = {
        split: {name: manifest[split][name] for name in _COLUMNS if name in manifest[split]}
        for split in ("train", "test")
    }
    if plan.as_json:
        print_json({"out": str(plan.out), "kind": manifest["kind"], **splits})
        return
    names = splits["train"]
    rows = [(split, *counts.values()) for split, counts in splits.items()]
    columns = ("split", *(_COLUMNS[name] for name in names))
    print_tables(make_table(*columns, rows=rows, numbers=range(1, len(columns))))
    say(f"written to {plan.out}")
