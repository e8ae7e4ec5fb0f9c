"""What is to be done now about one obligation: the heart of the product.

`evaluate` lays out every instant at which the ladder has something to say (`rungs`), takes those that have come since
the last look (`coming`), looks for the people each speaks to (`recipients`), and writes one notice to each (`speaking`,
`notices`). The latest instant speaks for all that were missed. `docs/how-it-decides.md` tells it in prose.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from policies.ladders import sentences
from policies.ladders.afterwards import after_failure, after_transfer
from policies.ladders.coming import sort_out
from policies.ladders.handing_back import handed_back
from policies.ladders.lights import light_at, light_changes, light_word
from policies.ladders.rungs import DUE, REVIEW, START, UNACKNOWLEDGED, Rung, timeline
from policies.ladders.setting import comes_back, rule_of, setting_of, standing_still
from policies.ladders.speaking import speak
from policies.ladders.via import first_of_each_kind
from policies.limits.facts import closed_at
from policies.model import History, Light, ObligationState, Plan, Why
from policies.people.holding import holdings
from policies.wording import just_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.ladders.setting import Setting
    from policies.model import Case, Directory, FirstHandler, Limit, Notice, Obligation, Policy, Reason

__all__ = [
    "DUE",
    "REVIEW",
    "START",
    "UNACKNOWLEDGED",
    "Rung",
    "after_failure",
    "after_transfer",
    "comes_back",
    "evaluate",
    "first_of_each_kind",
    "light_at",
    "light_changes",
    "light_word",
    "rule_of",
    "timeline",
]


def evaluate(
    policy: Policy,
    obligation: Obligation,
    case: Case,
    history: History,
    directory: Directory,
    first_handler: FirstHandler | None,
    calendar: Calendar,
    now: datetime,
    kinds: Mapping[str, str],
) -> Plan:
    """Decide on one obligation at `now`. `kinds` tells which kind of address each configured channel uses.

    The same call with the history it returned, at the same `now`, gives no notice. Raises CountError if a step of the
    ladder lies beyond the years that can be counted.
    """
    setting = setting_of(policy, obligation, case, history, directory, first_handler, calendar, now, kinds)
    if setting is None:
        return _rest(Why.WITHDRAWN, obligation, history, history.light or Light.GREEN, now)
    idle = standing_still(obligation, case, setting.limit)
    parked = idle is Why.PAUSED and comes_back(obligation)
    if idle is not None and not parked:
        over_at = ended_at(idle, setting.limit, obligation, case, now)
        return _rest(idle, obligation, history, history.light or setting.light, now, over_at)
    coming = sort_out(timeline(setting.ladder, obligation, case.milestones, calendar, setting.signed()), setting)
    notices, reasons = speak(coming, setting)
    reasons = [*coming.reasons, *reasons]
    if parked:
        return _parked(notices, reasons, coming.decided, coming.later, setting)
    shirked, told, remembered = handed_back(setting)
    return _outlook([*notices, *shirked], [*reasons, *told], {**coming.decided, **remembered}, coming.later, setting)


def _rest(
    why: Why, obligation: Obligation, history: History, light: Light, now: datetime, over_at: datetime | None = None
) -> Plan:
    """Nothing is said. A clock that ended too late, at `over_at`, is a breach all the same."""
    reasons = [sentences.resting(why, obligation)]
    if over_at is not None:
        breaches, history = _breaches(obligation, history, over_at, done=why is Why.DONE)
        reasons += breaches
    recount_at = obligation.recount_at if why is not Why.WITHDRAWN else None
    later = None if recount_at is None or recount_at <= now else recount_at
    return Plan((), later, tuple(reasons), light, history)


def ended_at(why: Why, limit: Limit, one: Obligation, case: Case, now: datetime) -> datetime | None:
    """When its clock ended; None while that is not known.

    It was met; or its holder handed the case on; or what ends a recurring limit came; or the case was closed.
    """
    if why is Why.DONE:
        return one.done_at
    if one.state is not ObligationState.WITHDRAWN:
        return None
    until = () if limit.recur is None else (case.milestones.get(name) for name in limit.recur.until)
    closed = None if limit.after_close else closed_at(case, now)
    ends = (_left_at(one, case), closed, *until)
    return min((at for at in ends if at is not None and at <= now), default=None)


def _left_at(one: Obligation, case: Case) -> datetime | None:
    """When the unit whose clock it is handed the case on; a change of person within it is none."""
    left_at: datetime | None = None
    for held in holdings(case) if one.holder_unit is not None else ():
        if held.lead and held.unit == one.holder_unit and (held.covers(one.start_at) or held.from_at == left_at):
            left_at = held.to_at
    return left_at


def _parked(
    notices: Sequence[Notice],
    reasons: Sequence[Reason],
    decided: Mapping[str, datetime],
    later: Sequence[Rung],
    setting: Setting,
) -> Plan:
    """The clock stands still, the light and the breaches with it; the case comes back for its review."""
    one, now, before = setting.obligation, setting.now, setting.history
    ahead = [at for at in (one.review_at, one.recount_at) if at is not None and at > now]
    told = [sentences.resting(Why.PAUSED, one), *reasons]
    if later:
        told.append(sentences.not_yet(later[0], setting.calendar))
        ahead.append(later[0].at)
    if not ahead:
        told.append(sentences.end_of_ladder(now))
    history = History(decided, before.light, before.breached_at, before.platform_breached_at, before.receptions)
    return Plan(tuple(notices), min(ahead, default=None), tuple(told), setting.light, history)


def _outlook(
    notices: Sequence[Notice],
    reasons: list[Reason],
    decided: Mapping[str, datetime],
    later: Sequence[Rung],
    setting: Setting,
) -> Plan:
    """The whole plan: the light and the breaches as they are now, and when to look again."""
    one, now, before = setting.obligation, setting.now, setting.history
    if setting.light is not before.light and (before.light is not None or setting.light is not Light.GREEN):
        reasons.append(sentences.light_changed(before.light, setting.light, setting.ladder.lights, now))
    breaches, breached = _breaches(one, before, now)
    reasons += breaches
    ahead = [at for at in _moments_of(setting) if at > now]
    if later:
        reasons.append(sentences.not_yet(later[0], setting.calendar))
        ahead.append(later[0].at)
    if not ahead:
        reasons.append(sentences.end_of_ladder(now))
    history = History(decided, setting.light, breached.breached_at, breached.platform_breached_at, before.receptions)
    return Plan(tuple(notices), min(ahead, default=None), tuple(reasons), setting.light, history)


def _moments_of(setting: Setting) -> Sequence[datetime]:
    """Every instant beside the steps at which something changes by itself."""
    one = setting.obligation
    moments = [*setting.light_changes, just_after(one.legal_due_at)]
    if one.platform_due_at is not None:
        moments.append(just_after(one.platform_due_at))
    if one.recount_at is not None:
        moments.append(one.recount_at)
    return moments


def _breaches(one: Obligation, before: History, until: datetime, *, done: bool = False) -> tuple[list[Reason], History]:
    """The limits passed by then that nobody was told of before; each is told once and never taken back here."""
    reasons: list[Reason] = []
    after = before
    if before.breached_at is None and until > one.legal_due_at:
        reasons.append(sentences.breach(one, done=done))
        after = replace(after, breached_at=just_after(one.legal_due_at))
    platform = one.platform_due_at
    if before.platform_breached_at is None and platform is not None and until > platform:
        reasons.append(sentences.platform_breach(platform, done=done))
        after = replace(after, platform_breached_at=just_after(platform))
    return reasons, after
