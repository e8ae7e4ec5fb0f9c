"""Who goes first: lanes, and persons in a flood. The same on SQLite and PostgreSQL."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.store import Store, claims, digests
from daemon.store.claims import FLOODED, WINDOW
from daemon.store.codec import micros
from daemon.store.lanes import Lane, lanes_from
from daemon.store.values import DeliveryResult, DeliveryState
from support.store_values import DAY, NOW, notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.model import Notice

LATER = NOW + timedelta(hours=1)  # what may go together waits a few minutes for company
ORANGE: dict[str, Any] = {"facts": {"light": "orange"}}
RED: dict[str, Any] = {"facts": {"light": "red"}}


def fill(store: Store, *notices: Notice) -> int:
    """Put these notices into the outbox; returns a worker's epoch."""
    store.add_notices(None, notices, [], "v1", NOW)
    return store.open_worker("node-a", 1, NOW)


def claimed(store: Store, epoch: int, limit: int, **more: Any) -> list[str]:
    """The keys of the next claim."""
    return [one.notice.key for one in store.record(epoch, (), LATER, limit, ["sms"], **more)]


def test_what_cannot_wait_goes_first(store: Store) -> None:
    """A last warning, what is overdue, a reminder, a copy: in this order, whatever was decided first."""
    epoch = fill(
        store,
        notice("a", copy=True),
        notice("b"),
        notice("c", **RED),
        notice("d", **ORANGE),
        notice("e", copy=True, **ORANGE),
    )
    assert claimed(store, epoch, 3) == ["d", "c", "b"]
    assert claimed(store, epoch, 3) == ["a", "e"]


def test_a_claim_that_begins_below_leaves_the_rest_in_order(store: Store) -> None:
    """Every tenth claim begins in another lane, and what is left of it goes to the highest."""
    epoch = fill(store, notice("a", copy=True), notice("b"), notice("c", **RED), notice("d", **ORANGE))
    below = next(lanes_from(number) for number in count() if lanes_from(number)[0] is Lane.LATER)
    assert claimed(store, epoch, 2, lanes=below) == ["a", "d"]


def test_a_flood_for_one_person_delays_nobody_else(store: Store) -> None:
    """Behind 5,000 last warnings for one person that of another goes in the first batch, those of ten more too."""
    flood = [notice(f"f{number:04}", person="flooded", **ORANGE) for number in range(5000)]
    others = [notice(f"z{number}", person=f"other-{number}", **ORANGE) for number in range(11)]
    epoch = fill(store, *flood, *others)
    first = claimed(store, epoch, 64)
    assert {key for key in first if key.startswith("z")} == {one.key for one in others}
    assert [key for key in first if key.startswith("f")] == [f"f{number:04}" for number in range(53)]
    assert claimed(store, epoch, 64) == [f"f{number:04}" for number in range(53, 117)]


def test_several_floods_take_turns(store: Store) -> None:
    """Three persons with 200 each: everybody's first, then everybody's second, the oldest first."""
    keys = [f"{person}{number:03}" for person in "abc" for number in range(200)]
    epoch = fill(store, *(notice(key, person=key[0]) for key in keys))
    assert sorted(claimed(store, epoch, 7)) == ["a000", "a001", "a002", "b000", "b001", "c000", "c001"]


def test_a_digest_stays_whole_beside_a_flood(store: Store) -> None:
    """What may go into one message is claimed together, though its person stands behind a flood of copies."""
    flood = [notice(f"f{number:03}", person="flooded", copy=True) for number in range(300)]
    digest = [notice(f"d{number:03}", person="gathered", digest=True, hold_until=NOW) for number in range(30)]
    epoch = fill(store, *flood, *digest)
    first = claimed(store, epoch, 8)
    assert {key for key in first if key.startswith("d")} == {one.key for one in digest}
    assert "f000" in first


def test_what_waits_for_later_is_not_looked_at(store: Store) -> None:
    """In a flood with as many held until tomorrow, no claim reads one of those: the plan says the index's range."""
    fill(store, *(notice(f"f{number:03}", hold_until=NOW + DAY if number % 2 else None) for number in range(600)))
    found: list[str] = []
    with store._database.writing() as connection:
        connection.exec_driver_sql("ANALYZE")
        digests.one_at_a_time(connection, ["sms"])
        sa.event.listen(connection, "before_cursor_execute", lambda _c, _k, sql, values, *_: ran.append((sql, values)))
        for statement, more in ((claims.NEXT_IN_LANE, {"window": 9}), (claims.TURNS, {"room": 9})):
            ran: list[tuple[str, Any]] = []
            connection.execute(statement, {"channel": "sms", "lane": 2, "now": micros(NOW), **more})
            explain = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
            plan = connection.exec_driver_sql(f"{explain} {ran[0][0]}", ran[0][1]).all()
            found.append("\n".join(" ".join(map(str, row)) for row in plan))
    for text in found:
        assert "ix_deliveries_waiting_in_lane" in text
        assert "not_before_at<" in text.replace(" ", "")


# --- whatever waits ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_store() -> Iterator[Store]:
    """A store of its own: each example uses another channel in it."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'duban.sqlite'}"
        Store.migrate(url)
        opened = Store(url)
        yield opened
        opened.close()


NUMBERS = count()
queues = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 40)), min_size=1, max_size=12)


@settings(max_examples=60)
@given(queue=queues, limit=st.integers(1, 40))
def test_every_claim_is_fair(one_store: Store, queue: list[tuple[str, int]], limit: int) -> None:
    """Whoever has notices waiting, everything is claimed once, and nobody waits for another's flood.

    Either nobody has much of what comes next, and the oldest go; or nobody gets another turn before everybody has had
    as many.
    """
    channel = f"sms{next(NUMBERS)}"
    persons = [person for person, many in queue for _ in range(many)]
    notices = [notice(f"{channel}/{place:04}", person=person, channel=channel) for place, person in enumerate(persons)]
    epoch = fill(one_store, *notices)
    waiting = {one.key: one.person for one in notices}
    while waiting:
        batch = one_store.record(epoch, (), NOW, limit, [channel])
        one_store.record(epoch, [DeliveryResult(one, DeliveryState.ACCEPTED, NOW) for one in batch], NOW)
        keys = [one.notice.key for one in batch]
        assert len(keys) == min(limit, len(waiting))
        near = list(waiting)[: max(limit, WINDOW)]
        if len(near) <= limit or max(Counter(map(waiting.__getitem__, near)).values()) * FLOODED <= len(near):
            assert keys == list(waiting)[:limit]
        else:
            turns = Counter(waiting[key] for key in keys)
            for person, left in (Counter(waiting.values()) - turns).items():
                assert left == 0 or turns[person] >= max(turns.values()) - 1
        for person in set(waiting.values()):  # everybody's own in their order
            mine = [key for key in waiting if waiting[key] == person]
            taken = [key for key in keys if waiting[key] == person]
            assert taken == mine[: len(taken)]
        for key in keys:
            del waiting[key]
