"""What becomes of a notice that was decided before: it could not be delivered, or somebody else is in that role now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from policies.ladders import sentences
from policies.ladders.notices import (
    LETTER_FACTS,
    Letter,
    courtesy,
    expires_at,
    facts_of,
    may_be_gathered,
    notice,
    notices_to,
)
from policies.ladders.recipients import RESTRICTED, Recipient, recipient
from policies.ladders.rungs import REVIEW, step_of, timeline
from policies.ladders.setting import setting_of, standing_still
from policies.ladders.speaking import ask_for_release, quiet_reasons
from policies.ladders.via import channels_named, channels_of, reachable
from policies.model import History, Light, Plan, Why

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.ladders.setting import Setting
    from policies.ladders.via import Channels
    from policies.model import Case, Directory, FirstHandler, Notice, Obligation, Policy, Reason, Step

_FOR_THE_ROLE = frozenset({Why.DUE, Why.CAUGHT_UP, Why.REVIEW})


def after_failure(
    policy: Policy,
    obligation: Obligation,
    case: Case,
    failed: Notice,
    directory: Directory,
    first_handler: FirstHandler | None,
    calendar: Calendar,
    now: datetime,
    kinds: Mapping[str, str],
) -> Plan:
    """A notice could not be delivered: the next channel to the same person, then the next person up the chain.

    At last an administrator. Of a restricted case nobody up the chain is told. Only the notices and reasons of the plan
    count; its history is empty and it asks for no further look.
    """
    setting = setting_of(policy, obligation, case, History(), directory, first_handler, calendar, now, kinds)
    idle = Why.WITHDRAWN if setting is None else _silent(failed, setting)
    if setting is None or idle is not None:
        reason = sentences.resting(idle or Why.WITHDRAWN, obligation)
        return Plan((), None, (reason,), Light.GREEN, History())
    step = step_of(failed.step, setting.ladder)
    channels = channels_of(step.via if step else None, policy, kinds)
    letter, quiet = _letter_again(failed, step, setting)
    recused = failed.person in case.recused
    untried = () if recused else reachable(failed.person, channels_named(failed.instead, kinds), directory)
    if case.restricted is not (failed.role == RESTRICTED) or (case.restricted and not untried):
        notices, told = list["Notice"](), [sentences.restricted(failed.step, now)]
    elif untried:
        notices, told = _other_channel(failed, untried, letter, setting)
    else:
        notices, told = _upward(failed, letter, channels, setting)
    return Plan(tuple(notices), None, (*told, *(quiet if notices else ())), setting.light, History())


def after_transfer(
    policy: Policy,
    obligation: Obligation,
    case: Case,
    planned: Notice,
    directory: Directory,
    first_handler: FirstHandler | None,
    calendar: Calendar,
    now: datetime,
    kinds: Mapping[str, str],
) -> Plan | None:
    """A notice that has not gone out and is meant for somebody else by now: the same for the one in that role today.

    None if it is still for the right person. What went up the chain stays with the one it went to, and so does what
    went to somebody on the list of a restricted case. Whoever is recused by now (回避) gets nothing, however it came to
    him: the next one up does, or nobody.
    """
    if planned.role == RESTRICTED:
        return None
    recused = planned.person in case.recused
    for_the_role = planned.why in _FOR_THE_ROLE and planned.facts.get("instead_of") is None
    if not for_the_role and not recused:
        return None
    # Whoever stopped the channel since is in that role all the same: sending it fails, and his other channels are next.
    people = replace(directory, stopped={}) if directory.stopped else directory
    setting = setting_of(policy, obligation, case, History(), people, first_handler, calendar, now, kinds)
    if setting is None:
        return None
    channel = channels_named((planned.channel,), kinds)
    answers = (
        setting.resolve(planned.role, channel)
        if for_the_role
        else (setting.above(planned.role, planned.person, channel),)
    )
    found = answers[0]
    if planned.person in {one.person for one in answers} or (found.person is None and not recused):
        return None
    changed = sentences.recused_since(planned, now) if recused else sentences.handed_over(planned, now)
    if found.person is None:
        return Plan((), None, (changed, *found.reasons), setting.light, History())
    told = tuple(replace(reason, step=planned.step) for reason in found.reasons)
    letter = replace(
        _letter_of(planned),
        hold_until=planned.hold_until,
        may_wake=planned.may_wake,
        digest=planned.digest,
        expires_at=planned.expires_at,
    )
    to = recipient(found, found.person, planned.why, copy=planned.copy)
    instead = reachable(to.person, channels_named(planned.instead, kinds), directory)
    again = notice(to, letter, planned.channel, facts_of(setting), setting, instead, planned.wait)
    return Plan((again,), None, (changed, *told), setting.light, History())


def _silent(failed: Notice, setting: Setting) -> Why | None:
    """Why nobody is told any more; a parked case still is, of its review."""
    idle = standing_still(setting.obligation, setting.case, setting.limit)
    step = step_of(failed.step, setting.ladder)
    reviewed = step is not None and step.at.anchor == REVIEW and setting.obligation.review_at is not None
    return None if idle is Why.PAUSED and reviewed else idle


def _letter_of(before: Notice) -> Letter:
    more = {name: value for name, value in before.facts.items() if name in LETTER_FACTS}
    return Letter(
        before.step, before.repeat, before.say, before.at, before.deadline_version, missed=before.missed, more=more
    )


def _letter_again(failed: Notice, step: Step | None, setting: Setting) -> tuple[Letter, list[Reason]]:
    """The same words now: they wait for the morning if the hour is quiet by now, until the next step takes over."""
    basis = step.may_wake if step else ""
    wait = courtesy(setting, basis)
    milestones, calendar = setting.case.milestones, setting.calendar
    rungs = timeline(setting.ladder, setting.obligation, milestones, calendar, setting.signed())
    later = [rung for rung in rungs if rung.at > setting.now]
    letter = replace(
        _letter_of(failed),
        expires_at=expires_at(later, wait),
        hold_until=wait.hold_until,
        may_wake=wait.may_wake,
        digest=failed.digest and may_be_gathered(setting, basis),
    )
    return letter, list(quiet_reasons(failed.step, wait, setting))


def _other_channel(
    failed: Notice, untried: tuple[str, ...], letter: Letter, setting: Setting
) -> tuple[list[Notice], list[Reason]]:
    """The same person over the next channel; what was released for him once is not released again."""
    instead_of, away = failed.facts.get("instead_of"), failed.facts.get("stands_in_for_name")
    meant = instead_of if isinstance(instead_of, str) else None
    to = Recipient(failed.person, failed.role, Why.UNDELIVERED, failed.copy, meant)
    if away is not None:
        letter = replace(letter, more={**letter.more, "stands_in_for_name": away})
    again = notice(to, letter, untried[0], facts_of(setting), setting, untried[1:], failed.wait)
    return [again], [sentences.other_channel(failed, untried[0], setting.now)]


def _upward(failed: Notice, letter: Letter, channels: Channels, setting: Setting) -> tuple[list[Notice], list[Reason]]:
    """The next person up, over every channel of the step that reaches him."""
    found = setting.above(failed.role, failed.person, channels)
    told = [sentences.undelivered(failed, setting.now)]
    told += [replace(reason, step=failed.step) for reason in found.reasons]
    if found.person is None:
        return [], told
    to = replace(recipient(found, found.person, Why.UNDELIVERED, copy=failed.copy), instead_of=failed.role)
    facts = facts_of(setting)
    notices = notices_to(to, letter, channels, facts, setting)
    if to.release:
        told.append(sentences.waits_for_release(failed.step, to.role, to.person, setting.now))
        asked, more = ask_for_release([to], letter, channels, facts, setting)
        notices += asked
        told += more
    return notices, told
