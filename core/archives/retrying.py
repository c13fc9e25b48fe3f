"""This module waits for a server of images that does not answer, unless the fault will not pass."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from fumikura.core.archives.addresses import PrivateAddressError
from fumikura.core.archives.urls import Url, masked
from fumikura.core.errors import ArchiveError, FumikuraError, StorageError, first_line
from fumikura.core.limits import Limits
from fumikura.core.pauses import pause_s

log = logging.getLogger(__name__)

T = TypeVar("T")

_TRIES_IF_CUT_OFF = 3

_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
# What does not pass by itself. Every protocol has errors of its own: all others may.
_LASTING = (PermissionError, IsADirectoryError, NotADirectoryError, ValueError, NotImplementedError)
_LASTING_NUMBERS = (errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG)
_LASTING_NAMES = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "ProfileNotFound"}
    | {"InvalidUrlRedirectClientError", "NonHttpUrlRedirectClientError"}
)


def retry_until_answered(action: Callable[[], T], url: Url, limits: Limits) -> T:
    """Return what `action` returns; try it again while the server does not answer.

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
            reason, wait_s = _reason(_behind(error, url)), pause_s(n_failures)
            # Not `from error`: a traceback would show addresses with keys, to which a server may redirect.
            if (problem := _problem(_behind(error, url), url, reason, n_failures)) is not None:
                raise problem from None
            if time.monotonic() + wait_s > end_s:
                raise StorageError(
                    f"{url} cannot be fetched ({reason}); try again when its server answers"
                ) from None
        log.warning("%s cannot be fetched (%s); trying again in %.1f s", url, reason, wait_s)
        time.sleep(wait_s)


def _behind(error: Exception, url: Url) -> Exception:
    """Give the true error: of every failure on the web, fsspec says that there is no such file."""
    is_veiled = url.is_http and isinstance(error, FileNotFoundError)
    return error.__cause__ if is_veiled and isinstance(error.__cause__, Exception) else error


def _problem(error: Exception, url: Url, reason: str, n_failures: int) -> Exception | None:
    """Make the error to raise for a fault that will not pass by itself; None for one that may."""
    if isinstance(error.__cause__, PrivateAddressError):
        return ArchiveError(
            f"{url} leads to a private address; if that is meant, set FUMIKURA_ALLOW_PRIVATE_ADDRESSES=true"
        )
    if isinstance(error, FileNotFoundError) or getattr(error, "status", None) in _GONE:
        return FileNotFoundError(errno.ENOENT, "there is nothing", str(url))
    if isinstance(error, EOFError) or type(error).__name__ == "ClientPayloadError":
        is_certain = n_failures >= _TRIES_IF_CUT_OFF
        problem = ArchiveError(f"{url} is cut off whenever it is fetched; copy it again to its server")
        return problem if is_certain else None
    if _is_lasting(error):
        return ArchiveError(f"{url} cannot be read ({reason}); correct the URL, its rights or your login")
    return None


def _is_lasting(error: Exception) -> bool:
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _BUSY
    return (
        isinstance(error, _LASTING)
        or getattr(error, "errno", None) in _LASTING_NUMBERS
        or type(error).__name__ in _LASTING_NAMES
    )


def _reason(error: Exception) -> str:
    if isinstance(status := getattr(error, "status", None), int):
        return f"it answers {status}"
    return masked(first_line(error))
