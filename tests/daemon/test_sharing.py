"""Which provider behind a shared channel takes which notices."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from channels.base import OutcomeUnknown, PermanentFailure, Receipt, TemporaryFailure
from daemon.providers import Providers
from daemon.sharing import BUCKETS, STEP, Sharing, bucket_of, ranges_of

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
NAMES = ("aliyun", "huawei", "mas", "tencent")
weights = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 100), min_size=1)
FAILED = [TemporaryFailure("503")]


def providers(**weighed: int) -> Providers:
    """Behind one channel; one failure is enough to be left for a minute."""
    return Providers("sms", Sharing(providers=weighed, failures=1))


def taken(of: Providers, now: datetime = NOW) -> dict[str, range]:
    """What each may claim now."""
    return {name: of.turn(name, now).share.buckets for name in of.weights}


@given(weights, st.sets(st.sampled_from(NAMES)))
def test_every_bucket_has_one_provider_that_works(weighed: dict[str, int], working: set[str]) -> None:
    """Whoever works: all buckets are taken, none twice, none by one that does not work, by weight to a thousandth."""
    found = ranges_of(weighed, working)
    assert sorted(bucket for taking in found.values() for bucket in taking) == list(range(BUCKETS))
    expected = (set(weighed) & working) or set(weighed)
    assert set(found) == expected
    total = sum(weighed[name] for name in expected)
    for name, taking in found.items():
        assert len(taking) >= 1
        assert abs(len(taking) - BUCKETS * weighed[name] / total) <= 1


@given(st.integers(0, BUCKETS - 1))
def test_a_retry_falls_elsewhere_in_the_end(bucket: int) -> None:
    """Attempt by attempt a notice comes through every bucket, so through every provider's range."""
    assert {(bucket + attempt * STEP) % BUCKETS for attempt in range(BUCKETS)} == set(range(BUCKETS))


def test_notices_are_spread_evenly() -> None:
    """Of ten thousand notice keys as they really are, each tenth of the buckets gets about a tenth."""
    keys = (f"信〔2026〕{number}号/xinfang/finish//1/remind/0/h{number % 9}/sms" for number in range(10_000))
    tenths = Counter(bucket_of(key) // 100 for key in keys)
    assert len(tenths) == 10
    assert all(900 < number < 1100 for number in tenths.values())


def test_a_provider_that_fails_leaves_its_share_to_the_others() -> None:
    """At once, and gets it back by one message after its rest; the trial begins at the bottom lane."""
    behind = providers(aliyun=3, tencent=1)
    assert taken(behind) == {"aliyun": range(750), "tencent": range(750, 1000)}
    behind.learn("aliyun", FAILED, 0.1, NOW)
    assert taken(behind) == {"aliyun": range(0), "tencent": range(1000)}
    later = NOW + timedelta(seconds=60)
    trial = behind.turn("aliyun", later)
    assert (trial.is_trial, trial.most, trial.share.buckets) == (True, 1, range(1000))
    assert trial.lanes is not None
    assert trial.lanes[0] == max(trial.lanes)
    assert not behind.turn("aliyun", later).is_trial
    behind.learn("aliyun", [Receipt("1")], 0.1, later)
    behind.trial_over("aliyun")
    assert taken(behind, later) == {"aliyun": range(750), "tencent": range(750, 1000)}


def test_with_all_of_them_failing_they_go_on_as_one_that_fails() -> None:
    """Nobody is left to leave the messages to: each tries its share, and the first that works has everything."""
    behind = providers(aliyun=3, tencent=1)
    for name in ("aliyun", "tencent"):
        behind.learn(name, FAILED, 0.1, NOW)
    assert taken(behind) == {"aliyun": range(750), "tencent": range(750, 1000)}
    assert not behind.is_left("aliyun")
    behind.learn("tencent", [Receipt("1")], 0.1, NOW)
    assert taken(behind) == {"aliyun": range(0), "tencent": range(1000)}


def test_what_counts_as_the_providers_failure() -> None:
    """A wrong number is none; no answer, a temporary failure and a refusal of everything are."""
    for outcome, works in (
        (Receipt("1"), True),
        (PermanentFailure("wrong_number"), True),
        (PermanentFailure("wrong_password", whole_channel=True), False),
        (OutcomeUnknown("timeout"), False),
        (TemporaryFailure("503"), False),
    ):
        behind = providers(aliyun=1, tencent=1)
        behind.learn("aliyun", [outcome], 0.1, NOW)
        assert behind.breakers["aliyun"].works is works


def test_the_wish_of_one_to_wait_is_not_the_messages() -> None:
    """Told to come back in an hour, he is left for an hour and the message goes elsewhere; with no other it waits."""
    behind = providers(aliyun=1, tencent=1)
    (counted,) = behind.learn("aliyun", [TemporaryFailure("429", retry_after=3600)], 0.1, NOW)
    assert isinstance(counted, TemporaryFailure)
    assert (counted.code, counted.retry_after) == ("429", None)
    assert behind.breakers["aliyun"].until == NOW + timedelta(hours=1)
    (counted,) = behind.learn("tencent", [TemporaryFailure("429", retry_after=3600)], 0.1, NOW)
    assert isinstance(counted, TemporaryFailure)
    assert counted.retry_after == 3600


def test_what_was_learnt_outlives_a_reload() -> None:
    """The settings read again, a provider that is left stays left; one that is new works."""
    elder, new = providers(aliyun=1, tencent=1), providers(aliyun=1, tencent=1, mas=1)
    elder.learn("aliyun", FAILED, 0.1, NOW)
    new.take_over(elder)
    assert {name: breaker.works for name, breaker in new.breakers.items()} == {
        "aliyun": False,
        "tencent": True,
        "mas": True,
    }
