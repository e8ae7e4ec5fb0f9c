"""What a policy would have sent, cost and caught over the real past of finished and running cases."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policies.beforehand.foresight import foresee
from policies.beforehand.metrics import Outcome, Tally, outcome
from policies.beforehand.replay import history_of
from policies.model import ObligationState
from policies.obligations import calendar_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from policies.beforehand.foresight import Foresight, Told
    from policies.calendar import Calendar
    from policies.model import Case, Directory, Notice, Obligation, PolicySet

LATE = frozenset({Outcome.LATE, Outcome.OPEN_LATE})


@dataclass(slots=True)
class Score:
    """What came of the cases added so far; scores of parts add up to the score of the whole.

    `outcomes` is by (policy, limit), `messages` by (person, channel), `steps` by (policy, limit, step), `parts` the SMS
    parts by channel. Of the limits that ended late, `warned` were warned about at least once before their end, the
    first warning so many working days ahead in all (`days_ahead`); `unwarned` were not.
    """

    cases: int = 0
    outcomes: dict[tuple[str, str], Counter[Outcome]] = field(
        default_factory=dict["tuple[str, str]", "Counter[Outcome]"]
    )
    messages: Counter[tuple[str, str]] = field(default_factory=Counter["tuple[str, str]"])
    steps: Counter[tuple[str, str, str]] = field(default_factory=Counter["tuple[str, str, str]"])
    parts: Counter[str] = field(default_factory=Counter[str])
    warned: int = 0
    unwarned: int = 0
    days_ahead: int = 0

    def add(self, other: Score) -> None:
        """Add the score of other cases."""
        self.cases += other.cases
        for key, counts in other.outcomes.items():
            self.outcomes.setdefault(key, Counter()).update(counts)
        self.messages.update(other.messages)
        self.steps.update(other.steps)
        self.parts.update(other.parts)
        self.warned += other.warned
        self.unwarned += other.unwarned
        self.days_ahead += other.days_ahead

    def tally(self, policy: str | None = None) -> Tally:
        """How the limits of one policy, or of all, stand together."""
        total: Counter[Outcome] = Counter()
        for (name, _), counts in self.outcomes.items():
            if policy in {None, name}:
                total.update(counts)
        return Tally(total)

    def outcome(self, policy: str, limit: str) -> Tally:
        """How one limit stands."""
        return Tally(self.outcomes.get((policy, limit), {}))

    def by_channel(self) -> Counter[str]:
        """How many messages over each channel."""
        total: Counter[str] = Counter()
        for (_, channel), number in self.messages.items():
            total[channel] += number
        return total


def score_case(
    policies: PolicySet,
    case: Case,
    directory: Directory,
    calendars: Mapping[str, Calendar],
    kinds: Mapping[str, str],
    since: datetime,
    until: datetime,
    *,
    appointed: Collection[str],
    default_calendar: str = "china",
    parts_of: Callable[[Notice], int] | None = None,
) -> Score:
    """Play one case from its beginning to `until` and count what falls between `since` and `until`.

    `appointed` are the milestones that were set in advance (`replay.appointed_in`). A limit counts if its end
    falls into that time: by the date the platform set, where it set one, else by law. `parts_of` tells how many SMS
    parts a notice takes.
    """
    score = Score(cases=1)
    facts = history_of(case, appointed, until)
    if not facts:
        return score
    seen = foresee(policies, facts, directory, calendars, kinds, facts[0][0], until, default_calendar=default_calendar)
    for told in seen.told:
        if told.at >= since:
            _count_message(score, told, parts_of)
    for one in seen.obligations:
        due_at = judged_by(one)
        if one.state is not ObligationState.WITHDRAWN and since <= due_at < until:
            found = outcome(due_at, one.done_at, until)
            score.outcomes.setdefault((one.policy, one.limit), Counter())[found] += 1
            if found in LATE:
                _count_late(score, one, due_at, seen, policies, calendars, default_calendar)
    return score


def judged_by(one: Obligation) -> datetime:
    """The end officials are judged by: the one the platform set, where it set one, else the legal one."""
    return one.legal_due_at if one.platform_due_at is None else one.platform_due_at


def _count_message(score: Score, told: Told, parts_of: Callable[[Notice], int] | None) -> None:
    notice = told.notice
    score.messages[notice.person, notice.channel] += 1
    score.steps[notice.policy, notice.limit, notice.step] += 1
    if parts_of is not None and (parts := parts_of(notice)):
        score.parts[notice.channel] += parts


def _count_late(
    score: Score,
    one: Obligation,
    due_at: datetime,
    seen: Foresight,
    policies: PolicySet,
    calendars: Mapping[str, Calendar],
    default_calendar: str,
) -> None:
    """Whether somebody was told before the end, apart from being told at the very beginning that it runs."""
    ahead = [
        told.at
        for told in seen.told
        if (told.notice.policy, told.notice.limit, told.notice.instance) == (one.policy, one.limit, one.instance)
        and one.start_at < told.at <= due_at
    ]
    if not ahead:
        score.unwarned += 1
        return
    policy = policies.policies[one.policy]
    limit = next(limit for limit in policy.limits if limit.id == one.limit)
    calendar = calendar_for(policy, limit, calendars, default_calendar)
    score.warned += 1
    score.days_ahead += calendar.workdays_between(calendar.local_day(min(ahead)), calendar.local_day(due_at))
