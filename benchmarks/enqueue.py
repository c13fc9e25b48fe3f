"""How fast `fumikura enqueue` takes files in, and whether that stays so, with a Redis and both databases.

    python -m benchmarks.enqueue OUT                  5,000, 20,000 and 100,000 files of about 20 KB
    python -m benchmarks.enqueue OUT --files 5000     as many as you say; repeatable

OUT is a folder for the files (2 GB) and the SQLite databases, which are removed at the end. The files are
one JPEG with other bytes behind its end. The whole command is timed, start-up and messages included; "again"
is the same command once more, when all pages are known. Prints Markdown.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image
from sqlalchemy import create_engine, make_url

from fumikura.core.store.upgrading import upgrade
from tests.servers import Server, running_postgres, running_redis

FILES = (5_000, 20_000, 100_000)
SIZE_BYTES = 20_000
COMMAND = Path(sys.executable).with_name("fumikura")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--files", type=int, action="append", metavar="N")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(
        "| database | files | seconds | files/s | again, seconds | files/s |\n|---|---|---|---|---|---|",
        flush=True,
    )
    with running_redis() as broker, running_postgres() as server:
        for n_files in arguments.files or FILES:
            folder = arguments.out / f"pages_{n_files}"
            try:
                _write_files(folder, n_files)
                database = arguments.out / f"{n_files}.db"
                _measure("sqlite", n_files, folder, [f"sqlite:///{database}", broker.url])
                _measure("postgresql", n_files, folder, [_new_database(server), broker.url])
            finally:
                shutil.rmtree(folder)
                for path in arguments.out.glob(f"{n_files}.db*"):
                    path.unlink()


def _write_files(folder: Path, n_files: int) -> None:
    folder.mkdir()
    side = 8
    while len(data := _jpeg(side)) < SIZE_BYTES:
        side += 8
    for number in range(n_files):
        (folder / f"{number:06}.jpg").write_bytes(data + b"%06d" % number)


def _jpeg(side: int) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (side, side), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def _new_database(server: Server) -> str:
    url = make_url(server.url).set(drivername="postgresql+psycopg")
    name = f"enqueue_{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    made = url.set(database=name, drivername="postgresql").render_as_string(hide_password=False)
    upgrade(made)
    return made


def _measure(name: str, n_files: int, folder: Path, urls: Sequence[str]) -> None:
    command = [str(COMMAND), "enqueue", str(folder), "--db", urls[0], "--broker", urls[1], "--json"]
    figures = []
    for _ in range(2):
        started_s = time.perf_counter()
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        seconds = time.perf_counter() - started_s
        assert json.loads(answer.stdout)["n_queued"] == n_files
        figures.append(f"{seconds:.1f} | {n_files / seconds:,.0f}")
    print(f"| {name} | {n_files:,} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
