"""A launcher serves /metrics and /healthz over HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from fumikura.core.errors import UsageError
from fumikura.worker.feeder import Feed
from fumikura.worker.health import Pulse, stall_limit_s, watch_health
from fumikura.worker.prometheus import Metrics

Answer = tuple[HTTPStatus, str, bytes]

_TEXT = "text/plain; charset=utf-8"


@contextmanager
def watched(feed: Feed, metrics: Metrics, *, names: Callable[[], Collection[str]]) -> Iterator[None]:
    """Watch a launcher's work and serve what is seen, for as long as the block lasts.

    Args:
        names: under which the worker processes of this launcher lease pages.

    Raises:
        UsageError: the address is taken, or none of this machine's.
    """
    settings, stop = feed.settings, threading.Event()
    pulse = Pulse(stall_limit_s(settings))
    with serving(settings.metrics_host, settings.metrics_port, metrics.registry, pulse):
        look = partial(watch_health, feed, metrics, pulse, names=names, stop=stop)
        threading.Thread(target=look, name="health", daemon=True).start()
        try:
            yield
        finally:
            stop.set()


@contextmanager
def serving(host: str, port: int, registry: CollectorRegistry, pulse: Pulse) -> Iterator[None]:
    """Serve in a thread of its own for as long as the block lasts.

    Raises:
        UsageError: the address is taken, or none of this machine's.
    """

    def answer(path: str) -> Answer:
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)
        if path == "/healthz":
            now_s = time.monotonic()
            status = HTTPStatus.SERVICE_UNAVAILABLE if pulse.is_red(now_s) else HTTPStatus.OK
            return status, _TEXT, f"{pulse.line(now_s)}\n".encode()
        return HTTPStatus.NOT_FOUND, _TEXT, b"here are /metrics and /healthz\n"

    try:
        server = _server_at(host)((host, port), _handler(answer))
    except OSError as error:
        raise UsageError(
            f"metrics cannot be served at {host}:{port} ({error.strerror or error});"
            " name another --metrics-port (0 for none) or --metrics-host"
        ) from error
    with server:
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def _server_at(host: str) -> type[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    return Server


def _handler(answer: Callable[[str], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # whoever connects and then says nothing must not keep a thread

        def do_GET(self) -> None:  # the library's name
            status, content_type, body = answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Log nothing: a line for each scrape would hide the others."""

    return Handler
