"""Budgets of a channel: merged before anything is refused, red before yellow, never more than is let through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from daemon.budget import WINDOW, Fate, Rule, Spending, Spent, Verdict, Wish, decide, ordinary
from daemon.medium import Budget

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 10, 8, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def wishes(number: int, *, urgent: bool = False, may_merge: bool = False, person: str = "h0") -> list[Wish]:
    """So many messages to one person, each with words of its own."""
    kind = "urgent" if urgent else "plain"
    return [Wish(f"{kind}{n}", person, f"{kind}{n}", 1, urgent, may_merge) for n in range(number)]


def sent(number: int, *, ago: timedelta = HOUR, parts: int = 1) -> Spent:
    """So many messages handed over to the person, the last of them that long ago, an hour between each two."""
    rows = tuple(Spending(f"old{n}", "h0", NOW - ago - n * HOUR, f"old{n}", parts) for n in reversed(range(number)))
    return Spent(rows, number * parts, tuple((one.at, one.parts) for one in rows))


def fates(budget: Budget, spent: Spent, asked: Sequence[Wish], waiting: int = 0) -> list[Fate]:
    """What becomes of each."""
    return [verdict.fate for verdict in decide(budget, spent, asked, {"h0": waiting}, NOW)]


def test_the_reserve_is_for_the_urgent() -> None:
    """Of ten a day two are kept: a ninth ordinary one does not fit, two red ones do, and a third does not."""
    budget = Budget(per_person=10)
    assert fates(budget, sent(8), wishes(1)) == [Fate.OVER]
    assert fates(budget, sent(8), wishes(3, urgent=True)) == [Fate.GO, Fate.GO, Fate.OVER]


def test_red_goes_before_yellow_whatever_the_order() -> None:
    """With room for one, the red one has it though it was asked about last."""
    asked = [*wishes(2), *wishes(1, urgent=True)]
    assert fates(Budget(per_person=3, reserve=0), sent(2), asked) == [Fate.OVER, Fate.OVER, Fate.GO]


def test_merged_as_soon_as_more_waits_than_there_is_room_for() -> None:
    """Two leave, five more wait, four fit: the two are merged; with three waiting fewer they go singly."""
    budget = Budget(per_person=5)
    assert fates(budget, sent(0), wishes(2, may_merge=True), waiting=5) == [Fate.MERGE, Fate.MERGE]
    assert fates(budget, sent(0), wishes(2, may_merge=True), waiting=2) == [Fate.GO, Fate.GO]


def test_one_alone_has_nothing_to_be_merged_with() -> None:
    """It is told when room comes free: when the oldest leaves the window."""
    (verdict,) = decide(Budget(per_person=2, reserve=0), sent(2), wishes(1, may_merge=True), {}, NOW)
    assert verdict == Verdict(Fate.OVER, Rule.PER_PERSON, NOW - 2 * HOUR + WINDOW)


def test_the_same_text_a_third_time_does_not_go() -> None:
    """Twilio's rule for China: the same words twice are let through, other words still are."""
    same = Wish("new", "h0", "old0")
    spent = Spent((*sent(1).spendings, Spending("again", "h0", NOW - 2 * HOUR, "old0")))
    (verdict,) = decide(Budget(same_text=2), spent, [same], {}, NOW)
    assert (verdict.rule, verdict.frees_at) == (Rule.SAME_TEXT, NOW - 2 * HOUR + WINDOW)
    assert fates(Budget(same_text=2), spent, wishes(1)) == [Fate.GO]


def test_a_text_said_before_is_no_different_one() -> None:
    """Five different texts a day: a sixth waits, one of the five may come again."""
    budget = Budget(different_texts=5, reserve=0)
    assert fates(budget, sent(5), [*wishes(1), Wish("again", "h0", "old3")]) == [Fate.OVER, Fate.GO]


def test_the_total_counts_parts_of_everybody() -> None:
    """Three parts do not fit into two that are left; they will when enough have left the window."""
    long = Wish("long", "h1", "long", parts=3)
    (verdict,) = decide(Budget(total=10, reserve=0), sent(4, parts=2), [long], {}, NOW)
    assert (verdict.rule, verdict.frees_at) == (Rule.TOTAL, NOW - 4 * HOUR + WINDOW)
    assert fates(Budget(total=10, reserve=0), sent(4, parts=2), [Wish("short", "h1", "short", parts=2)]) == [Fate.GO]


def test_a_message_larger_than_the_total_never_fits() -> None:
    """It is said that no waiting helps."""
    (verdict,) = decide(Budget(total=2, reserve=0), Spent(), [Wish("long", "h1", "long", parts=3)], {}, NOW)
    assert verdict == Verdict(Fate.OVER, Rule.TOTAL, None)


def test_the_same_message_is_counted_once() -> None:
    """One that was handed over before and is in doubt goes again though nothing else fits."""
    assert fates(Budget(per_person=1), sent(1), [Wish("old0", "h0", "old0")]) == [Fate.GO]


def test_what_left_a_day_ago_counts_no_more() -> None:
    """To the microsecond, five minutes after the day."""
    budget = Budget(per_person=1)
    assert fates(budget, sent(1, ago=WINDOW), wishes(1)) == [Fate.GO]
    assert fates(budget, sent(1, ago=WINDOW - timedelta(microseconds=1)), wishes(1)) == [Fate.OVER]


BUDGETS = st.builds(
    Budget,
    per_person=st.none() | st.integers(1, 6),
    same_text=st.none() | st.integers(1, 3),
    different_texts=st.none() | st.integers(1, 4),
    total=st.none() | st.integers(1, 12),
    reserve=st.integers(0, 90),
)
WISHES = st.lists(
    st.builds(
        Wish,
        st.integers(0, 30).map(str),
        st.sampled_from(("h0", "h1")),
        st.sampled_from("abcdef"),
        st.integers(1, 3),
        st.booleans(),
        st.booleans(),
    ).map(lambda one: one if not one.urgent else Wish(one.sent_as, one.person, one.words, one.parts, urgent=True)),
    max_size=8,
    unique_by=lambda one: one.sent_as,
)


@given(BUDGETS, st.lists(st.tuples(st.integers(0, 20), WISHES), max_size=8))
def test_no_window_ever_holds_more_than_the_budget(budget: Budget, batches: list[tuple[int, list[Wish]]]) -> None:
    """Whatever wants to leave and when, no rule is ever broken in any window, and every wish has its answer."""
    spent: dict[str, Spending] = {}
    parts: dict[str, int] = {}
    now = NOW
    for hours, asked in batches:
        now += hours * HOUR
        own = {wish.sent_as: wish for wish in asked if spent.get(wish.sent_as, _of(wish, now)).person == wish.person}
        counted = [one for one in spent.values() if one.at > now - WINDOW]
        everybody = tuple((one.at, one.parts) for one in counted)
        state = Spent(tuple(counted), sum(one.parts for one in counted), everybody)
        verdicts = decide(budget, state, list(own.values()), {}, now)
        assert len(verdicts) == len(own)
        for wish, verdict in zip(own.values(), verdicts, strict=True):
            if verdict.fate is Fate.GO:
                known = spent.get(wish.sent_as)
                paid = known is not None and known.at > now - WINDOW
                spent[wish.sent_as] = known if known is not None and paid else _of(wish, now)
                parts[wish.sent_as] = wish.parts
            elif verdict.frees_at is not None:
                assert verdict.frees_at > now
        window = [one for one in spent.values() if one.at > now - WINDOW]
        for person in ("h0", "h1"):
            mine = [one for one in window if one.person == person]
            words = [one.words for one in mine]
            assert len(mine) <= (budget.per_person or len(mine))
            assert len(set(words)) <= (budget.different_texts or len(words))
            assert all(words.count(each) <= (budget.same_text or len(words)) for each in words)
        assert sum(one.parts for one in window) <= (budget.total or 10_000)


def _of(wish: Wish, at: datetime) -> Spending:
    return Spending(wish.sent_as, wish.person, at, wish.words, wish.parts)


@given(BUDGETS, WISHES)
def test_nothing_urgent_gives_way_to_what_is_not(budget: Budget, asked: list[Wish]) -> None:
    """A message that is not urgent leaves only if every urgent one of that person that fits by itself did."""
    verdicts = decide(budget, Spent(), asked, {}, NOW)
    alone = {
        wish.sent_as: fate
        for wish in asked
        if wish.urgent
        for fate in [decide(budget, Spent(), [each for each in asked if each.urgent], {}, NOW)]
    }
    urgent = [(wish, verdict) for wish, verdict in zip(asked, verdicts, strict=True) if wish.urgent]
    for number, (wish, verdict) in enumerate(urgent):
        assert verdict.fate is alone[wish.sent_as][number].fate


@given(st.integers(1, 500), st.integers(0, 90))
def test_something_is_always_left_for_the_ordinary(most: int, reserve: int) -> None:
    """However small the budget and large the reserve; and never more than the whole."""
    assert 1 <= ordinary(most, reserve) <= most
