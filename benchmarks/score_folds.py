"""Score the weights of each fold, which lie beside this file, on the books that they have not seen.

    python -m benchmarks.score_folds DATA [--json] [--fold NAME ...] [--weights FOLDER]

DATA is what benchmarks/train_folds.py learns from. Prints a line a fold, in JSON with `--json`; null where a
fold has no such truth. It takes about a minute a fold on two cores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.train_folds import CONTEXT_WEIGHT, FOLDS, evaluated

FOLDER = Path(__file__).with_name("folds")
SCORED = tuple(fold for fold, books in FOLDS.items() if books)

#: Of which book a fold's complete boxes are, and of which its boxes of some characters.
BOXED = {"100241706": "100241706", "200010454": "200010454"}
KANA = {"200010454": "200021763", "200022050": "200022050"}


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a fold.")
@click.option("--fold", "folds", type=click.Choice(SCORED), multiple=True, help="Only this. Repeatable.")
@click.option("--weights", type=click.Path(path_type=Path, exists=True, file_okay=False), default=FOLDER)
def main(data: Path, as_json: bool, folds: Sequence[str], weights: Path) -> None:
    """Score the weights of each fold on its own books."""
    for fold in folds or SCORED:
        files = {
            kind: weights / f"{fold}.{kind}.safetensors" for kind in ("segmenter", "classifier", "context")
        }
        missing = [str(path) for path in files.values() if not path.is_file()]
        if missing:
            raise click.ClickException(
                f"{', '.join(missing)}: no such weights; train them with train_folds.py"
            )
        rows = [json.loads(line) for line in evaluated(data, FOLDS[fold], files, CONTEXT_WEIGHT).splitlines()]
        scores = scores_of(fold, rows)
        click.echo(json.dumps(scores) if as_json else "  ".join(f"{k} {_cell(v)}" for k, v in scores.items()))


def scores_of(fold: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Choose what is reported of a fold from the lines of `evaluate pages --json`."""
    books = {row["book"]: row for row in rows if row["scope"] == "book"}
    boxed, kana = books.get(BOXED.get(fold, ""), {}), books.get(KANA.get(fold, ""), {})
    texts = [row["text_f1"] for row in rows if row["scope"] == "page" and row["text_f1"] is not None]
    return {
        "fold": fold,
        "dice": boxed.get("dice"),
        "detection_f1": boxed.get("detection_f1"),
        "character_accuracy": boxed.get("character_accuracy"),
        "kana_found": kana.get("detection_recall"),
        "kana_right": kana.get("character_accuracy"),
        "text_f1_median": median(texts) if texts else None,
        "order": boxed.get("reading_order_accuracy"),
    }


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
