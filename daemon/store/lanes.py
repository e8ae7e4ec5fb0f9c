"""Which lane (车道) a notice goes in: what cannot wait is not kept waiting by what can. Pure.

A claim takes the lanes in turn, and only what is left of it comes from the next one, so that a flood of reminders
delays nobody's last warning. Every tenth claim begins lower down, so that no lane starves for ever.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING

from policies.model import Light
from policies.people.seats import FIRST_HANDLER, HANDLER

if TYPE_CHECKING:
    from policies.model import Notice


class Lane(IntEnum):
    """The smaller goes first."""

    FINAL = 0  # the last word before a legal effect: due today, orange, in hours, the first escalation after a breach
    OVERDUE = 1
    WARNING = 2
    LATER = 3  # digests, copies, drills


LANES = tuple(Lane)
MAY_BE_TOGETHER = (Lane.FINAL, Lane.LATER)  # the lanes of what may go into one message with others
FROM_BELOW = 10  # every so many claims one begins at a lower lane
DRILL = "drill/"  # how the key of a fire drill's notice begins: it may never delay a message that is meant
_HOURS = timedelta(days=2)  # a limit no longer than this is counted in hours or ends on its own day
_OWN_ROLES = frozenset({FIRST_HANDLER, HANDLER})


def lane_of(notice: Notice) -> Lane:
    """The lane of a notice, by what it says of its limit; the rule is told in `docs/states.md`."""
    if not notice.case_key:  # about duban itself, or the answer to somebody who waits for it
        return Lane.LATER if notice.key.startswith(DRILL) else Lane.OVERDUE
    if notice.copy:
        return Lane.LATER
    if _is_final(notice):
        return Lane.FINAL
    if notice.digest:
        return Lane.LATER
    return Lane.OVERDUE if _light(notice) == Light.RED else Lane.WARNING


def lanes_from(claim: int) -> tuple[Lane, ...]:
    """In which order claim number `claim` of a loop takes the lanes: each in its turn also begins."""
    if claim % FROM_BELOW != FROM_BELOW - 1:
        return LANES
    below = tuple(reversed(LANES))[:-1]
    first = below[claim // FROM_BELOW % len(below)]
    return (first, *(lane for lane in LANES if lane is not first))


def _is_final(notice: Notice) -> bool:
    if notice.may_wake or _in_hours(notice):
        return True
    light = _light(notice)
    if light == Light.RED:  # the first time that somebody above is told
        return notice.role not in _OWN_ROLES and notice.repeat == 0
    left = notice.facts.get("days_left")
    return light == Light.ORANGE or (isinstance(left, int) and left <= 0)


def _light(notice: Notice) -> object:
    return notice.facts.get("light")


def _in_hours(notice: Notice) -> bool:
    begun, due = (_instant(notice.facts.get(name)) for name in ("start_at", "due_at"))
    return begun is not None and due is not None and due - begun <= _HOURS


def _instant(fact: object) -> datetime | None:
    if isinstance(fact, str):
        return datetime.fromisoformat(fact)
    return fact if isinstance(fact, datetime) else None
