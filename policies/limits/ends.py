"""Where a limit ends: by law (the earliest of its lengths), by the platform (the earliest of its bounds), or both.

The platform's date is what officials are measured by, the legal one what they can be accused by; both are kept, a
disagreement is told and nothing is overwritten. A platform adds its lengths without roll and to the second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.counting import Count, CountError, CountStep, count
from policies.duration import format_duration, limit_words
from policies.limits.facts import finding
from policies.model import ExtensionBase
from policies.moving import shift
from policies.text import Text
from policies.wording import instant_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.duration import Duration
    from policies.model import Bound, Case, Limit, Obligation, Reason


@dataclass(frozen=True, slots=True)
class Running:
    """What a limit is counted from: its start and the intervals that do not count.

    `again` is how much after the first end a later occurrence of a recurring limit ends. Without `words` the count will
    not be explained to anybody. `set_at` is the end that was set for this very case, for a limit that has no length.
    """

    start_at: datetime
    excluded: tuple[tuple[datetime, datetime], ...] = ()
    again: Duration | None = None
    words: bool = True
    set_at: datetime | None = None


def stopped_until(running: Running, stands_since: datetime | None, ended_at: datetime | None) -> Running:
    """The same for a clock that ended while it stood still: the pause nobody wrote the end of lasted until then.

    What was met, or handed on, in the middle of a pause was not late because of that pause.
    """
    if stands_since is None or ended_at is None or ended_at <= stands_since:
        return running
    return replace(running, excluded=(*running.excluded, (stands_since, ended_at)))


def legal_end(limit: Limit, running: Running, extension: Duration | None, calendar: Calendar) -> Count:
    """The nominal and the legal end; of several lengths the one that ends first counts. Raises CountError."""
    if limit.set_by:
        return _set_end(limit, running, extension, calendar)
    first = _count(limit, limit.within, running, extension, calendar)
    if not limit.or_within:
        return first
    best, chosen = first, limit.within
    for length in limit.or_within:
        other = _count(limit, length, running, extension, calendar)
        if (other.legal_due_at, other.nominal_due_at) < (best.legal_due_at, best.nominal_due_at):
            best, chosen = other, length
    if not running.words:
        return best
    return replace(best, steps=(*best.steps, _earliest_of(limit, chosen, best)))


def _set_end(limit: Limit, running: Running, extension: Duration | None, calendar: Calendar) -> Count:
    """The end set for the single case, as it stands; an extension is counted from it (指定办理期限)."""
    set_at = running.set_at
    if set_at is None:
        raise CountError(Text("没有指定办理期限", "no end has been set"))
    if set_at < running.start_at:
        at = instant_of(set_at, calendar)
        raise CountError(Text(f"指定期限 {at} 早于起算时间", f"the end set, {at}, is before the start"))
    day = calendar.local_day(set_at)
    said = CountStep(Text("期限由本案指定。", "The end was set for this case."), set_at)
    if extension is None:
        return Count(set_at, set_at, calendar.is_provisional(day), (said,), day, day)
    off, words = running.excluded, running.words
    longer = count(set_at, extension, calendar, roll=limit.roll, cutoff=limit.cutoff, excluded=off, words=words)
    return replace(longer, steps=(said, *longer.steps))


def _count(limit: Limit, within: Duration, running: Running, extension: Duration | None, calendar: Calendar) -> Count:
    rule = limit.extension
    return count(
        running.start_at,
        within,
        calendar,
        roll=limit.roll,
        cutoff=limit.cutoff,
        extension=None if rule is None else extension,
        extension_from=ExtensionBase.NOMINAL if rule is None else rule.counted_from,
        excluded=running.excluded,
        again=running.again,
        same_day=True,
        words=running.words,
    )


def _earliest_of(limit: Limit, chosen: Duration, best: Count) -> CountStep:
    lengths = [limit_words(length) for length in (limit.within, *limit.or_within)]
    zh, en = "、".join(length.zh for length in lengths), ", ".join(length.en for length in lengths)
    by = limit_words(chosen)
    text = Text(f"{zh}中以最先届满的 {by.zh} 为准。", f"Of {en} the one that ends first counts: {by.en}.")
    return CountStep(text, best.legal_due_at)


def platform_end(
    limit: Limit, case: Case, start_at: datetime, place: str, calendar: Calendar, now: datetime
) -> tuple[datetime | None, list[Reason]]:
    """The earliest of the bounds that are there; one before the start is left aside and told."""
    due_at: datetime | None = None
    findings: list[Reason] = []
    for bound in limit.platform_due:
        base = case.milestones.get(bound.milestone)
        if base is None:
            continue
        try:
            ends_at = base if bound.after is None else shift(base, bound.after, calendar)
        except CountError as error:
            zh, en = f"“{limit.title}”平台期限无法计算：{error.message.zh}", f"'{limit.id}': {error.message.en}"
            findings.append(finding(place, now, zh, en))
            continue
        if ends_at < start_at:
            findings.append(_too_early(limit, bound, ends_at, place, calendar, now))
        elif due_at is None or ends_at < due_at:
            due_at = ends_at
    return due_at, findings


def _too_early(limit: Limit, bound: Bound, ends_at: datetime, place: str, calendar: Calendar, now: datetime) -> Reason:
    said, by = instant_of(ends_at, calendar), _bound_name(bound)
    zh = f"“{limit.title}”平台期限 {said}（{by.zh}）早于起算时间，不采用。"
    en = f"The platform limit {said} ({by.en}) is before the start: not used."
    return finding(place, now, zh, en)


def _bound_name(bound: Bound) -> Text:
    if bound.after is None:
        return Text(bound.milestone, bound.milestone)
    zh, en = format_duration(bound.after, "zh"), format_duration(bound.after, "en")
    return Text(f"{bound.milestone} + {zh}", f"{bound.milestone} + {en}")


def disagreement(limit: Limit, one: Obligation, place: str, calendar: Calendar, now: datetime) -> Iterator[Reason]:
    """A platform limit on another day than the legal one.

    A length of the platform's own that ends later says nothing new: it is another rule, not another date for this one.
    """
    if one.platform_due_at is None:
        return
    platform, legal = calendar.local_day(one.platform_due_at), calendar.local_day(one.legal_due_at)
    another_rule = all(bound.after is not None for bound in limit.platform_due)
    if platform == legal or (platform > legal and another_rule):
        return
    zh = f"“{limit.title}”平台期限 {instant_of(one.platform_due_at, calendar)} 与法定期限"
    zh += f" {instant_of(one.legal_due_at, calendar)} 不一致，提醒按较早者，是否超期按法定期限。"
    en = f"'{limit.id}': the platform says {instant_of(one.platform_due_at, calendar)}, the law"
    en += f" {instant_of(one.legal_due_at, calendar)}; reminders work to the earlier, overdue means the law."
    yield finding(place, now, zh, en)
