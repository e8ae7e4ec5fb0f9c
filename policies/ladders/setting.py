"""All that is known while one decision is made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.chain import next_upward, resolve_all, resolve_any
from policies.ladders.lights import light_between, light_changes
from policies.ladders.rungs import in_this_round, signed_for
from policies.ladders.via import heard_over
from policies.model import ObligationState, Why

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.chain import Resolution
    from policies.ladders.via import Channels
    from policies.model import (
        Case,
        Directory,
        FirstHandler,
        History,
        Ladder,
        Light,
        Limit,
        Obligation,
        Policy,
    )


@dataclass(slots=True)  # not frozen: one is made for every decision, and that costs twice as much
class Setting:
    """The rule, the facts, the people and the instant of one decision.

    `case` is the case as the obligation sees it: the clock of one holder speaks to that holder's chain. `light` is the
    one that shows now; while the clock stands still, the one that showed when it stopped. `light_changes` is when it
    turns yellow, orange and red.
    """

    policy: Policy
    limit: Limit
    ladder: Ladder
    obligation: Obligation
    case: Case
    directory: Directory
    first_handler: FirstHandler | None
    calendar: Calendar
    now: datetime
    kinds: Mapping[str, str]
    history: History
    light: Light
    light_changes: tuple[datetime, datetime, datetime]

    def resolve(self, role: str, channels: Channels) -> tuple[Resolution, ...]:
        """Who holds that role today and can be reached, one answer for each leg of the chain that finds another."""
        people, kinds = heard_over(channels, self.directory), channels.kinds
        if len(self.policy.legs) == 1:
            return (resolve_any(role, self.policy, self.case, self.first_handler, people, self.now, kinds),)
        return resolve_all(role, self.policy, self.case, self.first_handler, people, self.now, kinds)

    def above(self, role: str, person: str, channels: Channels) -> Resolution:
        """Who is next above that person in that role."""
        people, kinds = heard_over(channels, self.directory), channels.kinds
        return next_upward(role, person, self.policy, self.case, self.first_handler, people, self.now, kinds)

    def since_start(self, at: datetime | None) -> bool:
        """Whether something happened in this round: on the day of the start or after, and not in the future."""
        return at is not None and in_this_round(at, self.obligation, self.calendar, self.now)

    def signed(self) -> Mapping[str, datetime]:
        """When what its steps said was acknowledged, for those that begin a clock by it."""
        receptions = self.history.receptions
        return signed_for(self.ladder, self.obligation, self.case, receptions, self.calendar, self.now)


def setting_of(
    policy: Policy,
    obligation: Obligation,
    case: Case,
    history: History,
    directory: Directory,
    first_handler: FirstHandler | None,
    calendar: Calendar,
    now: datetime,
    kinds: Mapping[str, str],
) -> Setting | None:
    """Everything put together; None if the policy has the limit or its ladder no longer."""
    rule = rule_of(policy, obligation)
    if rule is None:
        return None
    limit, ladder = rule
    changes = light_changes(obligation, ladder.lights, calendar)
    light = light_between(changes, now)
    if obligation.state is ObligationState.PAUSED:
        light = history.light or light
    seen = as_held(case, obligation)
    return Setting(
        policy, limit, ladder, obligation, seen, directory, first_handler, calendar, now, kinds, history, light, changes
    )


def rule_of(policy: Policy, obligation: Obligation) -> tuple[Limit, Ladder] | None:
    """The limit and ladder of an obligation; None if the policy has them no longer."""
    limit = next((limit for limit in policy.limits if limit.id == obligation.limit), None)
    ladder = policy.ladders.get(limit.ladder) if limit else None
    return None if limit is None or ladder is None else (limit, ladder)


def as_held(case: Case, obligation: Obligation) -> Case:
    """The case with the holder whose clock this is in place of the present one."""
    if obligation.holder_unit in {None, case.unit}:
        return case
    return replace(case, unit=obligation.holder_unit, handler=obligation.holder_official)


def comes_back(obligation: Obligation) -> bool:
    """Whether the clock stands still, and the case is to be reviewed on a day (挂账)."""
    return obligation.state is ObligationState.PAUSED and obligation.review_at is not None


def standing_still(obligation: Obligation, case: Case, limit: Limit) -> Why | None:
    """Why the clock does not run: done, paused, withdrawn; None if it does."""
    if obligation.state is ObligationState.DONE:
        return Why.DONE
    if obligation.state is ObligationState.WITHDRAWN or not (case.open or limit.after_close):
        return Why.WITHDRAWN
    return Why.PAUSED if obligation.state is ObligationState.PAUSED else None
