"""What a case says, as counting asks it: the first milestone that is there, all instants of one, and what is odd."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

from policies.calendar import CountError
from policies.model import Movement, Reason, Why
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import Case


CLOSING = ("finished_at", "closed_at")  # what cases are usually closed with


def first_there(names: Sequence[str], case: Case) -> str | None:
    """The first of these milestones that the case has."""
    return next((name for name in names if name in case.milestones), None)


def instants_of(name: str, case: Case) -> tuple[datetime, ...]:
    """Every instant known of a milestone, in time; a shared database that keeps only the last one gives that."""
    last = case.milestones.get(name)
    series = case.series.get(name, ())
    if not series:
        return () if last is None else (last,)
    return tuple(sorted({*series, last} if last is not None else set(series)))


def closed_at(case: Case, now: datetime) -> datetime | None:
    """When the case was closed: the last movement or milestone that says so; None if nothing does, or it is open."""
    if case.open:
        return None
    moves = [move.at for move in case.transfers if move.kind is Movement.CLOSE and move.at <= now]
    stones = [at for name in CLOSING if (at := case.milestones.get(name)) is not None and at <= now]
    return max(moves or stones, default=None)


def end_of_bare_day(at: datetime, calendar: Calendar) -> datetime:
    """The end of the day for an instant at midnight on the office's clock: that is a day without a time."""
    try:
        day = calendar.local_day(at)
        return calendar.end_of(day) if at == calendar.instant(day, time()) else at
    except CountError:
        return at  # the first or last day of all calendars


def finding(place: str, at: datetime, zh: str, en: str) -> Reason:
    """Something a supervisor has to look at; `place` is `<policy>/<limit>`, empty for the whole case."""
    return Reason(Why.FINDING, Text(zh, en), step=place, at=at)
