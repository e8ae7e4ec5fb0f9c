"""What is written correctly and yet will not do what its writer wants.

The language refuses what cannot be read. This looks at what can: steps that never speak, warnings that come too late,
limits looser than the law they name, roles that nobody holds, quiet hours that swallow the last warning. Nothing here
stops a policy; each finding says what will happen and what to write instead.

Dates are not reasoned about but tried: every limit is counted from sample days over two years, holidays and all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from policies.beforehand.lint_values import values_nobody_has
from policies.beforehand.statutes import statute_for
from policies.counting import CountError, count
from policies.duration import format_duration, format_moment, limit_words
from policies.errors import Problem
from policies.ladders.quiet import hold_until, is_hour_class
from policies.limits.facts import CLOSING
from policies.model import Light, Roll
from policies.moving import moment_at
from policies.people.seats import PERSONAL, role_title
from policies.spelling import suggestion
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policies.calendar import Calendar
    from policies.duration import Duration
    from policies.errors import KeyPath
    from policies.model import Directory, Ladder, Limit, Policy, PolicySet, Scalar, Step

WARNINGS = frozenset({"assigned", "remind", "today"})  # texts that say: there is still time
ACCUSATIONS = frozenset({"urge", "bulletin"})  # texts that say: it is too late
_SAMPLE_EVERY = timedelta(days=5)
_SAMPLED_FOR = timedelta(days=730)
_AT_TEN = timedelta(hours=2)  # ten o'clock in Shanghai


@dataclass(frozen=True, slots=True)
class Setting:
    """What the rest of the configuration says: calendars by name, and who is who if that is known.

    `codes` says of each case field how the codes of its column are read.
    """

    calendars: Mapping[str, Calendar]
    default_calendar: str = "china"
    people: Directory | None = None
    codes: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict[str, "Mapping[str, Scalar]"])


def lint(policies: PolicySet, setting: Setting, today: date) -> tuple[Problem, ...]:
    """Everything worth a second look; each path begins with the name of the policy. `today` dates the samples."""
    return tuple(
        Problem((policy.id, *problem.path), problem.message, problem.hint)
        for policy in policies.policies.values()
        for problem in _of_policy(policy, setting, today)
    )


def _of_policy(policy: Policy, setting: Setting, today: date) -> Iterator[Problem]:
    yield from _unused_ladders(policy)
    yield from _vacant_roles(policy, setting.people)
    yield from _unknown_persons(policy, setting.people)
    yield from values_nobody_has(policy, setting.codes)
    for limit in policy.limits:
        if not limit.enabled:
            continue
        if limit.set_by:
            continue  # its end is set for each case: there is nothing to try it by
        calendar = setting.calendars[limit.calendar or policy.calendar or setting.default_calendar]
        yield from _looser_than_law(limit, calendar, today)
        yield from _of_ladder(policy, limit, calendar, today)
    yield from _over_before_they_begin(policy)


def _over_before_they_begin(policy: Policy) -> Iterator[Problem]:
    """A limit that begins when the case is finished: a closed case runs no limit that does not ask for it."""
    enabled = [limit for limit in policy.limits if limit.enabled]
    for limit in enabled:
        others = [other for other in enabled if other is not limit]
        ends = {name for other in others for name in other.done if name in CLOSING}
        ends |= {f"{other.id}.done" for other in others if other.done[0] in CLOSING}
        start = next((name for name in limit.start if name in ends), None)
        if start is None or limit.after_close:
            continue
        zh = f"“{limit.title}”从办结（{start}）起算；数据库里案件那时若已关闭，它就不再计时。"
        zh += "办结后还要计时的，写 after_close: true"
        en = f"'{limit.id}' begins when the case is finished ({start}); if the case is closed by then it never runs."
        en += " To let it run on, write after_close: true"
        yield Problem(("limits", limit.id, "start"), Text(zh, en))


# --- limits -------------------------------------------------------------------------------------------------


def _looser_than_law(limit: Limit, calendar: Calendar, today: date) -> Iterator[Problem]:
    statute = statute_for(limit.basis, limit.title, limit.id)
    if statute is None:
        return
    later = _first_day_later(limit.within, statute.longest, calendar, today)
    if later is not None:
        most_zh, most_en = format_duration(statute.longest, "zh"), format_duration(statute.longest, "en")
        ours = limit_words(limit.within)
        zh = f"期限 {ours.zh} 比所依据的《{statute.title}》第 {statute.article} 条"
        zh += f"（{statute.what.zh} {most_zh}）宽，例如 {later} 起算时"
        en = f"{ours.en} is looser than the basis named, {statute.title} article"
        en += f" {statute.article} ({statute.what.en}: {most_en}), e.g. from {later}"
        yield Problem(("limits", limit.id, "within"), Text(zh, en))
    if limit.extension is not None:
        yield from _extension_beyond_law(limit, calendar, today)


def _extension_beyond_law(limit: Limit, calendar: Calendar, today: date) -> Iterator[Problem]:
    statute, rule = statute_for(limit.basis, limit.title, limit.id), limit.extension
    if statute is None or rule is None:
        return
    path = ("limits", limit.id, "extension")
    if statute.extension is None:
        zh = f"所依据的《{statute.title}》第 {statute.article} 条没有规定可以延期"
        en = f"the basis named, {statute.title} article {statute.article}, provides no extension"
        yield Problem(path, Text(zh, en))
    elif _first_day_later(rule.up_to, statute.extension, calendar, today) is not None:
        zh = f"最长可延 {format_duration(rule.up_to, 'zh')}，超过《{statute.title}》第 {statute.article} 条的"
        zh += f" {format_duration(statute.extension, 'zh')}"
        en = f"up to {format_duration(rule.up_to, 'en')} exceeds the {format_duration(statute.extension, 'en')}"
        en += f" of {statute.title} article {statute.article}"
        yield Problem((*path, "up_to"), Text(zh, en))


def _first_day_later(ours: Duration, law: Duration, calendar: Calendar, today: date) -> date | None:
    """The first sample day from which our end comes later than the law's; None if it never does."""
    if ours.unit is law.unit:
        return today if ours.amount > law.amount else None
    for start_at in _sample_starts(today):
        try:
            mine = count(start_at, ours, calendar, roll=Roll.NEXT_WORKDAY, same_day=True).legal_due_at
            his = count(start_at, law, calendar, roll=Roll.NEXT_WORKDAY).legal_due_at
        except CountError:
            continue
        if mine > his:
            return calendar.local_day(start_at)
    return None


@lru_cache(maxsize=4)
def _sample_starts(today: date) -> tuple[datetime, ...]:
    first = datetime(today.year, today.month, today.day, tzinfo=UTC) - _SAMPLED_FOR + _AT_TEN
    return tuple(first + number * _SAMPLE_EVERY for number in range(_SAMPLED_FOR // _SAMPLE_EVERY))


# --- ladders ------------------------------------------------------------------------------------------------


def _unused_ladders(policy: Policy) -> Iterator[Problem]:
    used = {limit.ladder for limit in policy.limits}
    for name in policy.ladders:
        if name not in used:
            text = Text(
                "没有时限使用这个阶梯，里面的梯级都不会执行", "no limit uses this ladder: none of its steps runs"
            )
            yield Problem(("ladders", name), text)


def _of_ladder(policy: Policy, limit: Limit, calendar: Calendar, today: date) -> Iterator[Problem]:
    ladder = policy.ladders[limit.ladder]
    moments = _moments(limit, ladder, calendar, today)
    if not moments:
        return
    for index, step in enumerate(ladder.steps):
        path: KeyPath = ("ladders", ladder.id, "steps", index)
        yield from _never_speaks(limit, step, path)
        yield from _at_the_wrong_time(
            limit, step, path, [(one.start_at, one.due_at, one.steps[index]) for one in moments]
        )
    yield from _no_warning(limit, ladder, moments)
    yield from _swallowed_by_quiet_hours(policy, limit, ladder, moments, calendar)


@dataclass(frozen=True, slots=True)
class _Sample:
    """One limit counted from one day: its start, its end, and when each step comes (None: not from start or due)."""

    start_at: datetime
    due_at: datetime
    steps: tuple[datetime | None, ...]


def _moments(limit: Limit, ladder: Ladder, calendar: Calendar, today: date) -> list[_Sample]:
    samples: list[_Sample] = []
    for start_at in _sample_starts(today):
        try:
            ends = [
                count(start_at, length, calendar, roll=limit.roll, cutoff=limit.cutoff, same_day=True).legal_due_at
                for length in (limit.within, *limit.or_within)
            ]
            due_at = min(ends)
            anchors = {"start": start_at, "due": due_at}
            steps = [moment_at(s.at, anchors, calendar) if s.at.anchor in anchors else None for s in ladder.steps]
        except CountError:
            continue
        samples.append(_Sample(start_at, due_at, tuple(steps)))
    return samples


def _never_speaks(limit: Limit, step: Step, path: KeyPath) -> Iterator[Problem]:
    if step.at.anchor in limit.done:
        zh = f"时刻从 {step.at.anchor} 算起，而“{limit.title}”到那时已办结，不再提醒：这一级不会执行"
        en = f"counts from {step.at.anchor}, but '{limit.id}' is done by then and nothing more is said: never runs"
        yield Problem((*path, "at"), Text(zh, en))
    lights = {str(value) for one in step.when if one.field == "light" and not one.negate for value in one.values}
    after_due = step.at.anchor == "due" and step.at.offset is not None and step.at.offset.amount > 0
    if lights and after_due and Light.RED not in lights:
        text = Text(
            "期限过后总是红灯，when 却要求别的灯：这一级不会执行",
            "after the limit the light is always red, and `when` wants another: never runs",
        )
        yield Problem((*path, "when"), text)
    for one in step.unless:
        if any(
            (one.field, one.values, one.at_least, one.at_most) == (w.field, w.values, w.at_least, w.at_most)
            and w.negate is one.negate
            for w in step.when
        ):
            text = Text(
                "when 与 unless 要求的是同一个条件：这一级不会执行",
                "`when` and `unless` ask for the same thing: never runs",
            )
            yield Problem((*path, "unless"), text)


def _at_the_wrong_time(
    limit: Limit, step: Step, path: KeyPath, moments: list[tuple[datetime, datetime, datetime | None]]
) -> Iterator[Problem]:
    there = [(start, due, at) for start, due, at in moments if at is not None]
    if not there:
        return
    written_zh, written_en = format_moment(step.at, "zh"), format_moment(step.at, "en")
    before = sum(at < start for start, _, at in there)
    if before * 2 > len(there):
        length = limit_words(limit.within)
        zh = f"“{written_zh}”多半早于起算（“{limit.title}”只有 {length.zh}）："
        zh += "一收件就会发出，请缩短提前量"
        en = f"'{written_en}' mostly comes before the start ('{limit.id}' runs only"
        en += f" {length.en}): it will be sent at once; shorten the lead"
        yield Problem((*path, "at"), Text(zh, en))
    after = sum(at > due for _, due, at in there)
    if step.say in WARNINGS and step.at.anchor == "due" and after * 2 > len(there):
        zh = f"预警用语“{step.say}”在“{limit.title}”到期之后才发，应写催办用语，或改到期前"
        en = f"the warning '{step.say}' comes after '{limit.id}' has ended; move it before, or urge instead"
        yield Problem((*path, "say"), Text(zh, en))
    if step.say in ACCUSATIONS and after * 2 < len(there):
        zh = f"超期用语“{step.say}”在“{limit.title}”超期之前就发，会冤枉人："
        zh += "请写在 due 之后（如 due + 1 工作日），或改用 remind、today"
        en = f"'{step.say}' says overdue, but comes before '{limit.id}' has ended: a false accusation; "
        en += "move it behind `due` (due + 1 workday), or say remind or today"
        yield Problem((*path, "say"), Text(zh, en))


def _no_warning(limit: Limit, ladder: Ladder, moments: list[_Sample]) -> Iterator[Problem]:
    one = moments[len(moments) // 2]
    ahead = [
        at
        for at, step in zip(one.steps, ladder.steps, strict=True)
        if at is not None and one.start_at < at <= one.due_at and step.say in WARNINGS
    ]
    after = [at for at in one.steps if at is not None and at > one.due_at]
    if after and not ahead:
        zh = f"“{limit.title}”超期后才有人说话，到期前没有一次预警：请在期限之前加一级 remind"
        en = f"nobody is warned before '{limit.id}' ends: the first step speaks when it is too late; add a `remind`"
        yield Problem(("ladders", ladder.id), Text(zh, en))


def _swallowed_by_quiet_hours(
    policy: Policy, limit: Limit, ladder: Ladder, moments: list[_Sample], calendar: Calendar
) -> Iterator[Problem]:
    """The last warning is raised in quiet hours that end only after the limit: nobody reads it in time."""
    quiet = policy.quiet
    if quiet is None or is_hour_class(limit):
        return
    for sample in moments:
        ahead = [
            (at, index)
            for index, at in enumerate(sample.steps)
            if at is not None and at <= sample.due_at and ladder.steps[index].say in WARNINGS
        ]
        if not ahead:
            continue
        at, index = max(ahead)
        if ladder.steps[index].may_wake:
            continue
        goes_at = hold_until(quiet, sample.due_at, calendar, at)
        if goes_at is None or goes_at <= sample.due_at:
            continue
        zh = f"“{limit.title}”到期前最后一次提醒落在免打扰时段，要到期限过后才发出：改时刻，或写 may_wake 和依据"
        en = f"the last warning of '{limit.id}' falls into quiet hours that end after the limit: move it, or say"
        en += " may_wake with its basis"
        yield Problem(("ladders", ladder.id, "steps", index, "at"), Text(zh, en))
        return


# --- people -------------------------------------------------------------------------------------------------


def _vacant_roles(policy: Policy, people: Directory | None) -> Iterator[Problem]:
    if people is None:
        return
    held = {post.role for post in people.posts}
    told: set[str] = set()
    for path, role in _roles_of(policy):
        plain = role.partition("@")[0]
        if plain in PERSONAL or plain in policy.named or plain in held or plain in told or plain == "administrator":
            continue
        told.add(plain)
        name = policy.roles.get(plain, role_title(plain).zh)
        text = Text(
            f"没有任何人担任“{name}”（{plain}）：发给他的都会转给上一级或系统管理员",
            f"nobody holds the role '{plain}': what is meant for it goes to the next one up or the administrators",
        )
        yield Problem(path, text, suggestion(plain, held))


def _unknown_persons(policy: Policy, people: Directory | None) -> Iterator[Problem]:
    """Restricted cases go to persons by key alone: a key nobody has means that nobody ever hears of them."""
    if people is None:
        return
    keys_of = {official.name: key for key, official in people.officials.items()}
    for index, key in enumerate(policy.restricted.recipients):
        if key in people.officials:
            continue
        text = Text(
            f"人员名录里没有编号“{key}”：限制知悉的案件发不到这个人",
            f"nobody in the directory has the key '{key}': he hears of no restricted case",
        )
        named = keys_of.get(key)
        hint = None if named is None else Text(f"“{key}”是姓名，应写编号“{named}”", f"write the key '{named}'")
        yield Problem(("restricted", "recipients", index), text, hint or suggestion(key, people.officials))


def _roles_of(policy: Policy) -> Iterator[tuple[KeyPath, str]]:
    for ladder in policy.ladders.values():
        for index, step in enumerate(ladder.steps):
            path: KeyPath = ("ladders", ladder.id, "steps", index)
            yield from (((*path, "to"), role) for role in step.to)
            yield from (((*path, "cc"), role) for role in step.cc)
            if step.acknowledge is not None:
                yield from (((*path, "acknowledge", "else"), role) for role in step.acknowledge.otherwise)
                later = step.acknowledge.then.otherwise if step.acknowledge.then is not None else ()
                yield from (((*path, "acknowledge", "then", "else"), role) for role in later)
    for role in policy.chain:
        yield ("chain",), role
