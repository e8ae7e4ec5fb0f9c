"""Whom a step speaks to: each person once, in the highest of his roles (domain statement 43).

Of a restricted case (纪检、检举) only those on the policy's list may hear, whatever the step says (statement 42).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.chain import rank_of
from policies.ladders import sentences
from policies.ladders.lights import BRIGHTNESS, light_between
from policies.ladders.via import reachable
from policies.model import Light, Why
from policies.people.seats import ADMINISTRATOR, FIRST_HANDLER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from policies.chain import Resolution
    from policies.ladders.rungs import Rung
    from policies.ladders.setting import Setting
    from policies.ladders.via import Channels
    from policies.model import Policy, Reason

RESTRICTED = "restricted"
"""The role in which somebody on the list of a restricted case is told."""

_ON_TIME = frozenset({Why.DUE, Why.CAUGHT_UP, Why.REVIEW})


@dataclass(slots=True)  # not frozen: one is made for every decision, and that costs twice as much
class Recipient:
    """One person a step speaks to: in which role, why, for whom he stands in, and whether a human must release it.

    `instead_of` is the role that was meant, `stands_in_for` the person who is away.
    """

    person: str
    role: str
    why: Why
    copy: bool = False
    instead_of: str | None = None
    release: bool = False
    stands_in_for: str | None = None


def recipients_of(setting: Setting, rung: Rung, why: Why, channels: Channels) -> tuple[list[Recipient], list[Reason]]:
    """The people one instant of the ladder speaks to, and what happened while they were looked for."""
    if setting.case.restricted:
        return on_the_list(setting, rung.id, rung.at, why, channels)
    return those_in(_roles(setting, rung), setting, rung.id, rung.at, why, channels)


def those_in(
    roles: Iterable[tuple[str, bool]], setting: Setting, step: str, at: datetime, why: Why, channels: Channels
) -> tuple[list[Recipient], list[Reason]]:
    """Who is told in these roles (each with whether it is a copy); a fall upward is told to an administrator too."""
    wanted: list[Recipient] = []
    reasons: list[Reason] = []
    for role, copy in roles:
        for found in setting.resolve(role, channels):
            reasons += [replace(reason, step=step) for reason in found.reasons]
            if found.person is None:
                continue
            wanted.append(recipient(found, found.person, why, copy=copy))
            if found.fell is not None and found.role != ADMINISTRATOR:
                alarm = setting.resolve(ADMINISTRATOR, channels)[0]
                if alarm.person is not None:
                    wanted.append(Recipient(alarm.person, alarm.role, found.fell, copy=True, instead_of=found.meant))
    one_each, same = _once_each(wanted, step, at, setting.policy)
    return one_each, [*reasons, *same]


def recipient(found: Resolution, person: str, why: Why, *, copy: bool = False) -> Recipient:
    """The one who was found for a role."""
    instead_of = None if found.role == found.meant else found.meant
    return Recipient(person, found.role, why, copy, instead_of, found.needs_release, found.stands_in_for)


def on_the_list(
    setting: Setting, step: str, at: datetime, why: Why, channels: Channels
) -> tuple[list[Recipient], list[Reason]]:
    """Everybody on the list of a restricted case who is in office, not recused, and can be reached."""
    listed = setting.policy.restricted.recipients
    if not listed:
        return [], [sentences.restricted(step, at)]
    told: list[Recipient] = []
    reasons = [sentences.restricted_told(step, at)]
    for person in dict.fromkeys(listed):
        problem = _passed_over(person, setting, channels)
        if problem is None:
            told.append(Recipient(person, RESTRICTED, why))
        else:
            reasons.append(sentences.restricted_passed_over(step, person, problem, at))
    return told, reasons if told else [*reasons, sentences.restricted_nobody(step, at)]


def _passed_over(person: str, setting: Setting, channels: Channels) -> Why | None:
    official = setting.directory.officials.get(person)
    if person in setting.case.recused:
        return Why.RECUSED
    if official is None or not official.active:
        return Why.VACANT
    return None if reachable(person, channels, setting.directory) else Why.UNREACHABLE


def _roles(setting: Setting, rung: Rung) -> Iterator[tuple[str, bool]]:
    """The roles a step speaks to, and whether each gets a copy only."""
    step = rung.step
    if rung.otherwise:
        yield from ((role, False) for role in rung.otherwise)
        return
    yield from ((role, False) for role in step.to)
    yield from ((role, True) for role in step.cc)
    if FIRST_HANDLER not in (*step.to, *step.cc) and _first_stays_informed(setting, rung.at):
        yield FIRST_HANDLER, True


def _first_stays_informed(setting: Setting, at: datetime) -> bool:
    """首办责任人 stays informed after a transfer, from the light on that the policy names."""
    first, from_light = setting.first_handler, setting.policy.first_handler.stays_informed
    if first is None or from_light is None:
        return False
    if (first.unit, first.official) == (setting.case.unit, setting.case.handler):
        return False
    light = light_between(setting.light_changes, at)
    return BRIGHTNESS[light] >= BRIGHTNESS[Light(from_light)]


def _once_each(
    wanted: Iterable[Recipient], step: str, at: datetime, policy: Policy
) -> tuple[list[Recipient], list[Reason]]:
    chosen: dict[str, Recipient] = {}
    reasons: list[Reason] = []
    for one in wanted:
        other = chosen.get(one.person)
        if other is None:
            chosen[one.person] = one
            continue
        higher = max(other, one, key=lambda recipient: rank_of(recipient.role, policy))
        lower = one if higher is other else other
        why = other.why if other.why in _ON_TIME else one.why
        copy, release = other.copy and one.copy, other.release and one.release
        chosen[one.person] = replace(higher, why=why, copy=copy, release=release)
        reasons.append(sentences.same_person(step, lower.role, one.person, at))
    return list(chosen.values()), reasons
