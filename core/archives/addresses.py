"""This module connects to hosts on the public internet, and to no other unless the operator allows it.

An archive from outside must not make a worker fetch what only the worker can reach: another
service of its network, or the passwords that a cloud hands to its machines at 169.254.169.254.
"""

from __future__ import annotations

import ipaddress
import netrc
import os
import socket
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp

CONNECT_TIMEOUT_S = 15
#: For a pause between two pieces of an answer, and for a whole answer.
READ_TIMEOUT_S = 60
ANSWER_TIMEOUT_S = 600

#: All that has been given out of IPv6 for the internet (RFC 4291). Outside it lie fec0::/10 (site-local: once
#: what 10.0.0.0/8 is), which Python calls global, and prefixes of gateways into somebody's own network.
_GIVEN_OUT = ipaddress.ip_network("2000::/3")
#: For documents (RFC 9637), of which Python does not know before 3.14.
_FOR_DOCUMENTS = ipaddress.ip_network("3fff::/20")
#: Of addresses that end in an IPv4 address, to which a gateway connects (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddressError(OSError):
    """The host is not on the public internet. All have one text, so that asyncio keeps the type."""

    def __init__(self) -> None:
        super().__init__("has a private address")


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet; where IPv6 leads to IPv4, that counts."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast and not ip.is_reserved
    if inner := _inside(ip):
        return all(is_public(str(one)) for one in inner)
    return ip in _GIVEN_OUT and ip not in _FOR_DOCUMENTS and ip.is_global


def _inside(ip: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    """Give the IPv4 addresses to which packets for this address are sent on (RFC 4291, 6052, 3056, 4380)."""
    if ip in _NAT64:
        return (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF),)
    if inner := ip.ipv4_mapped or ip.sixtofour:
        return (inner,)
    return ip.teredo or ()


def client_for(*, allow_private: bool) -> Callable[..., Awaitable[aiohttp.ClientSession]]:
    """Give the function that makes the HTTP client of an fsspec file system."""

    async def make_client(**options: Any) -> aiohttp.ClientSession:
        import aiohttp

        # Where the socket is made, and not by the host's name before: so every redirect is checked too,
        # and a name that changes its address between the check and the connection gains nothing.
        connector = aiohttp.TCPConnector(socket_factory=None if allow_private else _public_socket)
        timeout = aiohttp.ClientTimeout(
            total=ANSWER_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S
        )
        return aiohttp.ClientSession(connector=connector, timeout=timeout, **options)

    return make_client


def login_for(host: str) -> dict[str, str]:
    """Make the header with name and password for a host, from ~/.netrc or the file that NETRC names."""
    with suppress(OSError, netrc.NetrcParseError):
        found = netrc.netrc(os.environ.get("NETRC")).authenticators(host)
        if found is not None:
            return {"Authorization": f"Basic {b64encode(f'{found[0]}:{found[2]}'.encode()).decode()}"}
    return {}


def _public_socket(info: Any) -> socket.socket:
    family, kind, protocol, _, address = info
    if not is_public(address[0]):
        raise PrivateAddressError
    return socket.socket(family, kind, protocol)
