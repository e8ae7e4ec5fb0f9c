"""After the provider took a message: receipts that never came, and what became of what a step sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from daemon.store import ledger
from daemon.store.bulk import among, fetch, update_rows
from daemon.store.codec import maybe_instant, micros
from daemon.store.rows import DELIVERY_COLUMNS, delivery
from daemon.store.tables import AWAITING_RECEIPT, deliveries
from daemon.store.values import Delivery, Event
from policies.model import Reception

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

_OVERDUE = (
    sa.select(*DELIVERY_COLUMNS)
    .where(AWAITING_RECEIPT, deliveries.c.receipt_due_at <= sa.bindparam("now"))
    .order_by(deliveries.c.receipt_due_at, deliveries.c.id)
    .limit(sa.bindparam("limit"))
)
_NEXT_DUE = sa.select(sa.func.min(deliveries.c.receipt_due_at)).where(AWAITING_RECEIPT)


def overdue(connection: sa.Connection, now: datetime, limit: int) -> list[Delivery]:
    """What the provider took and brought no receipt for in time, earliest first."""
    return [delivery(row) for row in fetch(connection, _OVERDUE, {"now": micros(now), "limit": limit})]


def next_due_at(connection: sa.Connection) -> datetime | None:
    """When the next receipt is due."""
    return maybe_instant(connection.execute(_NEXT_DUE).scalar())


def give_up_waiting(connection: sa.Connection, ids: Collection[int], now: datetime) -> int:
    """Wait for no receipt of these any more, and say so in the ledger; returns how many were still waiting.

    They stay accepted: a receipt that comes after all is recorded, and undoes nothing.
    """
    query = sa.select(*DELIVERY_COLUMNS).where(
        among(connection, deliveries.c.id, ids), AWAITING_RECEIPT, deliveries.c.receipt_due_at <= micros(now)
    )
    found = [delivery(row) for row in fetch(connection, query.order_by(deliveries.c.id).with_for_update())]
    update_rows(connection, deliveries, ("receipt_due_at", "id"), [(None, one.id) for one in found])
    ledger.append(connection, [_no_receipt(one, now) for one in found])
    return len(found)


def put_off(connection: sa.Connection, ids: Collection[int], until: datetime) -> None:
    """Look at these again then: what cannot be passed on now must not keep those behind it waiting."""
    later = sa.update(deliveries).where(among(connection, deliveries.c.id, ids), AWAITING_RECEIPT)
    connection.execute(later.values(receipt_due_at=micros(until)))


def _no_receipt(one: Delivery, now: datetime) -> Event:
    notice = one.notice
    body = {"notice": notice.key, "channel": notice.channel, "person": notice.person, "reference": one.reference}
    return Event(notice.case_key, "no_receipt", now, body)


def receptions(connection: sa.Connection, ids: Collection[int]) -> dict[int, dict[str, Reception]]:
    """Per obligation and step, when what it sent was first delivered, read and acknowledged, by whomever.

    Only the one it is addressed to signs for it: who got a copy for his knowledge does not sign in his place.
    """
    d = deliveries.c
    facts = (d.delivered_at, d.read_at, d.acknowledged_at)
    signed = sa.case((d.copy.is_(False), d.acknowledged_at))
    query = (
        sa.select(d.obligation_id, d.step, *(sa.func.min(fact) for fact in (d.delivered_at, d.read_at, signed)))
        .where(among(connection, d.obligation_id, ids), sa.or_(*(fact.is_not(None) for fact in facts)))
        .group_by(d.obligation_id, d.step)
    )
    found: dict[int, dict[str, Reception]] = {}
    for identity, step, *instants in fetch(connection, query):
        found.setdefault(identity, {})[step] = Reception(*map(maybe_instant, instants))
    return found
