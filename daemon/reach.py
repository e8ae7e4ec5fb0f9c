"""Who could not be reached in the days ahead: worked out from the store, once a night by the office's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from daemon import alerts
from policies.ladders.via import channels_named, heard_over
from policies.people.reachability import Exposed, Reach, Reached, reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from daemon.alerts import Trouble
    from daemon.rules import Rules
    from daemon.store import Store
    from policies.model import Directory

REPORT = "reachability"
DAYS = 30
NIGHT = range(1, 6)  # hours of the office's clock
TOO_OLD = timedelta(hours=36)  # where the machine is off at night the day has to do
PAGE = 1000
STATES = ("open", "paused")
MONDAY = 0


def reach_of(store: Store, rules: Rules, directory: Directory, now: datetime, days: int = DAYS) -> Reach:
    """Everybody the open cases may need in so many days. Reads the store page by page."""
    heard = heard_over(channels_named(tuple(rules.kinds), rules.kinds), directory)
    return reach(_exposed(store, rules), heard, set(rules.kinds.values()), now, now + timedelta(days=days))


def nightly(store: Store, rules: Rules, directory: Directory, zone: ZoneInfo, now: datetime) -> Trouble | None:
    """Make tonight's report if it is time and nobody has; what to tell the administrators, if anything is new.

    The first report is made at once.
    Whoever stays out of reach is told again on Mondays.
    """
    before = store.report(REPORT)
    if before is not None and not _is_time(before.at, now, zone):
        return None
    found = reach_of(store, rules, directory, now)
    store.save_report(REPORT, as_json(found, confirmed(store, found)), now)
    known = {_label(one) for one in before.body["people"] if one["grave"]} if before else set[str]()
    new = {_label(_person(one)) for one in found.unreachable} - known
    if not found.unreachable or not (new or now.astimezone(zone).weekday() == MONDAY):
        return None
    return alerts.out_of_reach(len(found.unreachable), DAYS)


def _is_time(last_at: datetime, now: datetime, zone: ZoneInfo) -> bool:
    if now - last_at >= TOO_OLD:
        return True
    local = now.astimezone(zone)
    return local.hour in NIGHT and last_at.astimezone(zone).date() < local.date()


Confirmed = dict[tuple[str, str], "datetime"]
"""(person, channel) -> when a message to that person over that channel last arrived or was signed for."""


def confirmed(store: Store, found: Reach) -> Confirmed:
    """Which ways to those people are known to work, and since when."""
    return store.reached({one.person for one in found.people if one.person is not None})


def as_json(found: Reach, known: Confirmed) -> dict[str, object]:
    """The report as it is kept and printed: keys and reasons, which channels are known to work, no address."""
    return {
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "cases": found.cases,
        "needed": len(found.people),
        "unreachable": len(found.unreachable),
        "confirmed": len({person for person, _ in known}),
        "people": [_person(one) | {"confirmed": _ways(one, known)} for one in found.people],
    }


def _ways(one: Reached, known: Confirmed) -> dict[str, str]:
    return {channel: at.isoformat() for (person, channel), at in sorted(known.items()) if person == one.person}


def _person(one: Reached) -> dict[str, Any]:
    return {
        "person": one.person,
        "unit": one.unit,
        "roles": list(one.roles),
        "cases": one.cases,
        "grave": one.grave,
        "shortcomings": [
            {
                "lack": lack.lack.value,
                "zh": lack.text.zh,
                "en": lack.text.en,
                "at": None if lack.at is None else lack.at.isoformat(),
            }
            for lack in one.shortcomings
        ],
    }


def _label(one: Mapping[str, Any]) -> str:
    return str(one["person"] or f"{one['unit']}/{'/'.join(one['roles'])}")


def _exposed(store: Store, rules: Rules) -> Iterator[Exposed]:
    for state in STATES:
        after = 0
        while page := store.obligations(state=state, limit=PAGE, after_id=after):
            after = page[-1].id
            cases = store.cases({one.obligation.case_key for one in page})
            for one in page:
                stored = cases.get(one.obligation.case_key)
                known = rules.limit(one.obligation.policy, one.obligation.limit, one.obligation.policy_version)
                if stored is not None and known is not None:
                    policy, limit, _ = known
                    calendar = rules.calendar(policy, limit)
                    yield Exposed(policy, one.obligation, stored.case, stored.first_handler, calendar)
