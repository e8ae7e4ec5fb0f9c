"""The ledger (责任台账): one hash chain per case, sealed at intervals.

A row's hash is SHA-256 over the canonical JSON of its case, number, instant, kind, actor, body and the hash before it;
the first row of a case follows the empty string. `heads` remembers the last row of each case, so that nodes wait for
each other only over the same case, and so that a chain cut off at its end shows. A seal is the root of a Merkle tree
(RFC 9162 §2.1.1) over the hashes of all rows since the seal before, in the order of their ids, chained to that seal.
Who rewrites rows and heads alike must also rewrite every later seal, and those have gone out with bulletins.
"""

from __future__ import annotations

import hashlib
import json
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.store import codec
from daemon.store.bulk import fetch, insert_rows, is_postgresql, locked_rows
from daemon.store.codec import instant, micros
from daemon.store.tables import heads, seals
from daemon.store.tables import ledger as rows
from daemon.store.values import LedgerFault, LedgerRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from daemon.store.values import Event

_COLUMNS = ("case_key", "seq", "at", "kind", "actor", "body", "previous", "hash")
_PAGE = 5_000

_quoted = json.JSONEncoder(ensure_ascii=False).encode


def row_hash(case_key: str, seq: int, at: int, kind: str, actor: str, body: str, previous: str) -> str:
    """The hash of one row; `body` is its canonical JSON, `at` in microseconds."""
    text = (
        f'{{"actor":{_quoted(actor)},"at":{at},"body":{body},"case":{_quoted(case_key)},"kind":{_quoted(kind)},'
        f'"previous":"{previous}","seq":{seq}}}'
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def append(connection: sa.Connection, events: Sequence[Event]) -> None:
    """Append to the chains of their cases, in the order given."""
    if not events:
        return
    ends = _lock_heads(connection, {event.case_key for event in events})
    written: list[tuple[Any, ...]] = []
    for event in events:
        seq, previous = ends[event.case_key]
        at, body = micros(event.at), codec.encode(event.body)
        digest = row_hash(event.case_key, seq + 1, at, event.kind, event.actor, body, previous)
        ends[event.case_key] = (seq + 1, digest)
        written.append((event.case_key, seq + 1, at, event.kind, event.actor, body, previous, digest))
    insert_rows(connection, rows, _COLUMNS, written)
    insert_rows(
        connection,
        heads,
        ("case_key", "seq", "hash"),
        [(key, seq, digest) for key, (seq, digest) in sorted(ends.items())],
        "ON CONFLICT (case_key) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
    )


def _lock_heads(connection: sa.Connection, keys: Collection[str]) -> dict[str, tuple[int, str]]:
    """Where each chain ends. On PostgreSQL the heads are locked, always in key order: no deadlock, no lost row."""
    ends: dict[str, tuple[int, str]] = dict.fromkeys(keys, (0, ""))
    if is_postgresql(connection):
        fresh = [(key, 0, "") for key in sorted(keys)]
        insert_rows(connection, heads, ("case_key", "seq", "hash"), fresh, "ON CONFLICT DO NOTHING")
    for key, seq, digest in locked_rows(connection, heads, ("case_key", "seq", "hash"), "case_key", keys):
        ends[key] = (seq, digest)
    return ends


def story(connection: sa.Connection, case_key: str) -> list[LedgerRow]:
    """One case's rows, in order."""
    return [
        LedgerRow(
            id=row.id,
            case_key=row.case_key,
            seq=row.seq,
            at=instant(row.at),
            kind=row.kind,
            actor=row.actor,
            body=codec.decode(row.body),
            previous=row.previous,
            hash=row.hash,
        )
        for row in fetch(connection, sa.select(rows).where(rows.c.case_key == case_key).order_by(rows.c.seq))
    ]


# --- seals --------------------------------------------------------------------------------------------------


class MerkleTree:
    """The root of a Merkle tree over leaves that come one by one; keeps one hash per level only."""

    def __init__(self) -> None:
        self._levels: list[tuple[int, bytes]] = []  # (height, hash), heights falling
        self.leaves = 0

    def add(self, leaf: str) -> None:
        """Add the next leaf, a row's hash in hexadecimal."""
        height, node = 0, hashlib.sha256(b"\x00" + leaf.encode("utf-8", "replace")).digest()
        while self._levels and self._levels[-1][0] == height:
            node = hashlib.sha256(b"\x01" + self._levels.pop()[1] + node).digest()
            height += 1
        self._levels.append((height, node))
        self.leaves += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._levels:
            return hashlib.sha256(b"").digest()
        node = self._levels[-1][1]
        for _, left in reversed(self._levels[:-1]):
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node


def _seal_root(previous: str, at: int, last_id: int, tree: MerkleTree) -> str:
    text = (
        f'{{"at":{at},"last_id":{last_id},"previous":"{previous}","root":"{tree.root().hex()}","rows":{tree.leaves}}}'
    )
    return hashlib.sha256(text.encode()).hexdigest()


def seal(connection: sa.Connection, now: datetime) -> str | None:
    """Seal all rows since the last seal. On PostgreSQL the table is locked against writers, so that ids are settled."""
    if is_postgresql(connection):
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("LOCK TABLE seals IN EXCLUSIVE MODE")
        connection.exec_driver_sql("LOCK TABLE ledger IN SHARE MODE")
    last = next(iter(fetch(connection, sa.select(seals).order_by(seals.c.id.desc()).limit(1))), None)
    previous, sealed_until = (last.root, last.last_id) if last is not None else ("", 0)
    tree, last_id = MerkleTree(), sealed_until
    for identity, digest in _hashes(connection, sealed_until):
        tree.add(digest)
        last_id = identity
    if tree.leaves == 0:
        return None
    at = micros(now)
    root = _seal_root(previous, at, last_id, tree)
    connection.execute(
        sa.insert(seals).values(at=at, last_id=last_id, row_count=tree.leaves, previous=previous, root=root)
    )
    return root


def _hashes(connection: sa.Connection, after: int) -> Iterator[tuple[int, str]]:
    """(id, hash) of all rows after that id, by id, page by page."""
    page = sa.select(rows.c.id, rows.c.hash).where(rows.c.id > sa.bindparam("after")).order_by(rows.c.id).limit(_PAGE)
    while True:
        found = fetch(connection, page, {"after": after})
        yield from ((row.id, row.hash) for row in found)
        if len(found) < _PAGE:
            return
        after = found[-1].id


# --- verification -------------------------------------------------------------------------------------------


def verify(connection: sa.Connection) -> Iterator[LedgerFault]:
    """The first fault of every case, then every seal that does not hold. One pass each, constant memory."""
    for case_key, chain in groupby(_chained_rows(connection), key=lambda row: row.case_key):
        fault = _first_fault(case_key, chain)
        if fault is not None:
            yield fault
    yield from _vanished_chains(connection)
    yield from _broken_seals(connection)


def _chained_rows(connection: sa.Connection) -> Iterator[Any]:
    """All rows by case and number, each with the end of its chain as `heads` remembers it; page by page."""
    query = sa.select(
        *(rows.c[name] for name in ("id", *_COLUMNS)), heads.c.seq.label("end_seq"), heads.c.hash.label("end_hash")
    ).select_from(rows.outerjoin(heads, rows.c.case_key == heads.c.case_key))
    query = query.order_by(rows.c.case_key, rows.c.seq, rows.c.id).limit(_PAGE)
    place = sa.tuple_(rows.c.case_key, rows.c.seq, rows.c.id)
    after: tuple[str, int, int] | None = None
    while True:
        page = fetch(connection, query if after is None else query.where(place > after))
        yield from page
        if len(page) < _PAGE:
            return
        after = (page[-1].case_key, page[-1].seq, page[-1].id)


def _first_fault(case_key: str, chain: Iterable[Any]) -> LedgerFault | None:
    expected, previous, row = 1, "", None
    for row in chain:
        what = _fault_of(row, expected, previous)
        if what is not None:
            return LedgerFault(case_key, *what)
        expected, previous = expected + 1, row.hash
    if row is None or row.end_seq is None:
        return LedgerFault(case_key, 1, "inserted")
    if row.end_seq >= expected:
        return LedgerFault(case_key, expected, "removed")
    if row.end_hash != previous:
        return LedgerFault(case_key, expected - 1, "changed")
    return None


def _fault_of(row: Any, expected: int, previous: str) -> tuple[int, str] | None:  # noqa: ANN401 - a row
    """What is wrong at this row, if anything: the number and the word."""
    if row.seq > expected:
        return expected, "removed"
    if row.seq < expected or (row.end_seq is not None and row.seq > row.end_seq):
        return row.seq, "inserted"
    if not _holds(row, row.seq):
        return _renumbered(row) or (row.seq, "changed")
    if row.previous != previous:
        # This row is whole, so the one before it was rewritten together with its hash.
        return max(row.seq - 1, 1), "changed"
    return None


def _renumbered(row: Any) -> tuple[int, str] | None:  # noqa: ANN401 - a row
    """The row would be whole under its old number: something was put in before it, or taken out."""
    if _holds(row, row.seq - 1):
        return row.seq - 1, "inserted"
    if _holds(row, row.seq + 1):
        return row.seq, "removed"
    return None


def _holds(row: Any, seq: int) -> bool:  # noqa: ANN401 - a row
    return bool(row.hash == row_hash(row.case_key, seq, row.at, row.kind, row.actor, row.body, row.previous))


def _vanished_chains(connection: sa.Connection) -> Iterator[LedgerFault]:
    """Cases with a head and not one row."""
    missing = sa.select(heads.c.case_key).where(
        heads.c.seq > 0, ~sa.exists().where(rows.c.case_key == heads.c.case_key)
    )
    for (case_key,) in fetch(connection, missing.order_by(heads.c.case_key)):
        yield LedgerFault(case_key, 1, "removed")


def _broken_seals(connection: sa.Connection) -> Iterator[LedgerFault]:
    previous = ""
    leaves = _hashes(connection, 0)
    pending = next(leaves, None)
    for row in fetch(connection, sa.select(seals).order_by(seals.c.id)):
        tree = MerkleTree()
        while pending is not None and pending[0] <= row.last_id:
            tree.add(pending[1])
            pending = next(leaves, None)
        whole = row.root == _seal_root(previous, row.at, row.last_id, tree) and row.previous == previous
        if not whole:
            yield LedgerFault("", row.id, "seal")
        previous = row.root
