"""What a reading of the shared database leaves in our tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from daemon.store import codec, ledger, pump, responsibility
from daemon.store.bulk import among, fetch, insert_rows, locked_rows
from daemon.store.codec import instant, maybe_instant, micros
from daemon.store.rows import OBLIGATION_COLUMNS, OBLIGATION_FIELDS, obligation_fields, stored_obligation
from daemon.store.tables import (
    bookmarks,
    cases,
    directory,
    first_handler_conflicts,
    first_handlers,
    obligations,
    rows_set_aside,
)
from daemon.store.values import MOVEMENT_KINDS, Event, SetAside, StoredCase
from policies.model import FirstHandler

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from daemon.store.values import CaseChange, StoredObligation
    from policies.model import Case, Directory

# A history decided since the change was worked out must not be forgotten: steps would be decided again. The inserted
# revision is one more than the one the change was worked out from; 1 means the writer did not say.
_DECIDED_MEANWHILE = (
    "excluded.revision > 1 AND obligations.revision <> excluded.revision - 1 "
    "AND obligations.deadline_version = excluded.deadline_version"
)
_HISTORY = ("decided_until", "light", "breached_at", "platform_breached_at")
_IDENTITY = ("case_key", "policy", "limit_id", "instance")
_OVERWRITE_OBLIGATION = (
    f"ON CONFLICT ({', '.join(_IDENTITY)}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in OBLIGATION_FIELDS if name not in (*_IDENTITY, *_HISTORY))
    + "".join(
        f", {name} = CASE WHEN {_DECIDED_MEANWHILE} THEN obligations.{name} ELSE excluded.{name} END"
        for name in _HISTORY
    )
    + ", revision = obligations.revision + 1, claimed_by = NULL"
)
# The version a case is bound to is changed by `bind` alone: a sync worked out before would take it back.
_OVERWRITE_CASE = (
    "ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, facts = excluded.facts, "
    "read_at = excluded.read_at, open = excluded.open, gone = excluded.gone, "
    "policy_version = COALESCE(cases.policy_version, excluded.policy_version)"
)
_CASE_COLUMNS = ("key", "fingerprint", "facts", "read_at", "open", "gone", "policy_version")
_FIRST_HANDLER_COLUMNS = ("case_key", "unit", "official", "frozen_at", "milestone", "recorded_at")


def bookmark(connection: sa.Connection, name: str) -> str | None:
    """A remembered position."""
    found: str | None = connection.execute(sa.select(bookmarks.c.value).where(bookmarks.c.name == name)).scalar()
    return found


def set_bookmark(connection: sa.Connection, name: str, value: str) -> None:
    """Remember a position."""
    overwrite = "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    insert_rows(connection, bookmarks, ("name", "value"), [(name, value)], overwrite)


def stored_cases(
    connection: sa.Connection, keys: Collection[str], at_hand: Mapping[str, Case]
) -> dict[str, StoredCase]:
    """The last known facts of these cases, with their frozen first handlers."""
    frozen = frozen_first_handlers(connection, keys)
    query = sa.select(cases.c.key, cases.c.facts, cases.c.fingerprint, cases.c.read_at, cases.c.policy_version)
    return {
        key: StoredCase(
            at_hand.get(fingerprint) or codec.decode_case(facts),
            fingerprint,
            instant(read_at),
            frozen.get(key),
            policy_version,
        )
        for key, facts, fingerprint, read_at, policy_version in fetch(
            connection, query.where(among(connection, cases.c.key, keys))
        )
    }


def guarded(connection: sa.Connection, keys: Collection[str]) -> set[str]:
    """Which of these cases are restricted or keep somebody out; asked of the text, so that nothing is decoded."""
    if not keys:
        return set()
    marked = sa.or_(*(cases.c.facts.contains(mark, autoescape=True) for mark in codec.GUARDED))
    query = sa.select(cases.c.key).where(among(connection, cases.c.key, keys), marked)
    return {key for (key,) in fetch(connection, query)}


def fingerprints_of(connection: sa.Connection, keys: Collection[str]) -> dict[str, str]:
    """The fingerprints of these cases."""
    query = sa.select(cases.c.key, cases.c.fingerprint).where(among(connection, cases.c.key, keys))
    return dict(map(tuple, fetch(connection, query)))


def frozen_first_handlers(connection: sa.Connection, keys: Collection[str]) -> dict[str, FirstHandler]:
    """The first handlers on record."""
    query = sa.select(*(first_handlers.c[name] for name in _FIRST_HANDLER_COLUMNS[:-1]))
    return {
        key: FirstHandler(key, unit, official, instant(frozen_at), milestone)
        for key, unit, official, frozen_at, milestone in fetch(
            connection, query.where(among(connection, first_handlers.c.case_key, keys))
        )
    }


def fingerprints(connection: sa.Connection, after: str, limit: int) -> list[tuple[str, str]]:
    """(key, fingerprint) of cases not gone, in key order."""
    query = sa.select(cases.c.key, cases.c.fingerprint).where(cases.c.key > after, cases.c.gone.is_(False))
    return [(key, fingerprint) for key, fingerprint in fetch(connection, query.order_by(cases.c.key).limit(limit))]


def obligations_of(connection: sa.Connection, keys: Collection[str]) -> dict[str, list[StoredObligation]]:
    """All obligations of these cases, by id."""
    found: dict[str, list[StoredObligation]] = {}
    query = sa.select(*OBLIGATION_COLUMNS).where(among(connection, obligations.c.case_key, keys))
    for row in fetch(connection, query.order_by(obligations.c.id)):
        found.setdefault(row.case_key, []).append(stored_obligation(row))
    return found


def save_cases(connection: sa.Connection, changes: Sequence[CaseChange], now: datetime) -> None:
    """Write cases, first handlers, obligations and events. The last change of a case counts."""
    latest = {change.stored.case.key: change for change in changes}
    events = _told_first_here(connection, changes, latest)
    insert_rows(connection, cases, _CASE_COLUMNS, [_case_row(latest[key]) for key in sorted(latest)], _OVERWRITE_CASE)
    written = {
        fields[:4]: (*fields, (one.revision or 0) + 1)
        for change in latest.values()
        for one in change.obligations
        for fields in (obligation_fields(one),)
    }
    insert_rows(
        connection,
        obligations,
        (*OBLIGATION_FIELDS, "revision"),
        [written[key] for key in sorted(written)],
        _OVERWRITE_OBLIGATION,
    )
    responsibility.save_holdings(connection, [change.stored.case for change in latest.values()])
    conflicts = _freeze(connection, [c.stored.first_handler for c in latest.values() if c.stored.first_handler], now)
    breached = responsibility.record_breaches(connection, [one for c in latest.values() for one in c.breaches], now)
    known = {key for key, change in latest.items() if any(one.id is not None for one in change.obligations)}
    overtaken = pump.cancel_overtaken(connection, known, now) if known else []
    ledger.append(connection, [*events, *breached, *conflicts, *overtaken])


def _told_first_here(
    connection: sa.Connection, changes: Sequence[CaseChange], latest: Mapping[str, CaseChange]
) -> list[Event]:
    """The events, without the movements another node has told: it took over the very same facts before us."""
    found = locked_rows(connection, cases, ("key", "fingerprint"), "key", latest)
    there = {row.key: row.fingerprint for row in found}
    told = {key for key, change in latest.items() if there.get(key) == change.stored.fingerprint}
    return [
        event
        for change in changes
        for event in change.events
        if change.stored.case.key not in told or event.kind not in MOVEMENT_KINDS
    ]


def _case_row(change: CaseChange) -> tuple[object, ...]:
    stored = change.stored
    return (
        stored.case.key,
        stored.fingerprint,
        codec.encode_case(stored.case),
        micros(stored.read_at),
        stored.case.open,
        change.gone,
        stored.policy_version,
    )


def _freeze(connection: sa.Connection, claims: Sequence[FirstHandler], now: datetime) -> list[Event]:
    """Record first handlers that are not on record yet; a claim of somebody else is a conflict, told once."""
    if not claims:
        return []
    at = micros(now)
    fresh = [(c.case_key, c.unit, c.official, micros(c.frozen_at), c.milestone, at) for c in claims]
    insert_rows(connection, first_handlers, _FIRST_HANDLER_COLUMNS, sorted(fresh, key=lambda row: row[0]), _ONCE)
    frozen = frozen_first_handlers(connection, [claim.case_key for claim in claims])
    events: list[Event] = []
    for claim in claims:
        holder = frozen[claim.case_key]
        if not _contradicts(claim, holder):
            continue
        row = (claim.case_key, codec.encode([claim.unit, claim.official]), at)
        if insert_rows(connection, first_handler_conflicts, ("case_key", "claim", "recorded_at"), [row], _ONCE):
            body = {
                "what": "first_handler",
                "frozen_unit": holder.unit,
                "frozen_official": holder.official,
                "claimed_unit": claim.unit,
                "claimed_official": claim.official,
            }
            events.append(Event(claim.case_key, "conflict", now, body))
    return events


def _contradicts(claim: FirstHandler, holder: FirstHandler) -> bool:
    """Whether the source names somebody else; saying nothing about the unit or the official is no contradiction."""
    return claim.unit not in {None, holder.unit} or claim.official not in {None, holder.official}


_ONCE = "ON CONFLICT DO NOTHING"


def save_directory(connection: sa.Connection, people: Directory, now: datetime) -> None:
    """Remember everybody."""
    overwrite = "ON CONFLICT (id) DO UPDATE SET people = excluded.people, read_at = excluded.read_at"
    row = (1, codec.encode_directory(people), micros(now))
    insert_rows(connection, directory, ("id", "people", "read_at"), [row], overwrite)
    responsibility.keep_directory(connection, people, now)


def saved_directory(connection: sa.Connection) -> tuple[Directory, datetime] | None:
    """The last directory saved and when it was read."""
    row = next(iter(fetch(connection, sa.select(directory.c.people, directory.c.read_at))), None)
    return None if row is None else (codec.decode_directory(row.people), instant(row.read_at))


def directory_read_at(connection: sa.Connection) -> datetime | None:
    """When the last directory saved was read."""
    return maybe_instant(connection.execute(sa.select(directory.c.read_at)).scalar())


def set_aside(connection: sa.Connection, rows: Sequence[SetAside], entity: str) -> None:
    """Replace the list of one entity."""
    connection.execute(sa.delete(rows_set_aside).where(rows_set_aside.c.entity == entity))
    written = [(entity, row.row, row.reason, micros(row.at)) for row in rows]
    insert_rows(connection, rows_set_aside, ("entity", "row_key", "reason", "at"), written)


def all_set_aside(connection: sa.Connection) -> list[SetAside]:
    """All rows that could not be used."""
    found = fetch(connection, sa.select(rows_set_aside).order_by(rows_set_aside.c.entity, rows_set_aside.c.id))
    return [SetAside(row.entity, row.row_key, row.reason, instant(row.at)) for row in found]


def recount(connection: sa.Connection, now: datetime, *, provisional_only: bool) -> int:
    """Ask for open obligations to be looked at now; a decision being worked out on one is refused."""
    wanted = sa.update(obligations).where(obligations.c.state == "open")
    if provisional_only:
        wanted = wanted.where(obligations.c.provisional.is_(True))
    values = {"next_check_at": micros(now), "revision": obligations.c.revision + 1, "claimed_by": None}
    return connection.execute(wanted.values(values)).rowcount
