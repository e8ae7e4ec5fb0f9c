"""Play the `tests:` an administrator wrote beside a policy, with the daemon's own decisions.

A trial plays in an invented office: every role of the policy is held by one person of the case's unit, reachable over
every kind of channel; only the roles a trial names as vacant are empty. The policy is played alone.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from policies.beforehand.foresight import foresee
from policies.calendar import CountError
from policies.errors import Problem
from policies.limits.instances import FIRST, instance_named
from policies.model import Case, Directory, OfficeUnit, Official, PolicySet, Post
from policies.obligations import calendar_for
from policies.people.seats import PERSONAL, named_by, role_title
from policies.text import Text
from policies.wording import instant_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from policies.beforehand.foresight import Foresight, Told
    from policies.calendar import Calendar
    from policies.model import Expected, Policy, Trial

ADMINISTRATOR = "administrator"
HANDLER = "承办人"
UNIT = "承办单位"
_SHOWN = 5  # of what was sent and not expected; more only hides the first


def run_trials(
    policies: PolicySet,
    calendars: Mapping[str, Calendar],
    kinds: Mapping[str, str],
    default_calendar: str = "china",
) -> tuple[Problem, ...]:
    """What the trials expected and did not get; each path begins with the policy's name and leads to the trial.

    `kinds` tells which kind of address each channel uses, by its name.
    """
    return tuple(
        problem
        for trial in policies.trials
        if (policy := policies.policies.get(trial.policy)) is not None
        for problem in _failures(policies.version, policy, trial, calendars, kinds, default_calendar)
    )


def _failures(
    version: str,
    policy: Policy,
    trial: Trial,
    calendars: Mapping[str, Calendar],
    kinds: Mapping[str, str],
    default_calendar: str,
) -> Iterator[Problem]:
    calendar = calendars[policy.calendar or default_calendar]
    facts = [(at, _manned(case)) for at, case in trial.facts]
    office = invented_office(policy, [case for _, case in facts], trial.absent, kinds)
    try:
        seen = foresee(
            PolicySet(version, {policy.id: policy}),
            facts,
            office,
            calendars,
            kinds,
            facts[0][0],
            trial.until,
            default_calendar=default_calendar,
        )
    except CountError as error:
        yield _problem(trial, (), error.message)
        return
    for path, message in (
        *_wrong_dues(policy, trial, seen, calendars, default_calendar),
        *_wrong_messages(trial, seen.told, calendar),
    ):
        yield _problem(trial, path, message)


def _problem(trial: Trial, path: tuple[str | int, ...], message: Text) -> Problem:
    name = trial.name
    return Problem(
        (trial.policy, "tests", trial.index, *path),
        Text(f"测试“{name}”不符：{message.zh}", f"test '{name}' failed: {message.en}"),
    )


# --- the office it plays in -----------------------------------------------------------------------------------


def _manned(case: Case) -> Case:
    """A case that names nobody is in some unit and has some handler all the same."""
    return replace(case, unit=case.unit or UNIT, handler=case.handler or HANDLER)


def invented_office(
    policy: Policy, cases: Sequence[Case], absent: Sequence[str], kinds: Mapping[str, str]
) -> Directory:
    """Every role of the policy held by somebody in each unit the cases name, apart from those absent."""
    units = _units(cases, policy)
    roles = [role for role in _roles(policy) if role not in absent]
    addresses = {kind: f"{kind}:invented" for kind in {*kinds.values(), *policy.via.channels}}
    posts = tuple(Post(unit, role, f"{role}·{unit}") for unit in units for role in roles)
    people = {post.official: Official(post.official, post.official, post.unit, addresses) for post in posts}
    for case in cases:
        leaders = (named_by(role, policy, case) for role in policy.named)
        named = (case.handler, *leaders, *(move.to_official for move in case.transfers), *policy.restricted.recipients)
        people |= {key: Official(key, key, case.unit, addresses) for key in named if key and key not in people}
    people[ADMINISTRATOR] = Official(ADMINISTRATOR, ADMINISTRATOR, None, addresses)
    return Directory(people, units, posts, (ADMINISTRATOR,))


def _units(cases: Sequence[Case], policy: Policy) -> dict[str, OfficeUnit]:
    named: dict[str, OfficeUnit] = {}
    for case in cases:
        there = (case.unit, *(move.to_unit for move in case.transfers), *(move.from_unit for move in case.transfers))
        named |= {unit: OfficeUnit(unit, unit) for unit in there if unit is not None}
        area = case.fields.get(policy.place)
        if isinstance(area, str | int) and not isinstance(area, bool):
            named.setdefault(f"属地{area}", OfficeUnit(f"属地{area}", f"属地{area}", area=str(area)))
    return named


def _roles(policy: Policy) -> tuple[str, ...]:
    steps = [step for ladder in policy.ladders.values() for step in ladder.steps]
    said = [*policy.chain, *policy.roles, *policy.first_handler.shirking_to]
    for step in steps:
        said += [*step.to, *step.cc]
        if step.acknowledge is not None:
            said += [*step.acknowledge.otherwise, *(step.acknowledge.then.otherwise if step.acknowledge.then else ())]
    plain = (role.partition("@")[0] for role in said)
    return tuple(dict.fromkeys(role for role in plain if role not in {*PERSONAL, *policy.named, ADMINISTRATOR}))


# --- what came of it ------------------------------------------------------------------------------------------


def _wrong_dues(
    policy: Policy, trial: Trial, seen: Foresight, calendars: Mapping[str, Calendar], default_calendar: str
) -> Iterator[tuple[tuple[str | int, ...], Text]]:
    limits = {limit.id: limit for limit in policy.limits}
    for name, day in trial.dues.items():
        path = ("due", name)
        limit, instance = instance_named(name, limits) or (name, FIRST)
        ends = {one.instance: one.legal_due_at for one in reversed(seen.obligations) if one.limit == limit}
        due_at = next(iter(reversed(ends.values())), None) if name == limit else ends.get(instance)
        if due_at is None:
            yield path, _not_running(day, limit, ends)
            continue
        found = calendar_for(policy, limits[limit], calendars, default_calendar).local_day(due_at)
        if found != day:
            yield path, Text(f"应于 {day} 到期，实际 {found}", f"should end on {day}, but ends on {found}")


def _not_running(day: date, limit: str, instances: Iterable[str]) -> Text:
    """Which ones run instead, if any does."""
    zh, en = f"应于 {day} 到期，实际没有这个时限在算", f"should end on {day}, but no such limit runs"
    running = [f"{limit}.{instance or 1}" for instance in instances][::-1]
    if not running:
        return Text(zh, en)
    return Text(f"{zh}；在算的有：{'、'.join(running)}", f"{en}; running are: {', '.join(running)}")


def _wrong_messages(
    trial: Trial, told: Sequence[Told], calendar: Calendar
) -> Iterator[tuple[tuple[str | int, ...], Text]]:
    if trial.silent and told:
        yield ("expect",), _surplus(told, calendar)
    if not trial.expects:
        return
    left = list(told)
    for index, expected in enumerate(trial.expects):
        found = [one for one in left if _fits(expected, one, calendar)]
        left = [one for one in left if one not in found]
        if not found:
            yield ("expect", index), _missing(expected, told, calendar)
    if left:
        yield ("expect",), _surplus(left, calendar)


def _fits(expected: Expected, told: Told, calendar: Calendar) -> bool:
    notice = told.notice
    return (
        expected.step == notice.step
        and expected.to in {None, notice.role, notice.person}
        and expected.limit in {None, notice.limit}
        and expected.channel in {None, notice.channel}
        and _same_moment(expected, told.at, calendar)
    )


def _same_moment(expected: Expected, at: datetime, calendar: Calendar) -> bool:
    if expected.whole_day:
        return calendar.local_day(at) == calendar.local_day(expected.at)
    return at.replace(second=0, microsecond=0) == expected.at.replace(second=0, microsecond=0)


def _missing(expected: Expected, told: Sequence[Told], calendar: Calendar) -> Text:
    at = str(calendar.local_day(expected.at)) if expected.whole_day else instant_of(expected.at, calendar)
    to = Text("", "") if expected.to is None else _name(expected.to)
    zh = f"{at} 应有梯级“{expected.step}”" + (f"发给{to.zh}" if to.zh else "") + "，实际没有"
    en = f"at {at} the step '{expected.step}'" + (f" should go to the {to.en}" if to.en else " should speak")
    en += ", but did not"
    same = [one for one in told if one.notice.step == expected.step]
    if same:
        whom = _name(same[0].notice.role)
        moment = instant_of(same[0].at, calendar)
        zh, en = f"{zh}；它在 {moment} 发给{whom.zh}", f"{en}; it went to the {whom.en} at {moment}"
    return Text(zh, en)


def _name(role: str) -> Text:
    return role_title(role.partition("@")[0])


def _surplus(told: Sequence[Told], calendar: Calendar) -> Text:
    """What was sent beside what was expected; the channels of one message are one."""
    together = [key for key, _ in groupby(told, key=lambda one: (one.at, one.notice.step, one.notice.role))]
    zh: list[str] = []
    en: list[str] = []
    for at, step, role in together[:_SHOWN]:
        whom = _name(role)
        zh.append(f"{instant_of(at, calendar)} “{step}”→{whom.zh}")
        en.append(f"{instant_of(at, calendar)} '{step}' to the {whom.en}")
    more = len(together) - _SHOWN
    tail = Text(f"等 {len(together)} 条", f" and {more} more") if more > 0 else Text("", "")
    return Text(
        f"还发了没有写到的：{'；'.join(zh)}{tail.zh}", f"sent beside what was expected: {'; '.join(en)}{tail.en}"
    )
