"""The fumikura command ends here: each error becomes a line for people, and an exit code."""

from __future__ import annotations

import errno
import io
import logging
import re

import click

from fumikura.cli.output import say
from fumikura.cli.terminal import ReaderGoneError
from fumikura.core.errors import FumikuraError, UsageError
from fumikura.worker.logs import is_json

log = logging.getLogger(__name__)


def exit_code_after(error: BaseException) -> int:
    """Tell a person about an error that ended a command, and return the exit code.

    Raises:
        BaseException: the error itself, if nobody foresaw it.
    """
    if isinstance(error, click.ClickException):
        _show(error)
        return error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        say("interrupted")
        return 130
    if isinstance(error, ReaderGoneError):
        return 0
    if isinstance(error, UnicodeEncodeError) and error.encoding == "utf-8":
        _complain(f"{error.object!a} is no text in UTF-8; correct it")
        return 2
    if isinstance(error, OverflowError):
        _complain(f"{error}; give a smaller number")
        return 2
    if isinstance(error, FumikuraError | OSError):
        _complain(_line(error))
        return 2 if isinstance(error, UsageError) else 1
    raise error


def _line(error: FumikuraError | OSError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    if error.filename is not None:
        return f"{error.filename} cannot be used ({error.strerror}); correct that, or name another"
    if error.errno == errno.ENOENT:
        return "the folder in which this was started is no longer there; go to another, and give full paths"
    return str(error)


def _complain(line: str) -> None:
    if is_json():
        log.error("%s", line)
    else:
        say(f"error: {line}")


def _show(error: click.ClickException) -> None:
    """Say what click found wrong with how the command was called."""
    shown = io.StringIO()
    error.show(shown)
    # Choices are listed below each other with tabs before them; in one line they are a message.
    for line in re.sub(r"\n\t", " ", shown.getvalue()).splitlines():
        say(line)
