"""What each source of labels adds on books that were not seen, as Markdown: the table of docs/accuracy.md.

    python -m benchmarks.fold_table OUT

OUT is where benchmarks/train_folds.py left its scores.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.train_folds import FOLDS, STAGES

BOOKS = tuple(fold for fold, books in FOLDS.items() if books)

#: Heading, book, name of the measure.
COLUMNS = (
    ("Dice, 200010454", "200010454", "dice"),
    ("detection F1", "200010454", "detection_f1"),
    ("label accuracy", "200010454", "character_accuracy"),
    ("Dice, 100241706", "100241706", "dice"),
    ("detection F1", "100241706", "detection_f1"),
    ("label accuracy", "100241706", "character_accuracy"),
    ("reading order", "100241706", "reading_order_accuracy"),
    ("kana found, 200021763", "200021763", "detection_recall"),
    ("kana right", "200021763", "character_accuracy"),
    ("kana found, 200022050", "200022050", "detection_recall"),
    ("kana right", "200022050", "character_accuracy"),
)


def main(out: str) -> None:
    headings = [heading for heading, _, _ in COLUMNS] + [f"text F1, median, fold {fold}" for fold in BOOKS]
    print(f"| | {' | '.join(headings)} |")
    print("|" + "---|" * (len(headings) + 1))
    for stage, description in STAGES.items():
        rows = [json.loads(line) for path in Path(out).glob(f"*/{stage}.jsonl") for line in path.open()]
        books = {row["book"]: row for row in rows if row["scope"] == "book"}
        cells = [_cell(books.get(book, {}).get(name)) for _, book, name in COLUMNS]
        pages = [row for row in rows if row["scope"] == "page" and row["text_f1"] is not None]
        for fold in BOOKS:
            texts = [page["text_f1"] for page in pages if page["book"] in FOLDS[fold]]
            cells.append(f"{median(texts):.3f} ({len(texts)} pages)" if texts else "")
        print(f"| {description} | {' | '.join(cells)} |")


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
