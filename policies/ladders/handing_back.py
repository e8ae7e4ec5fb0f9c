"""推诿: a case handed back more often than the policy allows is told to the inspector, once per further hand-back.

A case has several limits; only one of them tells. A hand-back belongs to the limit that was running first, in the order
of the policy, at the instant the case was handed back; to a limit per holder or a recurring one only if no other was
running. Of a limit per holder it is the clock of the unit that had the case then. So none tells it a second time when
another limit comes to be the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.conditions import all_hold
from policies.ladders import sentences
from policies.ladders.notices import Letter, courtesy, facts_of, notices_to
from policies.ladders.recipients import those_in
from policies.ladders.rungs import HANDBACK, SAID_FOR_GOOD
from policies.ladders.via import channels_of
from policies.model import Movement, Why
from policies.people.holding import holder_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from policies.ladders.setting import Setting
    from policies.model import Case, Limit, Notice, Policy, Reason

SHIRKING = "shirking"


def handed_back(setting: Setting) -> tuple[list[Notice], list[Reason], dict[str, datetime]]:
    """What is said of hand-backs beyond those allowed, why, and what to remember of it.

    Of several at once the last one is told, for all of them.
    """
    allowed = setting.policy.first_handler.handbacks_allowed
    if allowed is None or not setting.case.transfers:
        return [], [], {}
    fresh = [(number, at) for number, at in _beyond(allowed, setting) if _is_mine(at, setting)]
    if not fresh:
        return [], [], {}
    number, at = fresh[-1]
    step = f"{HANDBACK}.{number}"
    folded = tuple(f"{HANDBACK}.{earlier}" for earlier, _ in fresh[:-1])
    reasons = [sentences.shirking_folded(name, step, when) for name, (_, when) in zip(folded, fresh[:-1], strict=True)]
    reasons.append(sentences.shirking(step, number, allowed, at))
    remembered = {f"{SAID_FOR_GOOD}{one}": when for one, when in fresh}
    if setting.case.restricted:
        return [], [*reasons, sentences.restricted(step, at)], remembered
    notices, told = _tell(step, number, allowed, at, folded, setting)
    return notices, [*reasons, *told], remembered


def _tell(
    step: str, number: int, allowed: int, at: datetime, folded: tuple[str, ...], setting: Setting
) -> tuple[list[Notice], list[Reason]]:
    channels = channels_of(None, setting.policy, setting.kinds)
    roles = ((role, False) for role in setting.policy.first_handler.shirking_to)
    people, reasons = those_in(roles, setting, step, at, Why.SHIRKING, channels)
    wait = courtesy(setting, "")
    if wait.hold_until is not None and people:
        reasons.append(sentences.held(step, wait.hold_until, setting.calendar, setting.now))
    letter = Letter(
        step,
        0,
        SHIRKING,
        at,
        setting.obligation.deadline_version,
        missed=folded,
        hold_until=wait.hold_until,
        more={"handbacks": number, "handbacks_allowed": allowed},
    )
    facts = facts_of(setting)
    return [one for person in people for one in notices_to(person, letter, channels, facts, setting)], reasons


def _beyond(allowed: int, setting: Setting) -> Iterator[tuple[int, datetime]]:
    """The hand-backs beyond those allowed that nobody was told of, by number, with when they were asked for."""
    moves = (move for move in setting.case.transfers if move.kind is Movement.HAND_BACK and move.at <= setting.now)
    in_time = sorted(moves, key=lambda move: (move.at, move.seq))
    for number, move in enumerate(in_time, 1):
        if number > allowed and f"{SAID_FOR_GOOD}{number}" not in setting.history.decided_until:
            yield number, move.at


def _is_mine(at: datetime, setting: Setting) -> bool:
    """Whether this obligation is the one that tells of a hand-back at that instant."""
    limit, case, one = setting.limit, setting.case, setting.obligation
    if _first_running(setting.policy, case, at) is not limit:
        return False
    if not limit.per_holder or one.holder_unit is None:
        return True
    holder = holder_at(case, at)
    return one.start_at <= at and holder is not None and holder.unit == one.holder_unit


def _first_running(policy: Policy, case: Case, at: datetime) -> Limit | None:
    """The limit that was running first at that instant; the first one that applies if none was."""
    applying = [limit for limit in policy.limits if limit.enabled and all_hold(limit.applies_to, case)]
    applying.sort(key=lambda limit: limit.per_holder or limit.recur is not None)
    running = (limit for limit in applying if _began(limit, policy, case, at) and not _past(limit.done, case, at))
    return next(running, next(iter(applying), None))


def _began(limit: Limit, policy: Policy, case: Case, at: datetime) -> bool:
    return any(_start_past(name, policy, case, at) for name in limit.start)


def _start_past(name: str, policy: Policy, case: Case, at: datetime) -> bool:
    """Whether that start was there by then; one chained to the end of another limit, once that one began."""
    other, _, end = name.partition(".")
    chained = next((limit for limit in policy.limits if limit.id == other), None) if end else None
    if chained is None:
        return _past((name,), case, at)
    return _past(chained.done, case, at) if end == "done" else _past(chained.start, case, at)


def _past(milestones: Iterable[str], case: Case, at: datetime) -> bool:
    return any(name in case.milestones and case.milestones[name] <= at for name in milestones)
