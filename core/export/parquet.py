"""This module writes Apache Parquet, a row a character, for pandas, DuckDB, Spark and their like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, Any

from fumikura.core.errors import UsageError
from fumikura.core.export.formats import Format, Style
from fumikura.core.read_page import ReadPage

try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError as error:
    raise UsageError("parquet needs pyarrow; pip install 'fumikura[parquet]'") from error

#: Rows are Python's own objects for so many pages only, a hundred times as large as in a table.
_PAGES_AT_ONCE = 10
#: Tables of a row group: some 50,000 characters.
_TABLES_PER_GROUP = 15

#: Positions and columns count from 0, as in `jsonl`.
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("page", "book", "digest", "archive", "member", "recipe")),
        *((name, pa.int32()) for name in ("position", "column_number", "x", "y", "width", "height")),
        ("label", pa.string()),
        ("confidence", pa.float32()),
        ("alternatives", pa.list_(pa.struct([("label", pa.string()), ("probability", pa.float32())]))),
        *(("leaf", pa.int32()), ("role", pa.string()), ("base", pa.int32())),
    ]
)


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:  # noqa: ARG001
    """Write characters, some pages to a row group."""
    with parquet.ParquetWriter(file, _SCHEMA, compression="zstd") as writer:
        tables = _tables(pages)
        while group := list(islice(tables, _TABLES_PER_GROUP)):
            writer.write_table(pa.concat_tables(group))


def _tables(pages: Iterable[ReadPage]) -> Iterator[Any]:
    waiting = iter(pages)
    while some := list(islice(waiting, _PAGES_AT_ONCE)):
        yield pa.Table.from_pylist([row for page in some for row in _rows(page)], _SCHEMA)


def _rows(page: ReadPage) -> Iterable[dict[str, Any]]:
    of_page = {
        "page": page.name,
        "book": page.book,
        "digest": page.digest,
        "archive": page.archive,
        "member": page.member,
        "recipe": page.recipe_digest,
    }
    for position, character in zip(page.positions, page.characters, strict=True):
        box = character.box
        yield {
            **of_page,
            "position": position,
            "column_number": character.column_number,
            "x": box.x,
            "y": box.y,
            "width": box.width,
            "height": box.height,
            "label": character.label,
            "confidence": character.confidence,
            "alternatives": [
                {"label": label, "probability": share} for label, share in character.alternatives
            ],
            "leaf": character.leaf,
            "role": character.role.value,
            "base": character.base,
        }


FORMAT = Format(
    extents=("all", "book", "page"), suffix=".parquet", name="characters", write=write, has_alternatives=True
)
