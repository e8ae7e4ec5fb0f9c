"""红黄绿灯: which light an obligation shows, and when that changes."""

from __future__ import annotations

from datetime import time
from functools import lru_cache
from typing import TYPE_CHECKING

from policies.duration import Unit
from policies.model import Light
from policies.moving import shift
from policies.same import Same
from policies.text import Text
from policies.wording import both, just_after

if TYPE_CHECKING:
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.duration import Duration
    from policies.model import Lights, Obligation

BRIGHTNESS = {Light.GREEN: 0, Light.YELLOW: 1, Light.ORANGE: 2, Light.RED: 3}
_TITLES = {
    Light.GREEN: Text("绿灯", "green"),
    Light.YELLOW: Text("黄灯", "yellow"),
    Light.ORANGE: Text("橙灯", "orange"),
    Light.RED: Text("红灯", "red"),
}
_CLOCK_UNITS = frozenset({Unit.HOUR, Unit.WORKHOUR})


def light_word(light: Light, lights: Lights | None = None) -> Text:
    """The light in words: in those of the office if its ladder has any."""
    own = None if lights is None else lights.titles.get(light)
    return _TITLES[light] if own is None else both(own)


def light_at(obligation: Obligation, lights: Lights, calendar: Calendar, now: datetime) -> Light:
    """红黄绿灯 at `now`, counted back from the earlier of the legal and the platform limit.

    A light counted in days begins with the office's day so far before the limit's day; one counted in hours so long
    before the limit itself. Red begins with the first instant after the limit.
    """
    return light_between(light_changes(obligation, lights, calendar), now)


def light_between(changes: tuple[datetime, datetime, datetime], now: datetime) -> Light:
    """The light at `now`, if it turns yellow, orange and red at these instants."""
    yellow_at, orange_at, red_at = changes
    if now >= red_at:
        return Light.RED
    if now >= orange_at:
        return Light.ORANGE
    return Light.YELLOW if now >= yellow_at else Light.GREEN


def light_changes(obligation: Obligation, lights: Lights, calendar: Calendar) -> tuple[datetime, datetime, datetime]:
    """When the light turns yellow, orange and red."""
    due_at = obligation.due_at
    yellow_at, orange_at = _light_starts(due_at, Same(lights), Same(calendar))
    return yellow_at, orange_at, just_after(due_at)


@lru_cache(maxsize=4096)
def _light_starts(due_at: datetime, lights: Same[Lights], calendar: Same[Calendar]) -> tuple[datetime, datetime]:
    scheme, office = lights.value, calendar.value
    return _ahead(due_at, scheme.yellow, office), _ahead(due_at, scheme.orange, office)


def _ahead(due_at: datetime, by: Duration, calendar: Calendar) -> datetime:
    before = shift(due_at, by, calendar, backwards=True)
    return before if by.unit in _CLOCK_UNITS else calendar.instant(calendar.local_day(before), time())
