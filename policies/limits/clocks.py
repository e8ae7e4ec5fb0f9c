"""When a limit begins, and when it was met.

A plain limit has one clock: it begins with the first of its start milestones that is there, and ends with the first of
its done milestones that is there. A limit per holder (`holders`) and a recurring one (`series`) have
several; each of theirs looks at a stretch of time of its own only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.limits.facts import end_of_bare_day, finding, instants_of
from policies.model import ObligationState
from policies.wording import instant_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.limits.linked import LinkedStart
    from policies.model import Case, Limit, Obligation, Reason


@dataclass(frozen=True, slots=True)
class Holder:
    """A unit in whose hands the case is or was, from one instant (inclusive) to another (exclusive; None: still).

    `number` 1 is the first. `over` is true once another unit leads; until then `to_at` may lie ahead. `recorded` is
    false when no movement says so, only the case's present unit.
    """

    number: int
    unit: str | None
    official: str | None
    from_at: datetime
    to_at: datetime | None = None
    over: bool = False
    recorded: bool = True

    def had_it_at(self, at: datetime, calendar: Calendar) -> bool:
        """Whether it lay with this holder then; the first one had it before, too.

        An instant at midnight is a day without a time: the hand-overs of that day come before it.
        """
        at = end_of_bare_day(at, calendar)
        return (self.number == 1 or self.from_at <= at) and (self.to_at is None or at < self.to_at)


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock of a limit: from when it runs, and whose it is for a limit per holder.

    `assumed` when a fallback was taken for the start; `provisional` when the start rests on a provisional end.
    """

    start_at: datetime
    assumed: bool = False
    provisional: bool = False
    holder: Holder | None = None

    @property
    def instance(self) -> str:
        """How this clock is told from the others of the limit: nothing for the only or first one, then 2, 3 …"""
        return "" if self.holder is None or self.holder.number == 1 else str(self.holder.number)


def clock_of(limit: Limit, case: Case, linked: Mapping[str, LinkedStart]) -> Clock | None:
    """The clock of a plain limit; None while nothing is there to count from.

    `linked` holds what `<limit>.done` and `<limit>.due` stand for now.
    """
    for name in limit.start:
        at = case.milestones.get(name)
        if at is not None:
            return Clock(at, name != limit.start[0])
        if name in linked:
            return Clock(linked[name].at, name != limit.start[0], linked[name].provisional)
    return None


# --- when it was met --------------------------------------------------------------------------------------------


def met_at(
    limit: Limit, case: Case, clock: Clock, place: str, calendar: Calendar, now: datetime, known: Obligation | None
) -> tuple[datetime | None, list[Reason]]:
    """When the limit was met, None if it was not; an instant in the future is not believed."""
    findings: list[Reason] = []
    done_at = next((at for at in (_met_by(name, case, clock, calendar) for name in limit.done) if at is not None), None)
    before = None if known is None else remembered(known, done_at, limit, case)
    if before is not None and _in_its_time(before, clock, calendar):
        if clock.holder is None and done_at is not None and done_at != before:
            findings.append(_overwritten(limit, place, before, done_at, calendar))
        done_at = before
    if done_at is None:
        return None, findings
    done_day = calendar.local_day(done_at)
    if done_day > calendar.local_day(now):
        zh, en = f"“{limit.title}”办理时间在未来，暂不采信。", f"'{limit.id}' is done in the future: not believed."
        return None, [finding(place, done_at, zh, en)]
    if done_day < calendar.local_day(clock.start_at):
        zh, en = f"“{limit.title}”办理时间早于起算时间。", f"'{limit.id}' was done before it started."
        findings.append(finding(place, done_at, zh, en))
    return done_at, findings


def _met_by(name: str, case: Case, clock: Clock, calendar: Calendar) -> datetime | None:
    """The first instant of that milestone in the time of this clock; of one before its start, the last."""
    holder, instants = clock.holder, instants_of(name, case)
    if holder is not None:
        return next((at for at in instants if holder.had_it_at(at, calendar)), None)
    return next((at for at in instants if _in_its_time(at, clock, calendar)), case.milestones.get(name))


def _in_its_time(at: datetime, clock: Clock, calendar: Calendar) -> bool:
    if clock.holder is not None:
        return clock.holder.had_it_at(at, calendar)
    return calendar.local_day(at) >= calendar.local_day(clock.start_at)


def _overwritten(limit: Limit, place: str, before: datetime, now_said: datetime, calendar: Calendar) -> Reason:
    first, later = instant_of(before, calendar), instant_of(now_said, calendar)
    zh = f"“{limit.title}”办理时间原为 {first}，后被改为 {later}，仍按原记载。"
    en = f"'{limit.id}' was done at {first}; that was overwritten with {later}. The first one stands."
    return finding(place, before, zh, en)


def remembered(known: Obligation | None, found: datetime | None, limit: Limit, case: Case) -> datetime | None:
    """When it was met as we knew it before, if the shared database has overwritten that since with a later instant.

    A milestone taken back, or corrected to an earlier instant, is believed.
    """
    if known is None or known.state is not ObligationState.DONE or known.done_at is None:
        return None
    if found is not None and found <= known.done_at:
        return None
    later = (case.milestones.get(name) for name in limit.done)
    return known.done_at if any(at is not None and at >= known.done_at for at in later) else None


def closed_without(
    limit: Limit, place: str, now: datetime, findings: Sequence[Reason] = ()
) -> tuple[ObligationState, None, list[Reason]]:
    """The case is over, and the limit was never met."""
    zh, en = f"案件已结束，“{limit.title}”却没有办理时间。", f"The case is closed, but '{limit.id}' was never done."
    return ObligationState.WITHDRAWN, None, [*findings, finding(place, now, zh, en)]
