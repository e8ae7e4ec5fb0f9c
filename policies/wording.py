"""How dates and instants are written in sentences, on the office's clock."""

from __future__ import annotations

from datetime import time, timedelta
from typing import TYPE_CHECKING

from policies.text import Text

if TYPE_CHECKING:
    from datetime import date, datetime

    from policies.calendar import Calendar

_LAST_INSTANT = time(23, 59, 59, 999_999)
_TO_THE_MINUTE = len("2026-10-08 09:00")


def day_of(day: date) -> str:
    """`10月8日`, as texts to officials say it."""
    return f"{day.month}月{day.day}日"


def instant_of(at: datetime, calendar: Calendar) -> str:
    """`2026-10-08 24:00` on the office's clock; the last instant of a day is written as 24:00 (民法典 203(2))."""
    local = at.astimezone(calendar.zone)
    if local.time() == _LAST_INSTANT:
        return f"{local:%Y-%m-%d} 24:00"
    return local.isoformat(" ", "minutes")[:_TO_THE_MINUTE]


def iso_of(at: datetime, calendar: Calendar) -> str:
    """The instant in ISO 8601 with the office's offset."""
    return at.astimezone(calendar.zone).isoformat()


def just_after(at: datetime) -> datetime:
    """The first instant that is too late for a limit whose last good instant is `at`."""
    return at + timedelta(microseconds=1)


def both(word: str) -> Text:
    """A name that is the same in both languages."""
    return Text(word, word)
