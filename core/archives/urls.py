"""This module checks URLs of archives, and finds the fsspec file system that answers for one.

No password may stand in a URL: workers find pages by what the database holds, and what the database
holds is shown. Each machine has its own instead (~/.netrc, AWS_* variables and the like).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from fumikura.core.archives.addresses import client_for, login_for
from fumikura.core.errors import ArchiveError
from fumikura.core.limits import Limits

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_HTTP = ("http", "https")
#: Stores whose URLs name a bucket; at which address they are reached, the operator's settings say.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
_EXTRAS = {"http": "http", "https": "http", "s3": "s3", "s3a": "s3"}


@dataclass(frozen=True, slots=True)
class Url:
    """A URL says where an archive lies that is not on this machine. Its parts have the names of a Path's.

    Attributes:
        scheme: in lower case.
        path: host or bucket, and what lies below it.
    """

    scheme: str
    path: PurePosixPath

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}"

    @property
    def is_http(self) -> bool:
        return self.scheme in _HTTP

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def suffix(self) -> str:
        return self.path.suffix if len(self.parts) > 1 else ""  # that of a host or bucket means nothing

    @property
    def parts(self) -> tuple[str, ...]:
        return self.path.parts

    def __truediv__(self, name: str) -> Url:
        return Url(self.scheme, self.path / name)

    @property
    def parent(self) -> Url:
        return Url(self.scheme, self.path.parent)


@dataclass(frozen=True, slots=True)
class WebAddress:
    """This is an address of http or https that somebody wrote into a manifest, to the letter.

    It stands in no database, so that it may go on with a query; shown, it does not.
    """

    text: str

    def __str__(self) -> str:
        return masked(self.text)

    @property
    def is_http(self) -> bool:
        return True

    @property
    def scheme(self) -> str:
        return self.text.partition("://")[0].lower()

    @property
    def host(self) -> str:
        return urlsplit(self.text).netloc

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.host,)


#: Where an archive lies.
Place = Path | Url


def is_url(text: str) -> bool:
    return _SCHEME.match(text) is not None


def masked(text: str) -> str:
    """Take out of a text the passwords and keys that the URLs in it may hold."""
    return re.sub(r"\?[^\s'\")\]]+", "?***", re.sub(r"//\S*@", "//***@", text))


def parse_url(text: str) -> Url:
    """Read the address in a URL of any protocol but file://.

    Raises:
        ArchiveError: it holds a password or a key, its protocol is unknown, or it names no place.
    """
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    try:
        parts = urlsplit(text)
        has_password = bool(parts.password) or (scheme in _HTTP and "@" in rest)
    except ValueError:
        raise ArchiveError(f"{masked(text)} is no URL; correct it") from None
    if has_password:
        raise ArchiveError(
            f"{masked(text)} holds a password, which would stand in the database; leave it out, and put it"
            " into ~/.netrc of each machine, or into the variables of its protocol"
        )
    if scheme in _HTTP and (parts.query or parts.fragment):
        raise ArchiveError(
            f"{masked(text)} goes on after its path, where keys stand that no database should hold;"
            " name the plain file, or give it by s3:// and the like"
        )
    if scheme not in _protocols():
        raise ArchiveError(f"{scheme}:// is unknown; use s3://, https:// or another that fsspec knows")
    # fsspec would take `::` for a chain of places, of which only the first is looked at here.
    if "::" in re.sub(r"^\[[^]]*\]", "", rest) or not rest.strip("/"):
        raise ArchiveError(
            f"{masked(text)} is no URL of one archive; name a folder, an image, a zip or a tar"
        )
    return Url(scheme, PurePosixPath(rest.strip("/")))


def parse_address(text: str) -> WebAddress:
    """Read an address that stands in a manifest.

    Raises:
        ArchiveError: it is none of http or https, or holds a password.
    """
    shown = repr(masked(text[:80]))
    try:
        parts = urlsplit(text)
        is_web = parts.scheme.lower() in _HTTP and bool(parts.hostname) and text.isprintable()
        has_password = "@" in parts.netloc
    except ValueError:
        is_web = has_password = False
    if has_password:
        raise ArchiveError(f"{shown} holds a password; correct the manifest")
    if not is_web:
        raise ArchiveError(f"{shown} is no address of http or https; correct the manifest")
    return WebAddress(text.partition("#")[0])


def _protocols() -> list[str]:
    import fsspec  # not above: whose archives lie on a disk need not wait for it

    return list(fsspec.available_protocols())


def file_system(url: Url | WebAddress, limits: Limits) -> Any:
    """Give the fsspec file system for a URL, one for all threads.

    Raises:
        ArchiveError: its protocol is not allowed, or its package is missing.
    """
    if not (url.is_http or url.scheme in _OBJECT_STORES or limits.allow_private_addresses):
        raise ArchiveError(
            f"{url} names a host whose address is not checked; use http, https, s3, gs or az,"
            " or set FUMIKURA_ALLOW_PRIVATE_ADDRESSES=true",
            is_only_here=True,
        )
    return _file_system(url.scheme, url.parts[0], allow_private=limits.allow_private_addresses)


@lru_cache(maxsize=64)
def _file_system(scheme: str, host: str, *, allow_private: bool) -> Any:
    import fsspec

    # A listing that is kept would hide what changes; and fsspec's own cache has an instance for each thread.
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    try:
        if scheme in _HTTP:
            client = client_for(allow_private=allow_private)
            login = {"headers": login_for(urlsplit(f"//{host}").hostname or "")}
            return fsspec.filesystem(scheme, get_client=client, client_kwargs=login, **options)
        return fsspec.url_to_fs(f"{scheme}://{host}", **options)[0]
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        remedy = f"install it with `pip install 'fumikura[{extra}]'`" if extra else str(error)
        problem = f"{scheme}:// needs a package that is not installed; {remedy}"
        raise ArchiveError(problem, is_only_here=True) from error
