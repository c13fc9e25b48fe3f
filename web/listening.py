"""Listen where the room is to be found."""

from __future__ import annotations

import socket

from fumikura.core.errors import UsageError


def listen(host: str, port: int) -> socket.socket:
    """Open a socket that listens; port 0 takes a free one.

    Raises:
        UsageError: the address is none of this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(512)
    except OSError as error:
        sock.close()
        raise UsageError(
            f"{host} port {port} cannot be listened at ({error.strerror}); name another --port or --host"
        ) from error
    return sock


def shown_address(host: str, port: int) -> str:
    """Write the address that a person opens on this machine."""
    name = "127.0.0.1" if host in ("0.0.0.0", "::", "::1") else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
