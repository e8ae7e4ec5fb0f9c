from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.retry import GIVE_UP_AFTER, LONGEST_WAIT, SPREAD, next_attempt_at, wait_before

NOW = datetime(2026, 9, 28, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (50, 3600)])
def test_waits_double_up_to_an_hour(attempt: int, seconds: int) -> None:
    """Each failure doubles the wait until it reaches an hour; the spread adds at most a quarter."""
    wait = wait_before(attempt, "key").total_seconds()
    assert seconds <= wait <= seconds * (1 + SPREAD)


@given(st.text(min_size=1), st.integers(1, 1000))
def test_a_notice_always_waits_equally_long(key: str, attempt: int) -> None:
    """The spread follows from the key: nothing random decides when a message goes out."""
    assert wait_before(attempt, key) == wait_before(attempt, key) <= LONGEST_WAIT * (1 + SPREAD)


def test_many_notices_do_not_come_back_in_the_same_second() -> None:
    """A thousand notices that failed together are spread over their waiting time."""
    assert len({int(wait_before(4, f"n{n}").total_seconds()) for n in range(1000)}) > 50


def test_the_providers_wish_is_respected() -> None:
    """Retry-After of ten minutes is waited out although our own wait would be shorter."""
    at = next_attempt_at(1, "key", NOW, NOW, None, retry_after=600)
    assert at == NOW + timedelta(seconds=600)


@given(st.integers(1, 60), st.integers(1, 10_000))
def test_no_retry_runs_past_the_next_step(attempt: int, seconds: int) -> None:
    """Whatever the attempt, a retry is before the moment the next step takes over, or there is none."""
    expires = NOW + timedelta(seconds=seconds)
    at = next_attempt_at(attempt, "key", NOW, NOW - timedelta(seconds=1), expires, None)
    assert at is None or NOW < at < expires


def test_without_a_next_step_it_is_given_up_after_three_days() -> None:
    """The last step of a ladder is retried for three days and no longer."""
    assert next_attempt_at(9, "key", NOW, NOW - GIVE_UP_AFTER, None, None) is None
    assert next_attempt_at(9, "key", NOW, NOW - timedelta(days=2), None, None) is not None


def test_a_notice_caught_up_after_its_successor_was_due_still_gets_its_days() -> None:
    """An expiry before the notice was even decided is no expiry: after an outage the message still goes out."""
    at = next_attempt_at(1, "key", NOW, created_at=NOW, expires_at=NOW - timedelta(days=1), retry_after=None)
    assert at is not None
