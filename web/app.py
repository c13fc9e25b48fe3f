"""Put the reading room together."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from fumikura.core.errors import DatabaseError, FumikuraError, PageError, UsageError
from fumikura.web import api, content_search, edits, iiif, views
from fumikura.web.guards import Guard
from fumikura.web.room import Room


def make_app(room: Room) -> FastAPI:
    """Make the web application that shows a room."""
    app = FastAPI(title="fumikura", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.state.room = room
    for part in (api, iiif, content_search, views):
        app.include_router(part.router)
    if room.editing is not None:
        app.include_router(edits.router)
    app.add_exception_handler(FumikuraError, _tell)
    app.add_exception_handler(HTTPException, _tell)
    app.add_middleware(Guard, room=room)
    return app


def _tell(request: Request, error: Exception) -> Response:
    """Tell a program in JSON, and a person on a page, what is wrong."""
    status = error.status_code if isinstance(error, HTTPException) else _status(error)
    reason = error.detail if isinstance(error, HTTPException) else str(error)
    if request.url.path.startswith(("/api", "/iiif")) or request.method != "GET":
        return JSONResponse({"detail": reason}, status_code=status)
    return views.show(request, "error.html", status=status, reason=reason)


def _status(error: Exception) -> int:
    if isinstance(error, UsageError):
        return 400
    if isinstance(error, DatabaseError):
        return 503
    return 410 if isinstance(error, PageError) else 404
