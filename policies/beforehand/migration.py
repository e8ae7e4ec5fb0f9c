"""What another version of the policies would change for one running case: its dates, and the messages to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.beforehand.foresight import foresee
from policies.model import RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from policies.beforehand.foresight import Foresight, Told
    from policies.calendar import Calendar
    from policies.model import Case, Directory, FirstHandler, History, Obligation, PolicySet


@dataclass(frozen=True, slots=True)
class DueMoved:
    """A limit whose end moves; `old` None: it runs only under the new version, `new` None: it does not run there."""

    policy: str
    limit: str
    instance: str
    old: datetime | None
    new: datetime | None


@dataclass(frozen=True, slots=True)
class CaseDifference:
    """One case under two versions."""

    case_key: str
    dues: tuple[DueMoved, ...]
    added: tuple[Told, ...]
    dropped: tuple[Told, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.dues or self.added or self.dropped)


def case_difference(
    old: PolicySet,
    new: PolicySet,
    case: Case,
    standing: Sequence[tuple[Obligation, History]],
    directory: Directory,
    calendars: Mapping[str, Calendar],
    kinds: Mapping[str, str],
    now: datetime,
    until: datetime,
    *,
    default_calendar: str = "china",
    first_handler: FirstHandler | None = None,
) -> CaseDifference:
    """Play the case from `now` to `until` under both, by the daemon's own functions, and compare.

    `standing` are its obligations as they stand under the old version. A message is the same if it is of the same step
    and return, to the same person over the same channel, at the same instant.
    """

    def play(policies: PolicySet, *, to: datetime) -> Foresight:
        return foresee(
            policies,
            [(now, case)],
            directory,
            calendars,
            kinds,
            now,
            to,
            default_calendar=default_calendar,
            first_handler=first_handler,
            standing=standing,
        )

    before, after = play(old, to=until), play(new, to=until)
    told_before, told_after = _told(before), _told(after)
    return CaseDifference(
        case.key,
        _dues(play(old, to=now), play(new, to=now)),
        tuple(one for key, one in told_after.items() if key not in told_before),
        tuple(one for key, one in told_before.items() if key not in told_after),
    )


def _told(seen: Foresight) -> dict[tuple[object, ...], Told]:
    return {
        (
            one.notice.policy,
            one.notice.limit,
            one.notice.instance,
            one.notice.step,
            one.notice.repeat,
            one.notice.person,
            one.notice.channel,
            one.at,
        ): one
        for one in seen.told
    }


def _dues(before: Foresight, after: Foresight) -> tuple[DueMoved, ...]:
    old, new = _running(before), _running(after)
    return tuple(
        DueMoved(*key, old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    )


def _running(seen: Foresight) -> dict[tuple[str, str, str], datetime]:
    return {(one.policy, one.limit, one.instance): one.due_at for one in seen.obligations if one.state in RUNNING}
