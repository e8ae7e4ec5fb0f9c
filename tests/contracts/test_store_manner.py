"""How a notice goes out, as the store keeps it: held, released, dark, in a digest, with a receipt to wait for.

The same on SQLite and PostgreSQL.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.store import Store
from daemon.store.rows import GATHERED_FOR
from daemon.store.values import Acknowledged, DeliveryResult, DeliveryState
from policies.model import ObligationState, Reception
from support.store_values import DAY, NOW, by_key, case_change, change, decision, notice, obligation, outbox

if TYPE_CHECKING:
    from daemon.store.values import Delivery, LedgerRow
    from policies.model import Notice

MINUTE = timedelta(minutes=1)
CASE = obligation().case_key
HOLDER = "official-1"


def fill(store: Store, *notices: Notice) -> int:
    """Put these notices into the outbox; returns the worker's epoch."""
    epoch = store.open_worker("node-a", 1, NOW)
    store.save_cases([case_change()], NOW)
    (held,) = store.claim_due(epoch, NOW, 1)
    store.save_decisions(epoch, [decision(held, *notices)], "v1", NOW)
    return epoch


def send(store: Store, epoch: int, state: DeliveryState = DeliveryState.ACCEPTED) -> None:
    """Claim everything that may go out now, and say what became of it."""
    claimed = store.claim_deliveries(epoch, NOW, 50)
    store.record(epoch, [DeliveryResult(one, state, NOW, reference="R1") for one in claimed], NOW)


def told(store: Store, kind: str) -> list[LedgerRow]:
    """The ledger's lines of one kind about the case."""
    return [row for row in store.ledger(CASE) if row.kind == kind]


# --- quiet hours, release, dark ---------------------------------------------------------------------------------------


def test_what_waits_for_the_end_of_the_quiet_hours_is_not_claimed_before(store: Store) -> None:
    """A notice held until half past seven cannot be claimed a microsecond earlier, and that is the next wake."""
    morning = NOW + timedelta(hours=9)
    epoch = outbox(store, "a", hold_until=morning)
    assert store.claim_deliveries(epoch, morning - timedelta(microseconds=1), 5) == []
    assert store.next_delivery_at() == morning
    assert [one.notice.hold_until for one in store.claim_deliveries(epoch, morning, 5)] == [morning]


def test_what_woke_somebody_is_listed_with_its_basis(store: Store) -> None:
    """Of two notices only the one that passed quiet hours is listed, and the ledger's line about it names the basis."""
    epoch = fill(store, notice("a", may_wake="条例第三十一条"), notice("b"))
    send(store, epoch)
    assert [one.notice.key for one in store.deliveries(woken=True)] == ["a"]
    assert {row.body["notice"]: row.body.get("may_wake") for row in told(store, "sent")} == {
        "a": "条例第三十一条",
        "b": None,
    }


def test_what_is_dark_is_never_sent(store: Store) -> None:
    """A notice of a dark policy is on record, counted as such, and neither claimed nor cancelled nor sent again."""
    epoch = outbox(store, "a", dark=True)
    assert store.claim_deliveries(epoch, NOW + DAY, 5) == []
    assert store.cancel(["a"], "because", NOW) == store.retry(["a"], NOW) == store.release(["a"], "x", "y", NOW) == 0
    assert store.counts()["deliveries"] == {"dark": 1}
    assert store.audit(NOW, MINUTE).pending == 0


def test_what_is_held_goes_out_once_a_human_released_it(store: Store) -> None:
    """Nobody claims it before; afterwards it goes out, and the ledger names who let it go and why."""
    epoch = outbox(store, "a", "b", release=True)
    assert store.claim_deliveries(epoch, NOW + DAY, 5) == []
    assert (store.audit(NOW, MINUTE).held, store.audit(NOW, MINUTE).oldest_held_at) == (2, NOW)
    assert store.release(["a", "unknown"], "张主任", "已阅", NOW) == 1
    assert store.release(["a"], "张主任", "已阅", NOW) == 0
    assert [one.notice.key for one in store.claim_deliveries(epoch, NOW, 5)] == ["a"]
    (row,) = told(store, "released")
    assert (row.actor, row.body["reason"], row.body["notice"]) == ("张主任", "已阅", "a")
    assert store.audit(NOW, MINUTE).held == 1


def test_held_notices_are_counted_over_every_channel(store: Store) -> None:
    """The count of what waits for a release sees each channel, and nothing where there is nothing."""
    assert (store.audit(NOW, MINUTE).held, store.audit(NOW, MINUTE).oldest_held_at) == (0, None)
    channels = ("app", "email", "sms")
    fill(store, *(notice(name, channel=name, release=True) for name in channels), notice("free", channel="pigeon"))
    assert store.audit(NOW, MINUTE).held == len(channels)


def test_a_release_does_not_wake_anybody(store: Store) -> None:
    """Released at night, it still waits for the end of the quiet hours."""
    morning = NOW + timedelta(hours=9)
    epoch = outbox(store, "a", release=True, hold_until=morning)
    store.release(["a"], "x", "y", NOW)
    assert store.claim_deliveries(epoch, morning - MINUTE, 5) == []
    assert len(store.claim_deliveries(epoch, morning, 5)) == 1


def test_what_was_refused_waits_for_a_release_again_when_it_is_to_be_sent_after_all(store: Store) -> None:
    """Sending again is no way round the release: it is held anew, and may be released then."""
    epoch = outbox(store, "a", release=True)
    assert store.refuse(["a"], "张主任", "不妥", NOW) == 1
    (one,) = store.deliveries()
    assert (one.state, one.error) == (DeliveryState.CANCELLED, "refused")
    assert store.retry(["a"], NOW) == 1
    assert store.claim_deliveries(epoch, NOW, 5) == []
    assert store.release(["a"], "张主任", "改主意", NOW) == 1
    send(store, epoch)
    assert [row.kind for row in store.ledger(CASE)] == ["decided", "refused", "held", "released", "sent"]


def test_what_is_held_is_cancelled_when_its_limit_is_met(store: Store) -> None:
    """A case closed before anybody released the notice: it is cancelled like everything else."""
    outbox(store, "a", release=True)
    (known,) = store.obligations()
    done = replace(change(obligation(state=ObligationState.DONE), next_check_at=None, idle_reason="done"), id=known.id)
    store.save_cases([case_change(CASE, done)], NOW)
    (one,) = store.deliveries()
    assert (one.state, one.error) == (DeliveryState.CANCELLED, "done")


# --- receipts ---------------------------------------------------------------------------------------------------------


def test_a_receipt_is_waited_for_as_long_as_the_notice_says(store: Store) -> None:
    """Accepted, it is due half an hour later; then it is listed once, and said in the ledger once."""
    epoch = outbox(store, "a", wait=30 * MINUTE, instead=("email",))
    send(store, epoch)
    due = NOW + 30 * MINUTE
    assert store.next_delivery_at() == due
    assert store.overdue_receipts(due - timedelta(microseconds=1), 5) == []
    (late,) = store.overdue_receipts(due, 5)
    assert store.give_up_waiting([late.id], due - MINUTE) == 0
    assert [store.give_up_waiting([late.id], due) for _ in range(2)] == [1, 0]
    assert store.overdue_receipts(due + DAY, 5) == []
    assert len(told(store, "no_receipt")) == 1


def test_without_a_wait_no_receipt_is_due(store: Store) -> None:
    """A notice whose other channel is only for failures waits for nothing once it is accepted."""
    send(store, outbox(store, "a", instead=("email",)))
    assert store.next_delivery_at() is None


@pytest.mark.parametrize("before_giving_up", [True, False])
def test_a_receipt_ends_the_wait_or_comes_late_and_is_recorded(store: Store, *, before_giving_up: bool) -> None:
    """Delivered with its instant, in time or too late; it is never waited for again."""
    epoch = outbox(store, "a", wait=30 * MINUTE)
    send(store, epoch)
    later = NOW + 31 * MINUTE
    (one,) = store.overdue_receipts(later, 5)
    if not before_giving_up:
        store.give_up_waiting([one.id], later)
    store.record(epoch, [DeliveryResult(one, DeliveryState.DELIVERED, later)], later)
    assert store.give_up_waiting([one.id], later) == 0
    (now,) = store.deliveries()
    assert (now.state, now.delivered_at, now.receipt_due_at) == (DeliveryState.DELIVERED, later, None)


# --- receptions and acknowledgements ----------------------------------------------------------------------------------


def test_receptions_are_the_first_of_each_fact_by_step(store: Store) -> None:
    """Two deliveries of one step, one delivered and one acknowledged, are one reception; a step without is left out."""
    epoch = fill(store, notice("a"), notice("b", person="official-2"), notice("c", step="urge"))
    claimed = by_key(store.claim_deliveries(epoch, NOW, 5))
    store.record(epoch, [DeliveryResult(claimed["a"], DeliveryState.DELIVERED, NOW + MINUTE)], NOW)
    store.acknowledge(CASE, "official-2", NOW + 2 * MINUTE, "phone", NOW + 3 * MINUTE)
    identity = claimed["a"].obligation_id
    assert identity is not None
    expected = {"remind": Reception(delivered_at=NOW + MINUTE, acknowledged_at=NOW + 2 * MINUTE)}
    assert store.receptions([identity, 999]) == {identity: expected}


def test_nobody_signs_for_another_by_his_copy(store: Store) -> None:
    """The inspector's word that he knows is on record; that the handler has signed for it, it does not say."""
    epoch = fill(store, notice("a"), notice("b", person="official-2", copy=True))
    send(store, epoch)
    assert store.acknowledge(CASE, "official-2", NOW, "phone", NOW) is Acknowledged.TAKEN
    identity = store.deliveries()[0].obligation_id
    assert identity is not None
    assert store.receptions([identity]).get(identity, {}).get("remind", Reception()).acknowledged_at is None
    assert store.acknowledge(CASE, HOLDER, NOW + MINUTE, "phone", NOW + MINUTE) is Acknowledged.TAKEN
    assert store.receptions([identity])[identity]["remind"].acknowledged_at == NOW + MINUTE


def test_an_acknowledgement_is_taken_once_and_wakes_the_case(store: Store) -> None:
    """His deliveries are marked, the limits are due at once, a decision under way is dropped; asked again: already."""
    epoch = fill(store, notice("a"), notice("b", channel="email"), notice("c", person="official-2"))
    send(store, epoch)
    assert store.next_check_at() == NOW + DAY
    store.recount(NOW, provisional_only=False)
    (under_way,) = store.claim_due(epoch, NOW, 1)
    later = NOW + MINUTE
    assert store.acknowledge(CASE, HOLDER, NOW, "phone", later) is Acknowledged.TAKEN
    assert store.save_decisions(epoch, [decision(under_way, notice("d"))], "v1", later) == 0
    assert store.next_check_at() == later
    assert {key: one.acknowledged_at for key, one in by_key(store.deliveries()).items()} == {
        "a": NOW,
        "b": NOW,
        "c": None,
    }
    assert store.acknowledge(CASE, HOLDER, later, "phone", later) is Acknowledged.ALREADY
    (row,) = told(store, "acknowledged")
    assert (row.actor, row.body["how"], row.body["notices"]) == (HOLDER, "phone", ["a", "b"])


@pytest.mark.parametrize(
    ("case", "official", "answer"),
    [(CASE, "official-9", Acknowledged.NOT_YOURS), ("unknown", HOLDER, Acknowledged.NOT_YOURS)],
)
def test_only_who_was_told_can_acknowledge(store: Store, case: str, official: str, answer: Acknowledged) -> None:
    """Somebody who was sent nothing about the case is told so, and nothing is written."""
    send(store, outbox(store, "a"))
    before = store.ledger(CASE)
    assert store.acknowledge(case, official, NOW, "console", NOW) is answer
    assert store.ledger(CASE) == before


def test_what_was_never_sent_is_no_ground_to_acknowledge(store: Store) -> None:
    """A dark or held notice was not heard of by anybody."""
    fill(store, notice("a", dark=True), notice("b", release=True))
    assert store.acknowledge(CASE, HOLDER, NOW, "console", NOW) is Acknowledged.NOT_YOURS


@pytest.mark.parametrize("state", [None, DeliveryState.FAILED, DeliveryState.RETRYING])
def test_what_has_not_reached_him_is_not_signed_for(store: Store, state: DeliveryState | None) -> None:
    """Waiting for the morning, failed or tried again: that he knows is taken down, and nothing counts as received."""
    epoch = fill(store, notice("a", hold_until=None if state else NOW + DAY))
    if state is not None:
        send(store, epoch, state)
    assert store.acknowledge(CASE, HOLDER, NOW, "phone", NOW) is Acknowledged.NOT_SENT
    (one,) = store.deliveries()
    assert (one.acknowledged_at, store.receptions([one.obligation_id or 0])) == (None, {})
    (row,) = told(store, "known")
    assert (row.actor, row.body["how"]) == (HOLDER, "phone")


def test_what_comes_after_he_signed_is_to_be_signed_for_itself(store: Store) -> None:
    """He signed for what he had; what waits for the morning is not part of it."""
    epoch = fill(store, notice("a"), notice("b", step="urge", hold_until=NOW + DAY))
    send(store, epoch)
    assert store.acknowledge(CASE, HOLDER, NOW, "phone", NOW) is Acknowledged.TAKEN
    assert {key: one.acknowledged_at for key, one in by_key(store.deliveries()).items()} == {"a": NOW, "b": None}


def test_a_closed_case_takes_no_acknowledgement(store: Store) -> None:
    """When nothing of the case runs any more the answer is: closed."""
    send(store, outbox(store, "a"))
    (known,) = store.obligations()
    done = replace(change(obligation(state=ObligationState.DONE), next_check_at=None, idle_reason="done"), id=known.id)
    store.save_cases([case_change(CASE, done)], NOW)
    assert store.acknowledge(CASE, HOLDER, NOW, "console", NOW) is Acknowledged.CLOSED


def test_an_acknowledgement_after_others_were_told_is_late(store: Store) -> None:
    """Taken down, but the answer and the ledger say that it came late; one that was given in time is not."""
    head = notice("b", person="head", step="remind.unacknowledged")
    send(store, fill(store, notice("a"), head))
    assert store.acknowledge(CASE, HOLDER, NOW + MINUTE, "paper", NOW + MINUTE) is Acknowledged.LATE
    assert told(store, "acknowledged")[0].body["late"] is True


def test_an_acknowledgement_given_in_time_and_written_down_later_is_not_late(store: Store) -> None:
    """What counts is when he acknowledged, not when somebody typed it in."""
    head = notice("b", person="head", step="remind.unacknowledged")
    send(store, fill(store, notice("a"), head))
    assert store.acknowledge(CASE, HOLDER, NOW - MINUTE, "paper", NOW + MINUTE) is Acknowledged.TAKEN


def test_what_passed_quiet_hours_lately_is_counted(store: Store) -> None:
    """Each message that woke somebody on a basis counts, from when it was decided."""
    fill(store, notice("a", may_wake="防汛"), notice("b"), notice("c", may_wake="防汛"))
    assert store.woken_since(NOW - DAY) == 2
    assert store.woken_since(NOW + MINUTE) == 0


# --- digests ----------------------------------------------------------------------------------------------------------


def keys(claimed: list[Delivery]) -> list[str]:
    """Their notice keys, in order of the key."""
    return sorted(one.notice.key for one in claimed)


def test_what_may_go_together_waits_a_moment_for_company(store: Store) -> None:
    """Not claimed before, so that what is decided beside it is there: at the moment it was decided for or held to."""
    morning = NOW + timedelta(hours=9)
    epoch = fill(store, notice("a", digest=True), notice("b", digest=True, hold_until=morning))
    assert store.claim_deliveries(epoch, NOW + GATHERED_FOR - timedelta(microseconds=1), 5) == []
    assert keys(store.claim_deliveries(epoch, NOW + GATHERED_FOR, 5)) == ["a"]
    assert store.claim_deliveries(epoch, morning, 5) == []
    assert keys(store.claim_deliveries(epoch, morning + GATHERED_FOR, 5)) == ["b"]


def test_a_claim_brings_together_what_goes_to_one_person_over_one_channel(store: Store) -> None:
    """Over the limit of the claim, but not another person's, another channel's or a later one; the single, first."""
    together = [notice(f"d{number:02}", digest=True) for number in range(12)]
    epoch = fill(
        store,
        *together,
        notice("other", person="official-2", digest=True),
        notice("mail", channel="email", digest=True),
        notice("later", digest=True, hold_until=NOW + DAY),
    )
    store.add_notices(None, [notice("z-alone", at=NOW, hold_until=NOW + GATHERED_FOR, copy=True)], [], "v1", NOW)
    (alone,) = store.claim_deliveries(epoch, NOW + GATHERED_FOR, 1, ["sms"])
    assert alone.notice.key == "z-alone"
    claimed = store.claim_deliveries(epoch, NOW + GATHERED_FOR, 1, ["sms"])
    assert keys(claimed) == [one.key for one in together]
    assert {one.state for one in claimed} == {DeliveryState.SENDING}
    assert {one.attempts for one in claimed} == {1}


def test_claims_at_the_same_instant_tear_nothing_apart(store: Store, store_url: str) -> None:
    """Two workers that claim at once, again and again: everything of one person goes to one of them."""
    others = [notice(f"n{number:03}", person=f"p{number % 20}", digest=True) for number in range(200)]
    first = fill(store, *others)
    other = Store(store_url)
    second = other.open_worker("node-b", 2, NOW)
    together = threading.Barrier(2)

    def claim(place: Store, epoch: int) -> list[set[str]]:
        found: list[set[str]] = []
        together.wait(30)
        while claimed := place.claim_deliveries(epoch, NOW + GATHERED_FOR, 1, ["sms"]):
            assert len(claimed) == len({one.notice.key for one in claimed})
            found.append({one.notice.person for one in claimed})
            assert len(claimed) == 10 * len(found[-1])
        return found

    with ThreadPoolExecutor(2) as pool:
        mine, his = pool.submit(claim, store, first), pool.submit(claim, other, second)
        persons = sorted(person for found in (*mine.result(), *his.result()) for person in found)
    other.close()
    assert persons == sorted(f"p{number}" for number in range(20))


def test_what_was_decided_within_one_minute_goes_at_one_moment(store: Store) -> None:
    """Two decisions half a minute apart, claimed together, person by person whatever the order they came in."""
    epoch = outbox(store)
    for second, person in enumerate(("official-2", "official-1", "official-2", "official-1")):
        at = NOW + timedelta(seconds=1 + 10 * second)
        store.add_notices(None, [notice(f"d{second}", person=person, digest=True)], [], "v1", at)
    moment = NOW + 2 * MINUTE
    assert store.next_delivery_at() == moment
    claimed = [one.notice.person for one in store.claim_deliveries(epoch, moment, 5)]
    assert claimed in (["official-1"] * 2 + ["official-2"] * 2, ["official-2"] * 2 + ["official-1"] * 2)


def test_a_digest_in_doubt_is_claimed_whole_and_by_nobody_else(store: Store) -> None:
    """The key of the digest stays with its members over a crash; whoever claims one of them gets all, marked."""
    epoch = fill(store, *(notice(name, digest=True) for name in "abc"))
    claimed = store.claim_deliveries(epoch, NOW + GATHERED_FOR, 5)
    bound = {one.id: "digest:1" for one in claimed}
    assert store.bind_digest(epoch, {**bound, 999: "digest:1"}) == set(bound)
    store.bury_silent(NOW + 2 * MINUTE, timedelta(0))
    second = store.open_worker("node-b", 2, NOW + 2 * MINUTE)
    again = store.claim_deliveries(second, NOW + 2 * MINUTE, 1)
    assert keys(again) == ["a", "b", "c"]
    assert {(one.reference, one.possible_duplicate) for one in again} == {("digest:1", True)}
    assert store.bind_digest(epoch + 1, dict.fromkeys(bound, "digest:2")) == set(bound)


def test_each_member_of_a_digest_has_its_own_line_that_names_it(store: Store) -> None:
    """The outcome is written for every notice, with the digest's key beside the provider's reference."""
    epoch = fill(store, notice("a", digest=True), notice("b", digest=True))
    claimed = store.claim_deliveries(epoch, NOW + GATHERED_FOR, 5)
    sent = [DeliveryResult(one, DeliveryState.ACCEPTED, NOW, reference="R1", digest="digest:1") for one in claimed]
    store.record(epoch, sent, NOW)
    assert [(row.body["notice"], row.body["digest"], row.body["reference"]) for row in told(store, "sent")] == [
        ("a", "digest:1", "R1"),
        ("b", "digest:1", "R1"),
    ]
