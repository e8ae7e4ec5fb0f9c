"""What one reading makes of one case: its limits counted, its movements told, its late ones laid to somebody.

Pure but for the directory of the past, which is asked for when a limit turns out to have passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from daemon.entries import about, breaches_of, gist, reason_body, told_of, withdrawn
from daemon.movements import told_of_acknowledgement, told_of_movements, told_of_repeat
from daemon.store.values import CaseChange, Event, ObligationChange, StoredCase
from policies.beforehand.course import key_of, take_over
from policies.obligations import obligations_of
from policies.people.noticed import is_noticed
from policies.same import Same

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from daemon.rules import Rules
    from daemon.store.values import Breach, StoredObligation
    from policies.beforehand.course import Change
    from policies.model import Case, Directory, FirstHandler, Obligation, PolicySet, Why
    from policies.text import Text

ACKNOWLEDGED_AT = "acknowledged_at"  # the milestone that says so wherever no step names another
NOTICED = "+"  # ends the fingerprint of a case with movements only we noticed: its facts are not the source's alone


@dataclass(frozen=True, slots=True)
class Before:
    """What we knew of a case: its facts, its obligations, and the first handler of the case it repeats."""

    known: StoredCase | None
    obligations: Sequence[StoredObligation]
    earlier: FirstHandler | None


@dataclass(frozen=True, slots=True)
class Counting:
    """Counts cases by these rules; `directory_at` knows everybody as of an instant."""

    rules: Rules
    directory: Directory
    directory_at: Callable[[datetime], Directory]

    def change(self, read: Case, print_: str, before: Before, now: datetime) -> CaseChange:
        """What became of a case: counted by the rules it is bound to, a new one by those in force."""
        known, rules = before.known, self.rules
        last = None if known is None else known.case
        frozen = None if known is None else known.first_handler
        version = (known.policy_version if known else None) or rules.policies.version
        policies = rules.policies_for(version)
        olds = {key_of(stored.obligation): stored for stored in before.obligations}
        taken = take_over(
            policies,
            read,
            {key: (stored.obligation, stored.history) for key, stored in olds.items()},
            self.directory,
            rules.calendars,
            rules.kinds,
            now,
            rules.default_calendar,
            last=last,
            first_handler=frozen,
            earlier=before.earlier,
        )
        case = taken.case
        events: list[Event] = []
        if known is None:
            events.append(Event(case.key, "seen", now, {"unit": case.unit, "handler": case.handler}))
        events.extend((*told_of_repeat(case, last, now), *told_of_movements(case, last, now)))
        events.extend(told_of_acknowledgement(case, last, _acknowledged_by(Same(policies)), now))
        changes: list[ObligationChange] = []
        breaches: list[Breach] = []
        for one in taken.changes:
            changes.append(_written(one, olds.get(key_of(one.obligation))))
            events.extend(told_of(one.was, one.obligation, one.reasons, now))
            breaches.extend(self._late(one, case, frozen or taken.first_handler))
        for one in taken.withdrawn:
            stored = olds[key_of(one.obligation)]
            changes.append(withdrawn(stored))
            events.append(Event(case.key, "withdrawn", now, about(stored.obligation)))
        told = self._findings_told(known, [stored.obligation for stored in before.obligations], policies, now)
        events.extend(Event(case.key, "finding", now, reason_body(r)) for r in taken.findings if gist(r) not in told)
        stored_print = print_ + NOTICED if any(is_noticed(move) for move in case.transfers) else print_
        stored_case = StoredCase(case, stored_print, now, first_handler=taken.first_handler, policy_version=version)
        return CaseChange(stored_case, tuple(changes), tuple(events), breaches=tuple(breaches))

    def _late(self, one: Change, case: Case, first: FirstHandler | None) -> tuple[Breach, ...]:
        """Who answers for a limit that was met too late."""
        if one.last is None:
            return ()
        rule = self.rules.limit(one.obligation.policy, one.obligation.limit, one.obligation.policy_version)
        if rule is None:
            raise LookupError(f"{one.obligation.policy}/{one.obligation.limit}")
        policy, limit, _ = rule
        return breaches_of(policy, limit, one.obligation, one.last, case, first, self.directory_at)

    def _findings_told(
        self, known: StoredCase | None, counted: Sequence[Obligation], policies: PolicySet, now: datetime
    ) -> set[tuple[Why, str, Text]]:
        """What the facts known before had shown already: said once, not with every change of the case."""
        if known is None:
            return set()
        before = obligations_of(policies, known.case, self.rules.calendars, now, self.rules.default_calendar, counted)
        return {gist(reason) for reason in before.findings}


@lru_cache(maxsize=8)
def _acknowledged_by(policies: Same[PolicySet]) -> frozenset[str]:
    """The milestones that show an acknowledgement."""
    ladders = (ladder for policy in policies.value.policies.values() for ladder in policy.ladders.values())
    wanted = (step.acknowledge for ladder in ladders for step in ladder.steps)
    return frozenset({ACKNOWLEDGED_AT, *(one.milestone for one in wanted if one is not None)})


def _written(one: Change, stored: StoredObligation | None) -> ObligationChange:
    """An obligation as it is to be kept; one whose clock does not run says why."""
    return ObligationChange(
        one.obligation,
        one.history,
        one.next_check_at,
        None if one.last is None else one.obligation.state.value,
        stored.id if stored else None,
        stored.revision if stored else None,
    )
