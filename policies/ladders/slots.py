"""汇总时段: to which hour of the day a message waits that may go together with others (`digest: {at: […]}`).

What may wait waits for the next of the policy's hours on a working day, and then leaves together with everything else
for that person. It never waits past the end of the limit or the moment another step of the ladder speaks, nor until its
light is one that is not gathered; then it goes at once. A step looked at a little late still belongs to its own hour.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from policies.calendar import CountError
from policies.ladders.coming import STILL_ON_TIME
from policies.ladders.lights import light_between
from policies.model import Light, ObligationState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, time

    from policies.calendar import Calendar
    from policies.ladders.rungs import Rung
    from policies.ladders.setting import Setting
    from policies.model import DigestRule

_ONE_DAY = timedelta(days=1)


def slot_for(
    raised_at: datetime, held_until: datetime | None, later: Sequence[Rung], setting: Setting
) -> datetime | None:
    """Until when a message raised at `raised_at` (the step's moment) waits for others; None if it does not.

    `held_until` is the end of the quiet hours it waits for in any case, `later` what the ladder says after it.
    """
    digest, now = setting.policy.digest, setting.now
    if digest is None or not digest.at:
        return None
    since = raised_at if timedelta(0) <= now - raised_at <= STILL_ON_TIME else now
    slot = next_slot(digest.at, held_until or since, setting.calendar)
    if slot is None or slot <= now or not _may_wait_until(slot, digest, later, setting):
        return None
    return slot


def next_slot(hours: Sequence[time], since: datetime, calendar: Calendar) -> datetime | None:
    """The first of these hours on a working day, at `since` or after; None for an office that never opens."""
    day = calendar.local_day(since)
    if calendar.is_workday(day):
        today = (calendar.instant(day, hour) for hour in sorted(hours))
        left = next((at for at in today if at >= since), None)
        if left is not None:
            return left
    try:
        return calendar.instant(calendar.next_workday(day + _ONE_DAY), min(hours))
    except (CountError, OverflowError):
        return None


def _may_wait_until(slot: datetime, digest: DigestRule, later: Sequence[Rung], setting: Setting) -> bool:
    if later and later[0].at <= slot:
        return False
    if setting.obligation.state is ObligationState.PAUSED:
        return True
    light = light_between(setting.light_changes, slot)
    return slot <= setting.obligation.due_at and light is not Light.RED and light.value in digest.lights
