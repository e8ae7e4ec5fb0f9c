"""Who held a case when, and the limits that passed: what a unit or a person is asked about years later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.store import codec, ledger
from daemon.store.bulk import among, fetch, insert_rows, locked_rows
from daemon.store.codec import instant, maybe_instant, maybe_micros, micros
from daemon.store.tables import breaches, first_handler_conflicts, holdings, past_directories
from daemon.store.values import Breach, Conflict, Event, Held
from policies.people.holding import holdings as holdings_of_case

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from policies.model import Case, Directory

# --- holdings ---------------------------------------------------------------------------------------------------

_HOLDING_COLUMNS = ("case_key", "number", "unit", "official", "lead", "from_at", "to_at", "document")


def save_holdings(connection: sa.Connection, cases: Collection[Case]) -> None:
    """Keep who held these cases when; what was kept of them before is replaced. Their rows are locked already."""
    connection.execute(sa.delete(holdings).where(among(connection, holdings.c.case_key, [case.key for case in cases])))
    rows = [
        (
            case.key,
            one.number,
            one.unit,
            one.official,
            one.lead,
            micros(one.from_at),
            maybe_micros(one.to_at),
            one.document,
        )
        for case in cases
        for one in holdings_of_case(case)
    ]
    insert_rows(connection, holdings, _HOLDING_COLUMNS, sorted(rows, key=lambda row: row[:2]))


def held_by(
    connection: sa.Connection,
    unit: str | None,
    official: str | None,
    since: datetime | None,
    until: datetime | None,
) -> list[Held]:
    """The holdings of a unit or a person that touch the time from `since` to `until`, in time."""
    query = sa.select(*(holdings.c[name] for name in _HOLDING_COLUMNS))
    query = _of(query, holdings, unit, official)
    if since is not None:
        query = query.where(sa.or_(holdings.c.to_at.is_(None), holdings.c.to_at > micros(since)))
    if until is not None:
        query = query.where(holdings.c.from_at < micros(until))
    found = fetch(connection, query.order_by(holdings.c.from_at, holdings.c.case_key, holdings.c.number))
    return [
        Held(
            case_key=row.case_key,
            number=row.number,
            unit=row.unit,
            official=row.official,
            lead=bool(row.lead),
            from_at=instant(row.from_at),
            to_at=maybe_instant(row.to_at),
            document=row.document,
        )
        for row in found
    ]


def _of(query: sa.Select[Any], table: sa.Table, unit: str | None, official: str | None) -> sa.Select[Any]:
    if unit is not None:
        query = query.where(table.c.unit == unit)
    return query if official is None else query.where(table.c.official == official)


# --- breaches ---------------------------------------------------------------------------------------------------

_WRITTEN = (
    "case_key",
    "policy",
    "limit_id",
    "instance",
    "deadline_version",
    "due",
    "at",
    "unit",
    "official",
    "leaders",
    "first_unit",
    "first_official",
    "recorded_at",
)
_IDENTITY = _WRITTEN[:6]


def record_breaches(connection: sa.Connection, found: Sequence[Breach], now: datetime) -> list[Event]:
    """Keep the breaches that are not on record yet; returns the ledger's lines about those. The first word counts."""
    return [
        Event(one.case_key, "breached", now, _body(one))
        for one in sorted(found, key=_identity)
        if insert_rows(connection, breaches, _WRITTEN, [_row(one, now)], "ON CONFLICT DO NOTHING")
    ]


def _identity(one: Breach) -> tuple[object, ...]:
    return one.case_key, one.policy, one.limit, one.instance, one.deadline_version, one.due


def _row(one: Breach, now: datetime) -> tuple[object, ...]:
    leaders = codec.encode([dict(leader) for leader in one.leaders])
    attributed = (one.unit, one.official, leaders, one.first_unit, one.first_official)
    return (*_identity(one), micros(one.at), *attributed, micros(now))


def _body(one: Breach) -> dict[str, object]:
    return {
        "policy": one.policy,
        "limit": one.limit,
        "instance": one.instance,
        "version": one.deadline_version,
        "due": one.due,
        "at": one.at.isoformat(),
        "unit": one.unit,
        "official": one.official,
        "first_unit": one.first_unit,
        "first_official": one.first_official,
        "leaders": [dict(leader) for leader in one.leaders],
        "title": one.title,
        "basis": one.basis,
        "policy_version": one.policy_version,
    }


def list_breaches(
    connection: sa.Connection,
    case_key: str | None,
    unit: str | None,
    official: str | None,
    since: datetime | None,
    until: datetime | None,
) -> list[Breach]:
    """Breaches of a case, or those a unit or a person answered for as the holder, in time."""
    query = _of(sa.select(breaches), breaches, unit, official)
    if case_key is not None:
        query = query.where(breaches.c.case_key == case_key)
    if since is not None:
        query = query.where(breaches.c.at >= micros(since))
    if until is not None:
        query = query.where(breaches.c.at < micros(until))
    return [_breach(row) for row in fetch(connection, query.order_by(breaches.c.at, breaches.c.id))]


def correct_breach(
    connection: sa.Connection, identity: int, correction: Mapping[str, str | None], by: str, now: datetime
) -> Breach | None:
    """Add a correction; the breach stays. None if there is no breach of that number."""
    if not locked_rows(connection, breaches, ("id",), "id", [identity]):
        return None
    one = _by_id(connection, identity)
    entry = {**correction, "by": by, "at": now.isoformat()}
    written = codec.encode([*(dict(said) for said in one.corrections), entry])
    first = micros(one.corrected_at or now)
    connection.execute(
        sa.update(breaches).where(breaches.c.id == identity).values(corrected_at=first, correction=written)
    )
    said = {"breach": identity, **_named(one), **correction}
    ledger.append(connection, [Event(one.case_key, "corrected", now, said, by)])
    return _by_id(connection, identity)


def _named(one: Breach) -> dict[str, object]:
    return {"policy": one.policy, "limit": one.limit, "instance": one.instance, "due": one.due}


def _by_id(connection: sa.Connection, identity: int) -> Breach:
    (row,) = fetch(connection, sa.select(breaches).where(breaches.c.id == identity))
    return _breach(row)


def _breach(row: Any) -> Breach:  # noqa: ANN401 - a row
    return Breach(
        case_key=row.case_key,
        policy=row.policy,
        limit=row.limit_id,
        instance=row.instance,
        deadline_version=row.deadline_version,
        due=row.due,
        at=instant(row.at),
        unit=row.unit,
        official=row.official,
        first_unit=row.first_unit,
        first_official=row.first_official,
        leaders=tuple(codec.decode(row.leaders)),
        id=row.id,
        recorded_at=instant(row.recorded_at),
        corrected_at=maybe_instant(row.corrected_at),
        corrections=() if row.correction is None else tuple(codec.decode(row.correction)),
    )


# --- conflicts about the first handler ----------------------------------------------------------------------------


def conflicts_since(connection: sa.Connection, since: datetime) -> list[Conflict]:
    """The conflicts recorded since then, in the order they were."""
    table = first_handler_conflicts
    query = sa.select(table.c.case_key, table.c.recorded_at).where(table.c.recorded_at >= micros(since))
    found = fetch(connection, query.order_by(table.c.recorded_at, table.c.case_key, table.c.claim))
    return [Conflict(row.case_key, instant(row.recorded_at)) for row in found]


# --- everybody, as known then -------------------------------------------------------------------------------------


def keep_directory(connection: sa.Connection, people: Directory, now: datetime) -> None:
    """Remember everybody as known from now on, if that is not what was known already. Addresses are left out."""
    said = codec.encode_directory(codec.without_addresses(people))
    table = past_directories
    last = next(iter(fetch(connection, sa.select(table.c.people).order_by(table.c.id.desc()).limit(1))), None)
    if last is None or last.people != said:
        insert_rows(connection, table, ("people", "known_at"), [(said, micros(now))])


def directory_as_of(connection: sa.Connection, at: datetime) -> tuple[Directory, datetime] | None:
    """Everybody as known at that instant and since when; before the first reading, the first one known."""
    table = past_directories
    columns = sa.select(table.c.people, table.c.known_at)
    then = columns.where(table.c.known_at <= micros(at)).order_by(table.c.known_at.desc(), table.c.id.desc()).limit(1)
    first = columns.order_by(table.c.known_at, table.c.id).limit(1)
    row = next(iter(fetch(connection, then) or fetch(connection, first)), None)
    return None if row is None else (codec.decode_directory(row.people), instant(row.known_at))
