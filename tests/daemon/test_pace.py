from __future__ import annotations

import pytest

from daemon.ways import AIM, BATCH, Pace


@pytest.mark.parametrize(
    ("at_once", "batches", "expected"),
    [
        (4, [], 4),
        (4, [(4, AIM / 10)], 8),
        (4, [(4, AIM / 10)] * 2, 8),
        (4, [(4, AIM / 10), (8, AIM / 10), (16, AIM / 10), (32, AIM / 10), (64, AIM / 10)], BATCH),
        (4, [(3, AIM / 10)], 4),
        (4, [(4, AIM * 1.5)], 4),
        (4, [(4, AIM / 10), (8, AIM * 3)], 4),
        (4, [(4, AIM * 100)] * 5, 4),
        (200, [(200, AIM / 10)], 200),
        (200, [(200, AIM * 9)], 200),
    ],
    ids=[
        "begins with what the channel sends at once",
        "a fast channel is given more",
        "a batch that was not full teaches nothing",
        "never more than the largest batch",
        "a few quick ones are no proof",
        "as long as it should take",
        "a slow one is given less",
        "never less than it sends at once",
        "a channel with many connections has them all used",
        "even when it is slow",
    ],
)
def test_a_batch_is_what_the_channel_sends_in_a_moment(
    at_once: int, batches: list[tuple[int, float]], expected: int
) -> None:
    """The number claimed follows the channel's speed, between what it sends at once and the largest batch."""
    pace = Pace(at_once)
    for sent, seconds in batches:
        pace.learn(sent, seconds)
    assert pace.batch == expected
