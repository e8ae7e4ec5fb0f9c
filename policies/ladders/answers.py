"""What the history of an obligation answers to the words a step may ask in `when` and `unless`.

Four words that are not the same: *delivered*, the provider handed it over; *read*, the reader's program says so;
*acknowledged* (签收), he said so himself; *acted*, something was done with the case. Signing for a case is no handling
of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.conditions import HISTORY_WORDS, field_of, satisfied
from policies.ladders.rungs import BREACHED, signed_at
from policies.model import Movement
from policies.people.holding import handbacks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from policies.ladders.setting import Setting
    from policies.model import Condition, Reception, Scalar, Step

_RECEIVING = frozenset({Movement.RECEIVE, Movement.SIGN})
_PASSING_ON = frozenset({Movement.HAND_OVER, Movement.RETURN})


def unmet(step: Step, setting: Setting) -> tuple[Condition, bool] | None:
    """The first condition that keeps a step silent now, and whether it stands under `when`; None if it may speak."""
    for condition in step.when:
        if not _holds(condition, setting):
            return condition, True
    for condition in step.unless:
        if _holds(condition, setting):
            return condition, False
    return None


def acknowledged(step: Step, setting: Setting) -> bool:
    """Whether what that step said was acknowledged: in the shared database, or by the one who got it.

    An acknowledgement of an earlier round, before the day of the start, is none.
    """
    one, receptions = setting.obligation, setting.history.receptions
    return signed_at(step, one, setting.case, receptions, setting.calendar, setting.now) is not None


def _signed_for(setting: Setting) -> bool:
    """Whether the unit that has the case signed for it (签收) in this round, by the record of movements."""
    mine = {None, setting.case.unit}
    return any(
        move.kind is Movement.SIGN and move.to_unit in mine and setting.since_start(move.at)
        for move in setting.case.transfers
    )


def answer(word: str, setting: Setting) -> Scalar:
    """The answer to one word of `HISTORY_WORDS`, or what the case says about the field of that name."""
    if word not in HISTORY_WORDS:
        return field_of(setting.case, word)
    return _ANSWERS[word](setting)


def _holds(condition: Condition, setting: Setting) -> bool:
    return satisfied(condition, answer(condition.field, setting))


def _platform_overdue(setting: Setting) -> bool:
    platform_due_at = setting.obligation.platform_due_at
    return platform_due_at is not None and setting.now > platform_due_at


def _breached(setting: Setting) -> bool:
    before = setting.history
    ever = before.breached_at is not None or BREACHED in before.decided_until
    return ever or setting.now > setting.obligation.legal_due_at


def _transfers(setting: Setting) -> int:
    """How often the case was handed over or returned."""
    return sum(1 for move in setting.case.transfers if move.kind in _PASSING_ON and move.at <= setting.now)


def _days_open(setting: Setting) -> int:
    day = setting.calendar.local_day
    return (day(setting.now) - day(setting.obligation.start_at)).days


def _days_left(setting: Setting) -> int:
    day = setting.calendar.local_day
    return setting.calendar.workdays_between(day(setting.now), day(setting.obligation.due_at))


def acted(setting: Setting) -> bool:
    """Whether anything was done since the start: the milestone `acted_at`, the end of any limit, or a movement.

    Receiving and signing for a case (收件、签收) are no action.
    """
    milestones, start_at, now = setting.case.milestones, setting.obligation.start_at, setting.now
    if setting.since_start(milestones.get("acted_at")):
        return True
    ends = (milestones.get(name) for limit in setting.policy.limits for name in limit.done)
    moves = (move.at for move in setting.case.transfers if move.kind not in _RECEIVING)
    return any(at is not None and start_at < at <= now for at in (*ends, *moves))


def _acknowledged(setting: Setting) -> bool:
    """Known from the shared database, by any milestone the ladder's steps name or a movement, or from any notice."""
    asked = (step.acknowledge.milestone for step in setting.ladder.steps if step.acknowledge is not None)
    named = any(setting.since_start(setting.case.milestones.get(name)) for name in asked)
    return named or _signed_for(setting) or _by_reception(setting)


def _received(word: str, of: Callable[[Reception], datetime | None]) -> Callable[[Setting], bool]:
    """Known from the shared database, or from any notice sent so far."""

    def known(setting: Setting) -> bool:
        told = (of(reception) for reception in setting.history.receptions.values())
        return any(setting.since_start(at) for at in (setting.case.milestones.get(f"{word}_at"), *told))

    return known


_by_reception = _received("acknowledged", lambda reception: reception.acknowledged_at)
_ANSWERS: Mapping[str, Callable[[Setting], Scalar]] = {
    "light": lambda setting: setting.light.value,
    "overdue": lambda setting: setting.now > setting.obligation.legal_due_at,
    "platform_overdue": _platform_overdue,
    "acknowledged": _acknowledged,
    "delivered": _received("delivered", lambda reception: reception.delivered_at),
    "read": _received("read", lambda reception: reception.read_at),
    "acted": acted,
    "handbacks": lambda setting: handbacks(setting.case, setting.now),
    "transfers": _transfers,
    "days_open": _days_open,
    "days_left": _days_left,
    "extended": lambda setting: setting.obligation.extended,
    "provisional": lambda setting: setting.obligation.provisional,
    "start_assumed": lambda setting: setting.obligation.start_assumed,
    "repeat": lambda setting: setting.case.earlier is not None,
    "first_time": lambda setting: setting.case.earlier is None,
    "breached": _breached,
}
