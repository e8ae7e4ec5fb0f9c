"""Pauses (中止、听证、挂账): which of them stop a limit, for how long, and when a parked case comes back.

The days of a hearing do not count for the review (条例第三十六条第二款). A case that cannot be solved now may be
parked (挂账), with an approver, a basis and a day of review. What the limit's `PauseRule` does not allow does not
count: the clock runs on, and a supervisor is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.counting import CountError
from policies.duration import format_duration
from policies.limits.facts import finding
from policies.moving import shift
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import Case, Limit, Pause, PauseRule, Policy, Reason

Interval = tuple["datetime", "datetime"]


@dataclass(frozen=True, slots=True)
class Standstill:
    """What the pauses of a case do to one limit.

    `excluded` are the intervals of known end; they do not count. `since_at` is since when the clock stands still now,
    None: it runs. `review_at` is when a parked one is to be looked at; `runs_on_at` when the pause ends by itself (its
    end is written down already, or it is the longest allowed), so that the limit must be counted again.
    """

    excluded: tuple[Interval, ...] = ()
    since_at: datetime | None = None
    review_at: datetime | None = None
    runs_on_at: datetime | None = None
    findings: tuple[Reason, ...] = ()


NEVER = Standstill()


def standstill(policy: Policy, limit: Limit, case: Case, calendar: Calendar, place: str, now: datetime) -> Standstill:
    """What the pauses on record do to this limit at `now`."""
    if not case.pauses:
        return NEVER
    counting: list[Pause] = []
    findings: list[Reason] = []
    for pause in case.pauses:
        if not _concerns(pause, policy, limit):
            continue
        faults = list(_faults(pause, limit.pause))
        if faults:
            findings.append(_refused(pause, faults, place, now))
        else:
            counting.append(pause)
    return _stand_still(counting, limit, calendar, place, now, findings)


def _concerns(pause: Pause, policy: Policy, limit: Limit) -> bool:
    """Whether a pause is meant for this limit.

    A limit with `excludes` is stopped by those kinds of pause only; a kind that some limit of the policy names stops
    only the limits that name it (a hearing stops the recheck, not the notice: 条例第三十六条). Any other pause stops
    every limit, unless it was recorded for one alone.
    """
    if pause.limit is not None:
        return pause.limit == limit.id
    basis = (pause.basis or "").strip()
    if limit.excludes:
        return basis in limit.excludes
    return not any(basis in other.excludes for other in policy.limits)


def _faults(pause: Pause, rule: PauseRule | None) -> Iterator[Text]:
    """Why a pause does not count at all; nothing if it does."""
    if pause.to_at is not None and pause.to_at < pause.from_at:
        yield Text("先止后起", "it ends before it begins")
    if rule is None:
        return
    if rule.approved_by and pause.approved_by not in rule.approved_by:
        yield Text("没有有权批准人", "nobody entitled to approved it")
    if rule.basis and not (pause.basis or "").strip():
        yield Text("没有写明依据", "no basis is given")


def _stand_still(
    pauses: Sequence[Pause], limit: Limit, calendar: Calendar, place: str, now: datetime, findings: list[Reason]
) -> Standstill:
    excluded: list[Interval] = []
    standing: list[Pause] = []
    ends: list[datetime] = []
    for pause in pauses:
        until = _longest_until(pause, limit.pause, calendar)
        to_at = pause.to_at
        if until is not None and until < (now if to_at is None else to_at):
            findings.append(_too_long(pause, limit, place, now))
            to_at = until
        if to_at is not None:
            excluded.append((pause.from_at, to_at))
        if pause.from_at <= now and (to_at is None or now < to_at):
            standing.append(pause)
            ends += [at for at in (until, to_at) if at is not None]
    reviews = [p.review_at for p in standing if p.review_at is not None and p.review_at >= p.from_at]
    return Standstill(
        tuple(excluded),
        min((pause.from_at for pause in standing), default=None),
        min(reviews, default=None),
        min(ends, default=None),
        tuple(findings),
    )


def _longest_until(pause: Pause, rule: PauseRule | None, calendar: Calendar) -> datetime | None:
    """Until when the rule lets it last; None: as long as it likes, or beyond all years."""
    if rule is None or rule.up_to is None:
        return None
    try:
        return shift(pause.from_at, rule.up_to, calendar)
    except CountError:
        return None


def _refused(pause: Pause, faults: Sequence[Text], place: str, now: datetime) -> Reason:
    zh = f"第 {pause.seq} 次中止不采用：{'；'.join(f.zh for f in faults)}。期限照常计算。"
    en = f"Pause {pause.seq} does not count: {'; '.join(f.en for f in faults)}. The clock runs on."
    return finding(place, now, zh, en)


def _too_long(pause: Pause, limit: Limit, place: str, now: datetime) -> Reason:
    most = limit.pause.up_to if limit.pause else None
    most_zh, most_en = (format_duration(most, "zh"), format_duration(most, "en")) if most else ("", "")
    zh = f"第 {pause.seq} 次中止超过最长 {most_zh}，超出部分不采用，期限照常计算。"
    en = f"Pause {pause.seq} is longer than {most_en}: what goes beyond does not count, the clock runs on."
    return finding(place, now, zh, en)
