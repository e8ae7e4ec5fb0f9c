"""Digests in the outbox: bring together what may leave as one message, and remember which notices a message held.

While a digest is on its way each of its rows carries the digest's own key as reference. After a crash the rows that
carry the same key are one message again: the provider is asked about that one, and nothing is sent a second way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from channels.wire.identity import reference_of
from daemon.store.bulk import among, fetch, is_postgresql, locked_rows, update_rows
from daemon.store.codec import decode, encode, micros
from daemon.store.lanes import LANES, MAY_BE_TOGETHER, Lane
from daemon.store.rows import COPY, beside
from daemon.store.tables import REFERRED, WAITING, deliveries

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from daemon.sharing import Share

DIGEST_KEY = "digest:"  # how the key of a digest begins; no notice key does, case numbers are quoted in them
MOST = 300  # rows one claim may bring along beside its batch


def one_at_a_time(connection: sa.Connection, channels: Collection[str]) -> None:
    """Until this transaction ends nobody else claims for these channels.

    Two claims at the same instant, each skipping the rows the other has locked, would tear what goes together apart.
    (SQLite has one writer anyway.)
    """
    if is_postgresql(connection):
        for channel in sorted(set(channels)):
            connection.execute(_LOCK, {"name": f"duban claims for {channel}"})


# Where few rows waited when PostgreSQL last counted, it would rather read and sort all that wait, those for later too.
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0)), set_config('enable_sort', 'off', true)")


def companions(connection: sa.Connection, now: datetime, found: Sequence[Any], share: Share | None = None) -> list[int]:
    """The ids of what waits and belongs in one message with something just claimed, locked.

    A digest stays whole at one provider, whatever the buckets of its notices; what another one perhaps sent is his.
    """
    together = [row for row in found if row.priority > COPY]
    if not together:
        return []
    d = deliveries.c
    channels = sorted({row.channel for row in together})
    waiting = (WAITING, d.channel.in_(channels))
    mine = among(connection, d.person, sorted({row.person for row in together}))
    known = () if share is None else share.known
    free = sa.not_(sa.and_(d.state == "in_doubt", d.provider.in_(known)))
    together_with = (*waiting, d.not_before_at <= micros(now), mine, d.priority > COPY, free)
    lanes = MAY_BE_TOGETHER if share is None or share.buckets else ()
    ids: set[int] = set()
    for lane in lanes:  # one after the other, so that each is read in the order of its index
        query = sa.select(d.id).where(d.lane == lane.value, *together_with)
        query = query.order_by(d.not_before_at, d.priority, d.id).limit(MOST)
        ids |= {row.id for row in fetch(connection, query.with_for_update(skip_locked=True))}
    bound = sorted({row.reference for row in together if row.reference.startswith(DIGEST_KEY)})
    if bound:  # a digest perhaps sent is looked into as a whole
        same = sa.select(d.id).where(*waiting, REFERRED, among(connection, d.reference, bound))
        ids |= {row.id for row in fetch(connection, same.with_for_update(skip_locked=True))}
    return sorted(ids)


def waiting_for(connection: sa.Connection, channel: str, people: Collection[str], now: datetime) -> list[int]:
    """The ids of what may go out now to these people over that channel, locked; what is in doubt is left alone."""
    d = deliveries.c
    certain = sa.not_(sa.or_(d.possible_duplicate, d.state == "in_doubt"))
    query = sa.select(d.id).where(
        WAITING,
        d.channel == channel,
        d.lane.in_([lane.value for lane in LANES]),  # all of them, so that their index serves
        d.not_before_at <= micros(now),
        among(connection, d.person, list(people)),
        certain,
    )
    query = query.order_by(d.not_before_at, d.priority, d.id).limit(MOST)
    return sorted(row.id for row in fetch(connection, query.with_for_update(skip_locked=True)))


def bind(connection: sa.Connection, epoch: int, keys: Mapping[int, str]) -> set[int]:
    """Write the key of the message it leaves in to each delivery this worker still holds; returns which those are.

    That is the key of a digest, or its own notice key where it goes alone after it was in one. What was merged though
    its policy has no digest may be together with others from now on: in doubt, one claim brings them all along.
    """
    if not keys:
        return set()
    rows = locked_rows(connection, deliveries, _READ, "id", list(keys))
    held = {row.id: row for row in rows if row.state == "sending" and row.claimed_by == epoch}
    written = [(_bound(keys[one], row.reference), reference_of(keys[one]), one) for one, row in sorted(held.items())]
    update_rows(connection, deliveries, ("reference", "sent_as", "id"), written)
    merged = [
        (_together(row.manner), beside(row.person), _lane_together(row.lane), one)
        for one, row in sorted(held.items())
        if keys[one].startswith(DIGEST_KEY) and row.priority <= COPY
    ]
    update_rows(connection, deliveries, ("manner", "priority", "lane", "id"), merged)
    return set(held)


_READ = ("id", "state", "claimed_by", "reference", "manner", "person", "priority", "lane")


def _bound(key: str, reference: str) -> str:
    """The reference of a delivery that leaves under this key: the digest's, or the provider's of before."""
    if key.startswith(DIGEST_KEY):
        return key
    return "" if reference.startswith(DIGEST_KEY) else reference


def _together(manner: str) -> str:
    said: dict[str, Any] = decode(manner) if manner else {}
    return encode({**said, "digest": True})


def _lane_together(lane: int) -> int:
    return lane if lane in MAY_BE_TOGETHER else Lane.LATER.value
