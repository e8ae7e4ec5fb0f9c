"""What stops the daemon.

DaemonError
├── SettingsError       exit 78: the configuration cannot be used; carries every mistake with file, line, column
├── SchemaMismatch      exit 78: the store was made by another version
├── StoreUnavailable    exit 75: our own database does not answer (waited out while running)
├── SourceUnavailable   exit 75: the shared database does not answer
├── ReleaseRefused      exit 1: a policy version may not take this step
├── SourceWritable      exit 77: the account could write to the shared database
└── Fenced              another node declared us dead: step down
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence


class DaemonError(Exception):
    """Something stops the daemon; `message` says what, and what to do, in both languages."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: Text) -> None:
        super().__init__(message.en)
        self.message = message


class SettingsError(DaemonError):
    """The configuration cannot be used."""

    exit_code = 78

    def __init__(self, message: Text, problems: Sequence[Text] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class SchemaMismatch(DaemonError):
    """The store was made by another version; `duban migrate` brings it up."""

    exit_code = 78


class StoreUnavailable(DaemonError):
    """Our own database does not answer."""

    exit_code = 75


class SourceUnavailable(DaemonError):
    """The shared database does not answer."""

    exit_code = 75


class SourceWritable(DaemonError):
    """The account could write to the shared database."""

    exit_code = 77


class ReleaseRefused(DaemonError):
    """A policy version may not take this step of its release."""

    exit_code = 1


class Fenced(DaemonError):
    """Another node declared this worker dead; everything it holds has been taken over."""

    exit_code = 75

    def __init__(self) -> None:
        super().__init__(Text("本进程已被其他节点接管，现退出。", "another node has taken over; stepping down"))
