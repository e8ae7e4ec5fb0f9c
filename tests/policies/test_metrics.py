"""The rates of the domain rules, with their denominators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.metrics import Outcome, Rate, outcome, tally

SEPTEMBER, OCTOBER = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
NOW = datetime(2026, 10, 5, tzinfo=UTC)
DUE = datetime(2026, 9, 20, tzinfo=UTC)
DAY = timedelta(days=1)


def test_statement_46_on_time_rate() -> None:
    """128 fell due, 121 on time, 3 late, 4 still open: 94.53 %; due next month and answered now is in neither part."""
    limits = [(DUE, DUE)] * 121 + [(DUE, DUE + DAY)] * 3 + [(DUE, None)] * 4
    limits.append((OCTOBER + DAY, DUE))
    september = tally(limits, SEPTEMBER, OCTOBER, NOW)
    assert (september[Outcome.ON_TIME], september[Outcome.LATE]) == (121, 3)
    assert (september[Outcome.OPEN], september[Outcome.OPEN_LATE]) == (0, 4)
    assert september.on_time_rate == Rate(121, 128)
    assert str(september.on_time_rate) == "94.53 %"


def test_statement_47_nothing_due_has_no_rate() -> None:
    """An empty denominator is a dash, neither 0 % nor 100 %."""
    assert str(tally([], SEPTEMBER, OCTOBER, NOW).on_time_rate) == "—"
    assert Rate(0, 0).percent is None
    assert str(Rate(0, 3)) == "0.00 %"
    assert str(Rate(3, 3)) == "100.00 %"


def test_the_last_instant_is_on_time() -> None:
    """Done at the limit itself is on time, a microsecond later is late; what is done in the future is not done."""
    assert outcome(DUE, DUE, NOW) is Outcome.ON_TIME
    assert outcome(DUE, DUE + timedelta(microseconds=1), NOW) is Outcome.LATE
    assert outcome(NOW + DAY, NOW + DAY, NOW) is Outcome.OPEN
    assert outcome(DUE, NOW + DAY, NOW) is Outcome.OPEN_LATE


INSTANTS = st.datetimes(datetime(2026, 8, 1), datetime(2026, 11, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@given(st.lists(st.tuples(INSTANTS, st.none() | INSTANTS), max_size=40))
def test_neighbouring_periods_add_up(limits: list[tuple[datetime, datetime | None]]) -> None:
    """Every limit is counted in exactly one of two neighbouring periods, with the same outcome."""
    start, end = datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    whole = tally(limits, start, end, NOW)
    first, second = tally(limits, start, SEPTEMBER, NOW), tally(limits, SEPTEMBER, end, NOW)
    assert whole.due == len(limits) == first.due + second.due
    assert all(whole[one] == first[one] + second[one] for one in Outcome)
