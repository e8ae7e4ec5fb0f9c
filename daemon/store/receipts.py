"""After the provider took a message: receipts that never came, what was delivered, what was acknowledged (签收)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.store import ledger
from daemon.store.bulk import among, fetch, update_rows
from daemon.store.codec import maybe_instant, micros
from daemon.store.rows import DELIVERY_COLUMNS, delivery
from daemon.store.tables import AWAITING_RECEIPT, deliveries, obligations
from daemon.store.values import Acknowledged, Delivery, Event
from policies.model import Reception

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

_NOT_HIS_TO_KNOW = ("cancelled", "dark", "held")  # will not be sent, so nothing to acknowledge
_WENT_OUT = ("accepted", "delivered", "sending", "in_doubt")  # or perhaps did: he says he has it
_UNACKNOWLEDGED = ".unacknowledged"  # how the step is called that speaks for want of an acknowledgement
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


def acknowledge(
    connection: sa.Connection, case_key: str, official: str, at: datetime, how: str, now: datetime
) -> Acknowledged:
    """Mark what that official was sent about the case; what is said of it is the answer.

    Who was sent nothing yet (it waits, or failed) has nothing to sign for: that he knows is taken down, no notice is
    marked and no step falls silent. Otherwise the obligations of the case are looked at again at once, so that a step
    that was only for want of it is not sent.
    """
    d, o = deliveries.c, obligations.c
    open_ones = sa.select(o.id).where(o.case_key == case_key, o.state.in_(("open", "paused")))
    running = fetch(connection, open_ones.order_by(o.id).with_for_update())  # before deliveries, as every decision does
    sent = sa.select(*DELIVERY_COLUMNS).where(d.case_key == case_key)
    rows = fetch(connection, sent.order_by(d.id).with_for_update())
    known = [one for one in map(delivery, rows) if one.state not in _NOT_HIS_TO_KNOW]
    mine = [one for one in known if one.notice.person == official]
    if not mine:
        return Acknowledged.NOT_YOURS
    if not running:
        return Acknowledged.CLOSED
    sent_to_him = [one for one in mine if one.state in _WENT_OUT]
    if not sent_to_him:
        known_of = {"person": official, "how": how, "at": at.isoformat()}
        ledger.append(connection, [Event(case_key, "known", now, known_of, official)])
        return Acknowledged.NOT_SENT
    fresh = [one for one in sent_to_him if one.acknowledged_at is None]
    if not fresh:
        return Acknowledged.ALREADY
    late = _is_late(fresh, known, at)
    update_rows(connection, deliveries, ("acknowledged_at", "id"), [(micros(at), one.id) for one in fresh])
    again: dict[str, Any] = {"next_check_at": micros(now), "revision": o.revision + 1, "claimed_by": None}
    connection.execute(sa.update(obligations).where(o.case_key == case_key, o.state == "open").values(again))
    body: dict[str, object] = {
        "person": official,
        "how": how,
        "at": at.isoformat(),
        "late": late,
        "notices": [one.notice.key for one in fresh],
    }
    ledger.append(connection, [Event(case_key, "acknowledged", now, body, official)])
    return Acknowledged.LATE if late else Acknowledged.TAKEN


def _is_late(mine: Sequence[Delivery], known: Sequence[Delivery], at: datetime) -> bool:
    """Whether somebody had been told before then that it was not acknowledged."""
    asked = {(one.obligation_id, one.notice.step + _UNACKNOWLEDGED) for one in mine}
    return any(one.created_at <= at and (one.obligation_id, one.notice.step) in asked for one in known)
