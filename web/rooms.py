"""What the routes take out of a request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request

from fumikura.web.room import Room

PageId = Annotated[int, Path(ge=1, lt=2**31)]


def the_room(request: Request) -> Room:
    """Give the room that is asked."""
    room: Room = request.app.state.room
    return room
