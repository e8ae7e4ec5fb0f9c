"""A limit that comes again (三个月内答复，此后每月答复): which occurrences there are, and which of them were met.

The n-th ends (n-1) times `every` after the first, counted from the start so that the anchor day stays (民法典 202:
30 November and three months are 28 February, the next one is 30 March). Each begins where the one before is due. It
exists once the one before is due or done, and is met by the first instant of a done milestone after its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.duration import Duration
from policies.limits.clocks import remembered
from policies.limits.ends import legal_end, stopped_until
from policies.limits.facts import finding, instants_of
from policies.wording import just_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.counting import Count
    from policies.limits.clocks import Clock
    from policies.limits.ends import Running
    from policies.model import Case, Limit, Obligation, Reason, Recurrence


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One return of a recurring limit; `number` 1 is the first. `next_at`: when the next one must begin by itself."""

    number: int
    begins_at: datetime
    count: Count
    done_at: datetime | None = None
    next_at: datetime | None = None


def occurrences(
    limit: Limit,
    rule: Recurrence,
    case: Case,
    clock: Clock,
    running: Running,
    extension: Duration | None,
    calendar: Calendar,
    now: datetime,
    stands_since: datetime | None,
    before: Mapping[str, Obligation],
) -> list[Occurrence]:
    """All occurrences there are by now. `stands_since` is when a pause that still runs began. Raises CountError."""
    done = _done_instants(limit, case, clock, calendar, now)
    stops_at = _stops_at(rule, case, clock, now)
    clock_at = min(at for at in (now, stands_since, stops_at) if at is not None)
    found: list[Occurrence] = []
    begins_at = running.start_at
    while True:
        number = len(found) + 1
        again = Duration(rule.every.amount * (number - 1), rule.every.unit) if number > 1 else None
        ending = replace(running, again=again)
        counted = legal_end(limit, ending, extension, calendar)
        known = before.get(name_of(clock, number))
        met = _met_after(begins_at, done, number, calendar)
        if known is not None and known.done_at is not None and known.done_at > begins_at:
            met = remembered(known, met, limit, case) or met
        stopped = stopped_until(ending, stands_since, met or stops_at)
        if stopped is not ending:
            counted = legal_end(limit, stopped, extension, calendar)
        found.append(Occurrence(number, begins_at, counted, met))
        begins_at = counted.legal_due_at
        if number > rule.at_most or (stops_at is not None and begins_at >= stops_at):
            return found
        if met is None and (begins_at >= clock_at or (not case.open and name_of(clock, number + 1) not in before)):
            if case.open and stands_since is None:
                found[-1] = replace(found[-1], next_at=just_after(begins_at))
            return found


def name_of(clock: Clock, number: int) -> str:
    """The instance: nothing for the first, then 2, 3 …; `1.2` for the second occurrence of the first holder's clock."""
    if number == 1:
        return clock.instance
    return str(number) if clock.holder is None else f"{clock.instance or 1}.{number}"


def ends_by_itself(rule: Recurrence, case: Case, now: datetime) -> datetime | None:
    """When the milestone came after which nothing recurs."""
    return min(
        (case.milestones[u] for u in rule.until if u in case.milestones and case.milestones[u] <= now), default=None
    )


def odd_instants(limit: Limit, case: Case, clock: Clock, place: str, calendar: Calendar, now: datetime) -> list[Reason]:
    """Done milestones before the start or in the future: neither is believed."""
    findings: list[Reason] = []
    start_day, today = calendar.local_day(clock.start_at), calendar.local_day(now)
    for at in _all_instants(limit, case, clock, calendar):
        if calendar.local_day(at) > today:
            zh, en = f"“{limit.title}”办理时间在未来，暂不采信。", f"'{limit.id}' is done in the future: not believed."
            findings.append(finding(place, at, zh, en))
        elif calendar.local_day(at) < start_day:
            zh, en = f"“{limit.title}”办理时间早于起算时间。", f"'{limit.id}' was done before it started."
            findings.append(finding(place, at, zh, en))
    return findings


def _all_instants(limit: Limit, case: Case, clock: Clock, calendar: Calendar) -> list[datetime]:
    every = sorted({at for name in limit.done for at in instants_of(name, case)})
    return [at for at in every if clock.holder is None or clock.holder.had_it_at(at, calendar)]


def _done_instants(limit: Limit, case: Case, clock: Clock, calendar: Calendar, now: datetime) -> list[datetime]:
    today = calendar.local_day(now)
    return [at for at in _all_instants(limit, case, clock, calendar) if calendar.local_day(at) <= today]


def _met_after(begins_at: datetime, done: Sequence[datetime], number: int, calendar: Calendar) -> datetime | None:
    """The first instant after its beginning; for the first occurrence the whole day of the start is good enough."""
    if number == 1:
        day = calendar.local_day(begins_at)
        return next((at for at in done if calendar.local_day(at) >= day), None)
    return next((at for at in done if at > begins_at), None)


def _stops_at(rule: Recurrence, case: Case, clock: Clock, now: datetime) -> datetime | None:
    ended_at = ends_by_itself(rule, case, now)
    over_at = clock.holder.to_at if clock.holder is not None and clock.holder.over else None
    return min((at for at in (ended_at, over_at) if at is not None), default=None)
