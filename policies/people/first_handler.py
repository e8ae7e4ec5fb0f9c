"""The first handler (首办责任人): who had the case when the freezing milestone was reached, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.conditions import all_hold
from policies.limits.facts import end_of_bare_day, first_there
from policies.model import FirstHandler
from policies.people.holding import holder_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.calendar import Calendar
    from policies.model import Case, PolicySet


def first_handler_of(
    policies: PolicySet,
    case: Case,
    calendars: Mapping[str, Calendar] | None = None,
    default_calendar: str = "china",
    earlier: FirstHandler | None = None,
) -> FirstHandler | None:
    """Who had the case when the freezing milestone was reached; None before that.

    The record of hand-overs decides; where it is silent, the present unit and handler are taken. A milestone at
    midnight on the office's clock is a day without a time: the hand-overs of that day come before it.
    A case that repeats an earlier one goes back at once to that case's first handler (`earlier`) if the policy says so.
    """
    policy = next((p for p in policies.policies.values() if all_hold(p.applies_to, case)), None)
    if policy is None:
        return None
    if policy.first_handler.inherit and earlier is not None and earlier.case_key == case.earlier:
        return FirstHandler(case.key, earlier.unit, earlier.official, earlier.frozen_at, earlier.milestone)
    milestone = first_there(policy.first_handler.freeze_at, case)
    if milestone is None:
        return None
    frozen_at = case.milestones[milestone]
    if not case.transfers:
        return FirstHandler(case.key, case.unit, case.handler, frozen_at, milestone)
    calendar = (calendars or {}).get(policy.calendar or default_calendar)
    holding = holder_at(case, frozen_at if calendar is None else end_of_bare_day(frozen_at, calendar))
    unit, official = (None, None) if holding is None else (holding.unit, holding.official)
    return FirstHandler(case.key, unit, official, frozen_at, milestone)
