"""Every request passes here: by a name of ours, and to change something from a page of ours, with the token.

Without the check of the name, any site could let its own name lead to this machine (DNS rebinding) and read
along; without that of the origin, any page could send corrections for whoever is logged in.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fumikura.web.room import Room

COOKIE = "fumikura_token"
PROOF_HEADER = "x-fumikura-proof"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_LARGEST_BODY = 1 << 20

#: Of the one style that OpenSeadragon 6.1.1 writes into the page; the browser's test sees when it changes.
_STYLE = "sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE="
_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' '{_STYLE}'; img-src 'self' data: blob:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}


class Guard:
    """This middleware refuses what comes from elsewhere, and says in each answer what a page may do."""

    def __init__(self, app: ASGIApp, room: Room) -> None:
        self._app = app
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is None and (refusal := self._let_in(request)) is None:
            await self._app(scope, receive, self._marked(send, request))
        else:
            await refusal(scope, receive, self._marked(send, request))

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if host.lower() not in self._room.hosts:
            return _refused(421, f"this reading room is not called {host!r}; start it with --name {host}")
        if request.method in _READS:
            return None
        if self._room.editing is None:
            return _refused(403, "nothing can be corrected here; start the reading room with --edit")
        if not may_edit(self._room, request):
            return _refused(401, "the token is missing; open the address that `fumikura serve` printed")
        if not _bears_token(self._room, request.headers) and not self._is_ours(request, host):
            return _refused(403, "this request comes from a page of another site")
        if int(request.headers.get("content-length") or 0) > _LARGEST_BODY:
            return _refused(413, "a correction is smaller than that")
        return None

    def _is_ours(self, request: Request, host: str) -> bool:
        """Tell whether a page of ours asks: by its origin, and by what only such a page knows."""
        assert self._room.editing is not None
        origin = urlsplit(request.headers.get("origin", "")).netloc.lower()
        proof = request.headers.get(PROOF_HEADER, "")
        return origin == host.lower() and hmac.compare_digest(
            proof.encode(), self._room.editing.proof.encode()
        )

    def _let_in(self, request: Request) -> Response | None:
        """Take the token out of the address, where others could read it, into a cookie."""
        given = request.query_params.get("token")
        editing = self._room.editing
        if given is None or request.method != "GET" or request.url.path.startswith("/api"):
            return None
        response = RedirectResponse(request.url.path or "/", status_code=303)
        if editing is not None and hmac.compare_digest(given.encode(), editing.token.encode()):
            response.set_cookie(COOKIE, editing.token, httponly=True, samesite="strict")
        return response

    def _marked(self, send: Send, request: Request) -> Send:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                origin = request.headers.get("origin", "")
                if request.method in _READS and ({"*", origin} & self._room.origins):
                    headers["access-control-allow-origin"] = "*"
            await send(message)

        return marked


def may_edit(room: Room, request: Request) -> bool:
    """Tell whether a request brings the token."""
    if room.editing is None:
        return False
    cookies = SimpleCookie()
    try:
        cookies.load(request.headers.get("cookie", ""))
    except CookieError:
        return False
    given = cookies[COOKIE].value if COOKIE in cookies else ""
    is_known = hmac.compare_digest(given.encode(), room.editing.token.encode())
    return is_known or _bears_token(room, request.headers)


def _bears_token(room: Room, headers: Headers) -> bool:
    """Tell whether a program brings the token itself, as no browser does unasked."""
    assert room.editing is not None
    given = headers.get("authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(given.encode(), room.editing.token.encode())


def host_names(names: Iterable[str], port: int) -> frozenset[str]:
    """List the names of a host as requests have them, with the port and, where that is usual, without."""
    plain = [f"[{name}]" if ":" in name else name for name in names]
    with_port = {f"{name}:{port}".lower() for name in plain}
    return frozenset(with_port | {name.lower() for name in plain if port in (80, 443)})


def _refused(status: int, reason: str) -> Response:
    return JSONResponse({"detail": reason}, status_code=status)
