"""This is the fumikura command.

A subcommand's module is imported only when it is asked for, so that each starts
as fast as what it needs: `fumikura status` never loads torch.
"""

from __future__ import annotations

import errno
import importlib
import logging
import traceback
from typing import Any

import click

from fumikura.cli.output import printable
from fumikura.core.errors import FumikuraError, UsageError
from fumikura.worker.logs import is_json

log = logging.getLogger(__name__)

#: Titles of `fumikura --help` and the commands below them; each is `command` in cli/<name>.py.
SECTIONS = {
    "Read": ("run", "failed", "retry", "cancel", "forget"),
    "Look": ("text", "query", "show", "status"),
    "Take it out": ("export",),
    "Share the work among machines": ("enqueue", "worker"),
    "Keep it going": ("doctor", "bench", "db"),
    "Train and measure": ("prepare", "align", "train", "tune", "evaluate", "predict"),
}


class Commands(click.Group):
    """This group imports its subcommands late, and prints an error as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"fumikura.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(
                    [(name, found.get_short_help_str(formatter.width)) for name, found in commands if found]
                )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(130)
        except UnicodeEncodeError as error:
            click.echo(f"error: {error.object!a} is no text in UTF-8; correct it", err=True)
            ctx.exit(2)
        except OverflowError as error:
            click.echo(f"error: {error}; give a smaller number", err=True)
            ctx.exit(2)
        except (FumikuraError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # the reader of our output went away: click ends quietly
            if ctx.params["debug"]:
                traceback.print_exc()
            line = str(error)
            if isinstance(error, OSError) and error.filename is not None:
                line = f"{error.filename} cannot be used ({error.strerror}); correct that, or name another"
            if is_json():
                log.error("%s", line)
            else:
                click.echo(f"error: {printable(line)}", err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--debug", is_flag=True, envvar="FUMIKURA_DEBUG", help="Show where an error came from.")
@click.version_option(package_name="fumikura")
def main(debug: bool) -> None:
    """Read scanned Japanese books in kuzushiji into a database.

    fumikura finds every character on every page of an archive of scans, says what it
    reads and how sure it is, and keeps all of it in a database that you can ask.

    \b
    To begin:
      fumikura run scans.zip              read all pages into ./fumikura.db
      fumikura text                       what was read
      fumikura query characters 人        where does this character stand?
      fumikura show drawn_001             draw what was read over a page

    Every option that a command leaves open can stand in a FUMIKURA_* variable;
    `fumikura COMMAND --help` names it.
    """
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(message)s")
