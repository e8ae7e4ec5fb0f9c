"""The rules in force: what the administrator wrote, as one value that is swapped whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import Ladder, Limit, Policy, PolicySet


class Faults:
    """Which cases could not be counted, decided or put into words, by policy version: a new version is judged by it."""

    def __init__(self) -> None:
        self._cases: dict[str, set[str]] = {}

    def note(self, version: str, case_key: str) -> None:
        """Something went wrong with this case under that version."""
        self._cases.setdefault(version, set()).add(case_key)

    def of(self, version: str, apart_from: str | None = None) -> int:
        """How many cases a version failed, leaving out those another version had failed already."""
        return len(self._cases.get(version, set()) - self._cases.get(apart_from or "", set()))

    def forget(self, version: str) -> None:
        """Begin anew with a version."""
        self._cases.pop(version, None)


class Shelf:
    """Versions of the policies other than the one in force: read from where they are kept when first asked for."""

    def __init__(self, read: Callable[[str], PolicySet | None]) -> None:
        self._read = read
        self._known: dict[str, PolicySet | None] = {}

    def get(self, version: str) -> PolicySet | None:
        """That version; None when it is not kept, or this software cannot read it any more."""
        if version not in self._known:
            self._known[version] = self._read(version)
        return self._known[version]


def _nothing_kept() -> Shelf:
    return Shelf(lambda _version: None)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the administrator wrote, as one value that is swapped whole.

    `policies` are those in force: new cases run by them. `older` finds the versions that running cases are still
    bound to. `faults` collects what goes wrong, and is handed on to the next rules.
    """

    policies: PolicySet
    calendars: Mapping[str, Calendar]
    kinds: Mapping[str, str]  # channel name -> kind of address
    default_calendar: str = "china"
    older: Shelf = field(default_factory=_nothing_kept, compare=False)
    faults: Faults = field(default_factory=Faults, compare=False)

    def policies_for(self, version: str | None) -> PolicySet:
        """The policies a case is bound to; those in force for a case bound to none, or to one nobody can read."""
        if not version or version == self.policies.version:
            return self.policies
        return self.older.get(version) or self.policies

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
        """A hash of the calendars: with another one every case is counted again, each by its own version.

        The policies are not in it: running cases keep their version until they are migrated.
        """
        days = [_mark_of(self.calendars[name], now) for name in sorted(self.calendars)]
        said = "\n".join((self.default_calendar, *days))
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
