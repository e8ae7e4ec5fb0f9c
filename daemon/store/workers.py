"""Workers are epochs: who is alive, and what becomes of what the dead held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from daemon.errors import Fenced
from daemon.store import pump
from daemon.store.bulk import among
from daemon.store.codec import micros
from daemon.store.tables import CLAIMED, obligations, workers

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta


def open_worker(connection: sa.Connection, node: str, pid: int, now: datetime) -> int:
    """A new epoch."""
    at = micros(now)
    row = sa.insert(workers).values(node=node, pid=pid, state="alive", opened_at=at, beat_at=at)
    return int(connection.execute(row.returning(workers.c.epoch)).scalar_one())


def fence(connection: sa.Connection, epoch: int) -> None:
    """Refuse a worker that was declared dead; until the transaction ends nobody can declare it dead."""
    query = sa.select(workers.c.state).where(workers.c.epoch == epoch).with_for_update(read=True)
    if connection.execute(query).scalar() != "alive":
        raise Fenced


def heartbeat(connection: sa.Connection, epoch: int, now: datetime) -> None:
    """Say that the worker is alive."""
    alive = sa.update(workers).where(workers.c.epoch == epoch, workers.c.state == "alive")
    if connection.execute(alive.values(beat_at=micros(now))).rowcount == 0:
        raise Fenced


def bury_silent(connection: sa.Connection, now: datetime, silent_for: timedelta, keep: int | None) -> tuple[int, int]:
    """Declare the silent dead. Workers another node is burying at this moment are left to it."""
    silent = sa.select(workers.c.epoch).where(
        workers.c.state == "alive", workers.c.beat_at <= micros(now - silent_for), workers.c.epoch != (keep or 0)
    )
    epochs = list(connection.execute(silent.order_by(workers.c.epoch).with_for_update(skip_locked=True)).scalars())
    return _end(connection, epochs, "dead", now) if epochs else (0, 0)


def alive(connection: sa.Connection) -> list[tuple[int, str, int]]:
    """Every worker not declared dead."""
    query = sa.select(workers.c.epoch, workers.c.node, workers.c.pid).where(workers.c.state == "alive")
    return [(row.epoch, row.node, row.pid) for row in connection.execute(query.order_by(workers.c.epoch))]


def bury(connection: sa.Connection, epochs: Collection[int], now: datetime) -> tuple[int, int]:
    """Declare these dead."""
    return _end(connection, epochs, "dead", now)


def close_worker(connection: sa.Connection, epoch: int, now: datetime) -> None:
    """Leave in good order. A worker that was declared dead has nothing left to give back."""
    _end(connection, [epoch], "closed", now)


def _end(connection: sa.Connection, epochs: Collection[int], state: str, now: datetime) -> tuple[int, int]:
    ended = sa.update(workers).where(among(connection, workers.c.epoch, epochs), workers.c.state == "alive")
    connection.execute(ended.values(state=state, ended_at=micros(now)))
    held = sa.update(obligations).where(CLAIMED, among(connection, obligations.c.claimed_by, epochs))
    given_back = connection.execute(held.values(claimed_by=None)).rowcount
    return given_back, pump.doubt_all_of(connection, epochs, now)
