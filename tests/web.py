"""A web server in a thread, which answers as a test wants it to."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Web:
    """What a server has, and what it was asked.

    Attributes:
        files: by path, with its slash.
        redirects: from a path to a URL.
        statuses: answers of a path that come before its file: one a request.
        retry_after: what those answers say of when to ask again; None for nothing.
        cut_off: paths of which only the first half comes.
        endless: paths whose answer has neither a length nor an end.
        drips: paths of which a byte comes every twentieth of a second.
        has_ranges: whether it gives parts of files.
        logins: the Authorization headers that came, a None for a request without.
        asked: (method, path) of each request.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    retry_after: str | None = None
    cut_off: set[str] = field(default_factory=set)
    endless: set[str] = field(default_factory=set)
    drips: set[str] = field(default_factory=set)
    has_ranges: bool = True
    logins: list[str | None] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def running_web() -> Iterator[Web]:
    """A server on 127.0.0.1, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            web.asked.append((self.command, self.path))
            web.logins.append(self.headers["Authorization"])
            waiting = web.statuses.get(self.path)
            if self.path in web.endless:
                self._send_on()
            elif waiting:
                wanted = {} if web.retry_after is None else {"Retry-After": web.retry_after}
                self._send(waiting.pop(0), b"", **wanted)
            elif target := web.redirects.get(self.path):
                self._send(302, b"", Location=target)
            elif (data := web.files.get(self.path)) is None:
                self._send(404, b"")
            elif web.has_ranges and (part := re.match(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")):
                self._send(206, data[int(part[1]) : int(part[2]) + 1])
            else:
                self._send(200, data)

        def _send(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if self.path in web.cut_off:
                body, self.close_connection = body[: len(body) // 2], True
            if self.path in web.drips:
                self._drip(body)
            else:
                self.wfile.write(body)

        def _drip(self, body: bytes) -> None:
            self.close_connection = True
            with suppress(ConnectionError):
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.05)

        def _send_on(self) -> None:
            self.close_connection = True
            self.send_response(200)
            self.end_headers()
            with suppress(ConnectionError):
                while self.command != "HEAD":
                    self.wfile.write(bytes(1 << 16))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
