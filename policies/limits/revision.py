"""The limit moves: whether a fresh count begins a new ladder, and which of its cursors start anew.

A change of facts (start, extension, platform limit, end of a pause, holder) begins anew. A recount that only the
calendar or the rule brought about (a year's holidays are announced, or changed in the middle of it) keeps everything as
long as the light is the same: no reminder is repeated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from policies.duration import Unit
from policies.evaluate import DUE, START, light_at
from policies.ladders.rungs import BREACHED, SAID_FOR_GOOD
from policies.limits.linked import follows_a_due
from policies.model import ExtensionBase, ObligationState, Reason, Why
from policies.text import Text
from policies.wording import instant_of

if TYPE_CHECKING:
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import History, Ladder, Limit, Obligation

FIRST_VERSION = 1

_ENDED = frozenset({ObligationState.DONE, ObligationState.WITHDRAWN})
_BY_CALENDAR = frozenset({Unit.WORKDAY, Unit.WORKHOUR})


def revise(
    old: Obligation | None,
    history: History,
    new: Obligation,
    ladder: Ladder,
    calendar: Calendar,
    now: datetime,
    limit: Limit | None = None,
) -> tuple[Obligation, History, tuple[Reason, ...]]:
    """Decide the deadline version of a fresh count, and which cursors of the ladder start anew.

    `limit` tells which of the dates may move by the calendar alone; without it only the legal end is taken to.
    See `docs/how-it-decides.md`, "When the limit moves".
    """
    if old is None:
        return replace(new, deadline_version=FIRST_VERSION), history, ()
    another_day = calendar.local_day(old.start_at) != calendar.local_day(
        new.start_at
    )  # an hour corrected moves nothing
    moved = another_day or old.due_at != new.due_at or old.legal_due_at != new.legal_due_at
    reopened = old.state in _ENDED and new.state not in _ENDED
    passed_on = _passed_on(old, new)
    if not moved and not reopened and not passed_on:
        return replace(new, deadline_version=old.deadline_version), history, ()
    reason = _moved(old, new, calendar, now, reopened=reopened)
    anew = reopened or passed_on
    if not anew and not _facts_changed(old, new, limit) and _light_kept(old, new, ladder, calendar, now):
        return replace(new, deadline_version=old.deadline_version), history, (reason,)
    fresh = replace(new, deadline_version=old.deadline_version + 1)
    return fresh, _begun_anew(old, history, new, limit, now, anew=anew), (reason,)


def _passed_on(old: Obligation, new: Obligation) -> bool:
    """Whether the record was corrected: this clock is another holder's. His ladder begins anew."""
    return None not in {old.holder_unit, new.holder_unit} and old.holder_unit != new.holder_unit


def _facts_changed(old: Obligation, new: Obligation, limit: Limit | None) -> bool:
    """Whether the case itself changed; otherwise only the calendar or the rule was read anew.

    A further extension shows only in the nominal end. That end can also move because a year's holidays became
    known, but then the old count was provisional.
    """
    return (
        (old.start_at != new.start_at and not _start_follows_calendar(new, limit))
        or (old.platform_due_at != new.platform_due_at and not _platform_follows_calendar(limit))
        or old.extended is not new.extended
        or ((old.state is ObligationState.PAUSED) is not (new.state is ObligationState.PAUSED))
        or (
            old.extended
            and old.start_at == new.start_at
            and old.nominal_due_at != new.nominal_due_at
            and not old.provisional
            and not _nominal_follows_calendar(limit)
        )
    )


def _start_follows_calendar(one: Obligation, limit: Limit | None) -> bool:
    """Whether it begins where another end is due: a later occurrence, or a limit linked to another's end."""
    if limit is None:
        return False
    later = limit.recur is not None and ("." in one.instance or (bool(one.instance) and not limit.per_holder))
    return later or follows_a_due(limit)


def _platform_follows_calendar(limit: Limit | None) -> bool:
    bounds = () if limit is None else limit.platform_due
    return any(bound.after is not None and bound.after.unit in _BY_CALENDAR for bound in bounds)


def _nominal_follows_calendar(limit: Limit | None) -> bool:
    if limit is None:
        return False
    rolled = limit.extension is not None and limit.extension.counted_from is ExtensionBase.ROLLED
    return rolled or any(length.unit in _BY_CALENDAR for length in (limit.within, *limit.or_within))


def _light_kept(old: Obligation, new: Obligation, ladder: Ladder, calendar: Calendar, now: datetime) -> bool:
    before = light_at(old, ladder.lights, calendar, now)
    return before is light_at(new, ladder.lights, calendar, now)


def _begun_anew(
    old: Obligation, history: History, new: Obligation, limit: Limit | None, now: datetime, *, anew: bool
) -> History:
    kept: dict[str, datetime] = {}
    if anew:
        pass
    elif old.start_at != new.start_at and not _start_follows_calendar(new, limit):
        # The handler was told when the limit ran from an assumed start; the true one is no second assignment.
        if old.start_assumed and not new.start_assumed and START in history.decided_until:
            kept[START] = now
    elif old.due_at != new.due_at or old.legal_due_at != new.legal_due_at:
        kept = {anchor: at for anchor, at in history.decided_until.items() if anchor != DUE}
    else:
        kept = dict(history.decided_until)
    for_good = (name for name in history.decided_until if name == BREACHED or name.startswith(SAID_FOR_GOOD))
    kept |= {name: history.decided_until[name] for name in for_good}
    breached_at = history.breached_at if now > new.legal_due_at else None
    if history.breached_at is not None and breached_at is None:
        kept[BREACHED] = history.breached_at  # another breach may come, and this one is not forgotten
    platform_breached_at = history.platform_breached_at if _platform_passed(new, now) else None
    return replace(history, decided_until=kept, breached_at=breached_at, platform_breached_at=platform_breached_at)


def _platform_passed(one: Obligation, now: datetime) -> bool:
    return one.platform_due_at is not None and now > one.platform_due_at


def _moved(old: Obligation, new: Obligation, calendar: Calendar, now: datetime, *, reopened: bool) -> Reason:
    if reopened:
        return Reason(Why.MOVED, Text("时限重新打开，阶梯重新开始。", "Opened again: the ladder begins anew."), at=now)
    before, after = instant_of(old.due_at, calendar), instant_of(new.due_at, calendar)
    if _passed_on(old, new):
        zh = f"承办单位更正为 {new.holder_unit}（原为 {old.holder_unit}），阶梯重新开始，期限 {after}。"
        en = f"The holder is {new.holder_unit}, not {old.holder_unit}: the ladder begins anew, due {after}."
        return Reason(Why.MOVED, Text(zh, en), at=now)
    zh, en = f"期限由 {before} 改为 {after}。", f"The limit moved from {before} to {after}."
    if old.start_at != new.start_at:
        zh += f"起算时间由 {instant_of(old.start_at, calendar)} 改为 {instant_of(new.start_at, calendar)}。"
        en += f" The start moved from {instant_of(old.start_at, calendar)} to {instant_of(new.start_at, calendar)}."
    if old.legal_due_at != new.legal_due_at:
        zh += f"法定期限由 {instant_of(old.legal_due_at, calendar)} 改为 {instant_of(new.legal_due_at, calendar)}。"
        en += f" The legal limit moved from {instant_of(old.legal_due_at, calendar)}"
        en += f" to {instant_of(new.legal_due_at, calendar)}."
    return Reason(Why.MOVED, Text(zh, en), at=now)
