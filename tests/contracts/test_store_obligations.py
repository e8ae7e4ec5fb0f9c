"""What a sync writes and a tick claims. The same on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from daemon.store import claims, tick
from daemon.store.codec import micros
from daemon.store.values import Event, SetAside
from policies.model import Directory, FirstHandler, History, Light, ObligationState, OfficeUnit, Official, Post
from support.store_values import DAY, NOW, case_change, change, decision, notice, obligation, outbox

if TYPE_CHECKING:
    from daemon.store import Store

MINUTE = timedelta(minutes=1)
KEY = obligation().case_key


def test_an_obligation_comes_out_as_it_went_in(store: Store) -> None:
    """All facts of an obligation and its history survive the store."""
    full = replace(
        obligation(),
        instance="乙科",
        start_assumed=True,
        provisional=True,
        extended=True,
        done_at=NOW,
        platform_due_at=None,
    )
    history = History({"start": NOW - DAY, "due": NOW + timedelta(microseconds=1)}, Light.RED, NOW)
    store.save_cases([case_change(KEY, change(full, history=history, next_check_at=None, idle_reason="𠮷"))], NOW)
    ((held,),) = store.obligations_of([KEY]).values()
    assert (held.obligation, held.history, held.next_check_at, held.idle_reason) == (full, history, None, "𠮷")


def test_claims_what_is_due_earliest_first(store: Store) -> None:
    """Only open obligations whose moment has come are claimed, the longest due first, and nobody gets them again."""
    for name, at in (("a", NOW), ("b", NOW - DAY), ("c", NOW + MINUTE), ("d", None)):
        store.save_cases([case_change(name, change(obligation(name), next_check_at=at))], NOW)
    done = obligation("e", state=ObligationState.DONE)
    store.save_cases([case_change("e", change(done))], NOW)
    epoch = store.open_worker("node-a", 1, NOW)
    assert store.next_check_at() == NOW - DAY
    assert [one.obligation.case_key for one in store.claim_due(epoch, NOW, 10)] == ["b", "a"]
    assert store.claim_due(epoch, NOW, 10) == []
    assert store.next_check_at() == NOW + MINUTE


def test_concurrent_claims_share_the_work(store: Store) -> None:
    """Threads that claim at once get every due obligation exactly once."""
    store.save_cases([case_change(f"case {i}") for i in range(100)], NOW)
    epoch = store.open_worker("node-a", 1, NOW)

    def claim(_: int) -> list[int]:
        held: list[int] = []
        while claimed := store.claim_due(epoch, NOW, 9):
            held += [one.id for one in claimed]
        return held

    with ThreadPoolExecutor(4) as pool:
        claimed = [one for ids in pool.map(claim, range(4)) for one in ids]
    assert len(claimed) == len(set(claimed)) == 100


def test_the_dead_workers_obligations_are_given_back(store: Store) -> None:
    """What a silent worker had claimed is claimed by the next; a worker that kept its heartbeat is spared."""
    store.save_cases([case_change()], NOW)
    silent, alive = store.open_worker("a", 1, NOW), store.open_worker("b", 2, NOW)
    (held,) = store.claim_due(silent, NOW, 1)
    store.heartbeat(alive, NOW + MINUTE)
    assert store.bury_silent(NOW + MINUTE, MINUTE) == (1, 0)
    assert store.bury_silent(NOW + MINUTE, MINUTE) == (0, 0)
    assert [one.id for one in store.claim_due(alive, NOW, 1)] == [held.id]


def test_a_decision_gives_the_claim_back(store: Store) -> None:
    """After a decision the obligation is looked at again at its next moment, not before."""
    store.save_cases([case_change()], NOW)
    epoch = store.open_worker("a", 1, NOW)
    (held,) = store.claim_due(epoch, NOW, 1)
    assert store.save_decisions(epoch, [decision(held, notice("a"), notice("b"))], "v1", NOW) == 2
    assert store.claim_due(epoch, NOW + DAY - MINUTE, 1) == []
    assert store.claim_due(epoch, NOW + DAY, 1)[0].revision > held.revision


def test_a_decision_on_facts_that_moved_on_is_dropped(store: Store) -> None:
    """A sync between claim and decision wins: no notice, no event, and the obligation is looked at again."""
    store.save_cases([case_change()], NOW)
    epoch = store.open_worker("a", 1, NOW)
    (stale,) = store.claim_due(epoch, NOW, 1)
    store.save_cases([case_change(KEY, change(obligation(version=2)))], NOW)
    (fresh,) = store.claim_due(epoch, NOW, 1)
    assert store.save_decisions(epoch, [decision(stale, notice("old"))], "v1", NOW) == 0
    assert store.deliveries() == []
    assert store.ledger(KEY) == []
    assert store.save_decisions(epoch, [decision(fresh, notice("new"))], "v1", NOW) == 1
    assert store.obligations()[0].obligation.deadline_version == 2


def test_a_sync_does_not_forget_what_was_decided_meanwhile(store: Store) -> None:
    """A sync worked out from an older revision keeps the newer history; under a new deadline version it does not."""
    store.save_cases([case_change()], NOW)
    before = store.obligations()[0]
    epoch = store.open_worker("a", 1, NOW)
    (held,) = store.claim_due(epoch, NOW, 1)
    decided = replace(held, history=History({"due": NOW + DAY}, Light.RED))
    store.save_decisions(epoch, [decision(decided)], "v1", NOW)
    stale = change(history=before.history, revision=before.revision)
    store.save_cases([case_change(KEY, stale)], NOW)
    assert store.obligations()[0].history == decided.history
    moved = change(obligation(version=2), history=History(), revision=before.revision)
    store.save_cases([case_change(KEY, moved)], NOW)
    assert store.obligations()[0].history == History()


def test_recount(store: Store) -> None:
    """A recount looks at open obligations at once; only provisional ones if asked so."""
    later = {"next_check_at": NOW + DAY}
    changes = [change(obligation(limit=name), **later) for name in ("finish", "provisional")]
    store.save_cases([case_change(KEY, *changes)], NOW)
    assert store.recount(NOW, provisional_only=True) == 1
    epoch = store.open_worker("a", 1, NOW)
    assert [one.obligation.limit for one in store.claim_due(epoch, NOW, 5)] == ["provisional"]
    assert store.recount(NOW, provisional_only=False) == 2


def test_cases_and_fingerprints(store: Store) -> None:
    """Cases are paged in key order without those gone; the last facts are there for both kinds."""
    keys = ["b", "a", "案二", "案一", "c"]
    store.save_cases([case_change(key, fields={"n": index}) for index, key in enumerate(keys)], NOW)
    store.save_cases([case_change("c", gone=True)], NOW)
    first = store.fingerprints(limit=2)
    rest = store.fingerprints(after=first[-1][0])
    assert [key for key, _ in first + rest] == sorted(keys[:-1])
    assert rest[-1][1] == f"print of {rest[-1][0]}"
    assert store.cases(["案二", "c", "unknown"]).keys() == {"案二", "c"}
    assert store.cases(["案二"])["案二"].case.fields == {"n": 2}


def test_a_remark_of_ten_megabytes(store: Store) -> None:
    """A field of absurd size does not break a sync."""
    remark = "𠮷" * (10 * 1024 * 1024 // 4)
    store.save_cases([case_change(KEY, fields={"remark": remark})], NOW)
    assert store.cases([KEY])[KEY].case.fields["remark"] == remark


def test_the_first_handler_is_frozen(store: Store) -> None:
    """The first handler on record never changes; somebody else's claim is told once, the same claim not at all."""
    first = FirstHandler(KEY, "甲区", "official-1", NOW, "accepted_at")
    other = FirstHandler(KEY, "乙区", "official-2", NOW + DAY, "accepted_at")
    for claim in (first, first, other, other, None):
        store.save_cases([case_change(first_handler=claim)], NOW)
    assert store.cases([KEY])[KEY].first_handler == first
    (told,) = store.ledger(KEY)
    assert told.kind == "conflict"
    assert (told.body["frozen_official"], told.body["claimed_official"]) == ("official-1", "official-2")


def test_audit_proves_what_comes_next(store: Store) -> None:
    """The audit counts what has no next step and no reason, and what is late, claimed or not."""
    rows = (
        ("a", NOW - DAY, None),
        ("b", NOW - DAY, None),
        ("c", NOW + DAY, None),
        ("d", None, "done"),
        ("e", None, None),
    )
    for name, at, reason in rows:
        store.save_cases([case_change(name, change(obligation(name), next_check_at=at, idle_reason=reason))], NOW)
    epoch = store.open_worker("a", 1, NOW)
    (held,) = store.claim_due(epoch, NOW, 1)
    found = store.audit(NOW, MINUTE)
    assert (found.open, found.unaccounted, found.overdue_checks, found.oldest_check_at) == (5, 1, 2, NOW - DAY)
    store.save_decisions(epoch, [decision(held, notice("n", held.obligation))], "v1", NOW)
    found = store.audit(NOW, MINUTE)
    assert (found.pending, found.in_doubt, found.oldest_pending_at, found.overdue_checks) == (1, 0, NOW, 1)


def test_small_tables(store: Store) -> None:
    """Bookmarks, directory, rows set aside, policy texts and beats are remembered and replaced."""
    assert store.bookmark("cases") is None
    assert store.directory() is None
    for value in ("1", "2"):
        store.set_bookmark("cases", value)
    assert store.bookmark("cases") == "2"
    people = Directory(
        {"o1": Official("o1", "承办人", "u1", {"sms": "13800000001"}, active=False)},
        {"u1": OfficeUnit("u1", "甲区", None)},
        (Post("u1", "principal", "o1", NOW, None),),
        ("o1",),
    )
    store.save_directory(people, NOW)
    assert store.directory() == (people, NOW)
    store.set_aside([SetAside("cases", "7", "no key", NOW), SetAside("cases", "8", "no date", NOW)], "cases", NOW)
    store.set_aside([SetAside("people", "9", "no name", NOW)], "people", NOW)
    store.set_aside([SetAside("cases", "8", "no date", NOW)], "cases", NOW)
    assert [row.row for row in store.rows_set_aside()] == ["8", "9"]
    store.beat("tick", "a", NOW)
    store.beat("tick", "a", NOW + MINUTE, "boom")
    (job,) = store.beats()
    assert (job.last_ok_at, job.last_error, job.last_error_at) == (NOW, "boom", NOW + MINUTE)


def test_events_of_a_sync_are_in_the_ledger(store: Store) -> None:
    """What a sync tells is appended to the case's chain."""
    store.save_cases([case_change(events=(Event(KEY, "counted", NOW, {"限期": NOW}),))], NOW)
    (row,) = store.ledger(KEY)
    assert (row.kind, row.seq, row.at, row.previous) == ("counted", 1, NOW, "")


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (tick.CLAIM_DUE, "ix_obligations_due"),
        (claims.NEXT_IN_LANE, "ix_deliveries_waiting_in_lane"),
    ],
)
def test_claiming_costs_what_is_due(store: Store, statement: sa.Executable, index: str, analysed: bool) -> None:
    """A claim finds its rows through the index made for it, in its order: never by reading or sorting the rest."""
    quiet = [case_change(f"q{i}", change(obligation(f"q{i}"), next_check_at=NOW + (i + 1) * DAY)) for i in range(500)]
    store.save_cases(quiet, NOW)
    outbox(store, *(f"n{i}" for i in range(500)))
    with store._database.writing() as connection:
        in_lane = statement is claims.NEXT_IN_LANE
        # PostgreSQL takes a table it has not looked at yet for empty, and any index with two conditions for the best.
        if analysed or (in_lane and connection.dialect.name == "postgresql"):
            connection.exec_driver_sql("ANALYZE")
        ran: list[tuple[str, Any]] = []
        sa.event.listen(connection, "before_cursor_execute", lambda _c, _k, sql, values, *_: ran.append((sql, values)))
        more = {"channel": "sms", "lane": 2, "window": 10} if in_lane else {"limit": 10, "epoch": 1}
        connection.execute(statement, {"now": micros(NOW), **more})
        sql, values = ran[-1]
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # small tables tempt it
            plan = connection.exec_driver_sql(f"EXPLAIN {sql}", values).all()
        else:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
    text = "\n".join(" ".join(map(str, row)) for row in plan)
    assert index in text
    for costly in ("SCAN obligations", "SCAN deliveries", "TEMP B-TREE", "Seq Scan on", "Sort"):
        assert costly not in text
