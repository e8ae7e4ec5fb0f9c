"""Small values to put into a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daemon.store.values import CaseChange, Decision, Event, ObligationChange, StoredCase
from policies.model import Case, History, Light, Notice, Obligation, ObligationState, Why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.store import Store
    from daemon.store.values import Delivery, StoredObligation
    from policies.model import FirstHandler, Scalar

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def obligation(
    key: str = "信〔2026〕1号",
    *,
    limit: str = "finish",
    version: int = 1,
    state: ObligationState = ObligationState.OPEN,
) -> Obligation:
    """One limit of 60 days, still open."""
    return Obligation(
        case_key=key,
        policy="xinfang",
        limit=limit,
        policy_version="v1",
        deadline_version=version,
        state=state,
        start_at=NOW - 60 * DAY,
        nominal_due_at=NOW,
        legal_due_at=NOW,
        platform_due_at=NOW - DAY,
        provisional=limit == "provisional",
    )


def change(
    one: Obligation | None = None,
    *,
    next_check_at: datetime | None = NOW,
    idle_reason: str | None = None,
    history: History | None = None,
    revision: int | None = None,
) -> ObligationChange:
    """An obligation to be looked at now."""
    return ObligationChange(
        one or obligation(),
        history or History({"due": NOW}, Light.YELLOW),
        next_check_at,
        idle_reason,
        revision=revision,
    )


def case_change(
    key: str = "信〔2026〕1号",
    *changes: ObligationChange,
    fields: Mapping[str, Scalar] | None = None,
    first_handler: FirstHandler | None = None,
    gone: bool = False,
    events: tuple[Event, ...] = (),
) -> CaseChange:
    """A case as a sync would write it, with one obligation unless told otherwise."""
    stored = StoredCase(Case(key, unit="甲区", fields=fields or {}), f"print of {key}", NOW, first_handler)
    return CaseChange(stored, changes or (change(obligation(key)),), events, gone)


def notice(
    key: str, one: Obligation | None = None, *, channel: str = "sms", copy: bool = False, **more: object
) -> Notice:
    """A reminder to somebody; `more` are further fields of the notice."""
    one = one or obligation()
    usual = Notice(
        key=key,
        case_key=one.case_key,
        policy=one.policy,
        limit=one.limit,
        deadline_version=one.deadline_version,
        step="remind",
        repeat=0,
        person="official-1",
        role="first_handler",
        channel=channel,
        say="remind",
        why=Why.DUE,
        at=NOW,
        facts={"limit_title": "办结𠮷", "days_left": 3, "due_at": NOW},
        missed=("assigned",),
        expires_at=NOW + DAY,
        copy=copy,
    )
    return replace(usual, **more)  # type: ignore[arg-type]


def decision(
    held: StoredObligation,
    *notices: Notice,
    next_check_at: datetime | None = NOW + DAY,
    idle_reason: str | None = None,
    cancel: str | None = None,
) -> Decision:
    """What evaluating a claimed obligation came to."""
    changed = ObligationChange(
        held.obligation, held.history, next_check_at, idle_reason, id=held.id, revision=held.revision
    )
    return Decision(
        changed, notices, (Event(held.obligation.case_key, "decided", NOW, {"notices": len(notices)}),), cancel
    )


def outbox(store: Store, *keys: str, channel: str = "sms", **more: object) -> int:
    """Put notices into the outbox by deciding on one case; returns the worker's epoch."""
    epoch = store.open_worker("node-a", 1, NOW)
    store.save_cases([case_change()], NOW)
    (held,) = store.claim_due(epoch, NOW, 10)
    notices = [replace(notice(key, channel=channel), **more) for key in keys]  # type: ignore[arg-type]
    assert store.save_decisions(epoch, [decision(held, *notices)], "v1", NOW) == len(keys)
    return epoch


def by_key(deliveries: list[Delivery]) -> dict[str, Delivery]:
    """Deliveries by their notice keys."""
    return {one.notice.key: one for one in deliveries}
