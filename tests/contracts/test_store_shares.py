"""What one of several providers behind a channel may claim. The same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from channels.wire.identity import reference_of
from daemon.sharing import BUCKETS, Share, bucket_of
from daemon.store.values import Came, DeliveryResult, DeliveryState, ReceiptTold
from support.store_values import NOW, by_key, notice

if TYPE_CHECKING:
    from daemon.store import Store
    from daemon.store.values import Delivery
    from policies.model import Notice

KNOWN = ("north", "south")
HALF = BUCKETS // 2
NORTH, SOUTH = Share("north", range(HALF), KNOWN), Share("south", range(HALF, BUCKETS), KNOWN)
KEYS = [f"n{number:03}" for number in range(60)]
LATER = NOW + timedelta(hours=1)


def fill(store: Store, *notices: Notice) -> int:
    """Put these notices into the outbox; returns a worker's epoch."""
    store.add_notices(None, notices, [], "v1", NOW)
    return store.open_worker("node-a", 1, NOW)


def claim(store: Store, epoch: int, share: Share, limit: int = 100) -> dict[str, Delivery]:
    """What that provider is given."""
    return by_key(store.record(epoch, (), LATER, limit, ["sms"], share=share))


def outcome(one: Delivery, state: DeliveryState, reference: str = "") -> DeliveryResult:
    """What became of it, to be looked at again at once."""
    return DeliveryResult(one, state, NOW, reference=reference)


def test_each_provider_gets_what_falls_into_its_buckets(store: Store) -> None:
    """Both together get everything, each its own; the row says who has it before anything is sent."""
    epoch = fill(store, *map(notice, KEYS))
    north, south = claim(store, epoch, NORTH), claim(store, epoch, SOUTH)
    assert set(north) == {key for key in KEYS if bucket_of(key) < HALF}
    assert set(south) == set(KEYS) - set(north)
    assert {one.notice.key: one.provider for one in store.deliveries()} == {
        **dict.fromkeys(north, "north"),
        **dict.fromkeys(south, "south"),
    }


def test_tried_again_it_may_fall_to_another(store: Store) -> None:
    """Of the notices that failed at one provider a part comes to the other at the next attempt, none is lost."""
    epoch = fill(store, *map(notice, KEYS))
    first = claim(store, epoch, NORTH)
    store.record(epoch, [outcome(one, DeliveryState.RETRYING) for one in first.values()], NOW)
    again = claim(store, epoch, NORTH)
    moved = set(claim(store, epoch, SOUTH)) & set(first)
    assert set(again) | moved == set(first)
    assert again
    assert moved


def test_what_is_in_doubt_stays_with_who_had_it(store: Store) -> None:
    """Whatever its bucket and whoever takes all buckets, only the provider that perhaps sent it is given it."""
    epoch = fill(store, *map(notice, KEYS))
    first = claim(store, epoch, NORTH)
    store.record(epoch, [outcome(one, DeliveryState.IN_DOUBT) for one in first.values()], NOW)
    everything = Share("south", range(BUCKETS), KNOWN)
    assert set(claim(store, epoch, everything)) == set(KEYS) - set(first)
    nothing = Share("north", range(0), KNOWN)
    asked = claim(store, epoch, nothing)
    assert set(asked) == set(first)
    assert all(one.possible_duplicate and not one.doubted_elsewhere for one in asked.values())


def test_what_another_perhaps_sent_is_known_for_that(store: Store) -> None:
    """In doubt at a provider that is configured no more, it comes to another, who cannot prove that nobody sent it."""
    epoch = fill(store, notice("a"))
    (doubtful,) = claim(store, epoch, Share("north", range(BUCKETS), KNOWN)).values()
    store.record(epoch, [outcome(doubtful, DeliveryState.IN_DOUBT)], NOW)
    alone = Share("south", range(BUCKETS), ("south",))
    (taken,) = claim(store, epoch, alone).values()
    assert (taken.provider, taken.possible_duplicate, taken.doubted_elsewhere) == ("south", True, True)
    store.record(epoch, [outcome(taken, DeliveryState.RETRYING)], NOW)
    (again,) = claim(store, epoch, alone).values()
    assert again.doubted_elsewhere


@pytest.mark.parametrize("first", [None, Share("north", range(BUCKETS), KNOWN)], ids=["alone", "shared"])
def test_a_channel_that_comes_to_be_shared_or_is_no_more_doubts_who_had_it(store: Store, first: Share | None) -> None:
    """Who has the channel now is another than who perhaps sent it: that he knows nothing of it proves nothing."""
    epoch = fill(store, notice("a"))
    then = Share("south", range(BUCKETS), KNOWN) if first is None else None
    (doubtful,) = store.record(epoch, (), LATER, 1, ["sms"], share=first)
    store.record(epoch, [outcome(doubtful, DeliveryState.IN_DOUBT)], NOW)
    (taken,) = store.record(epoch, (), LATER, 1, ["sms"], share=then)
    assert (taken.provider, taken.doubted_elsewhere) == ("" if then is None else "south", True)


def test_what_goes_out_alone_after_all_is_no_providers_any_more(store: Store) -> None:
    """The channel is shared no more: its own receipt counts, by its own name of the message too."""
    epoch = fill(store, notice("a"))
    (one,) = claim(store, epoch, Share("north", range(BUCKETS), KNOWN)).values()
    store.record(epoch, [outcome(one, DeliveryState.RETRYING)], NOW)
    (one,) = store.record(epoch, (), LATER, 1, ["sms"])
    store.record(epoch, [outcome(one, DeliveryState.ACCEPTED, "R1")], LATER)
    store.hear("sms", [ReceiptTold("sms", Came.FAILED, theirs="R1")], LATER)
    due = [(row, store.meant([row.told])[0]) for row in store.inbox_due(LATER, 10) if isinstance(row.told, ReceiptTold)]
    store.take_receipts(due, {one.id}, LATER)
    assert store.deliveries()[0].state is DeliveryState.FAILED


def test_a_crash_leaves_on_record_who_has_it(store: Store) -> None:
    """The worker dies with a claim: what is in doubt is the provider's, for every other worker."""
    epoch = fill(store, *map(notice, KEYS))
    first = claim(store, epoch, NORTH)
    store.bury_silent(LATER, timedelta(0))
    heir = store.open_worker("node-b", 2, LATER)
    assert set(claim(store, heir, Share("south", range(BUCKETS), KNOWN))) == set(KEYS) - set(first)
    assert set(claim(store, heir, Share("north", range(0), KNOWN))) == set(first)


def test_a_digest_is_whole_at_one_provider(store: Store) -> None:
    """Notices that may go together come together to whoever claims the first, whatever their buckets."""
    epoch = fill(store, *(notice(key, digest=True, hold_until=NOW) for key in KEYS))
    assert set(claim(store, epoch, NORTH, limit=1)) == set(KEYS)
    assert {one.provider for one in store.deliveries()} == {"north"}


def test_a_provider_that_is_left_alone_is_brought_nothing_fresh(store: Store) -> None:
    """It asks about its digest in doubt; what waits for the same person since then goes to the other."""
    epoch = fill(store, *(notice(key, digest=True, hold_until=NOW) for key in KEYS[:2]))
    held = claim(store, epoch, NORTH)
    store.bind_digest(epoch, {one.id: "digest:1" for one in held.values()})
    store.record(
        epoch, [DeliveryResult(one, DeliveryState.IN_DOUBT, NOW, reference="digest:1") for one in held.values()], NOW
    )
    store.add_notices(None, [notice("fresh", digest=True, hold_until=NOW)], [], "v1", NOW)
    assert set(claim(store, epoch, Share("north", range(0), KNOWN))) == set(KEYS[:2])
    assert set(claim(store, epoch, Share("south", range(BUCKETS), KNOWN))) == {"fresh"}


# --- what a provider tells --------------------------------------------------------------------------------------------


def sent_over(store: Store, share: Share) -> None:
    """One notice went out over that provider, who calls it R1."""
    epoch = fill(store, notice("a"))
    (one,) = claim(store, epoch, share).values()
    store.record(epoch, [outcome(one, DeliveryState.ACCEPTED, "R1")], LATER)


@pytest.mark.parametrize(("told_by", "comes_to"), [("north", "delivered"), ("south", "accepted"), ("sms", "accepted")])
def test_a_receipt_comes_from_the_provider_that_had_it(store: Store, told_by: str, comes_to: str) -> None:
    """By the provider's own name of it: another provider's R1 is another message, and the channel has no names."""
    sent_over(store, Share("north", range(BUCKETS), KNOWN))
    told = ReceiptTold(told_by, Came.DELIVERED, theirs="R1")
    store.hear(told_by, [told], LATER)
    due = [(row, store.meant([told])[0]) for row in store.inbox_due(LATER, 10)]
    store.take_receipts(due, {one.id for one in store.deliveries()}, LATER)
    assert [one.state.value for one in store.deliveries()] == [comes_to]


@pytest.mark.parametrize(("told_by", "comes_to"), [("north", "failed"), ("south", "accepted")])
def test_only_who_had_it_last_can_say_that_it_failed(store: Store, told_by: str, comes_to: str) -> None:
    """South failed with it before and says so late, by our own name of it: north has taken it since."""
    sent_over(store, Share("north", range(BUCKETS), KNOWN))
    told = ReceiptTold(told_by, Came.FAILED, reference_of("a"))
    store.hear(told_by, [told], LATER)
    due = [(row, store.meant([told])[0]) for row in store.inbox_due(LATER, 10)]
    store.take_receipts(due, {one.id for one in store.deliveries()}, LATER)
    assert [one.state.value for one in store.deliveries()] == [comes_to]
