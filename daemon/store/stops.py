"""Who wants no more messages over a channel (退订, STOP): by his own reply, or by the carrier's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from daemon.store import ledger
from daemon.store.bulk import fetch, insert_rows
from daemon.store.codec import instant, micros
from daemon.store.tables import stops
from daemon.store.values import DeliveryState, Event, Stop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from daemon.store.values import Delivery

OPTED_OUT = "opted_out"  # the error of a delivery to somebody who stopped its channel
CARRIER = "carrier"


def stop(connection: sa.Connection, channel: str, person: str, how: str, now: datetime) -> bool:
    """Note it; False if it was noted before, and nothing is written."""
    if not _noted(connection, channel, person, how, now):
        return False
    ledger.append(connection, [_stopped(channel, person, how, now)])
    return True


def _noted(connection: sa.Connection, channel: str, person: str, how: str, now: datetime) -> bool:
    columns = ("channel", "person", "since_at", "how")
    row = (channel, person, micros(now), how)
    return bool(insert_rows(connection, stops, columns, [row], "ON CONFLICT (channel, person) DO NOTHING"))


def _stopped(channel: str, person: str, how: str, now: datetime) -> Event:
    return Event("", "stopped", now, {"channel": channel, "person": person, "how": how}, person)


def lift(
    connection: sa.Connection, channel: str, person: str, how: str, now: datetime, by: str = "", reason: str = ""
) -> bool:
    """Messages go out again; False if there was no such stop."""
    which = sa.delete(stops).where(stops.c.channel == channel, stops.c.person == person)
    if not connection.execute(which).rowcount:
        return False
    body = {"channel": channel, "person": person, "how": how, **({"reason": reason} if reason else {})}
    ledger.append(connection, [Event("", "resumed", now, body, by or person)])
    return True


def note_carriers(connection: sa.Connection, failed: Iterable[Delivery], now: datetime) -> None:
    """A provider refused these because their readers had opted out with the carrier."""
    refused = sorted({(one.notice.channel, one.notice.person) for one in failed})
    fresh = [(channel, person) for channel, person in refused if _noted(connection, channel, person, CARRIER, now)]
    # The ledger after all of them, as everybody does who stops or starts one: no deadlock.
    ledger.append(connection, [_stopped(channel, person, CARRIER, now) for channel, person in fresh])


def is_refusal(state: DeliveryState, error: str) -> bool:
    """Whether a delivery failed because its reader had opted out."""
    return state is DeliveryState.FAILED and error == OPTED_OUT


def all_stops(connection: sa.Connection) -> list[Stop]:
    """Everybody, by person and channel."""
    query = sa.select(stops.c.channel, stops.c.person, stops.c.since_at, stops.c.how)
    found = fetch(connection, query.order_by(stops.c.person, stops.c.channel))
    return [Stop(row.channel, row.person, instant(row.since_at), row.how) for row in found]


def stopped(connection: sa.Connection) -> Mapping[str, frozenset[str]]:
    """The channels each person stopped; whoever stopped none is left out."""
    found: dict[str, frozenset[str]] = {}
    for one in all_stops(connection):
        found[one.person] = found.get(one.person, frozenset()) | {one.channel}
    return found
