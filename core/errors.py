"""This module defines every error that fumikura raises on purpose.

FumikuraError            one clear line for a person; the command ends with exit code 1
├── UsageError           the command was called wrongly: exit code 2
├── ArchiveError         an archive is missing, empty or unreadable
├── StorageError         what holds an archive does not answer; it may again
├── CheckpointError      weights are missing, damaged or made for something else
├── DeviceError          a device does not exist or does not work
├── DatabaseError        the database is unreachable or of another version
├── BrokerError          the queue is unreachable
├── TruthError           a truth file cannot be understood
├── DataSetError         a data set for training cannot be read or made
└── PageError            this page only: it becomes a row with the reason, the run goes on
"""


class FumikuraError(Exception):
    """Its text says what went wrong, with which thing, and what to do about it.

    Attributes:
        is_only_here: the fault may be this machine's, and another one may not have it: a folder that is not
            mounted, a login that is missing, a name that does not resolve.
    """

    def __init__(self, message: str = "", *, is_only_here: bool = False) -> None:
        super().__init__(message)
        self.is_only_here = is_only_here


class UsageError(FumikuraError):
    """The command or call cannot mean anything; exit code 2."""


class ArchiveError(FumikuraError):
    """An archive of page images is missing, empty or unreadable."""


class StorageError(FumikuraError):
    """A server of images has not answered for as long as one waits."""


class CheckpointError(FumikuraError):
    """Weights are missing, damaged or do not fit what they are loaded into."""


class DeviceError(FumikuraError):
    """A device does not exist or does not work."""


class DatabaseError(FumikuraError):
    """A database is unreachable, or of another schema version."""


class BrokerError(FumikuraError):
    """A message broker is unreachable."""


class TruthError(FumikuraError):
    """A truth file cannot be understood."""


class DataSetError(FumikuraError):
    """A data set for training cannot be read or made."""


class PageError(FumikuraError):
    """One page cannot be read; `fumikura failed` shows this text."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message; its kind if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
