"""Claim what is due, write what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from daemon.store import ledger, pump, responsibility
from daemon.store.bulk import fetch, insert_rows, locked_rows, update_rows
from daemon.store.codec import maybe_instant, micros
from daemon.store.rows import (
    DECIDED_FIELDS,
    DELIVERY_FIELDS,
    OBLIGATION_COLUMNS,
    decided_fields,
    delivery_fields,
    stored_obligation,
)
from daemon.store.tables import AWAITING_A_LOOK, CLAIMED, deliveries, obligations
from daemon.store.workers import fence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from daemon.store.values import Decision, StoredObligation

_due = (
    sa.select(obligations.c.id)
    .where(AWAITING_A_LOOK, obligations.c.next_check_at <= sa.bindparam("now"))
    .order_by(obligations.c.next_check_at, obligations.c.id)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
CLAIM_DUE = (
    sa.update(obligations)
    .where(obligations.c.id.in_(sa.select(_due.c.id)))
    .values(claimed_by=sa.bindparam("epoch"))
    .returning(*OBLIGATION_COLUMNS)
)
_NEXT_CHECK = sa.select(sa.func.min(obligations.c.next_check_at)).where(AWAITING_A_LOOK)


def claim_due(connection: sa.Connection, epoch: int, now: datetime, limit: int) -> list[StoredObligation]:
    """Claim, earliest first."""
    fence(connection, epoch)
    found = fetch(connection, CLAIM_DUE, {"now": micros(now), "limit": limit, "epoch": epoch})
    return [stored_obligation(row) for row in sorted(found, key=lambda row: (row.next_check_at, row.id))]


def save_decisions(
    connection: sa.Connection, epoch: int, decisions: Sequence[Decision], policy_version: str, now: datetime
) -> int:
    """Write the decisions whose obligations are still as they were when claimed."""
    fence(connection, epoch)
    standing = _standing(connection, epoch, decisions)
    update_rows(
        connection,
        obligations,
        (*DECIDED_FIELDS, "id"),
        [(*decided_fields(decision.change), decision.change.id) for decision in standing],
        "revision = obligations.revision + 1, claimed_by = NULL",
    )
    reasons = {decision.change.id: decision.cancel for decision in standing if decision.cancel}
    cancelled = pump.cancel_of_obligations(connection, reasons, now) if reasons else []
    at = micros(now)
    notices = sorted(
        (
            delivery_fields(notice, decision.change.id, policy_version, at)
            for decision in standing
            for notice in decision.notices
        ),
        key=lambda row: row[0],  # in key order on every node: no deadlock over a doubled tick
    )
    new = insert_rows(connection, deliveries, DELIVERY_FIELDS, notices, "ON CONFLICT (notice_key) DO NOTHING")
    breached = responsibility.record_breaches(connection, [one for d in standing for one in d.breaches], now)
    ledger.append(connection, [*(event for decision in standing for event in decision.events), *breached, *cancelled])
    return new


def _standing(connection: sa.Connection, epoch: int, decisions: Sequence[Decision]) -> list[Decision]:
    """The decisions that still count: held by this worker, and worked out from the present revision."""
    ids = [decision.change.id for decision in decisions]
    found = locked_rows(connection, obligations, ("id", "revision", "claimed_by"), "id", ids)
    revisions = {row.id: row.revision for row in found if row.claimed_by == epoch}
    return [
        decision
        for decision in decisions
        if decision.change.id in revisions and decision.change.revision in (None, revisions[decision.change.id])
    ]


def give_back(connection: sa.Connection, epoch: int) -> int:
    """Let go of what this worker holds. A decision still being worked out on it is dropped, and made again."""
    held = sa.update(obligations).where(CLAIMED, obligations.c.claimed_by == epoch)
    return connection.execute(held.values(claimed_by=None)).rowcount


def next_check_at(connection: sa.Connection) -> datetime | None:
    """The earliest moment any open, unclaimed obligation wants to be looked at."""
    return maybe_instant(connection.execute(_NEXT_CHECK).scalar())
