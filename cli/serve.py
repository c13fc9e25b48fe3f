"""fumikura serve: the reading room, in a browser."""

from __future__ import annotations

import getpass
import sys

import click

from fumikura.cli import options
from fumikura.cli.optional_packages import need_packages
from fumikura.cli.output import put, say
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing

_EVERYWHERE = ("0.0.0.0", "::")


@click.command()
@click.option(
    "--host", default="127.0.0.1", metavar="ADDRESS", help="Where to listen; 0.0.0.0 lets other machines in."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8321, metavar="PORT", help="0 takes a free one."
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="Another name of this machine, by which it is asked. Repeatable.",
)
@click.option(
    "--edit",
    "is_edited",
    is_flag=True,
    help="Let those who know the token that is printed correct what was read.",
)
@click.option(
    "--who", metavar="NAME", help="Who corrects, as it is noted. [default: the name of your account]"
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="A site whose pages may show the images, such as that of a Mirador; * is any. Repeatable.",
)
@options.settings("database", "reach")
def command(
    settings: Settings,
    host: str,
    port: int,
    names: tuple[str, ...],
    is_edited: bool,
    who: str | None,
    origins: tuple[str, ...],
) -> None:
    """Open the reading room: look at what was read, search it and put it right in a browser.

    Pages with their text beside the scan, walls of characters, search with cut-out hits, runs as they go on;
    also JSON under /api, and IIIF. Without --edit nobody can change anything. Ctrl-C closes it.

    \b
    Example:
      fumikura serve
      fumikura serve --edit --who Aoi
      fumikura serve --host 0.0.0.0 --name library.example
    """
    need_packages("fastapi", "uvicorn", "jinja2", extra="serve")
    import uvicorn

    from fumikura.web.app import make_app
    from fumikura.web.guards import host_names
    from fumikura.web.listening import listen, shown_address
    from fumikura.web.pictures import Pictures
    from fumikura.web.rendering import check_viewer
    from fumikura.web.room import Editing, Room

    check_viewer()
    engine = open_existing(settings)
    sock = listen(host, port)
    port = sock.getsockname()[1]
    known = {"127.0.0.1", "localhost", "::1", *names, *({host} - set(_EVERYWHERE))}
    editing = Editing(who or getpass.getuser()) if is_edited else None
    room = Room(
        engine=engine,
        settings=settings,
        pictures=Pictures(settings),
        hosts=host_names(known, port),
        editing=editing,
        writing=open_existing(settings, only_reads=False) if is_edited else None,
        origins=frozenset(origin.rstrip("/") for origin in origins),
    )
    address = shown_address(host, port)
    put(f"{address}/?token={editing.token}" if editing else f"{address}/")
    sys.stdout.flush()
    say("the reading room is open; Ctrl-C closes it")
    server = uvicorn.Server(
        uvicorn.Config(make_app(room), log_level="warning", access_log=False, server_header=False)
    )
    server.run(sockets=[sock])
