"""This is the fumikura command.

A subcommand's module is imported only when it is asked for, so that each starts
as fast as what it needs: `fumikura status` never loads torch.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import click

from fumikura.cli.endings import exit_code_after
from fumikura.cli.help_text import Context, Group, speak_our_way
from fumikura.cli.language import use_language
from fumikura.cli.terminal import prepare_streams, wants_colour
from fumikura.core.errors import FumikuraError

#: Titles of `fumikura --help` and the commands below them; each is `command` in cli/<name>.py.
SECTIONS = {
    "Read": ("run", "failed", "retry", "cancel", "forget"),
    "Look": ("serve", "text", "query", "show", "report", "status"),
    "Put it right": ("correct",),
    "Take it out": ("export",),
    "Share the work among machines": ("enqueue", "worker"),
    "Keep it going": ("doctor", "bench", "db"),
    "Train and measure": ("adapt", "prepare", "align", "train", "tune", "evaluate", "predict"),
}


class Commands(Group):
    """This group imports its subcommands late, and prints an error as one line."""

    context_class = Context

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        prepare_streams()  # here and not in main(), which tests call with streams of their own
        return super().__call__(*arguments, **options)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        use_language(os.environ)
        if not wants_colour(os.environ):
            extra["color"] = False
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, False, **extra)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            code = exit_code_after(error)
        sys.exit(code if isinstance(code, int) else 0)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        return speak_our_way(importlib.import_module(f"fumikura.cli.{cmd_name}").command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            for near in get_close_matches(args[0], self.list_commands(ctx), n=1):
                told = f"No such command {args[0]!r}; did you mean {near}?"
                raise click.UsageError(told, ctx) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            self.write_section(ctx, formatter, title, names)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (FumikuraError, OSError):
            if ctx.params["debug"]:
                traceback.print_exc()
            raise


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
      fumikura query pages                the pages, by name
      fumikura show PAGE                  draw what was read over one of them

    Every option that a command leaves open can stand in a FUMIKURA_* variable;
    `fumikura COMMAND --help` names it.
    """
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(message)s")
