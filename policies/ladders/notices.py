"""From what is said and to whom, to the notices (通知单) themselves: their keys, their facts, their channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from policies.ladders.quiet import hold_until, is_hour_class
from policies.ladders.recipients import RESTRICTED
from policies.ladders.via import preferred, reachable
from policies.model import Light, Notice, ObligationState
from policies.moving import shift
from policies.people.seats import role_title
from policies.wording import day_of, iso_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime, timedelta

    from policies.calendar import Calendar
    from policies.ladders.recipients import Recipient
    from policies.ladders.rungs import Rung
    from policies.ladders.setting import Setting
    from policies.ladders.via import Channels
    from policies.model import Directory, Obligation, Scalar


LETTER_FACTS = frozenset({"issue", "handbacks", "handbacks_allowed", "awaits_name", "awaits_title"})
"""The facts that belong to what is said, and not to the case or the one it is said to."""


@dataclass(slots=True)  # not frozen: one is made for every decision, and that costs twice as much
class Letter:
    """What is said, apart from to whom: which step, which text, with which facts, and how long it may wait.

    `slot_at` is the hour at which it leaves together with others, if it may. `more` are facts beside those of every
    notice.
    """

    step: str
    repeat: int
    say: str
    at: datetime
    deadline_version: int
    missed: tuple[str, ...] = ()
    expires_at: datetime | None = None
    hold_until: datetime | None = None
    may_wake: str = ""
    digest: bool = False
    slot_at: datetime | None = None
    more: Mapping[str, Scalar] = field(default_factory=dict[str, "Scalar"])


@dataclass(frozen=True, slots=True)
class Courtesy:
    """Whether a message waits for the end of the quiet hours, or on which basis it does not."""

    hold_until: datetime | None = None
    may_wake: str = ""


_AT_ONCE = Courtesy()


def courtesy(setting: Setting, basis: str) -> Courtesy:
    """What the quiet hours ask of a message raised now; `basis` is what its step says in `may_wake`."""
    quiet = setting.policy.quiet
    if quiet is None or is_hour_class(setting.limit):
        return _AT_ONCE
    one = setting.obligation
    due_at = None if one.state is ObligationState.PAUSED else one.due_at
    until = hold_until(quiet, due_at, setting.calendar, setting.now)
    if until is None:
        return _AT_ONCE
    return Courtesy(may_wake=basis) if basis else Courtesy(until)


def expires_at(later: Sequence[Rung], wait: Courtesy) -> datetime | None:
    """When the next step takes over. A step that may stay silent takes nothing over.

    What is held lives at least until it may go out, even if a step comes before: that one is held as well.
    """
    for rung in later:
        certain = not (rung.step.when or rung.step.unless)
        if certain and (wait.hold_until is None or rung.at > wait.hold_until):
            return rung.at
    return None


def may_be_gathered(setting: Setting, basis: str) -> bool:
    """Whether it may be put together with others (汇总): nothing red, urgent, restricted or in hours (statement 37)."""
    digest, light = setting.policy.digest, setting.light
    return (
        digest is not None
        and light is not Light.RED
        and light.value in digest.lights
        and not basis
        and not setting.case.restricted
        and not is_hour_class(setting.limit)
    )


def notices_to(
    to: Recipient, letter: Letter, channels: Channels, facts: Mapping[str, Scalar], setting: Setting
) -> list[Notice]:
    """The letter to one person over every channel that reaches him, or over the first, the others in its stead."""
    channels = channels_for(to, letter, channels, setting)
    names = reachable(to.person, channels, setting.directory)
    if not channels.in_order:
        return [notice(to, letter, name, facts, setting) for name in names]
    if not names:
        return []
    return [notice(to, letter, names[0], facts, setting, names[1:], waiting_time(channels, setting))]


def channels_for(to: Recipient, letter: Letter, channels: Channels, setting: Setting) -> Channels:
    """The channels of a step for this person: as he prefers, where the policy leaves it to him (偏好).

    Red is not his to choose, nor what wakes him, counts in hours or is restricted.
    """
    choice = setting.policy.choice
    if choice is None or setting.light is Light.RED or setting.light.value not in choice.lights:
        return channels
    if letter.may_wake or to.role == RESTRICTED or is_hour_class(setting.limit):
        return channels
    return preferred(channels, setting.directory.officials.get(to.person), choice, setting.kinds)


def waiting_time(channels: Channels, setting: Setting) -> timedelta | None:
    """How long a receipt is waited for before the next channel is tried."""
    if channels.wait is None:
        return None
    return shift(setting.now, channels.wait, setting.calendar) - setting.now


def notice(
    to: Recipient,
    letter: Letter,
    channel: str,
    facts: Mapping[str, Scalar],
    setting: Setting,
    instead: tuple[str, ...] = (),
    wait: timedelta | None = None,
) -> Notice:
    """One message. A notice about a restricted case says nothing beside the facts handed in, and the policy's text."""
    one, closed = setting.obligation, to.role == RESTRICTED
    gathered = letter.digest and not to.release and not closed
    return Notice(
        key=_key(one, letter, to.person, channel),
        case_key=one.case_key,
        policy=one.policy,
        limit=one.limit,
        deadline_version=letter.deadline_version,
        step=letter.step,
        repeat=letter.repeat,
        person=to.person,
        role=to.role,
        channel=channel,
        say=setting.policy.restricted.say if closed else letter.say,
        why=to.why,
        at=letter.at,
        instance=one.instance,
        facts=facts if closed else _addressed(facts, letter, to, setting.directory),
        missed=() if closed else letter.missed,
        expires_at=letter.expires_at,
        copy=to.copy,
        hold_until=letter.slot_at if gathered and letter.slot_at is not None else letter.hold_until,
        may_wake=letter.may_wake,
        digest=gathered,
        instead=instead,
        wait=wait,
        release=to.release,
        dark=setting.policy.dark,
    )


def _key(one: Obligation, letter: Letter, person: str, channel: str) -> str:
    parts = (
        one.case_key,
        one.policy,
        one.limit,
        one.instance,
        str(letter.deadline_version),
        letter.step,
        str(letter.repeat),
        person,
        channel,
    )
    return "/".join(map(_escaped, parts))


@lru_cache(maxsize=16_384)
def _escaped(part: str) -> str:
    return quote(part, safe="")


OF_RESTRICTED = frozenset({"case", "due_at", "due_day"})
"""What may be said of a restricted case, beside its light."""


# --- facts ------------------------------------------------------------------------------------------------------


def facts_of(setting: Setting) -> dict[str, Scalar]:
    """What templates may say; all of it plain text, figures and flags, nothing about petitioners.

    Of a restricted case: its number, the end of the limit, and the light.
    """
    one, calendar, first = setting.obligation, setting.calendar, setting.first_handler
    today, due_day = calendar.local_day(setting.now), calendar.local_day(one.due_at)
    if setting.case.restricted:
        return {
            "case": one.case_key,
            "due_at": iso_of(one.due_at, calendar),
            "due_day": day_of(due_day),
            **_light(setting),
        }
    return {
        "case": one.case_key,
        "limit": one.limit,
        "ladder": setting.limit.ladder,
        "limit_title": setting.limit.title,
        "basis": setting.limit.basis,
        "policy_title": setting.policy.title,
        "start_at": iso_of(one.start_at, calendar),
        "nominal_due": iso_of(one.nominal_due_at, calendar),
        "legal_due": iso_of(one.legal_due_at, calendar),
        "platform_due": None if one.platform_due_at is None else iso_of(one.platform_due_at, calendar),
        "due_at": iso_of(one.due_at, calendar),
        "due_day": day_of(due_day),
        "days_left": calendar.workdays_between(today, due_day),
        "overdue_days": _overdue_days(one, today, calendar, setting.now),
        **_light(setting),
        "provisional": one.provisional,
        "extended": one.extended,
        "first_handler_name": name_of(first.official if first else None, setting.directory),
        "first_handler_unit": _unit_name(first.unit if first else None, setting.directory),
        "handler_name": name_of(setting.case.handler, setting.directory),
        "unit_name": _unit_name(setting.case.unit, setting.directory),
        "issue": None,
    }


def _light(setting: Setting) -> dict[str, Scalar]:
    """The light, and its name where the office has one of its own."""
    light = setting.light.value
    own = setting.ladder.lights.titles.get(light)
    return {"light": light} if own is None else {"light": light, "light_title": own}


def _addressed(facts: Mapping[str, Scalar], letter: Letter, to: Recipient, directory: Directory) -> dict[str, Scalar]:
    addressed: dict[str, Scalar] = {
        **facts,
        **letter.more,
        "step": letter.step,
        "missed_count": len(letter.missed),
        "role": to.role,
        "role_title": _title(to.role),
        "instead_of": to.instead_of,
        "instead_of_title": None if to.instead_of is None else _title(to.instead_of),
    }
    if to.stands_in_for is not None:
        addressed["stands_in_for_name"] = name_of(to.stands_in_for, directory)
    return addressed


@lru_cache(maxsize=1024)
def _title(role: str) -> str:
    return role_title(role).zh


def _overdue_days(one: Obligation, today: date, calendar: Calendar, now: datetime) -> int:
    """Working days past the legal limit; the first day counts as one even if the office is closed."""
    if now <= one.legal_due_at:
        return 0
    return max(1, calendar.workdays_between(calendar.local_day(one.legal_due_at), today))


def name_of(key: str | None, directory: Directory) -> str | None:
    """What a person is called; somebody the directory does not know, by his key."""
    official = directory.officials.get(key) if key is not None else None
    return key if official is None else official.name


def _unit_name(key: str | None, directory: Directory) -> str | None:
    unit = directory.units.get(key) if key is not None else None
    return key if unit is None else unit.name
