"""See what the search that forgives finds, and how long it takes.

    python -m benchmarks.forgiving --db URL            on pages with truth: phrases that exact search misses
    python -m benchmarks.forgiving --db URL --times    phrases of what was read, one label of each changed

Phrases are 3 to 6 characters long, and drawn with the same seed each time. One of the truth is found where
one of the first ten hits overlaps its boxes on its page.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Iterator

from sqlalchemy import func, select

from fumikura.core.folding import fold
from fumikura.core.page import LabelledBox
from fumikura.core.settings import Settings
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.forgiving import find_probable
from fumikura.core.store.hits import Hit
from fumikura.core.store.lookup import get_page
from fumikura.core.store.search import find_characters
from fumikura.core.store.upgrading import open_database

N_HITS = 10
LENGTHS = (3, 4, 5, 6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--db", required=True, metavar="URL")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--phrases", type=int, default=200)
    arguments = parser.parse_args()
    engine = open_database(Settings().overridden(database_url=arguments.db).database_url)
    if arguments.times:
        _time(engine, arguments.phrases)
    else:
        _find(engine, arguments.phrases)


def _find(engine: Engine, n_phrases: int) -> None:
    """Tell how many phrases of the truth that exact search misses are among the first hits."""
    missed = found = n_hits = n_right = 0
    for page_id, boxes in _phrases_of_truth(engine):
        text = "".join(fold(one.label) for one in boxes)
        if any(_is_there(hit, page_id, boxes) for hit in find_characters(engine, text, limit=1000)):
            continue
        hits = find_probable(engine, text, limit=N_HITS)
        is_found = any(_is_there(hit, page_id, boxes) for hit in hits)
        missed, found = missed + 1, found + is_found
        if hits:  # the first hit alone, as far as it claims to be probable
            n_hits += 1
            n_right += _is_there(hits[0], page_id, boxes)
        if missed == n_phrases:
            break
    share, right = found / max(1, missed), n_right / max(1, n_hits)
    print(f"{found} of {missed} missed phrases are among the first {N_HITS} hits: {share:.0%}")
    print(f"the first hit is right: {right:.0%}")


def _phrases_of_truth(engine: Engine) -> Iterator[tuple[int, list[LabelledBox]]]:
    """Draw phrases from the truth of the pages that have boxes in order, without end."""
    with engine.connect() as connection:
        page_ids = list(connection.scalars(select(tables.truth.c.page_id).order_by(tables.truth.c.page_id)))
    truths = [(page_id, get_page(engine, page_id).truth) for page_id in page_ids]
    pages = [(page_id, list(truth.boxes)) for page_id, truth in truths if truth and truth.boxes]
    draw = random.Random(1)
    for _ in range(100_000):
        page_id, boxes = draw.choice(pages)
        length = draw.choice(LENGTHS)
        start = draw.randrange(max(1, len(boxes) - length))
        yield page_id, boxes[start : start + length]


def _is_there(hit: Hit, page_id: int, boxes: list[LabelledBox]) -> bool:
    """Tell whether a hit overlaps at least half of some boxes."""
    if hit.page_id != page_id:
        return False
    n_touched = sum(
        any(
            box.x < one.box.x + one.box.width
            and one.box.x < box.x + box.width
            and box.y < one.box.y + one.box.height
            and one.box.y < box.y + box.height
            for box in hit.boxes
        )
        for one in boxes
    )
    return 2 * n_touched >= len(boxes)


def _time(engine: Engine, n_phrases: int) -> None:
    """Tell how long it takes to search for what was read, one label changed."""
    draw, character = random.Random(1), tables.character.c
    milliseconds = []
    with engine.connect() as connection:
        last = connection.scalar(select(func.max(character.reading_id))) or 0
        labels = list(connection.scalars(select(character.label).limit(5000)))
    while len(milliseconds) < n_phrases:
        place, length = draw.randrange(100), draw.choice(LENGTHS)
        at = select(character.label).where(
            character.reading_id == draw.randint(1, last),
            character.position.between(place, place + length - 1),
        )
        with engine.connect() as connection:
            read = list(connection.scalars(at.order_by(character.position)))
        if len(read) < length:
            continue
        read[draw.randrange(length)] = draw.choice(labels)
        started_s = time.perf_counter()
        find_probable(engine, "".join(read), limit=N_HITS)
        milliseconds.append(1000 * (time.perf_counter() - started_s))
    milliseconds.sort()
    late = milliseconds[int(0.95 * len(milliseconds))]
    name = engine.dialect.name
    print(f"{name}: median {statistics.median(milliseconds):.0f} ms, 95th percentile {late:.0f} ms")


if __name__ == "__main__":
    main()
