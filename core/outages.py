"""Waiting out a server of images that does not answer, and telling that from what will not pass."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from core.addresses import PrivateAddressError
from core.errors import ArchiveError, FumikuraError, StorageError
from core.member import Limits
from core.pauses import pause_s
from core.urls import Url, masked

log = logging.getLogger(__name__)

T = TypeVar("T")

_TRIES_IF_CUT_OFF = 3

_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
# What does not pass by itself. Every protocol has errors of its own: all others may.
_LASTING = (
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ValueError,
    TypeError,
    NotImplementedError,
)
_LASTING_NUMBERS = (errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG)
_LASTING_NAMES = ("NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "ProfileNotFound")


def patiently(action: Callable[[], T], url: Url, limits: Limits) -> T:
    """What `action` returns, tried again while the server does not answer.

    Raises:
        FileNotFoundError: there is nothing at the URL.
        ArchiveError: it cannot be had, however often one asks.
        StorageError: there was no answer for `patience_s`.
    """
    end_s, n_failures = time.monotonic() + limits.patience_s, 0
    while True:
        try:
            return action()
        except (FumikuraError, MemoryError):
            raise
        except Exception as error:
            n_failures += 1
            # Not `from error`: a traceback would show addresses with keys, to which a server may redirect.
            if (problem := _problem(error, url, n_failures)) is not None:
                raise problem from None
            reason, wait_s = _reason(error), pause_s(n_failures)
            if time.monotonic() + wait_s > end_s:
                raise StorageError(f"{url} cannot be reached ({reason}); try again when it can") from None
        log.warning("%s cannot be reached (%s); trying again in %.1f s", url, reason, wait_s)
        time.sleep(wait_s)


def _problem(error: Exception, url: Url, n_failures: int) -> Exception | None:
    """What to tell of an error that does not pass by itself."""
    if url.is_http and isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # fsspec says that of every failure
    status = getattr(error, "status", None)
    if isinstance(error.__cause__, PrivateAddressError):
        return ArchiveError(
            f"{url} leads to a private address; if that is meant, set FUMIKURA_ALLOW_PRIVATE_ADDRESSES=true"
        )
    if isinstance(error, FileNotFoundError) or status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return FileNotFoundError(errno.ENOENT, "there is nothing", str(url))
    if isinstance(error, EOFError) or type(error).__name__ == "ClientPayloadError":
        if n_failures < _TRIES_IF_CUT_OFF:
            return None
        return ArchiveError(f"{url} is cut off whenever it is fetched; copy it again to its server")
    if isinstance(status, int) and status not in _BUSY and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        is_lasting = True
    else:
        is_lasting = (
            isinstance(error, _LASTING)
            or getattr(error, "errno", None) in _LASTING_NUMBERS
            or type(error).__name__ in _LASTING_NAMES
        )
    if not is_lasting:
        return None
    return ArchiveError(f"{url} cannot be read ({_reason(error)}); correct the URL, its rights or your login")


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(status := getattr(error, "status", None), int):
        return f"it answers {status}"
    lines = str(error).strip().splitlines()
    return masked(lines[0]) if lines else type(error).__name__
