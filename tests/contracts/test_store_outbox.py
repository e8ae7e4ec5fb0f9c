"""The outbox: nothing given twice, nothing lost, nothing doubled unmarked. The same on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.errors import Fenced
from daemon.store import Store
from daemon.store.values import DeliveryResult, DeliveryState
from support.store_values import DAY, NOW, by_key, case_change, change, decision, notice, obligation, outbox

if TYPE_CHECKING:
    from daemon.store.values import Delivery

MINUTE = timedelta(minutes=1)


def kinds(store: Store) -> list[str]:
    """The kinds of the case's ledger rows, in order."""
    return [row.kind for row in store.ledger(obligation().case_key)]


def result(one: Delivery, state: DeliveryState, **more: object) -> DeliveryResult:
    """One attempt's outcome."""
    return DeliveryResult(one, state, NOW, **more)  # type: ignore[arg-type]


def test_a_notice_comes_out_as_it_went_in(store: Store) -> None:
    """Everything of a notice survives the store, four-byte characters and instants among the facts too."""
    epoch = outbox(store, "a")
    (held,) = store.claim_deliveries(epoch, NOW, 10)
    assert held.notice == notice("a")
    assert (held.state, held.attempts, held.possible_duplicate) == (DeliveryState.SENDING, 1, False)
    assert held.policy_version == "v1"


def test_claims_are_never_given_twice(store: Store, store_url: str) -> None:
    """Four threads on two stores that claim at once share 300 deliveries without giving one twice."""
    epoch = outbox(store, *(f"n{i:03}" for i in range(300)))
    other = Store(store_url)
    second = other.open_worker("node-b", 2, NOW)
    together = threading.Barrier(4)

    def claim(index: int) -> list[str]:
        place, mine = (store, epoch) if index % 2 else (other, second)
        keys: list[str] = []
        together.wait(30)
        while claimed := place.claim_deliveries(mine, NOW, 7):
            keys += [one.notice.key for one in claimed]
        return keys

    with ThreadPoolExecutor(4) as pool:
        claimed = [key for keys in pool.map(claim, range(4)) for key in keys]
    other.close()
    assert sorted(claimed) == [f"n{i:03}" for i in range(300)]


def test_a_notice_key_is_unique_for_ever(store: Store) -> None:
    """Deciding the same notice again adds nothing and is counted as nothing."""
    epoch = outbox(store, "a")
    store.recount(NOW, provisional_only=False)
    (held,) = store.claim_due(epoch, NOW, 10)
    assert store.save_decisions(epoch, [decision(held, notice("a"), notice("b"))], "v2", NOW) == 1
    assert [one.notice.key for one in store.deliveries()] == ["a", "b"]


def test_record_writes_outcomes_and_claims_the_next(store: Store) -> None:
    """One call records a batch and claims the next; each outcome is an event with what an inspector asks for."""
    epoch = outbox(store, "a", "b", "c")
    first = store.claim_deliveries(epoch, NOW, 2)
    outcomes = [
        result(first[0], DeliveryState.ACCEPTED, reference="SM1"),
        result(first[1], DeliveryState.FAILED, error="21211"),
    ]
    (third,) = store.record(epoch, outcomes, NOW, claim=5)
    assert third.notice.key == "c"
    found = by_key(store.deliveries())
    assert (found["a"].state, found["a"].reference) == (DeliveryState.ACCEPTED, "SM1")
    assert (found["b"].state, found["b"].error) == (DeliveryState.FAILED, "21211")
    sent, failed = store.ledger(obligation().case_key)[-2:]
    assert (sent.kind, failed.kind) == ("sent", "failed")
    assert failed.body == {
        "notice": "b",
        "channel": "sms",
        "person": "official-1",
        "attempt": 1,
        "error": "21211",
        "policy_version": "v1",
    }


def test_copies_go_after_originals(store: Store) -> None:
    """Among notices of one moment the copies (cc) go out last."""
    epoch = store.open_worker("node-a", 1, NOW)
    store.save_cases([case_change()], NOW)
    (held,) = store.claim_due(epoch, NOW, 1)
    store.save_decisions(epoch, [decision(held, notice("a", copy=True), notice("b"))], "v1", NOW)
    assert [one.notice.key for one in store.claim_deliveries(epoch, NOW, 5)] == ["b", "a"]


def test_claims_by_channel(store: Store) -> None:
    """A worker that serves only mail gets only mail."""
    epoch = outbox(store, "a", channel="email")
    assert store.claim_deliveries(epoch, NOW, 5, channels=["sms"]) == []
    assert [one.notice.key for one in store.claim_deliveries(epoch, NOW, 5, channels=["sms", "email"])] == ["a"]


def test_a_retry_waits_for_its_moment(store: Store) -> None:
    """A temporary failure is not claimed before `not_before_at`, and its attempts are counted."""
    epoch = outbox(store, "a")
    (held,) = store.claim_deliveries(epoch, NOW, 5)
    later = NOW + 10 * MINUTE
    store.record(epoch, [result(held, DeliveryState.RETRYING, not_before_at=later, error="451")], NOW)
    assert store.claim_deliveries(epoch, later - MINUTE, 5) == []
    assert store.next_delivery_at() == later
    (again,) = store.claim_deliveries(epoch, later, 5)
    assert again.attempts == 2
    assert not again.possible_duplicate


def test_the_dead_workers_deliveries_are_in_doubt_and_stay_marked(store: Store) -> None:
    """What a silent worker was sending comes out once more, marked, and the mark stays after it was sent."""
    dead = outbox(store, "a", "b")
    store.claim_deliveries(dead, NOW, 1)
    alive = store.open_worker("node-b", 2, NOW + MINUTE)
    assert store.bury_silent(NOW + MINUTE, timedelta(seconds=30), keep=alive) == (0, 1)
    assert by_key(store.deliveries())["a"].state is DeliveryState.IN_DOUBT
    held = by_key(store.claim_deliveries(alive, NOW + MINUTE, 5))
    assert (held["a"].possible_duplicate, held["b"].possible_duplicate) == (True, False)
    store.record(alive, [result(one, DeliveryState.ACCEPTED) for one in held.values()], NOW + MINUTE)
    found = by_key(store.deliveries())
    assert (found["a"].possible_duplicate, found["b"].possible_duplicate) == (True, False)
    assert kinds(store) == ["decided", "in_doubt", "sent", "sent"]
    marked = {
        (row.kind, row.body.get("notice"))
        for row in store.ledger(obligation().case_key)
        if "possible_duplicate" in row.body
    }
    assert marked == {("in_doubt", "a"), ("sent", "a")}


@pytest.mark.parametrize("act", ["record", "claim_deliveries", "claim_due", "save_decisions", "heartbeat"])
def test_a_buried_worker_is_fenced(store: Store, act: str) -> None:
    """A worker that was declared dead can neither claim nor write."""
    dead = outbox(store, "a")
    (held,) = store.claim_deliveries(dead, NOW, 1)
    store.bury_silent(NOW + MINUTE, timedelta(0))
    calls = {
        "record": lambda: store.record(dead, [result(held, DeliveryState.ACCEPTED)], NOW),
        "claim_deliveries": lambda: store.claim_deliveries(dead, NOW, 1),
        "claim_due": lambda: store.claim_due(dead, NOW, 1),
        "save_decisions": lambda: store.save_decisions(dead, [], "v1", NOW),
        "heartbeat": lambda: store.heartbeat(dead, NOW),
    }
    with pytest.raises(Fenced):
        calls[act]()
    assert by_key(store.deliveries())["a"].state is DeliveryState.IN_DOUBT


def test_another_workers_claim_cannot_be_recorded(store: Store) -> None:
    """An outcome for a delivery another living worker holds is passed over."""
    epoch = outbox(store, "a")
    other = store.open_worker("node-b", 2, NOW)
    (held,) = store.claim_deliveries(epoch, NOW, 1)
    store.record(other, [result(held, DeliveryState.FAILED)], NOW)
    assert by_key(store.deliveries())["a"].state is DeliveryState.SENDING


@pytest.mark.parametrize(
    ("before", "then", "stays"),
    [
        (DeliveryState.DELIVERED, DeliveryState.ACCEPTED, DeliveryState.DELIVERED),
        (DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.DELIVERED),
        (DeliveryState.ACCEPTED, DeliveryState.RETRYING, DeliveryState.ACCEPTED),
        (DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.DELIVERED),
        (DeliveryState.ACCEPTED, DeliveryState.FAILED, DeliveryState.FAILED),
        (DeliveryState.FAILED, DeliveryState.ACCEPTED, DeliveryState.FAILED),
        (DeliveryState.IN_DOUBT, DeliveryState.ACCEPTED, DeliveryState.ACCEPTED),
        (DeliveryState.CANCELLED, DeliveryState.RETRYING, DeliveryState.CANCELLED),
    ],
)
def test_a_state_never_goes_back(
    store: Store, before: DeliveryState, then: DeliveryState, stays: DeliveryState
) -> None:
    """Receipts that come late, twice or out of order change only what the states allow, and tell it once."""
    epoch = outbox(store, "a")
    (held,) = store.claim_deliveries(epoch, NOW, 1)
    store.record(epoch, [result(held, before)], NOW)
    told = len(kinds(store))
    store.record(epoch, [result(held, then)], NOW)
    assert by_key(store.deliveries())["a"].state is stays
    assert len(kinds(store)) == told + (stays is not before)


def test_cancel_and_retry(store: Store) -> None:
    """What has not gone out can be cancelled, and put back; what was accepted can be neither."""
    epoch = outbox(store, "a", "b")
    held = by_key(store.claim_deliveries(epoch, NOW, 1))
    store.record(epoch, [result(held["a"], DeliveryState.ACCEPTED)], NOW)
    assert store.cancel(["a", "b"], "case closed", NOW) == 1
    assert store.claim_deliveries(epoch, NOW + DAY, 5) == []
    assert store.retry(["a", "b", "unknown"], NOW) == 1
    assert [one.notice.key for one in store.claim_deliveries(epoch, NOW, 5)] == ["b"]
    assert kinds(store)[-2:] == ["cancelled", "retrying"]


def test_cancelling_what_is_on_its_way(store: Store) -> None:
    """A delivery cancelled while it is being sent is not sent again when it comes back unsent or its worker dies."""
    epoch = outbox(store, "a", "b")
    held = by_key(store.claim_deliveries(epoch, NOW, 5))
    assert store.cancel(["a", "b"], "case closed", NOW) == 0
    store.record(epoch, [result(held["a"], DeliveryState.RETRYING)], NOW)
    store.bury_silent(NOW + MINUTE, timedelta(0))
    found = by_key(store.deliveries())
    assert {one.state for one in found.values()} == {DeliveryState.CANCELLED}
    assert (found["a"].error, found["b"].possible_duplicate) == ("case closed", True)
    assert store.next_delivery_at() is None


def test_a_decision_cancels_the_obligations_notices(store: Store) -> None:
    """A decision that says so cancels what its own obligation had waiting, and nothing of another one."""
    epoch = outbox(store, "a")
    store.save_cases([case_change("另案", change(obligation("另案")))], NOW)
    store.recount(NOW, provisional_only=False)
    first, other = store.claim_due(epoch, NOW, 5)
    store.save_decisions(epoch, [decision(other, notice("z", other.obligation))], "v1", NOW)
    store.save_decisions(epoch, [decision(first, notice("b"), cancel="extended")], "v1", NOW)
    states = {key: one.state.value for key, one in by_key(store.deliveries()).items()}
    assert states == {"a": "cancelled", "b": "pending", "z": "pending"}


def test_a_worker_that_leaves_gives_everything_back(store: Store) -> None:
    """Closing gives back obligations and leaves what was being sent in doubt."""
    epoch = outbox(store, "a")
    store.recount(NOW, provisional_only=False)
    assert len(store.claim_due(epoch, NOW, 5)) == 1
    store.claim_deliveries(epoch, NOW, 5)
    store.close_worker(epoch, NOW)
    again = store.open_worker("node-a", 3, NOW)
    assert again > epoch
    assert len(store.claim_due(again, NOW, 5)) == 1
    assert store.claim_deliveries(again, NOW, 5)[0].possible_duplicate


def test_lists_and_counts(store: Store) -> None:
    """The outbox can be listed by state and case, and counted by state, channel and role."""
    epoch = outbox(store, "a", "b")
    store.claim_deliveries(epoch, NOW, 1)
    assert [one.notice.key for one in store.deliveries(states=[DeliveryState.PENDING])] == ["b"]
    assert store.deliveries(case_key="unknown") == []
    first = store.deliveries(limit=1)[0]
    assert [one.notice.key for one in store.deliveries(after_id=first.id)] == ["b"]
    assert store.counts() == {
        "obligations": {"open": 1},
        "lights": {"yellow": 1},
        "deliveries": {"pending": 1, "sending": 1},
        "channels": {"sms": 2},
    }
    assert store.people_summary([]) == {"first_handler sms": {"pending": 1, "sending": 1}}
    assert store.people_summary(["unknown"]) == {}


def test_a_moved_limit_cancels_only_what_was_decided_before(store: Store) -> None:
    """A sync that moves the limit cancels the old ladder's notices, and leaves those of the new one alone."""
    epoch = outbox(store, "old")
    (held,) = store.obligations()
    moved = replace(change(obligation(version=2)), id=held.id)
    store.save_cases([case_change(obligation().case_key, moved)], NOW)
    assert by_key(store.deliveries())["old"].error == "deadline_moved"
    (again,) = store.claim_due(epoch, NOW, 1)
    store.save_decisions(epoch, [decision(again, notice("new", again.obligation))], "v1", NOW)
    store.save_cases([case_change(obligation().case_key, moved)], NOW)
    assert by_key(store.deliveries())["new"].state is DeliveryState.PENDING


def test_what_was_in_doubt_and_cancelled_stays_marked(store: Store) -> None:
    """A delivery cancelled on its way that may have gone out is marked when somebody has it sent after all."""
    epoch = outbox(store, "a")
    (held,) = store.claim_deliveries(epoch, NOW, 1)
    store.cancel(["a"], "case closed", NOW)
    store.record(epoch, [result(held, DeliveryState.IN_DOUBT)], NOW)
    assert by_key(store.deliveries())["a"].state is DeliveryState.CANCELLED
    store.retry(["a"], NOW)
    assert store.claim_deliveries(epoch, NOW, 1)[0].possible_duplicate
