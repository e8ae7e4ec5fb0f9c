"""The shared database, which belongs to another system: opened read-only, read by mapping, re-read before firing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from policies.model import Case, Directory


@dataclass(frozen=True, slots=True)
class BadRow:
    """Something wrong with a row: of which entity, which row, why. No values of personal fields.

    `case` is the key of the case it is about, if it is about one. With `set_aside` the row (and with it that
    case) could not be used and is not among the cases read: it has **not** left the source. Otherwise the case
    goes on and the finding is only to be shown (its handler is unknown, a transfer without a time).
    """

    entity: str
    row: str
    reason: str
    case: str | None = None
    set_aside: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """Some cases, the rows that could not be used, and where to go on.

    `watermark` is what to hand to the next `changed_since`, also after a restart and also in the middle of a full
    scan; None where there is no change column, since then every call must read everything.
    """

    cases: tuple[Case, ...]
    bad: tuple[BadRow, ...]
    watermark: str | None
    more: bool


class Source:
    """Read cases and people through a mapping. Blocking; called from threads."""

    def read_directory(self) -> tuple[Directory, tuple[BadRow, ...]]:
        """Officials, units and posts. Raises SourceUnavailable."""
        raise NotImplementedError

    def changed_since(self, watermark: str | None, page_size: int) -> Iterator[Page]:
        """Cases changed since the watermark (with overlap), page by page; all of them when it is None.

        Without a change column every call is a full scan. Raises SourceUnavailable.
        """
        raise NotImplementedError

    def all_keys(self) -> Iterator[str]:
        """The key of every case the filter lets through: to notice deletions. Raises SourceUnavailable."""
        raise NotImplementedError

    def reread(self, keys: Collection[str]) -> tuple[dict[str, Case], tuple[BadRow, ...]]:
        """These cases as they are now; a key that is missing has left the source. Raises SourceUnavailable."""
        raise NotImplementedError

    def personal_values(self, keys: Collection[str]) -> dict[str, tuple[str, ...]]:
        """What the personal columns say of these cases: to stop a text that quotes it. Never kept, never logged.

        Without such columns nothing is read. Raises SourceUnavailable.
        """
        raise NotImplementedError

    def newest_change_at(self) -> datetime | None:
        """How fresh the source is: the newest change time in it."""
        raise NotImplementedError

    def close(self) -> None:
        """Close all connections."""
        raise NotImplementedError
