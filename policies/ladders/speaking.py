"""From the steps whose turn it is to the notices, with a reason for each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.ladders import sentences
from policies.ladders.notices import (
    Letter,
    channels_for,
    courtesy,
    expires_at,
    facts_of,
    may_be_gathered,
    name_of,
    notices_to,
)
from policies.ladders.recipients import Recipient, recipient, recipients_of
from policies.ladders.rungs import RELEASE
from policies.ladders.slots import slot_for
from policies.ladders.via import channels_of, reachable
from policies.model import ObligationState, Why
from policies.people.seats import ADMINISTRATOR, role_title

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from policies.ladders.coming import Coming, Turn
    from policies.ladders.notices import Courtesy
    from policies.ladders.rungs import Rung
    from policies.ladders.setting import Setting
    from policies.ladders.via import Channels
    from policies.model import Notice, Reason, Scalar

INSPECTOR = "inspector"
RELEASE_WANTED = "release_wanted"


@dataclass(slots=True)  # not frozen: one is made for every decision, and that costs twice as much
class _Speech:
    """What the notices of one turn have in common."""

    turn: Turn
    later: Sequence[Rung]
    facts: Mapping[str, Scalar]
    setting: Setting


def speak(coming: Coming, setting: Setting) -> tuple[list[Notice], list[Reason]]:
    """The notices of every turn, and why."""
    notices: list[Notice] = []
    reasons: list[Reason] = []
    if coming.turns:
        facts = facts_of(setting)
        for turn in coming.turns:
            for said, told in _in_turn(_Speech(turn, coming.later, facts, setting)):
                notices += said
                reasons += told
    return notices, reasons


def _in_turn(speech: _Speech) -> Iterator[tuple[list[Notice], list[Reason]]]:
    """Each step of the turn. After an outage a person gets one message only: from the step further up the ladder."""
    turn, told = speech.turn, set[str]()
    for rung in reversed(turn.firing) if turn.missed else turn.firing:
        yield _say(rung, speech, told if turn.missed else None)


def _say(rung: Rung, speech: _Speech, told: set[str] | None) -> tuple[list[Notice], list[Reason]]:
    """What one step says, to everybody not `told` already in this turn."""
    setting, step = speech.setting, rung.step
    channels = channels_of(step.via, setting.policy, setting.kinds)
    reviewing = setting.obligation.state is ObligationState.PAUSED
    why = Why.REVIEW if reviewing else speech.turn.why
    people, found = recipients_of(setting, rung, why, channels)
    reasons = [sentences.review(rung) if reviewing else sentences.fired(rung, why, len(speech.turn.missed)), *found]
    wait = courtesy(setting, step.may_wake)
    letter = _letter(rung, speech, wait)
    notices: list[Notice] = []
    waiting: list[Recipient] = []
    for person in people:
        if told is not None and person.person in told:
            reasons.append(sentences.same_person(rung.id, person.role, person.person, rung.at))
            continue
        if told is not None:
            told.add(person.person)
        mine = notices_to(person, letter, channels, speech.facts, setting)
        notices += mine
        chosen = channels_for(person, letter, channels, setting)
        if mine and chosen is not channels:
            reasons.append(sentences.preferred(rung.id, person.person, mine[0].channel, rung.at))
        elif len(mine) < len(channels.names):
            reasons += _gaps(rung, person, channels, setting)
        if person.release:
            waiting.append(person)
            reasons.append(sentences.waits_for_release(rung.id, person.role, person.person, rung.at))
    if letter.slot_at is not None and any(one.hold_until == letter.slot_at for one in notices):
        reasons.append(sentences.gathered(rung.id, letter.slot_at, setting.calendar, setting.now))
    elif notices:
        reasons += quiet_reasons(rung.id, wait, setting)
    if waiting:
        asked, more = ask_for_release(waiting, letter, channels, speech.facts, setting)
        notices += asked
        reasons += more
    return notices, reasons


def _letter(rung: Rung, speech: _Speech, wait: Courtesy) -> Letter:
    setting, step = speech.setting, rung.step
    gathered = may_be_gathered(setting, step.may_wake)
    waits = gathered and step.acknowledge is None  # signing for it is counted in hours
    return Letter(
        rung.id,
        rung.repeat,
        rung.say,
        rung.at,
        setting.obligation.deadline_version,
        tuple(missed.name for missed in speech.turn.missed),
        expires_at(speech.later, wait),
        wait.hold_until,
        wait.may_wake,
        gathered,
        slot_for(rung.at, wait.hold_until, speech.later, setting) if waits else None,
        {"issue": None if rung.otherwise else step.issue},
    )


def quiet_reasons(step: str, wait: Courtesy, setting: Setting) -> Iterator[Reason]:
    """Why the message waits for the morning, or on which basis it does not."""
    if wait.hold_until is not None:
        yield sentences.held(step, wait.hold_until, setting.calendar, setting.now)
    if wait.may_wake:
        yield sentences.woke(step, wait.may_wake, setting.now)


def _gaps(rung: Rung, to: Recipient, channels: Channels, setting: Setting) -> Iterator[Reason]:
    """The channels of the step on which he has no address."""
    reached = reachable(to.person, channels, setting.directory)
    for name in channels.names:
        if name not in reached:
            yield sentences.no_address(rung.id, to.person, name, rung.at)


# --- what a human has to release --------------------------------------------------------------------------------


def ask_for_release(
    waiting: Iterable[Recipient], letter: Letter, channels: Channels, facts: Mapping[str, Scalar], setting: Setting
) -> tuple[list[Notice], list[Reason]]:
    """Tell the inspector, or else an administrator, at once that something waits for his release.

    Whoever would need a release himself is not asked for one.
    """
    people = list(waiting)
    step = f"{letter.step}.{RELEASE}"
    found = setting.resolve(INSPECTOR, channels)[0]
    if found.person is None or found.needs_release or found.person in {one.person for one in people}:
        found = setting.resolve(ADMINISTRATOR, channels)[0]
    reasons = [replace(reason, step=step) for reason in found.reasons]
    if found.person is None:
        return [], reasons
    awaiting = replace(
        letter,
        step=step,
        say=RELEASE_WANTED,
        missed=(),
        may_wake="",
        digest=False,
        slot_at=None,
        more={
            "awaits_name": "、".join(name_of(one.person, setting.directory) or one.person for one in people),
            "awaits_title": "、".join(dict.fromkeys(role_title(one.role).zh for one in people)),
        },
    )
    to = replace(recipient(found, found.person, Why.RELEASE, copy=True), release=False)
    return notices_to(to, awaiting, channels, facts, setting), reasons
