"""`make chaos`: the whole suite, with its table and its JSON. Exit code 1 if anything is wrong at the end."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fumikura.core.settings import Settings
from tests.chaos.storm import ALL_BLOWS, OF_REDIS, Outcome, Plan, run_storm
from tests.handmade import write_weights


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--pages", type=int, help="at most 2000 [default: 2000 with --quick, else 300]")
    parser.add_argument("--poison", type=int, help="of them, pages that nobody survives [default: 20, or 12]")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time-limit-s", type=float, default=7200)
    parser.add_argument("--broker", choices=["redis", "rabbitmq"], default="redis")
    parser.add_argument(
        "--forgetful", action="store_true", help="a database that loses its last transactions in a crash"
    )
    parser.add_argument("--quick", action="store_true", help="a reader without torch")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--keep", type=Path, help="folder for logs, kept afterwards")
    arguments = parser.parse_args()
    started_s = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - started_s:7.1f} s  {line}", file=sys.stderr, flush=True)

    if arguments.quick:
        os.environ["CHAOS_QUICK"] = "1"
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["CHAOS_READ_LOG"] = str(folder / "peace.log")
        outcome = run_storm(_plan(arguments, folder), folder, say=say)
    figures = as_figures(outcome, command="python -m tests.chaos " + " ".join(sys.argv[1:]))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    Console(width=110).print(*tables(figures))
    for line in outcome.wrong:
        say(f"WRONG: {line}")
    return 1 if outcome.wrong else 0


def _plan(arguments: argparse.Namespace, folder: Path) -> Plan:
    segmenter, classifier = (None, None) if arguments.quick else write_weights(folder)
    settings = Settings().overridden(
        devices="cpu",
        segmenter_path=segmenter,
        classifier_path=classifier,
        lease_s=15.0,
        page_time_limit_s=5.0 if arguments.quick else 20.0,
        pages_per_batch=2,
        threads=1,
    )
    return Plan(
        seed=arguments.seed,
        n_pages=arguments.pages or (2000 if arguments.quick else 300),
        n_poison=(20 if arguments.quick else 12) if arguments.poison is None else arguments.poison,
        n_workers=arguments.workers,
        blows=[one for one in ALL_BLOWS if arguments.broker == "redis" or one[0] not in OF_REDIS],
        database_survives=not arguments.forgetful,
        settings=settings,
        time_limit_s=arguments.time_limit_s,
        broker=arguments.broker,
    )


def as_figures(outcome: Outcome, *, command: str) -> dict[str, Any]:
    """All that docs/reliability.md quotes."""
    times: dict[str, list[float]] = defaultdict(list)
    for fault in outcome.faults:
        if fault.recovered_s is not None:
            times[fault.kind].append(fault.recovered_s - fault.broken_s)
    counts = ("pages", "poison", "done", "quarantined", "failed", "lost", "doubled", "different")
    return {
        "command": command,
        "cores": os.cpu_count(),
        "seconds": round(outcome.seconds, 1),
        **{f"n_{name}": getattr(outcome, f"n_{name}") for name in counts},
        "n_read_in_vain": outcome.n_read - outcome.n_done,
        "faults": [
            {
                "kind": kind,
                "times": sum(fault.kind == kind for fault in outcome.faults),
                "recovered": len(times[kind]),
                "median_s": round(statistics.median(times[kind]), 1) if times[kind] else None,
                "longest_s": round(max(times[kind]), 1) if times[kind] else None,
            }
            for kind in sorted({fault.kind for fault in outcome.faults})
        ],
        "quarantined": [
            {"poison": kind, "pages": len(reasons), "reason": reasons[0]}
            for kind, reasons in sorted(outcome.reasons.items())
        ],
        "wrong": outcome.wrong,
    }


def tables(figures: dict[str, Any]) -> list[Table]:
    shown = []
    for title in ("faults", "quarantined"):
        table = Table(*(figures[title][0] if figures[title] else ()), title=title, title_justify="left")
        for row in figures[title]:
            table.add_row(*(str(value) for value in row.values()))
        shown.append(table)
    counts = Table("what", "number", title="pages", title_justify="left")
    for name, value in figures.items():
        if name.startswith("n_") or name == "seconds":
            counts.add_row(name.removeprefix("n_").replace("_", " "), str(value))
    return [*shown, counts]


if __name__ == "__main__":
    sys.exit(main())
