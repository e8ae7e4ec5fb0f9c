"""When a delivery that failed for a while is tried again, and when it is given up.

Exponential with a cap, spread out by a fraction that follows from the notice's own key: the same notice always
waits equally long (nothing random to record), a thousand notices do not come back in the same second.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
SPREAD = 0.25  # a wait is lengthened by up to a quarter
GIVE_UP_AFTER = timedelta(days=3)  # where no next step takes over


def wait_before(attempt: int, key: str) -> timedelta:
    """How long to wait after the failed attempt number `attempt` (1 is the first)."""
    doublings = min(max(attempt, 1) - 1, 16)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT) * (1 + SPREAD * _fraction(key, attempt))


def next_attempt_at(
    attempt: int, key: str, now: datetime, created_at: datetime, expires_at: datetime | None, retry_after: float | None
) -> datetime | None:
    """When to try again after failed attempt number `attempt`; None when it should be given up.

    `retry_after` (seconds) is the provider's wish and is respected. A retry never runs past `expires_at`, the
    moment the next step of the ladder takes over; without one it is given up after three days.
    """
    at = now + max(wait_before(attempt, key), timedelta(seconds=retry_after or 0))
    return at if at < last_moment(created_at, expires_at) else None


def last_moment(created_at: datetime, expires_at: datetime | None) -> datetime:
    """When a message that was not sent by then is given up."""
    return expires_at if expires_at is not None and expires_at > created_at else created_at + GIVE_UP_AFTER


def _fraction(key: str, attempt: int) -> float:
    digest = hashlib.sha256(f"{key}#{attempt}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32
