"""This module reads settings: options first, then FUMIKURA_* variables, then defaults for a laptop."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from fumikura.core.errors import UsageError
from fumikura.core.limits import Limits

PRECISIONS = ("auto", "fp32", "bf16", "fp16")

_CHOICES = {
    "log_format": ("text", "json"),
    "precision": PRECISIONS,
    "leaves": ("auto", "one", "two", "off"),
}

_YES_OR_NO = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

#: May stand in a file that a further variable names, as they hold passwords.
_IN_FILES = ("database_url", "broker_url")

#: Numbers of which 0 means something.
_MAY_BE_ZERO = frozenset(
    {"workers", "threads", "patches_per_batch", "context_weight", "metrics_port", "stall_limit_s"}
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings hold all that may differ between two machines.

    Attributes:
        database_url: SQLAlchemy URL; a plain path is a SQLite file.
        broker_url: Celery broker; None means that `run` brings its own queue in a private folder.
        devices: "auto", or a comma-separated list such as "cpu" or "cuda:0,cuda:1".
        workers: worker processes for each device; 0 means one, or for "auto" without a GPU one for each
            core, as far as memory goes.
        segmenter_path: weights file; None means the one that ships.
        classifier_path: likewise.
        context_path: likewise.
        context_weight: power of the context's probabilities against the classifier's; 0 reads
            without context.
        leaves: "auto" finds the material on a photograph, and whether it is one leaf or two; "one" and "two"
            say so; "off" reads the whole photograph as one page.
        is_as_is: pages on their side or head and negatives are read as they are, writing at one scale.
        lease_s: a claimed page that nobody renewed for so long goes back to the queue.
        chunk_size: pages that a worker claims at once; eight times as many if it reads them in no time.
        max_attempts: lost workers on a page alone before it is quarantined.
        page_time_limit_s: a page that takes longer ends its worker; one whose image does not come from its
            server for so long fails.
        pages_per_batch: pages that share their batches of patches and crops.
        patches_per_batch: patches in one pass of the segmenter; 0 means 8 on a GPU, and 1 on a CPU, whose
            caches hold no more.
        crops_per_batch: crops in one pass of the classifier.
        threads: CPU threads of a worker; 0 divides the cores among the workers.
        precision: "auto", "fp32", "bf16" or "fp16" (GPUs alone).
        max_pixels: a larger page fails before it is decoded.
        max_file_bytes: a page whose file is larger fails before it is read.
        max_ratio: a file or archive that unpacks to more than so many times its packed size, and to
            more than 16 MiB, is taken for a bomb, and fails.
        max_members: files that one zip or tar may hold.
        allow_private_addresses: whether the URL of an archive may lead to a host that is not on the public
            internet.
        requests_per_second: how often a worker asks one host for pages of a IIIF manifest.
        metrics_port: where `worker` serves /metrics and /healthz; 0 serves neither.
        metrics_host: the address it listens at: this machine alone unless told otherwise.
        stall_limit_s: work that stands still for so long turns /healthz red; 0 is a little longer than
            a page's time limit lets a batch take.
        host_name: of this machine, in `status` and in reasons; None means what the system says. In containers
            whose names change with each start, that of the machine they run on.
        log_format: "text", or "json" for an object a line.
    """

    database_url: str = "sqlite:///fumikura.db"
    broker_url: str | None = None
    devices: str = "auto"
    workers: int = 0
    segmenter_path: Path | None = None
    classifier_path: Path | None = None
    context_path: Path | None = None
    # Tuned on books that neither the networks nor the counts knew; see docs/training.md.
    context_weight: float = 0.5
    leaves: str = "auto"
    is_as_is: bool = False
    lease_s: float = 60.0
    chunk_size: int = 8
    max_attempts: int = 3
    page_time_limit_s: float = 300.0
    pages_per_batch: int = 4
    patches_per_batch: int = 0
    crops_per_batch: int = 256
    threads: int = 0
    precision: str = "auto"
    max_pixels: int = 80_000_000
    max_file_bytes: int = 256 << 20
    max_ratio: int = 200
    max_members: int = 100_000
    allow_private_addresses: bool = False
    requests_per_second: float = 5.0
    metrics_port: int = 0
    metrics_host: str = "127.0.0.1"
    stall_limit_s: float = 0.0
    host_name: str | None = None
    log_format: str = "text"

    @property
    def limits(self) -> Limits:
        """Give what an archive may claim or reach."""
        return Limits(
            max_file_bytes=self.max_file_bytes,
            max_pixels=self.max_pixels,
            max_ratio=self.max_ratio,
            max_members=self.max_members,
            allow_private_addresses=self.allow_private_addresses,
            patience_s=self.page_time_limit_s,
            requests_per_second=self.requests_per_second,
        )

    def overridden(self, **options: Any) -> Settings:
        """Give these settings with every option that is not None put in, or raise a UsageError."""
        given = {name: value for name, value in options.items() if value is not None}
        for name, value in given.items():
            _check(name, value, shown=f"{name}={value!r}")
        if "database_url" in given and "://" not in str(given["database_url"]):
            # Of a URL the one would begin its query, the other a character by its number.
            path = str(given["database_url"]).replace("%", "%25").replace("?", "%3F")
            given["database_url"] = f"sqlite:///{path}"
        return replace(self, **given)

    def to_environment(self) -> dict[str, str]:
        """Give the FUMIKURA_* variables from which `read_settings` makes these settings."""
        return {
            variable(item.name): str(value)
            for item in fields(self)
            if (value := getattr(self, item.name)) is not None
        }


def variable(name: str) -> str:
    """Name the environment variable behind a setting."""
    return f"FUMIKURA_{name.upper()}"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read settings from FUMIKURA_* variables.

    FUMIKURA_DATABASE_URL_FILE and FUMIKURA_BROKER_URL_FILE name files that hold the URL, so that its password
    stands in no environment; they count where the variable without _FILE is not set.

    Raises:
        UsageError: a value is not of its setting's type, or too small to read anything; a file is missing.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for item in fields(Settings):
        text = environment.get(variable(item.name)) or _read_file(item.name, environment)
        if text:
            values[item.name] = _parse(item.name, str(item.type), text)
    return Settings().overridden(**values)


def _read_file(name: str, environment: Mapping[str, str]) -> str:
    """Read the value of a setting from the file that the variable NAME_FILE names; empty where none does."""
    file_variable = f"{variable(name)}_FILE"
    path = environment.get(file_variable)
    if name not in _IN_FILES or not path:
        return ""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"{file_variable}={path!r} cannot be read ({reason}); correct the path") from error
    if not text or len(text.splitlines()) > 1:
        raise UsageError(f"{file_variable}={path!r} must hold one line, the URL; correct the file")
    return text


def _parse(name: str, kind: str, text: str) -> Any:
    if kind == "bool":
        if text.lower() not in _YES_OR_NO:
            raise UsageError(f"{variable(name)}={text!r} must be true or false")
        return _YES_OR_NO[text.lower()]
    types: dict[str, type] = {"int": int, "float": float}
    parse = Path if "Path" in kind else types.get(kind, str)
    try:
        value = parse(text)
    except ValueError as error:
        raise UsageError(f"{variable(name)}={text!r} is not a number; unset it or correct it") from error
    _check(name, value, shown=f"{variable(name)}={text!r}")
    return value


def _check(name: str, value: Any, *, shown: str) -> None:
    """Raise a UsageError, which begins with `shown`, if a setting cannot have this value."""
    if name in _CHOICES and value not in _CHOICES[name]:
        raise UsageError(f"{shown} must be {' or '.join(_CHOICES[name])}")
    # A chunk of nothing would let a run wait for ever.
    if type(value) in (int, float) and not (value > 0 or (name in _MAY_BE_ZERO and value == 0)):
        raise UsageError(f"{shown} is too small; unset it or correct it")
    if value == math.inf:
        raise UsageError(f"{shown} is too large; unset it or correct it")
