"""What there is to say of each limit of one case: how its dates came about, its ladder, and what comes next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from daemon.intake import GONE
from daemon.policy_release import rules_in_force
from policies.beforehand.course import key_of, key_of_notice
from policies.beforehand.foresight import foresee
from policies.evaluate import evaluate
from policies.explain import ladder_sentences, obligation_sentences, plan_sentences
from policies.ladders.rungs import signed_for, timeline
from policies.limits.holders import number_of
from policies.obligations import obligations_of
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from daemon.cli.reading import Desk
    from daemon.rules import Rules
    from daemon.store.values import StoredCase, StoredObligation
    from policies.beforehand.foresight import Told
    from policies.counting import Count
    from policies.ladders.rungs import Rung
    from policies.model import Directory, Plan, PolicySet

AHEAD = timedelta(days=366)  # how far the next messages are looked for


class Explained(NamedTuple):
    """One obligation, explained: how its dates came about, its ladder, what would be decided now and will be sent."""

    stored: StoredObligation
    title: str
    dates: tuple[Text, ...]
    ladder: tuple[Text, ...]
    decision: tuple[Text, ...]
    rungs: tuple[Rung, ...] = ()
    plan: Plan | None = None
    ahead: tuple[Told, ...] = ()


def stories_of(at_desk: Desk, stored: StoredCase, now: datetime) -> list[Explained]:
    """Every limit of the case, in time."""
    known = _with_receptions(at_desk, stored.case.key)
    rules = rules_in_force(at_desk.store, at_desk.configuration, now)
    asked = _Asked(stored, rules, at_desk.directory, now)
    ahead = _ahead(asked, known)
    in_time = sorted(known, key=lambda one: (one.obligation.start_at, one.obligation.due_at))
    counts = _counts(asked, known)
    return [
        _story(asked, one, counts.get(_key(one)), ahead.get(_key(one), ()), _series_from(one, known)) for one in in_time
    ]


def _series_from(one: StoredObligation, known: Sequence[StoredObligation]) -> datetime:
    """When the first clock of that holder began: the returns of a recurring limit are counted from there."""
    mine = one.obligation
    series = [
        other.obligation.start_at
        for other in known
        if (other.obligation.policy, other.obligation.limit) == (mine.policy, mine.limit)
        and (mine.holder_unit is None or number_of(other.obligation) == number_of(mine))
    ]
    return min(series)


class _Asked(NamedTuple):
    """The case, by which rules, among which people, and when."""

    stored: StoredCase
    rules: Rules
    directory: Directory
    now: datetime

    @property
    def policies(self) -> PolicySet:
        """The version the case is bound to."""
        return self.rules.policies_for(self.stored.policy_version)


def _with_receptions(at_desk: Desk, case: str) -> list[StoredObligation]:
    """The obligations of the case, with what became of their notices."""
    known = at_desk.store.obligations_of([case]).get(case, [])
    received = at_desk.store.receptions([one.id for one in known])
    return [replace(one, history=replace(one.history, receptions=received.get(one.id, {}))) for one in known]


def _key(one: StoredObligation) -> tuple[str, str, str]:
    return one.obligation.policy, one.obligation.limit, one.obligation.instance


def _counts(asked: _Asked, known: Sequence[StoredObligation]) -> dict[tuple[str, str, str], Count]:
    """How each end was counted, step by step."""
    rules, before = asked.rules, [one.obligation for one in known]
    case = asked.stored.case
    counted = obligations_of(
        asked.policies, case, rules.calendars, asked.now, rules.default_calendar, before, words=True
    )
    return {key_of(one): count for one, count in zip(counted.obligations, counted.counts, strict=True)}


def _ahead(asked: _Asked, known: Sequence[StoredObligation]) -> dict[tuple[str, str, str], tuple[Told, ...]]:
    """The messages of the coming year, by obligation, if the case stays as it is."""
    rules, stored, now = asked.rules, asked.stored, asked.now
    if stored.fingerprint == GONE:  # it left the shared database: its last facts hold no more
        return {}
    seen = foresee(
        asked.policies,
        [(now, stored.case)],
        asked.directory,
        rules.calendars,
        rules.kinds,
        now,
        now + AHEAD,
        default_calendar=rules.default_calendar,
        first_handler=stored.first_handler,
        standing=[(one.obligation, one.history) for one in known],
    )
    told: dict[tuple[str, str, str], list[Told]] = {}
    for one in seen.told:
        if one.at > now:
            told.setdefault(key_of_notice(one.notice), []).append(one)
    return {key: tuple(several) for key, several in told.items()}


def _story(
    asked: _Asked, stored: StoredObligation, count: Count | None, ahead: tuple[Told, ...], series_from: datetime
) -> Explained:
    rules, case, one, now = asked.rules, asked.stored, stored.obligation, asked.now
    rule = rules.limit(one.policy, one.limit, one.policy_version)
    if rule is None:
        gone = Text("这条时限规定已不在策略里。", "This limit is no longer in the policies.")
        return Explained(stored, one.limit, (gone,), (), ())
    policy, limit, ladder = rule
    calendar = rules.calendar(policy, limit)
    people, first = asked.directory, case.first_handler
    receptions = stored.history.receptions
    signed = signed_for(ladder, one, case.case, receptions, calendar, now)
    plan = evaluate(policy, one, case.case, stored.history, people, first, calendar, now, rules.kinds)
    return Explained(
        stored,
        limit.title,
        obligation_sentences(limit, one, calendar, count, series_from),
        ladder_sentences(ladder, one, case.case, calendar, now, receptions),
        plan_sentences(plan, calendar, ladder.lights),
        timeline(ladder, one, case.case.milestones, calendar, signed),
        plan,
        ahead,
    )
