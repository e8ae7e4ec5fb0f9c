"""Spendings on both databases: never more than the budget, whoever asks at the same moment and whoever dies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.budget import WINDOW, Fate, Wish
from daemon.errors import Fenced
from daemon.medium import Budget
from daemon.store import Store
from support.store_values import NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

WORKERS = 4
EACH = 6


def asked(store: Store, epoch: int, budget: Budget, names: Sequence[str], at: object = NOW) -> list[Fate]:
    """What becomes of messages called so, all to one person and each with words of its own."""
    wishes = [Wish(name, "h0", name) for name in names]
    return [verdict.fate for verdict in store.spend(epoch, "sms", budget, wishes, at)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("budget", "room"),
    [
        (Budget(per_person=7, reserve=0), 7),
        (Budget(total=9, reserve=0), 9),
        (Budget(different_texts=5, reserve=0), 5),
        (Budget(per_person=10, reserve=20), 8),
    ],
)
def test_several_workers_at_once_never_overspend(store_url: str, budget: Budget, room: int) -> None:
    """Four workers ask for twenty-four messages at the same time: exactly as many go as there is room for."""
    stores = [Store(store_url) for _ in range(WORKERS)]
    epochs = [store.open_worker(f"n{number}", number, NOW) for number, store in enumerate(stores)]

    def work(number: int) -> list[Fate]:
        return [
            fate for turn in range(EACH) for fate in asked(stores[number], epochs[number], budget, [f"{number}-{turn}"])
        ]

    with ThreadPoolExecutor(WORKERS) as pool:
        fates = [fate for found in pool.map(work, range(WORKERS)) for fate in found]
    assert fates.count(Fate.GO) == room
    assert stores[0].spent(NOW)["sms"][0] == room
    for store in stores:
        store.close()


def test_what_a_dead_worker_spent_stays_spent(store: Store) -> None:
    """It perhaps handed it over; only the one who takes it over may do so again, as the same message."""
    budget = Budget(per_person=1)
    dead = store.open_worker("first", 1, NOW)
    assert asked(store, dead, budget, ["a"]) == [Fate.GO]
    store.bury([dead], NOW)
    with pytest.raises(Fenced):
        asked(store, dead, budget, ["b"])
    alive = store.open_worker("second", 2, NOW)
    assert asked(store, alive, budget, ["b"]) == [Fate.OVER]
    assert asked(store, alive, budget, ["a"]) == [Fate.GO]
    assert store.spent(NOW)["sms"][0] == 1


def test_what_is_given_back_may_be_spent_again(store: Store) -> None:
    """The provider took nothing."""
    budget, epoch = Budget(per_person=1), store.open_worker("first", 1, NOW)
    assert asked(store, epoch, budget, ["a"]) == [Fate.GO]
    assert store.give_back_spent("sms", ["a", "unknown"]) == 1
    assert asked(store, epoch, budget, ["b"]) == [Fate.GO]


def test_what_was_spent_by_a_clock_a_year_ahead_does_not_count_for_a_year(store: Store) -> None:
    """When the clock is right again, there is room again; what is a moment ahead, as another node may be, counts."""
    budget, epoch = Budget(per_person=1), store.open_worker("first", 1, NOW)
    assert asked(store, epoch, budget, ["a"], NOW + timedelta(days=365)) == [Fate.GO]
    assert asked(store, epoch, budget, ["b"], NOW + timedelta(minutes=1)) == [Fate.GO]
    assert asked(store, epoch, budget, ["c"], NOW) == [Fate.OVER]


def test_a_message_handed_over_again_counts_from_then(store: Store) -> None:
    """Sent again an hour later, it leaves the window an hour later."""
    budget, epoch = Budget(per_person=1), store.open_worker("first", 1, NOW)
    later = NOW + timedelta(hours=1)
    asked(store, epoch, budget, ["a"])
    assert asked(store, epoch, budget, ["a"], later) == [Fate.GO]
    assert asked(store, epoch, budget, ["b"], NOW + WINDOW) == [Fate.OVER]
    assert asked(store, epoch, budget, ["b"], later + WINDOW) == [Fate.GO]


def test_each_channel_has_a_budget_of_its_own(store: Store) -> None:
    """What one channel spent is no other's."""
    budget, epoch = Budget(per_person=1), store.open_worker("first", 1, NOW)
    asked(store, epoch, budget, ["a"])
    (verdict,) = store.spend(epoch, "other", budget, [Wish("a", "h0", "a")], NOW)
    assert verdict.fate is Fate.GO
