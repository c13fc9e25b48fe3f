"""This module waits for a server of images that does not answer, unless the fault will not pass."""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

from fumikura.core.archives.addresses import PrivateAddressError
from fumikura.core.archives.deadline import ends_within, seconds_left
from fumikura.core.archives.urls import Url, WebAddress, masked
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
_NO_LOGIN_NAMES = frozenset({"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"})
_LASTING_NAMES = _NO_LOGIN_NAMES | {
    "ParamValidationError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlRedirectClientError",
}
_REFUSED = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED,
)
# Where no connection comes about: errors of aiohttp and botocore, which are not imported for their names.
_UNCONNECTED = frozenset(
    {
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "ConnectionTimeoutError",
        "ClientProxyConnectionError",
    }
    | {"ClientConnectorSSLError", "ClientConnectorCertificateError", "ClientSSLError"}
    | {"EndpointConnectionError", "ConnectTimeoutError", "SSLError", "ProxyConnectionError"}
)
_UNCONNECTED_NUMBERS = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)


def retry_until_answered(action: Callable[[], T], url: Url | WebAddress, limits: Limits) -> T:
    """Return what `action` returns; try it again while the server does not answer.

    Raises:
        FileNotFoundError: there is nothing at the URL.
        ArchiveError: it cannot be had, however often one asks.
        StorageError: there was no whole answer within `patience_s`, or before an outer `ends_within` ends.
    """
    n_failures, began_s = 0, time.monotonic()
    before: Exception | None = None
    with ends_within(limits.patience_s):
        while True:
            try:
                return action()
            except (FumikuraError, MemoryError):
                raise
            except Exception as error:
                n_failures += 1
                cause = _behind(error, url)
                # A try that our own deadline ends says less than the one before it.
                if isinstance(cause, TimeoutError) and before is not None:
                    cause = before
                before = cause
                wait_s = max(pause_s(n_failures), _asked_for_s(cause))
                reason = _reason(cause, time.monotonic() - began_s)
                # Not `from error`: a traceback shows addresses with keys, to which a server may redirect.
                if (problem := _problem(cause, url, reason, n_failures)) is not None:
                    raise problem from None
                if not _is_time_for(wait_s):
                    raise _no_answer(cause, url, reason) from None
            log.warning("%s cannot be fetched (%s); trying again in %.1f s", url, reason, wait_s)
            time.sleep(wait_s)


def _asked_for_s(error: Exception) -> float:
    """Give for how many seconds a server wants not to be asked (Retry-After, RFC 9110); 0 if for none."""
    wanted = str((getattr(error, "headers", None) or {}).get("Retry-After", "")).strip()
    if wanted.isascii() and wanted.isdecimal():
        return float(wanted[:9])
    try:
        when = parsedate_to_datetime(wanted)
    except ValueError:
        return 0.0
    return max(0.0, when.timestamp() - time.time())


def _is_time_for(pause_s: float) -> bool:
    try:
        return seconds_left() > pause_s
    except TimeoutError:
        return False


def _behind(error: Exception, url: Url | WebAddress) -> Exception:
    """Give the true error: of every failure on the web, fsspec says that there is no such file."""
    is_veiled = url.is_http and isinstance(error, FileNotFoundError)
    return error.__cause__ if is_veiled and isinstance(error.__cause__, Exception) else error


def _problem(error: Exception, url: Url | WebAddress, reason: str, n_failures: int) -> Exception | None:
    """Make the error to raise for a fault that will not pass by itself; None for one that may."""
    if isinstance(error.__cause__, PrivateAddressError):
        return ArchiveError(
            f"{url} leads to a private address; if that is meant, set FUMIKURA_ALLOW_PRIVATE_ADDRESSES=true",
            is_only_here=True,
        )
    if isinstance(error, FileNotFoundError) or getattr(error, "status", None) in _GONE:
        return FileNotFoundError(errno.ENOENT, "there is nothing", str(url))
    if isinstance(error, EOFError) or type(error).__name__ == "ClientPayloadError":
        is_certain = n_failures >= _TRIES_IF_CUT_OFF
        problem = ArchiveError(f"{url} is cut off whenever it is fetched; copy it again to its server")
        return problem if is_certain else None
    if _is_lasting(error):
        return ArchiveError(
            f"{url} cannot be read ({reason}); correct the URL, its rights or your login",
            is_only_here=_is_refused(error),
        )
    return None


def _no_answer(error: Exception, url: Url | WebAddress, reason: str) -> StorageError:
    is_connected = type(error).__name__ not in _UNCONNECTED and not isinstance(
        error, socket.gaierror | ConnectionRefusedError
    )
    return StorageError(
        f"{url} cannot be fetched ({reason}); try again when its server answers",
        is_only_here=not is_connected or getattr(error, "errno", None) in _UNCONNECTED_NUMBERS,
    )


def _is_refused(error: Exception) -> bool:
    """Tell whether it lies at a login or at rights, which each machine has of its own."""
    return (
        getattr(error, "status", None) in _REFUSED
        or isinstance(error, PermissionError)
        or getattr(error, "errno", None) == errno.EPERM
        or type(error).__name__ in _NO_LOGIN_NAMES
    )


def _is_lasting(error: Exception) -> bool:
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _BUSY
    return (
        isinstance(error, _LASTING)
        or getattr(error, "errno", None) in _LASTING_NUMBERS
        or type(error).__name__ in _LASTING_NAMES
    )


def _reason(error: Exception, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no whole answer within {seconds:.0f} s"
    if isinstance(status := getattr(error, "status", None), int):
        return f"it answers {status}"
    return masked(first_line(error))
