"""The only module that asks the system for the time."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

PRACTICE_NOW = "DUBAN_NOW"  # in a sandbox, and nowhere else, the time stands still at this instant
PRACTICE_ZONE = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


def practice_now() -> datetime | None:
    """The instant `DUBAN_NOW` names, in UTC; one without an offset is Beijing time. None if it is not set.

    Only `sandbox: true` in duban.yaml makes it lawful: loading any other configuration refuses it, so that no record
    of an office ever bears a time that never was.

    Raises:
        ValueError: it is no instant; loading a configuration says so.
    """
    written = os.environ.get(PRACTICE_NOW, "").strip()
    if not written:
        return None
    found = datetime.fromisoformat(written)
    return (found if found.tzinfo else found.replace(tzinfo=PRACTICE_ZONE)).astimezone(UTC)


class MachineClock:
    """The machine's clock, for the beat of the jobs; it never pretends."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)


class SystemClock(MachineClock):
    """The machine's clock for everything that is decided; in a sandbox it stands still where `DUBAN_NOW` puts it."""

    def __init__(self) -> None:
        try:
            self._still = practice_now()
        except ValueError:
            self._still = None

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return self._still or super().now()


class ManualClock:
    """A clock that stands still until it is moved: for tests, fast-forward and what-if."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The instant it was last moved to, aware, in UTC."""
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Move forward to `instant` (aware); moving back raises ValueError."""
        if instant < self._now:
            raise ValueError(f"a clock does not go back: {instant} < {self._now}")
        self._now = instant.astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        """Move forward by that much."""
        self.move_to(self._now + by)
