"""Some commands need packages that are installed only on request."""

from __future__ import annotations

import importlib.util

from fumikura.core.errors import UsageError


def need_packages(*packages: str, extra: str) -> None:
    """Make sure that packages are there which `fumikura[EXTRA]` brings.

    Raises:
        UsageError: some are missing.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"this needs {' and '.join(missing)}; pip install 'fumikura[{extra}]'")


def need_training(*packages: str) -> None:
    """Make sure that packages are there which `fumikura[training]` brings.

    Raises:
        UsageError: some are missing.
    """
    need_packages(*packages, extra="training")
