"""Versions of the policies: proposed, approved, in force from a moment on, retired; and which case runs by which.

What is in force follows from the rows alone, so that every node comes to the same answer: of the versions released
(approved or active) whose moment has come, the one whose moment is the latest.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.errors import ReleaseRefused
from daemon.store import codec, ledger
from daemon.store.bulk import among, fetch, insert_rows, is_postgresql, locked_rows
from daemon.store.codec import instant, maybe_instant, maybe_micros, micros
from daemon.store.sync import set_bookmark
from daemon.store.tables import bookmarks, cases, obligations, policy_versions
from daemon.store.values import Event
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

SHOWN = 12  # digits of a version that people see
_RECOUNT = "recount:"  # bookmarks that name cases to be counted again


class VersionState(StrEnum):
    """Where a version stands."""

    PROPOSED = "proposed"  # waits for a second person
    APPROVED = "approved"  # released; its moment may still lie ahead
    ACTIVE = "active"  # has been in force; still is, unless a later one took over
    RETIRED = "retired"  # withdrawn, or fallen back from


RELEASED = frozenset({VersionState.APPROVED, VersionState.ACTIVE})


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of the policies. `active_from_at` is its moment; None for one that was kept before there was any."""

    version: str
    state: VersionState
    since_at: datetime
    proposed_by: str | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    active_from_at: datetime | None = None
    note: str = ""

    @property
    def from_at(self) -> datetime:
        """From when on it counts, once released."""
        return self.active_from_at or self.since_at


def released_by(versions: Sequence[PolicyVersion], now: datetime) -> list[PolicyVersion]:
    """The versions that are or were in force, the present one first."""
    come = [one for one in versions if one.state in RELEASED and one.from_at <= now]
    return sorted(come, key=lambda one: (one.from_at, one.since_at, one.version), reverse=True)


def in_force(versions: Sequence[PolicyVersion], now: datetime) -> PolicyVersion | None:
    """The version in force at that instant, or None before the first."""
    return next(iter(released_by(versions, now)), None)


# --- reading ------------------------------------------------------------------------------------------------


def all_versions(connection: sa.Connection) -> list[PolicyVersion]:
    """All versions, the oldest first, without their files."""
    v = policy_versions.c
    columns = (
        v.version,
        v.state,
        v.since_at,
        v.proposed_by,
        v.approved_by,
        v.approved_at,
        v.active_from_at,
        v.note,
    )
    return [_version(row) for row in fetch(connection, sa.select(*columns).order_by(v.since_at, v.version))]


def _version(row: Any) -> PolicyVersion:  # noqa: ANN401 - a row
    return PolicyVersion(
        row.version,
        VersionState(row.state),
        instant(row.since_at),
        row.proposed_by,
        row.approved_by,
        maybe_instant(row.approved_at),
        maybe_instant(row.active_from_at),
        row.note,
    )


def files_of(connection: sa.Connection, version: str) -> dict[str, str] | None:
    """The text of each policy file of a version."""
    query = sa.select(policy_versions.c.files).where(policy_versions.c.version == version)
    found: str | None = connection.execute(query).scalar()
    return None if found is None else dict(codec.decode(found))


def _runs() -> sa.ColumnElement[bool]:
    """Whether a case is open, or a limit still runs though it is closed."""
    c, o = cases.c, obligations.c
    limit = sa.exists().where(o.case_key == c.key, o.state.in_(("open", "paused")))
    return sa.and_(c.gone.is_(False), sa.or_(c.open, limit))


def cases_by_version(connection: sa.Connection) -> dict[str | None, int]:
    """How many running cases are bound to each version; None: to none yet."""
    c = cases.c
    query = sa.select(c.policy_version, sa.func.count()).where(_runs()).group_by(c.policy_version)
    return dict(map(tuple, fetch(connection, query)))


def running_cases(
    connection: sa.Connection,
    after: str,
    limit: int,
    *,
    bound_to: str | None = None,
    other_than: str | None = None,
    policy: str | None = None,
) -> list[str]:
    """Keys of running cases, in order after `after`: of one version, of any but one, with a limit of one policy."""
    c, o = cases.c, obligations.c
    query = sa.select(c.key).where(c.key > after, _runs())
    if bound_to is not None:
        query = query.where(c.policy_version == bound_to)
    if other_than is not None:
        query = query.where(sa.or_(c.policy_version.is_(None), c.policy_version != other_than))
    if policy is not None:
        query = query.where(sa.exists().where(o.case_key == c.key, o.policy == policy))
    return [row.key for row in fetch(connection, query.order_by(c.key).limit(limit))]


# --- the release protocol -----------------------------------------------------------------------------------


def propose(
    connection: sa.Connection,
    version: str,
    files: Mapping[str, str],
    by: str,
    now: datetime,
    *,
    from_at: datetime | None = None,
    note: str = "",
) -> None:
    """Put a version forward. One that was proposed or retired may be proposed again; one released may not."""
    known = _one(connection, version)
    if known is not None and known.state in RELEASED:
        raise ReleaseRefused(
            Text(
                f"策略版本 {version[:SHOWN]} 已经发布过，不必再提出；要重新启用，请用 duban policy activate。",
                f"policy version {version[:SHOWN]} was released already; use duban policy activate to bring it back",
            )
        )
    row = {
        "state": VersionState.PROPOSED.value,
        "proposed_by": by,
        "approved_by": None,
        "approved_at": None,
        "active_from_at": maybe_micros(from_at),
        "note": note,
    }
    if known is None:
        columns = ("version", "files", "since_at", *row)
        values = (version, codec.encode(dict(files)), micros(now), *row.values())
        insert_rows(connection, policy_versions, columns, [values], "ON CONFLICT DO NOTHING")
    else:
        _update(connection, version, row)
    _tell(connection, "policy_proposed", version, by, now, note=note, from_at=from_at)


def approve(connection: sa.Connection, version: str, by: str, now: datetime) -> PolicyVersion:
    """A second person agrees: it is in force from its moment on, or from now.

    Raises:
        ReleaseRefused: it is not waiting for approval, or the approver is who proposed it.
    """
    known = _known(connection, version)
    if known.state is not VersionState.PROPOSED:
        raise ReleaseRefused(
            Text(
                f"策略版本 {version[:SHOWN]} 不在待核准状态。",
                f"policy version {version[:SHOWN]} does not wait for approval",
            )
        )
    if same_person(by, known.proposed_by):
        raise ReleaseRefused(
            Text(
                f"策略版本 {version[:SHOWN]} 由 {known.proposed_by} 提出，须由另一人核准。",
                f"policy version {version[:SHOWN]} was proposed by {known.proposed_by}: somebody else must approve it",
            )
        )
    from_at = max(known.active_from_at or now, now)
    values = {"state": VersionState.APPROVED.value, "approved_by": by, "approved_at": micros(now)}
    _update(connection, version, values | {"active_from_at": micros(from_at)})
    _tell(connection, "policy_approved", version, by, now, from_at=from_at)
    return _known(connection, version)


def same_person(one: str, other: str | None) -> bool:
    """Whether two names as written are the same person's."""
    return other is not None and "".join(one.split()).casefold() == "".join(other.split()).casefold()


def activate(
    connection: sa.Connection, version: str, by: str, now: datetime, *, from_at: datetime | None = None, note: str = ""
) -> PolicyVersion:
    """Put a version in force from a moment on (now if none is given), whatever its state was.

    Raises:
        ReleaseRefused: there is no such version, or it is in force already and would leave until that moment.
    """
    known = _known(connection, version)
    moment = max(from_at or now, now)
    present = in_force(all_versions(connection), now)
    if moment > now and present is not None and present.version == version:
        raise ReleaseRefused(
            Text(
                f"策略版本 {version[:SHOWN]} 正在生效，不能改为以后生效。",
                f"policy version {version[:SHOWN]} is in force now: it cannot be put off until later",
            )
        )
    state = VersionState.ACTIVE if moment <= now else VersionState.APPROVED
    _update(
        connection,
        version,
        {"state": state.value, "active_from_at": micros(moment), "note": note or known.note},
    )
    _tell(connection, "policy_activated", version, by, now, from_at=moment, note=note)
    return _known(connection, version)


def release(
    connection: sa.Connection, version: str, files: Mapping[str, str], by: str, now: datetime, note: str = ""
) -> None:
    """Put a version in force now that nobody need approve, in one piece: it is never left half way.

    Nodes that take the same files at the same instant come one after the other: the first does it, the rest see that.
    """
    if is_postgresql(connection):  # SQLite has one writer anyway
        connection.execute(_ONE_AT_A_TIME)
    present = in_force(all_versions(connection), now)
    if present is not None and present.version == version:
        return
    if _one(connection, version) is None:
        propose(connection, version, files, by, now, note=note)
    activate(connection, version, by, now, note=note)


_ONE_AT_A_TIME = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('duban releases policies', 0))")


def take_over(connection: sa.Connection, version: str, now: datetime) -> None:
    """Note that an approved version's moment has come; once, whichever node sees it first."""
    v = policy_versions.c
    come = sa.update(policy_versions).where(v.version == version, v.state == VersionState.APPROVED.value)
    if connection.execute(come.values(state=VersionState.ACTIVE.value)).rowcount:
        _tell(connection, "policy_in_force", version, "duban", now)


def retire(connection: sa.Connection, version: str, by: str, now: datetime, note: str = "") -> bool:
    """Withdraw a version; the one before is in force again. Returns whether it was not withdrawn already.

    Raises:
        ReleaseRefused: no other version could be in force then.
    """
    known = _known(connection, version)
    if known.state is VersionState.RETIRED:
        return False
    versions = all_versions(connection)
    others = [one for one in versions if one.version != version]
    present = in_force(versions, now)
    if present is not None and present.version == version and in_force(others, now) is None:
        raise ReleaseRefused(
            Text(
                f"策略版本 {version[:SHOWN]} 是唯一发布过的版本，不能撤回。",
                f"policy version {version[:SHOWN]} is the only one ever released: it cannot be withdrawn",
            )
        )
    _update(connection, version, {"state": VersionState.RETIRED.value, "note": note or known.note})
    _tell(connection, "policy_retired", version, by, now, note=note)
    return True


# --- cases --------------------------------------------------------------------------------------------------


def bind(connection: sa.Connection, keys: Collection[str], version: str, by: str, now: datetime, why: str) -> int:
    """Let these cases run by that version, and ask for them to be counted again; returns how many that moved."""
    before = {
        row.key: row.policy_version
        for row in locked_rows(connection, cases, ("key", "policy_version"), "key", keys)
        if row.policy_version != version
    }
    if not before:
        return 0
    moved = sorted(before)
    connection.execute(sa.update(cases).where(among(connection, cases.c.key, moved)).values(policy_version=version))
    bodies = {key: {"from": old, "to": version, "why": why} for key, old in before.items()}
    ledger.append(connection, [Event(key, "migrated", now, bodies[key], by) for key in moved])
    set_bookmark(connection, f"{_RECOUNT}{micros(now)}:{version[:SHOWN]}:{moved[0]}", codec.encode(moved))
    return len(moved)


def bind_unbound(connection: sa.Connection, version: str) -> int:
    """Cases taken over before versions were kept run by that one. They are not counted again: it is the same."""
    loose = sa.update(cases).where(cases.c.policy_version.is_(None))
    return connection.execute(loose.values(policy_version=version)).rowcount


def recount_wanted(connection: sa.Connection) -> tuple[str, list[str]] | None:
    """The name of a wish, and the cases to be counted again; None when nothing is wanted."""
    b = bookmarks.c
    query = sa.select(b.name, b.value).where(b.name >= _RECOUNT, b.name < _RECOUNT[:-1] + ";")
    row = next(iter(fetch(connection, query.order_by(b.name).limit(1))), None)
    return None if row is None else (row.name, list(codec.decode(row.value)))


def forget(connection: sa.Connection, name: str) -> None:
    """Remove a bookmark: what it asked for is done."""
    connection.execute(sa.delete(bookmarks).where(bookmarks.c.name == name))


# --- rows ---------------------------------------------------------------------------------------------------


def _one(connection: sa.Connection, version: str) -> PolicyVersion | None:
    return next((one for one in all_versions(connection) if one.version == version), None)


def _known(connection: sa.Connection, version: str) -> PolicyVersion:
    found = _one(connection, version)
    if found is None:
        raise ReleaseRefused(Text(f"没有策略版本 {version[:SHOWN]}。", f"there is no policy version {version[:SHOWN]}"))
    return found


def _update(connection: sa.Connection, version: str, values: Mapping[str, object]) -> None:
    connection.execute(sa.update(policy_versions).where(policy_versions.c.version == version).values(dict(values)))


def _tell(
    connection: sa.Connection,
    kind: str,
    version: str,
    by: str,
    now: datetime,
    *,
    note: str = "",
    from_at: datetime | None = None,
) -> None:
    body = {"version": version, "note": note, "from_at": from_at.isoformat() if from_at else None}
    ledger.append(connection, [Event("", kind, now, body, by)])
