"""The minute's proof, numbers, and lists for people to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.store import inbox, release
from daemon.store.bulk import among, fetch, insert_rows
from daemon.store.codec import instant, maybe_instant, micros
from daemon.store.rows import DELIVERY_COLUMNS, OBLIGATION_COLUMNS, delivery, stored_obligation
from daemon.store.tables import (
    AWAITING_A_LOOK,
    CLAIMED,
    UNACCOUNTED,
    WAITING,
    beats,
    cases,
    deliveries,
    ledger,
    obligations,
    seals,
    workers,
)
from daemon.store.values import Audit, Delivery, DeliveryState, JobBeat, Standing, StoredObligation

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta


def audit(connection: sa.Connection, now: datetime, grace: timedelta) -> Audit:
    """Every figure comes from an index of its own; a claim held too long counts as an overdue check as well."""
    o, d = obligations.c, deliveries.c
    late = micros(now - grace)
    count, earliest_check = sa.func.count(), sa.func.min(o.next_check_at)
    unclaimed = _one(connection, sa.select(count, earliest_check).where(AWAITING_A_LOOK, o.next_check_at < late))
    claimed = _one(connection, sa.select(count, earliest_check).where(CLAIMED, o.next_check_at < late))
    earliest = [
        connection.execute(sa.select(earliest_check).where(AWAITING_A_LOOK)).scalar(),
        connection.execute(sa.select(earliest_check).where(CLAIMED)).scalar(),
    ]
    by_state = sa.select(d.state, count).where(WAITING).group_by(d.state)
    waiting: dict[str, int] = dict(fetch(connection, by_state))
    held, oldest_held_at, held_too_long = release.waiting(connection, now)
    oldest_pending = sa.select(sa.func.min(d.created_at)).where(WAITING, d.state != "in_doubt")
    return Audit(
        open=connection.execute(sa.select(count).where(o.state == "open")).scalar_one(),
        unaccounted=connection.execute(sa.select(count).select_from(obligations).where(UNACCOUNTED)).scalar_one(),
        overdue_checks=unclaimed[0] + claimed[0],
        oldest_check_at=maybe_instant(min((at for at in earliest if at is not None), default=None)),
        pending=waiting.get("pending", 0) + waiting.get("retrying", 0),
        in_doubt=waiting.get("in_doubt", 0),
        oldest_pending_at=maybe_instant(connection.execute(oldest_pending).scalar()),
        held=held,
        oldest_held_at=oldest_held_at,
        held_too_long=held_too_long,
    )


def _one(connection: sa.Connection, query: sa.Executable) -> Any:  # noqa: ANN401 - a row
    return fetch(connection, query)[0]


_MAY_WAKE = '"may_wake":'  # in the canonical text of `manner`


def list_deliveries(
    connection: sa.Connection,
    states: Collection[DeliveryState] | None,
    case_key: str | None,
    limit: int,
    after_id: int,
    *,
    woken: bool = False,
) -> list[Delivery]:
    """The outbox, by id; `woken` for those only that passed quiet hours on a stated basis."""
    query = sa.select(*DELIVERY_COLUMNS).where(deliveries.c.id > after_id)
    if woken:
        query = query.where(deliveries.c.manner.contains(_MAY_WAKE, autoescape=True))
    if states is not None:
        query = query.where(deliveries.c.state.in_([state.value for state in states]))
    if case_key is not None:
        query = query.where(deliveries.c.case_key == case_key)
    return [delivery(row) for row in fetch(connection, query.order_by(deliveries.c.id).limit(limit))]


def woken_since(connection: sa.Connection, since: datetime) -> int:
    """How many deliveries decided since then passed quiet hours on a stated basis."""
    d = deliveries.c
    query = sa.select(sa.func.count()).where(
        d.created_at >= micros(since), d.manner.contains(_MAY_WAKE, autoescape=True)
    )
    return int(connection.execute(query).scalar_one())


def list_obligations(connection: sa.Connection, state: str | None, limit: int, after_id: int) -> list[StoredObligation]:
    """Obligations, by id."""
    query = sa.select(*OBLIGATION_COLUMNS).where(obligations.c.id > after_id)
    if state is not None:
        query = query.where(obligations.c.state == state)
    return [stored_obligation(row) for row in fetch(connection, query.order_by(obligations.c.id).limit(limit))]


def counts(connection: sa.Connection) -> dict[str, dict[str, int]]:
    """`obligations` by state, `lights` of the open ones, `deliveries` by state, `channels` by channel."""
    numbers: dict[str, dict[str, int]] = {"obligations": {}, "lights": {}, "deliveries": {}, "channels": {}}
    o, d = obligations.c, deliveries.c
    for state, light, number in fetch(
        connection, sa.select(o.state, o.light, sa.func.count()).group_by(o.light, o.state)
    ):
        _add(numbers["obligations"], state, number)
        if state == "open" and light is not None:
            _add(numbers["lights"], light, number)
    by_channel = sa.select(d.state, d.channel, sa.func.count()).group_by(d.channel, d.state)
    for state, channel, number in fetch(connection, by_channel):
        _add(numbers["deliveries"], state, number)
        _add(numbers["channels"], channel, number)
    return numbers


def standing(connection: sa.Connection) -> Standing:
    """What `status` tells beyond the counts."""
    d, o = deliveries.c, obligations.c
    channels: dict[str, dict[str, int]] = {}
    by_channel = sa.select(d.channel, d.state, sa.func.count()).group_by(d.channel, d.state)
    for channel, state, number in fetch(connection, by_channel):
        channels.setdefault(channel, {})[state] = number
    provisional = sa.select(sa.func.count()).where(o.state == "open", o.provisional)
    last_seal = connection.execute(sa.select(seals.c.at, seals.c.last_id).order_by(seals.c.id.desc()).limit(1)).first()
    alive = sa.select(workers.c.node, workers.c.pid, workers.c.beat_at).where(workers.c.state == "alive")
    since = sa.select(sa.func.count()).where(ledger.c.id > (last_seal.last_id if last_seal else 0))
    return Standing(
        channels,
        connection.execute(provisional).scalar_one(),
        maybe_instant(last_seal.at if last_seal else None),
        connection.execute(since).scalar_one(),
        maybe_instant(connection.execute(sa.select(sa.func.max(cases.c.read_at))).scalar()),
        inbox.waiting(connection),
        tuple((row.node, row.pid, instant(row.beat_at)) for row in fetch(connection, alive)),
    )


def _add(numbers: dict[str, int], name: str, number: int) -> None:
    numbers[name] = numbers.get(name, 0) + number


def people_summary(connection: sa.Connection, keys: Collection[str]) -> dict[str, dict[str, int]]:
    """`role channel` -> state -> number."""
    d = deliveries.c
    query = sa.select(d.role, d.channel, d.state, sa.func.count()).group_by(d.role, d.channel, d.state)
    if keys:
        query = query.where(among(connection, d.case_key, keys))
    numbers: dict[str, dict[str, int]] = {}
    for role, channel, state, number in fetch(connection, query.order_by(d.role, d.channel)):
        numbers.setdefault(f"{role} {channel}", {})[state] = number
    return numbers


def beat(connection: sa.Connection, job: str, node: str, now: datetime, error: str) -> None:
    """Record a run. A good one leaves the last error standing, with its instant."""
    at = micros(now)
    if error:
        row: tuple[Any, ...] = (job, node, None, error, at)
        change = "last_error = excluded.last_error, last_error_at = excluded.last_error_at"
    else:
        row = (job, node, at, "", None)
        change = "last_ok_at = excluded.last_ok_at"
    columns = ("job", "node", "last_ok_at", "last_error", "last_error_at")
    insert_rows(connection, beats, columns, [row], f"ON CONFLICT (job, node) DO UPDATE SET {change}")


def all_beats(connection: sa.Connection) -> list[JobBeat]:
    """The last run of every job on every node."""
    return [
        JobBeat(
            job=row.job,
            node=row.node,
            last_ok_at=maybe_instant(row.last_ok_at),
            last_error=row.last_error,
            last_error_at=maybe_instant(row.last_error_at),
        )
        for row in fetch(connection, sa.select(beats).order_by(beats.c.job, beats.c.node))
    ]
