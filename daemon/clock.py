"""The only module that asks the system for the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)


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
