"""What comes back: kept once, taken over once, in whatever order. The same on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from channels.wire.identity import reference_of
from daemon.replies import Command, Understood
from daemon.sharing import BUCKETS, Share
from daemon.store import Store
from daemon.store.inbox import HELD_FOR, REMEMBERED
from daemon.store.rows import GATHERED_FOR
from daemon.store.values import Came, DeliveryResult, DeliveryState, ReceiptTold, Reply
from support.store_values import NOW, case_change, decision, notice, obligation

if TYPE_CHECKING:
    from datetime import datetime

    from daemon.store.values import Delivery
    from policies.model import Notice

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LATER = NOW + 10 * MINUTE


def fill(store: Store, *notices: Notice) -> int:
    """A worker, and these notices decided."""
    epoch = store.open_worker("node-a", 1, NOW)
    store.save_cases([case_change()], NOW)
    (due,) = store.claim_due(epoch, NOW, 1)
    store.save_decisions(epoch, [decision(due, *notices)], "v1", NOW)
    return epoch


def sent(store: Store, epoch: int, *, reference: str = "R1", state: DeliveryState = DeliveryState.ACCEPTED) -> Delivery:
    """Claim the only delivery and record that the provider took it."""
    (one,) = store.claim_deliveries(epoch, LATER, 5)
    store.record(epoch, [DeliveryResult(one, state, LATER, reference=reference)], LATER)
    return only(store)


def only(store: Store) -> Delivery:
    """The only delivery."""
    (one,) = store.deliveries()
    return one


def told(came: Came, ours: str = reference_of("a"), theirs: str = "", at: datetime | None = None) -> ReceiptTold:
    """A receipt of the channel `sms`."""
    return ReceiptTold("sms", came, ours, theirs, "30003" if came is Came.FAILED else "", at)


def take(store: Store, *receipts: ReceiptTold, now: datetime = LATER) -> None:
    """The provider tells these, one after the other, and each is taken over; whoever is to be told of a failure is."""
    for one in receipts:
        store.hear(one.channel, [one], now)
        due = [(row, store.meant([one])[0]) for row in store.inbox_due(now, 10)]
        store.take_receipts(due, {each.id for each in store.deliveries()}, now)


def lines(store: Store) -> list[str]:
    """The kinds of the case's ledger lines since it was decided."""
    return [row.kind for row in store.ledger(obligation().case_key) if row.kind in RECEIPT_LINES]


RECEIPT_LINES = {"sent", "delivered", "failed", "read", "late_receipt", "in_doubt", "no_receipt", "retrying"}
REPLY = Reply("sms", ("official-1", "official-2"), Understood(Command.ACKNOWLEDGE, "12", "XF1"), "abc", "SM1", NOW)


# --- the inbox ----------------------------------------------------------------------------------------------


def test_two_nodes_that_hear_the_same_in_another_order_wait_for_each_other(store_url: str) -> None:
    """A provider tells both, or both ask it: each receipt is kept once, and neither call is refused."""
    told = [ReceiptTold("sms", Came.DELIVERED, f"m{number:03}") for number in range(200)]
    with closing(Store(store_url)) as first, closing(Store(store_url)) as second, ThreadPoolExecutor(2) as nodes:
        for begin in range(0, 2000, 200):
            some = [replace(one, ours=f"{begin}-{one.ours}") for one in told]
            kept = [
                nodes.submit(first.hear, "sms", some, NOW),
                nodes.submit(second.hear, "sms", some[::-1], NOW),
            ]
            assert sum(one.result(60) for one in kept) == len(some)


def test_what_was_told_comes_out_as_it_went_in(store: Store) -> None:
    """Receipts and replies with all they hold, in the order they were told."""
    receipt = ReceiptTold("sms", Came.FAILED, "ours", "theirs", "30003", NOW - SECOND)
    assert store.hear("sms", [receipt, REPLY], NOW) == 2
    first, second = store.inbox_due(NOW, 10)
    assert (first.told, second.told) == (receipt, REPLY)
    assert (first.heard_at, first.tries) == (NOW, 0)


def test_the_same_told_twice_is_kept_once(store: Store) -> None:
    """Of one channel; another channel's message with the same id, another outcome or a reply without id is another."""
    receipt = told(Came.DELIVERED)
    assert store.hear("sms", [receipt, receipt], NOW) == 1
    assert store.hear("sms", [receipt, told(Came.READ)], LATER) == 1
    assert store.hear("sms2", [ReceiptTold("sms2", Came.DELIVERED, reference_of("a"))], NOW) == 1
    assert store.hear("sms", [REPLY, REPLY], NOW) == 1
    nameless = Reply("sms", ("official-1",), Understood(Command.STOP))
    assert store.hear("sms", [nameless, nameless], NOW) == 2
    assert store.inbox_waiting() == 6


def test_a_reply_that_was_taken_over_is_known_for_a_week(store: Store) -> None:
    """Told again it is not taken again, and of what it said nothing is left; after a week it is forgotten."""
    store.hear("sms", [REPLY], NOW)
    store.inbox_done([one.id for one in store.inbox_due(NOW, 10)])
    assert store.hear("sms", [REPLY], NOW + MINUTE) == 0
    assert store.inbox_due(NOW + HELD_FOR, 10) == []
    with store._database.reading() as connection:
        (row,) = connection.execute(sa.text("SELECT body, person, ours, theirs FROM inbox"))
    assert tuple(row) == ("{}", None, "", "")
    assert store.tidy_inbox(NOW + REMEMBERED) == 0
    assert store.tidy_inbox(NOW + REMEMBERED + SECOND) == 1


def test_whoever_takes_from_the_inbox_has_it_for_a_while(store: Store) -> None:
    """Nobody else gets it meanwhile; after a crash it is due again, and what was put off when its time comes."""
    store.hear("sms", [told(Came.DELIVERED, f"m{i}") for i in range(3)], NOW)
    first = store.inbox_due(NOW, 2)
    second = store.inbox_due(NOW, 2)
    assert [len(first), len(second)] == [2, 1]
    assert store.inbox_due(NOW + HELD_FOR - SECOND, 2) == []
    store.inbox_later({second[0].id: LATER})
    assert [one.id for one in store.inbox_due(NOW + HELD_FOR, 5)] == [one.id for one in first]
    (again,) = [one for one in store.inbox_due(LATER, 5) if one.id == second[0].id]
    assert again.tries == 1


# --- what a message is called -------------------------------------------------------------------------------


def test_a_delivery_is_called_as_its_message_is(store: Store) -> None:
    """By its notice key from the start, by the digest's while it is in one, by its own again when it leaves alone."""
    epoch = fill(store, notice("a", digest=True), notice("b", digest=True))
    claimed = store.claim_deliveries(epoch, NOW + GATHERED_FOR, 5)
    assert [one.sent_as for one in claimed] == [reference_of("a"), reference_of("b")]
    store.bind_digest(epoch, {one.id: "digest:1" for one in claimed})
    assert {(one.reference, one.sent_as) for one in store.deliveries()} == {("digest:1", reference_of("digest:1"))}
    assert [len(mine) for mine in store.meant([told(Came.DELIVERED, reference_of("digest:1"))])] == [2]
    store.bind_digest(epoch, {claimed[0].id: "a"})
    assert {(one.reference, one.sent_as) for one in store.deliveries()} == {
        ("", reference_of("a")),
        ("digest:1", reference_of("digest:1")),
    }


def test_a_receipt_of_a_digest_holds_for_each_notice_in_it(store: Store) -> None:
    """Both arrived, each with its line, under the provider's own name for the message."""
    epoch = fill(store, notice("a", digest=True), notice("b", digest=True))
    claimed = store.claim_deliveries(epoch, NOW + GATHERED_FOR, 5)
    store.bind_digest(epoch, {one.id: "digest:1" for one in claimed})
    take(store, told(Came.DELIVERED, reference_of("digest:1"), "R9"))
    assert {(one.state, one.reference) for one in store.deliveries()} == {(DeliveryState.DELIVERED, "R9")}
    assert lines(store) == ["delivered", "delivered"]


def test_behind_a_shared_channel_the_provider_that_had_it_names_it(store: Store) -> None:
    """Two providers may call two messages the same."""
    epoch = fill(store, notice("a"))
    share = Share("carrier_a", range(BUCKETS), ("carrier_a", "carrier_b"))
    (one,) = store.record(epoch, (), LATER, 5, ["sms"], share=share)
    store.record(epoch, [DeliveryResult(one, DeliveryState.ACCEPTED, LATER, reference="7")], LATER)
    found = store.meant(
        [ReceiptTold(name, Came.DELIVERED, "", "7") for name in ("carrier_a", "carrier_b", "sms")],
    )
    assert [len(mine) for mine in found] == [1, 0, 0]
    take(store, ReceiptTold("carrier_b", Came.FAILED, reference_of("a")))
    assert only(store).state is DeliveryState.ACCEPTED
    take(store, ReceiptTold("carrier_a", Came.FAILED, reference_of("a")))
    assert only(store).state is DeliveryState.FAILED


def test_a_receipt_is_found_by_the_providers_name_on_its_own_channel_only(store: Store) -> None:
    """Another channel may call another message the same; a receipt that names nothing we know finds nothing."""
    sent(store, fill(store, notice("a")))
    here, elsewhere, unknown, empty = store.meant(
        [
            told(Came.DELIVERED, "", "R1"),
            ReceiptTold("other", Came.DELIVERED, "", "R1"),
            told(Came.DELIVERED, "x", "y"),
            told(Came.DELIVERED, "", ""),
        ]
    )
    assert [len(here), len(elsewhere), len(unknown), len(empty)] == [1, 0, 0, 0]


# --- taking over --------------------------------------------------------------------------------------------


def test_delivered_and_read_are_facts_with_their_instants(store: Store) -> None:
    """As the provider says, if its clock can be right; read implies delivered."""
    sent(store, fill(store, notice("a")))
    take(store, told(Came.READ, at=LATER - MINUTE))
    one = only(store)
    assert (one.state, one.delivered_at, one.read_at) == (DeliveryState.DELIVERED, LATER - MINUTE, LATER - MINUTE)
    assert lines(store) == ["sent", "delivered", "read"]
    take(store, told(Came.DELIVERED), told(Came.READ))
    assert only(store) == one
    assert len(lines(store)) == 3


def test_read_later_leaves_the_arrival_where_it_was(store: Store) -> None:
    """Two facts with instants of their own."""
    sent(store, fill(store, notice("a")))
    take(store, told(Came.DELIVERED))
    take(store, told(Came.READ), now=LATER + MINUTE)
    assert (only(store).delivered_at, only(store).read_at) == (LATER, LATER + MINUTE)
    assert lines(store) == ["sent", "delivered", "read"]


@pytest.mark.parametrize("at", [NOW - timedelta(days=1), LATER + timedelta(days=30), None])
def test_an_instant_that_cannot_be_is_not_believed(store: Store, at: datetime | None) -> None:
    """Before it was decided, or after we heard of it: then the moment we heard counts."""
    sent(store, fill(store, notice("a")))
    take(store, told(Came.DELIVERED, at=at))
    assert only(store).delivered_at == LATER


@pytest.mark.parametrize(
    ("came", "state", "line"),
    [
        (Came.DELIVERED, DeliveryState.DELIVERED, "delivered"),
        (Came.FAILED, DeliveryState.FAILED, "failed"),
    ],
)
def test_a_receipt_before_the_answer_holds_and_the_answer_is_passed_over(
    store: Store, came: Came, state: DeliveryState, line: str
) -> None:
    """The row is still being sent: the receipt counts, and of the late answer only the provider's name is kept."""
    epoch = fill(store, notice("a"))
    (held,) = store.claim_deliveries(epoch, LATER, 5)
    take(store, told(came))
    for outcome in (DeliveryState.ACCEPTED, DeliveryState.IN_DOUBT, DeliveryState.RETRYING):
        store.record(epoch, [DeliveryResult(held, outcome, LATER, reference="R7")], LATER)
    assert (only(store).state, only(store).reference) == (state, "R7")
    assert lines(store) == [line]
    take(store, told(Came.READ, "", "R7"))
    assert only(store).read_at == LATER


def test_what_failed_stays_failed_and_what_arrived_stays_arrived(store: Store) -> None:
    """Against what was told before nothing goes back; that it arrived after all is a fact of its own, once."""
    sent(store, fill(store, notice("a")))
    take(store, told(Came.FAILED), told(Came.FAILED), told(Came.DELIVERED), told(Came.DELIVERED), told(Came.FAILED))
    one = only(store)
    assert (one.state, one.error, one.delivered_at) == (DeliveryState.FAILED, "30003", LATER)
    assert lines(store) == ["sent", "failed", "late_receipt"]
    take(store, told(Came.READ), now=LATER + MINUTE)
    one = only(store)
    assert (one.state, one.delivered_at, one.read_at) == (DeliveryState.FAILED, LATER, LATER + MINUTE)
    assert lines(store) == ["sent", "failed", "late_receipt", "read"]


def test_a_failure_after_the_arrival_changes_nothing(store: Store) -> None:
    """Nobody is told, nothing is written."""
    sent(store, fill(store, notice("a")))
    take(store, told(Came.DELIVERED), told(Came.FAILED))
    assert only(store).state is DeliveryState.DELIVERED
    assert lines(store) == ["sent", "delivered"]


def test_a_receipt_after_nobody_waited_for_it_undoes_nothing(store: Store) -> None:
    """Others were told meanwhile: it is on record as late."""
    sent(store, fill(store, notice("a", wait=MINUTE, instead=("email",))))
    over = LATER + 2 * MINUTE
    store.give_up_waiting([one.id for one in store.overdue_receipts(over, 5)], over)
    take(store, told(Came.DELIVERED), now=over)
    assert (only(store).state, only(store).delivered_at) == (DeliveryState.DELIVERED, over)
    assert lines(store) == ["sent", "no_receipt", "late_receipt"]


def test_what_is_in_doubt_is_settled_by_a_receipt(store: Store) -> None:
    """The provider has it after all: the wait for its arrival begins."""
    epoch = fill(store, notice("a", wait=MINUTE, instead=("email",)))
    sent(store, epoch, state=DeliveryState.IN_DOUBT)
    take(store, told(Came.ACCEPTED))
    assert (only(store).state, only(store).receipt_due_at) == (DeliveryState.ACCEPTED, LATER + MINUTE)
    take(store, told(Came.ACCEPTED), told(Came.DELIVERED))
    assert (only(store).state, only(store).receipt_due_at) == (DeliveryState.DELIVERED, None)
    assert lines(store) == ["in_doubt", "sent", "delivered"]


def test_the_failure_of_an_earlier_attempt_is_not_the_present_ones(store: Store) -> None:
    """Sent again by hand: what is told of the first attempt waits until it is clear, and then changes nothing."""
    epoch = fill(store, notice("a"))
    sent(store, epoch)
    take(store, told(Came.FAILED, theirs="R1"))
    store.retry(["a"], LATER)
    take(store, told(Came.FAILED, theirs="R1"))
    assert only(store).state is DeliveryState.RETRYING
    (second,) = store.claim_deliveries(epoch, LATER, 5)
    take(store, told(Came.FAILED, theirs="R1"))
    assert only(store).state is DeliveryState.SENDING
    store.record(epoch, [DeliveryResult(second, DeliveryState.ACCEPTED, LATER, reference="R2")], LATER)
    take(store, told(Came.FAILED, theirs="R1"))
    assert only(store).state is DeliveryState.ACCEPTED
    take(store, told(Came.FAILED, theirs="R2"))
    assert only(store).state is DeliveryState.FAILED


def test_a_failure_of_which_nobody_was_told_waits(store: Store) -> None:
    """It is written down only after the next person up was told, and stays in the inbox until then."""
    sent(store, fill(store, notice("a")))
    store.hear("sms", [told(Came.FAILED)], LATER)
    due = [(row, store.meant([told(Came.FAILED)])[0]) for row in store.inbox_due(LATER, 10)]
    taken = store.take_receipts(due, (), LATER)
    assert (taken.done, taken.waiting) == ((), (due[0][0].id,))
    assert only(store).state is DeliveryState.ACCEPTED
    assert store.inbox_waiting() == 1


@pytest.mark.parametrize("state", ["pending", "held", "dark"])
def test_what_never_went_out_cannot_have_arrived(store: Store, state: str) -> None:
    """A receipt for what nobody sent changes nothing."""
    fill(store, notice("a", release=state == "held", dark=state == "dark"))
    take(store, told(Came.DELIVERED), told(Came.FAILED))
    assert only(store).state.value == state
    assert only(store).delivered_at is None
