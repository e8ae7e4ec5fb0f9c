"""What one reading makes of one case: its limits counted, its movements told, its late ones laid to somebody.

Pure but for the directory of the past, which is asked for when a limit turns out to have passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.entries import about, breaches_of, gist, reason_body, told_of, withdrawn
from daemon.movements import told_of_movements, told_of_repeat
from daemon.store.values import CaseChange, Event, ObligationChange, StoredCase
from policies.evaluate import comes_back, evaluate
from policies.model import History, ObligationState, Why
from policies.noticed import is_noticed, with_noticed
from policies.obligations import first_handler_of, obligations_of, revise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from daemon.rules import Rules
    from daemon.store.values import Breach, StoredObligation
    from policies.model import Case, Directory, FirstHandler, Ladder, Limit, Obligation, Policy, PolicySet
    from policies.text import Text

NOTICED = "+"  # ends the fingerprint of a case with movements only we noticed: its facts are not the source's alone
_BREACHES = frozenset({Why.BREACH, Why.PLATFORM_BREACH})


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
        case = with_noticed(read, last, now)
        version = (known.policy_version if known else None) or rules.policies.version
        policies = rules.policies_for(version)
        known_obligations = [stored.obligation for stored in before.obligations]
        counted = obligations_of(policies, case, rules.calendars, now, rules.default_calendar, known_obligations)
        claimed = first_handler_of(policies, read, rules.calendars, rules.default_calendar, before.earlier)
        if claimed is not None and not (claimed.unit or claimed.official):
            claimed = None  # nobody is known to have had it then: not to be frozen as nobody for ever
        first = (known.first_handler if known else None) or claimed
        olds = {(o.obligation.policy, o.obligation.limit, o.obligation.instance): o for o in before.obligations}
        changes: list[ObligationChange] = []
        breaches: list[Breach] = []
        events: list[Event] = []
        if known is None:
            events.append(Event(case.key, "seen", now, {"unit": case.unit, "handler": case.handler}))
        events.extend((*told_of_repeat(case, last, now), *told_of_movements(case, last, now)))
        for new in counted.obligations:
            stored = olds.pop((new.policy, new.limit, new.instance), None)
            change, more, late = self._revised(new, case, first, stored, now)
            changes.append(change)
            events.extend(more)
            breaches.extend(late)
        for stored in olds.values():
            if stored.obligation.state in {ObligationState.OPEN, ObligationState.PAUSED}:
                changes.append(withdrawn(stored))
                events.append(Event(case.key, "withdrawn", now, about(stored.obligation)))
        told = self._findings_told(known, known_obligations, policies, now)
        events.extend(Event(case.key, "finding", now, reason_body(r)) for r in counted.findings if gist(r) not in told)
        stored_print = print_ + NOTICED if any(is_noticed(move) for move in case.transfers) else print_
        stored_case = StoredCase(case, stored_print, now, first_handler=claimed, policy_version=version)
        return CaseChange(stored_case, tuple(changes), tuple(events), breaches=tuple(breaches))

    def _findings_told(
        self, known: StoredCase | None, counted: Sequence[Obligation], policies: PolicySet, now: datetime
    ) -> set[tuple[Why, str, Text]]:
        """What the facts known before had shown already: said once, not with every change of the case."""
        if known is None:
            return set()
        before = obligations_of(policies, known.case, self.rules.calendars, now, self.rules.default_calendar, counted)
        return {gist(reason) for reason in before.findings}

    def _revised(
        self, new: Obligation, case: Case, first: FirstHandler | None, stored: StoredObligation | None, now: datetime
    ) -> tuple[ObligationChange, list[Event], tuple[Breach, ...]]:
        policy, limit, ladder = self._rule_of(new)
        calendar = self.rules.calendar(policy, limit)
        old = stored.obligation if stored else None
        history = stored.history if stored else History()
        obligation, history, reasons = revise(old, history, new, ladder, calendar, now, limit)
        idle = None
        breaches: tuple[Breach, ...] = ()
        if obligation.state is not ObligationState.OPEN and not comes_back(obligation):
            # No step is due any more, but a limit met too late between two looks is a breach all the same.
            idle = obligation.state.value
            last = evaluate(policy, obligation, case, history, self.directory, first, calendar, now, self.rules.kinds)
            history = last.history
            reasons = (*reasons, *(reason for reason in last.reasons if reason.why in _BREACHES))
            breaches = breaches_of(policy, limit, obligation, last, case, first, self.directory_at)
        change = ObligationChange(
            obligation,
            history,
            None if idle else now,
            idle,
            stored.id if stored else None,
            stored.revision if stored else None,
        )
        return change, told_of(old, obligation, reasons, now), breaches

    def _rule_of(self, obligation: Obligation) -> tuple[Policy, Limit, Ladder]:
        rule = self.rules.limit(obligation.policy, obligation.limit, obligation.policy_version)
        if rule is None:
            raise LookupError(f"{obligation.policy}/{obligation.limit}")
        return rule
