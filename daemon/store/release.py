"""Notices above the leader wait for a human: release them, or refuse. Who did it and why stands in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.store import ledger
from daemon.store.bulk import among, fetch, update_rows
from daemon.store.codec import maybe_instant, micros
from daemon.store.rows import DELIVERY_COLUMNS, delivery
from daemon.store.tables import deliveries
from daemon.store.values import Delivery, Event

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

REFUSED = "refused"  # the error of a notice somebody would not let go

# The channels one by one through the index that counts by channel and state, however many rows there are.
_HELD = sa.text("""
    WITH RECURSIVE known(channel) AS (
        SELECT min(channel) FROM deliveries
        UNION ALL
        SELECT (SELECT min(d.channel) FROM deliveries d WHERE d.channel > known.channel)
        FROM known WHERE known.channel IS NOT NULL
    )
    SELECT count(*) AS number,
        sum(CASE WHEN d.expires_at <= :now THEN 1 ELSE 0 END) AS in_vain,
        min(CASE WHEN d.expires_at <= :now THEN NULL ELSE d.created_at END) AS oldest
    FROM known JOIN deliveries d ON d.channel = known.channel AND d.state = 'held'
""")


def release(connection: sa.Connection, keys: Collection[str], by: str, reason: str, now: datetime) -> int:
    """Let what is held go out, after its quiet hours if those are still to come; returns how many.

    What the next step took over from stays: it would be cancelled just before sending, and nobody would be told.
    """
    found = [one for one in _held(connection, keys) if not one.held_too_long(now)]
    written: list[tuple[Any, ...]] = []
    for one in found:
        hold_until = one.notice.hold_until
        written.append(("pending", micros(now if hold_until is None else max(now, hold_until)), one.id))
    update_rows(connection, deliveries, ("state", "not_before_at", "id"), written)
    ledger.append(connection, [_event("released", one, by, reason, now) for one in found])
    return len(found)


def refuse(connection: sa.Connection, keys: Collection[str], by: str, reason: str, now: datetime) -> int:
    """Cancel what is held; returns how many."""
    found = _held(connection, keys)
    written = [("cancelled", REFUSED, one.id) for one in found]
    update_rows(connection, deliveries, ("state", "error", "id"), written)
    ledger.append(connection, [_event(REFUSED, one, by, reason, now) for one in found])
    return len(found)


def waiting(connection: sa.Connection, now: datetime) -> tuple[int, datetime | None, int]:
    """How many wait for a release, since when the oldest does, and how many waited until nobody can let them go."""
    row = fetch(connection, _HELD, {"now": micros(now)})[0]
    in_vain = int(row.in_vain or 0)
    return row.number - in_vain, maybe_instant(row.oldest), in_vain


def _held(connection: sa.Connection, keys: Collection[str]) -> list[Delivery]:
    query = sa.select(*DELIVERY_COLUMNS).where(
        among(connection, deliveries.c.notice_key, keys), deliveries.c.state == "held"
    )
    return [delivery(row) for row in fetch(connection, query.order_by(deliveries.c.id).with_for_update())]


def _event(kind: str, one: Delivery, by: str, reason: str, now: datetime) -> Event:
    notice = one.notice
    body = {"notice": notice.key, "channel": notice.channel, "person": notice.person, "by": by, "reason": reason}
    return Event(notice.case_key, kind, now, body, by)
