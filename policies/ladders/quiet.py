"""免打扰: until when a message waits that is raised in the quiet hours (domain statement 32).

Only the hour of the clock counts: a message raised on a day off at noon goes out at noon. What waits goes out at the
end of the quiet hours of the next working day; if the obligation falls due before that, or is past already, at the
first minute that is not quiet. No text sent to an official is forbidden at any hour; this is courtesy, and policy.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from policies.calendar import CountError
from policies.duration import SAME_DAY, Unit

if TYPE_CHECKING:
    from datetime import datetime, time

    from policies.calendar import Calendar
    from policies.model import Limit, QuietHours

_ONE_DAY = timedelta(days=1)


def is_hour_class(limit: Limit) -> bool:
    """Whether the limit runs through the night, in 小时 or 当日: it waits for nobody. Working hours stand still."""
    if limit.set_by:
        return False
    return any(length.unit is Unit.HOUR or length == SAME_DAY for length in (limit.within, *limit.or_within))


def hold_until(quiet: QuietHours, due_at: datetime | None, calendar: Calendar, now: datetime) -> datetime | None:
    """When a message raised at `now` goes out if it has to wait; None if the hour is not quiet.

    `due_at` None: no limit is running (the case is parked).
    """
    local = now.astimezone(calendar.zone)
    if not is_quiet(quiet, local.time()):
        return None
    day = local.date() if local.time() < quiet.end else local.date() + _ONE_DAY
    first = calendar.instant(day, quiet.end)
    try:
        morning = calendar.instant(calendar.next_workday(day), quiet.end)
    except CountError:
        return first  # an office that never opens has no next working morning
    return first if due_at is not None and due_at < morning else morning


def is_quiet(quiet: QuietHours, clock: time) -> bool:
    """Whether that hour of the clock is a quiet one."""
    if quiet.start <= quiet.end:
        return quiet.start <= clock < quiet.end
    return clock >= quiet.start or clock < quiet.end
