"""The rates of the domain rules, with their denominators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.beforehand.metrics import Outcome, outcome, tally

SEPTEMBER, OCTOBER = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
NOW = datetime(2026, 10, 5, tzinfo=UTC)
DUE = datetime(2026, 9, 20, tzinfo=UTC)
DAY = timedelta(days=1)


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
