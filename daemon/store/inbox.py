"""The inbox (收件箱): receipts and replies as providers told them, kept from that moment until they are taken over.

No address and no words of a person are here: a reply has the key of the official whose address it came from, and what
was understood of it. Told twice is kept once; of a reply that was taken over the provider's own id stays for a while,
so that telling it once more is known for what it is. Of a receipt nothing stays: taking it over twice changes nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.replies import Command, Understood
from daemon.store import codec
from daemon.store.bulk import among, fetch, insert_rows, is_postgresql, update_rows
from daemon.store.codec import instant, maybe_instant, maybe_micros, micros
from daemon.store.tables import inbox
from daemon.store.values import Came, Incoming, ReceiptTold, Reply

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

HELD_FOR = timedelta(minutes=2)
REMEMBERED = timedelta(days=7)  # how long a reply that was taken over is known again; providers call for a day or two

_RECEIPT, _REPLY = "receipt", "reply"
_FIELDS = ("channel", "kind", "ours", "theirs", "person", "body", "heard_at", "next_try_at", "told_as")
_COLUMNS = [inbox.c[name] for name in ("id", *_FIELDS, "tries")]
_DUE = (
    sa.select(inbox.c.id)
    .where(inbox.c.next_try_at.is_not(None), inbox.c.next_try_at <= sa.bindparam("now"))
    .order_by(inbox.c.next_try_at, inbox.c.id)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_CLAIM = (
    sa.update(inbox)
    .where(inbox.c.id.in_(sa.select(_DUE.c.id)))
    .values(next_try_at=sa.bindparam("until"))
    .returning(*_COLUMNS)
)
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('duban hears', 0))")


def hear(connection: sa.Connection, channel: str, told: Sequence[ReceiptTold | Reply], now: datetime) -> int:
    """Keep what a channel told; what it told before is dropped. Returns how many are new.

    One node at a time: told the same in another order, two would wait for each other, and one's calls be refused.
    """
    if is_postgresql(connection):
        connection.execute(_LOCK)
    rows = [_row(channel, one, micros(now)) for one in told]
    return insert_rows(connection, inbox, _FIELDS, rows, "ON CONFLICT (channel, told_as) DO NOTHING")


def due(connection: sa.Connection, now: datetime, limit: int) -> list[Incoming]:
    """What is to be taken over now, the longest waiting first, in the order it was heard.

    Whoever asks has it for `HELD_FOR`, so that two nodes do not take over the same at once; whatever he then neither
    does nor puts off is due again, as after a crash.
    """
    held_until = micros(now + HELD_FOR)
    found = fetch(connection, _CLAIM, {"now": micros(now), "limit": limit, "until": held_until})
    return [_incoming(row) for row in sorted(found, key=lambda row: row.id)]


def done(connection: sa.Connection, ids: Collection[int]) -> None:
    """These are taken over: of a receipt nothing is kept, of a reply the provider's own id."""
    if not ids:
        return
    mine = among(connection, inbox.c.id, ids)
    known = sa.and_(inbox.c.kind == _REPLY, inbox.c.told_as.is_not(None))
    connection.execute(sa.delete(inbox).where(mine, sa.not_(known)))
    emptied = {"next_try_at": None, "body": "{}", "person": None, "ours": "", "theirs": ""}
    connection.execute(sa.update(inbox).where(mine).values(emptied))


def later(connection: sa.Connection, ids_at: Mapping[int, datetime]) -> None:
    """Look at these again at that moment."""
    rows = [(micros(at), identity) for identity, at in sorted(ids_at.items())]
    update_rows(connection, inbox, ("next_try_at", "id"), rows, "tries = tries + 1")


def forget(connection: sa.Connection, now: datetime) -> int:
    """Remove what only stayed to be known again, when no provider tells it any more; returns how many."""
    old = sa.delete(inbox).where(inbox.c.next_try_at.is_(None), inbox.c.heard_at < micros(now - REMEMBERED))
    return connection.execute(old).rowcount


def waiting(connection: sa.Connection) -> int:
    """How many wait to be taken over."""
    query = sa.select(sa.func.count()).select_from(inbox).where(inbox.c.next_try_at.is_not(None))
    return int(connection.execute(query).scalar_one())


def next_due_at(connection: sa.Connection) -> datetime | None:
    """The earliest moment anything is to be taken over."""
    return maybe_instant(connection.execute(sa.select(sa.func.min(inbox.c.next_try_at))).scalar())


def _row(channel: str, told: ReceiptTold | Reply, now: int) -> tuple[Any, ...]:
    body: dict[str, object]
    if isinstance(told, ReceiptTold):
        body = {"came": told.came.value, "code": told.code, "at": maybe_micros(told.at)}
        told_once = f"{_RECEIPT}/{told.came.value}/{told.ours}/{told.theirs}"
        return channel, _RECEIPT, told.ours, told.theirs, None, _encoded(body), now, now, told_once
    body = {
        "command": told.understood.command.value,
        "code": told.understood.code,
        "case": told.understood.case,
        "others": told.persons[1:],
        "over": told.channel if told.channel != channel else "",
        "at": maybe_micros(told.at),
    }
    told_as = f"{_REPLY}/{told.reference}" if told.reference else None
    return channel, _REPLY, told.about, told.reference, told.persons[0], _encoded(body), now, now, told_as


def _encoded(body: Mapping[str, object]) -> str:
    return codec.encode({name: value for name, value in body.items() if value})


def _incoming(row: Sequence[Any]) -> Incoming:
    identity, channel, kind, ours, theirs, person, body, heard_at, _next_try_at, _told_as, tries = row
    said: dict[str, Any] = codec.decode(body)
    at = maybe_instant(said.get("at"))
    told: ReceiptTold | Reply
    if kind == _RECEIPT:
        told = ReceiptTold(channel, Came(said["came"]), ours, theirs, said.get("code", ""), at)
    else:
        meant = Understood(Command(said["command"]), said.get("code", ""), said.get("case", ""))
        told = Reply(said.get("over", channel), (person, *said.get("others", ())), meant, ours, theirs, at)
    return Incoming(identity, told, instant(heard_at), tries)
