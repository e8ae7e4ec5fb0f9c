"""The rules in force: what the administrator wrote, as one value that is swapped whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import Ladder, Limit, Policy, PolicySet


@dataclass(frozen=True, slots=True)
class Rules:
    """What the administrator wrote, as one value that is swapped whole."""

    policies: PolicySet
    calendars: Mapping[str, Calendar]
    kinds: Mapping[str, str]  # channel name -> kind of address
    default_calendar: str = "china"

    def policies_for(self, version: str | None) -> PolicySet:
        """The policies a case is bound to; those in force for a case that is not bound to any."""
        del version
        return self.policies

    def limit(self, policy_id: str, limit_id: str, version: str | None = None) -> tuple[Policy, Limit, Ladder] | None:
        """The policy, limit and ladder of an obligation, or None when they are no longer written anywhere."""
        policy = self.policies_for(version).policies.get(policy_id)
        if policy is None:
            return None
        limit = next((one for one in policy.limits if one.id == limit_id and one.enabled), None)
        if limit is None or limit.ladder not in policy.ladders:
            return None
        return policy, limit, policy.ladders[limit.ladder]

    def calendar(self, policy: Policy, limit: Limit) -> Calendar:
        """The calendar a limit is counted by: its own, the policy's, or the office's."""
        return self.calendars[limit.calendar or policy.calendar or self.default_calendar]

    def mark(self, now: datetime) -> str:
        """A hash of all a count depends on beside the case: with another one, everything is counted again."""
        days = [_mark_of(self.calendars[name], now) for name in sorted(self.calendars)]
        said = "\n".join((self.policies.version, self.default_calendar, *days))
        return hashlib.sha256(said.encode()).hexdigest()


def _mark_of(calendar: Calendar, now: datetime) -> str:
    """All of a calendar that can change a count; the lists of public holidays for the years that are counted now."""
    dated = (calendar.days_off, calendar.yearly_off, calendar.notice_on, calendar.notice_off)
    lists = [sorted(one(year)) for one in calendar.lists for year in range(now.year - 1, now.year + 3)]
    return repr(
        (
            calendar.name,
            calendar.zone.key,
            sorted(calendar.weekly.items()),
            sorted(calendar.days_on.items()),
            *(sorted(days) for days in dated),
            lists,
            calendar.baseline is None,
            calendar.known_from,
            calendar.known_until,
        )
    )
