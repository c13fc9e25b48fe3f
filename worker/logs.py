"""This module formats log lines for people, or as one JSON object each for programs.

The standard library's formatter and a few lines: what structlog or python-json-logger would add, this
program has no use for. Of all that a line may carry, three facts are kept: run, page and worker. Code that
knows one hands it over as `extra={"page": page_id}`.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

FACTS = ("run", "page", "worker")


class Lines(logging.Formatter):
    """Write lines with a time, the worker that writes them, and the facts that a record brings."""

    def __init__(self, worker: str) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._worker = worker

    def facts(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return those of FACTS that are known."""
        known = {name: getattr(record, name, None) for name in FACTS}
        known["worker"] = known["worker"] or self._worker
        return {name: value for name, value in known.items() if value is not None}

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the library's name
        facts = " ".join(f"{name}={value}" for name, value in self.facts(record).items())
        return f"{super().formatMessage(record)} [{facts}]"


class JsonLines(Lines):
    """Write JSON objects of time, level, logger, message, facts, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self.facts(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def use_format(log_format: str, *, worker: str) -> None:
    """Write log lines from here on as "text" or "json".

    Args:
        worker: whose lines they are, where a line says nothing else.
    """
    is_json = log_format == "json"
    formatter = JsonLines(worker) if is_json else Lines(worker)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)
    logging.captureWarnings(is_json)


def is_json() -> bool:
    """Tell whether log lines are JSON, so that nothing else belongs between them."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)
