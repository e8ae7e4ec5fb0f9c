"""The ledger: whatever is changed, removed or inserted is named. The same on SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from daemon.store import Store
from daemon.store.ledger import MerkleTree, row_hash
from daemon.store.values import Event
from support.store_values import DAY, NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

CASES = ("a", "b", "c")


def written(store: Store, rounds: int = 5) -> None:
    """Three chains, interleaved."""
    for index in range(rounds):
        store.append([Event(key, "decided", NOW, {"步": index, "say": "𠮷"}) for key in CASES])


def tamper(url: str, *statements: str) -> None:
    """What somebody with all rights does to the database by hand."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    postgresql = url.startswith("postgresql")
    with engine.begin() as connection:
        if postgresql:
            connection.exec_driver_sql("DROP TRIGGER ledger_refuses_change ON ledger")
        else:
            connection.exec_driver_sql("DROP TRIGGER ledger_refuses_update")
            connection.exec_driver_sql("DROP TRIGGER ledger_refuses_delete")
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def faults(store: Store) -> list[tuple[str, int, str]]:
    """What verification finds."""
    return [(fault.case_key, fault.seq, fault.what) for fault in store.verify()]


def test_a_whole_ledger_is_whole(store: Store) -> None:
    """Nothing is found in chains and seals nobody touched, and each row tells what it was given."""
    assert faults(store) == []
    assert store.seal(NOW) is None
    written(store)
    first = store.seal(NOW)
    assert store.seal(NOW) is None
    written(store, 2)
    assert store.seal(NOW + DAY) not in (None, first)
    written(store, 1)
    assert faults(store) == []
    story = store.ledger("b")
    assert [row.seq for row in story] == list(range(1, 9))
    assert all(row.previous == before.hash for before, row in pairwise(story))
    assert story[0].body == {"步": 0, "say": "𠮷"}


_SHIFT_UP = (
    "UPDATE ledger SET seq = -seq - 1 WHERE case_key = 'b' AND seq >= 3; UPDATE ledger SET seq = -seq WHERE seq < 0"
)
_COPY = (
    "INSERT INTO ledger (case_key, seq, at, kind, actor, body, previous, hash) "
    "SELECT case_key, {seq}, at, kind, actor, body, hash, 'made up' FROM ledger WHERE case_key = 'b' AND seq = {of}"
)


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (["UPDATE ledger SET body = '{}' WHERE case_key = 'b' AND seq = 3"], ("b", 3, "changed")),
        (["UPDATE ledger SET at = at - 1 WHERE case_key = 'b' AND seq = 1"], ("b", 1, "changed")),
        (["UPDATE ledger SET actor = 'me' WHERE case_key = 'b' AND seq = 5"], ("b", 5, "changed")),
        (["UPDATE ledger SET hash = 'x' WHERE case_key = 'b' AND seq = 2"], ("b", 2, "changed")),
        (["DELETE FROM ledger WHERE case_key = 'b' AND seq = 1"], ("b", 1, "removed")),
        (["DELETE FROM ledger WHERE case_key = 'b' AND seq = 3"], ("b", 3, "removed")),
        (["DELETE FROM ledger WHERE case_key = 'b' AND seq >= 4"], ("b", 4, "removed")),
        (["DELETE FROM ledger WHERE case_key = 'b'"], ("b", 1, "removed")),
        (
            [
                "DELETE FROM ledger WHERE case_key = 'b' AND seq = 3",
                "UPDATE ledger SET seq = seq - 1 WHERE case_key = 'b' AND seq = 4",
                "UPDATE ledger SET seq = seq - 1 WHERE case_key = 'b' AND seq = 5",
            ],
            ("b", 3, "removed"),
        ),
        ([_COPY.format(seq=6, of=5)], ("b", 6, "inserted")),
        (["DELETE FROM heads WHERE case_key = 'b'"], ("b", 1, "inserted")),
    ],
)
def test_tampering_is_named(
    store: Store, store_url: str, statements: Sequence[str], fault: tuple[str, int, str]
) -> None:
    """Verification names the first row changed, removed or inserted, and blames no other case."""
    written(store)
    tamper(store_url, *statements)
    assert faults(store) == [fault]


def test_a_row_put_between_is_named(store: Store, store_url: str) -> None:
    """A row inserted in the middle, with those after it renumbered, is named where it stands."""
    written(store)
    story = store.ledger("b")
    forged = row_hash("b", 3, 1, "decided", "duban", "{}", story[1].hash)
    tamper(
        store_url,
        *_SHIFT_UP.split("; "),
        "INSERT INTO ledger (case_key, seq, at, kind, actor, body, previous, hash) "  # noqa: S608 - the forger's
        f"VALUES ('b', 3, 1, 'decided', 'duban', '{{}}', '{story[1].hash}', '{forged}')",
    )
    assert faults(store) == [("b", 3, "inserted")]


def test_a_row_rewritten_with_its_hash_is_named(store: Store, store_url: str) -> None:
    """Who rewrites a row and its hash is given away by the row after it."""
    written(store)
    second = store.ledger("b")[1]
    forged = row_hash("b", 2, 1, second.kind, second.actor, "{}", second.previous)
    tamper(store_url, f"UPDATE ledger SET at = 1, body = '{{}}', hash = '{forged}' WHERE case_key = 'b' AND seq = 2")  # noqa: S608
    assert faults(store) == [("b", 2, "changed")]


def test_rewriting_rows_and_head_breaks_the_seal(store: Store, store_url: str) -> None:
    """Cutting a chain's end together with its head leaves the chain whole and the seal broken."""
    written(store)
    store.seal(NOW)
    written(store, 1)
    store.seal(NOW + DAY)
    fourth = store.ledger("b")[3]
    tamper(
        store_url,
        "DELETE FROM ledger WHERE case_key = 'b' AND seq >= 5",
        f"UPDATE heads SET seq = 4, hash = '{fourth.hash}' WHERE case_key = 'b'",  # noqa: S608
    )
    assert faults(store) == [("", 1, "seal"), ("", 2, "seal")]


def test_the_ledger_refuses_update_and_delete(store: Store) -> None:
    """Even our own connection cannot change or delete a row."""
    written(store, 1)
    for statement in ("UPDATE ledger SET kind = 'x'", "DELETE FROM ledger"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), store._database.writing() as connection:
            connection.exec_driver_sql(statement)
    assert faults(store) == []


def test_appending_at_once_keeps_every_chain_whole(store: Store, store_url: str) -> None:
    """Threads on two stores that append to the same cases in different orders lose and fork nothing."""
    other = Store(store_url)

    def append(index: int) -> None:
        place, order = (store, CASES) if index % 2 else (other, CASES[::-1])
        for turn in range(10):
            place.append([Event(key, "decided", NOW, {"thread": index, "turn": turn}) for key in order])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    sealed = other.seal(NOW)
    other.close()
    assert sealed is not None
    assert [len(store.ledger(key)) for key in CASES] == [40, 40, 40]
    assert faults(store) == []


@pytest.mark.parametrize("leaves", [1, 2, 3, 7, 8])
def test_the_merkle_root_is_that_of_rfc_9162(leaves: int) -> None:
    """The streaming tree has the same root as the recursive definition in RFC 9162 §2.1.1."""

    def root(hashes: list[bytes]) -> bytes:
        if len(hashes) == 1:
            return hashlib.sha256(b"\x00" + hashes[0]).digest()
        split = 1 << ((len(hashes) - 1).bit_length() - 1)
        return hashlib.sha256(b"\x01" + root(hashes[:split]) + root(hashes[split:])).digest()

    names = [f"{index:064x}" for index in range(leaves)]
    tree = MerkleTree()
    for name in names:
        tree.add(name)
    assert tree.root() == root([name.encode() for name in names])
