"""What a count or a decision looks like in our tables and in the ledger. Pure: values in, entries out."""

from __future__ import annotations

import dataclasses
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from daemon.store.values import Breach, Decision, Event, ObligationChange
from policies.model import ObligationState, Why
from policies.people.responsibility import lapses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from daemon.store.values import StoredObligation
    from policies.model import Case, Directory, FirstHandler, Limit, Notice, Obligation, Plan, Policy, Reason
    from policies.text import Text

POSTPONE = timedelta(minutes=10)  # a row that throws is looked at again this much later


def decided(
    stored: StoredObligation,
    plan: Plan,
    now: datetime,
    *,
    as_of: datetime | None,
    breaches: tuple[Breach, ...] = (),
) -> Decision:
    """What a plan writes. `as_of` is when the facts were read, given only while the shared database is away."""
    notices = plan.notices
    if as_of is not None:
        stamp = as_of.astimezone(UTC).isoformat()
        notices = tuple(dataclasses.replace(n, facts={**n.facts, "as_of": stamp}) for n in notices)
    idle = None if plan.next_check_at else _idle_reason(plan)
    change = ObligationChange(stored.obligation, plan.history, plan.next_check_at, idle, stored.id, stored.revision)
    events = (
        (Event(stored.obligation.case_key, "decided", now, plan_body(stored.obligation, plan)),)
        if _worth_telling(plan)
        else ()
    )
    return Decision(change, notices, events, breaches=breaches)


def breaches_of(
    policy: Policy,
    limit: Limit,
    obligation: Obligation,
    plan: Plan,
    case: Case,
    first: FirstHandler | None,
    directory_at: Callable[[datetime], Directory],
) -> tuple[Breach, ...]:
    """The limits whose passing a plan found out, with those who answer for them as things stood when they passed."""
    return tuple(
        Breach(
            case_key=case.key,
            policy=obligation.policy,
            limit=obligation.limit,
            instance=obligation.instance,
            deadline_version=obligation.deadline_version,
            due=one.due,
            at=one.at,
            unit=one.unit,
            official=one.official,
            first_unit=one.first_unit,
            first_official=one.first_official,
            leaders=tuple({"role": b.role, "unit": b.unit, "official": b.official} for b in one.leaders),
            title=limit.title,
            basis=limit.basis,
            policy_version=obligation.policy_version,
        )
        for one in lapses(obligation, plan, case, first, policy, directory_at)
    )


def _idle_reason(plan: Plan) -> str:
    told = next((r.why.value for r in reversed(plan.reasons) if r.why in _IDLE), None)
    return told or Why.END_OF_LADDER.value


_IDLE = {Why.END_OF_LADDER, Why.DONE, Why.PAUSED, Why.WITHDRAWN}
_SILENT = {Why.NOT_YET, Why.END_OF_LADDER}


def _worth_telling(plan: Plan) -> bool:
    return bool(plan.notices) or any(reason.why not in _SILENT for reason in plan.reasons)


def plan_body(obligation: Obligation, plan: Plan) -> dict[str, object]:
    """What the ledger says of a plan: every notice and every reason worth telling."""
    return {
        "policy": obligation.policy,
        "limit": obligation.limit,
        "light": plan.light.value,
        "next_check_at": plan.next_check_at.isoformat() if plan.next_check_at else None,
        "notices": [{"key": n.key, "step": n.step, "role": n.role, "person": n.person, "channel": n.channel,
                     "why": n.why.value, "at": n.at.isoformat(), **_manner(n)} for n in plan.notices],
        "reasons": [reason_body(r) for r in plan.reasons if r.why is not Why.NOT_YET],
    }  # fmt: skip


def _manner(notice: Notice) -> dict[str, object]:
    """What is out of the ordinary about how a notice goes out; each use of a basis to wake somebody stands here."""
    said: dict[str, object] = {
        "hold_until": notice.hold_until.isoformat() if notice.hold_until else None,
        "may_wake": notice.may_wake,
        "release": notice.release,
        "dark": notice.dark,
    }
    return {name: value for name, value in said.items() if value}


def reason_body(reason: Reason) -> dict[str, object]:
    """What the ledger says of a reason, in both languages."""
    return {
        "why": reason.why.value,
        "step": reason.step,
        "zh": reason.text.zh,
        "en": reason.text.en,
        "at": reason.at.isoformat() if reason.at else None,
    }


def gist(reason: Reason) -> tuple[Why, str, Text]:
    """What makes two findings the same finding."""
    return reason.why, reason.step, reason.text


def about(obligation: Obligation) -> dict[str, object]:
    """What the ledger says of an obligation: its dates and where it stands."""
    return {
        "policy": obligation.policy,
        "limit": obligation.limit,
        "state": obligation.state.value,
        "version": obligation.deadline_version,
        "start_at": obligation.start_at.isoformat(),
        "nominal_due_at": obligation.nominal_due_at.isoformat(),
        "legal_due_at": obligation.legal_due_at.isoformat(),
        "platform_due_at": obligation.platform_due_at.isoformat() if obligation.platform_due_at else None,
        "provisional": obligation.provisional,
        "extended": obligation.extended,
        "done_at": obligation.done_at.isoformat() if obligation.done_at else None,
    }


def told_of(old: Obligation | None, new: Obligation, reasons: Sequence[Reason], now: datetime) -> list[Event]:
    """The ledger's line about an obligation that is new, moved or ended; none when nothing happened to it."""
    body = {**about(new), "reasons": [reason_body(reason) for reason in reasons]}
    if old is None:
        return [Event(new.case_key, "counted", now, body)]
    if old.state is new.state and not reasons:
        return []
    kind = "moved" if new.state is ObligationState.OPEN else new.state.value
    return [Event(new.case_key, kind, now, {**body, "was": old.state.value})]


def _same(stored: StoredObligation) -> ObligationChange:
    return ObligationChange(
        stored.obligation, stored.history, stored.next_check_at, stored.idle_reason, stored.id, stored.revision
    )


def postponed(stored: StoredObligation, problem: str, now: datetime) -> Decision:
    """An obligation that could not be decided is looked at again in ten minutes, and the ledger says why."""
    change = dataclasses.replace(_same(stored), next_check_at=now + POSTPONE)
    body = {"limit": stored.obligation.limit, "problem": problem, "until": (now + POSTPONE).isoformat()}
    return Decision(change, events=(Event(stored.obligation.case_key, "postponed", now, body),))


def held_over(stored: StoredObligation, problem: str, now: datetime) -> Decision:
    """Postponed without a line in the ledger: the store would not take one."""
    return dataclasses.replace(postponed(stored, problem, now), events=())


def untouched(stored: StoredObligation) -> Decision:
    """Gives a claim back: its facts moved on since it was claimed, and it will be looked at again."""
    return Decision(_same(stored))


def withdrawn(stored: StoredObligation) -> ObligationChange:
    """An obligation whose case or rule is gone."""
    gone = dataclasses.replace(stored.obligation, state=ObligationState.WITHDRAWN)
    return ObligationChange(gone, stored.history, None, ObligationState.WITHDRAWN.value, stored.id, stored.revision)
