"""When a provider is left alone, and how it comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daemon.breaker import ENOUGH, LONGEST_REST, SLOW, Breaker, State, Tolerance

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TOLERANCE = Tolerance(failures=3, slow_after=2.0, rest=MINUTE)
QUICK, LONG = 0.1, 5.0


def left(now: datetime = NOW) -> Breaker:
    """A provider that has just failed three times."""
    return Breaker(TOLERANCE).learnt(["503"] * 3, QUICK, now)


def test_failures_in_a_row_open_it() -> None:
    """Two failures are put up with, three are not, however they are spread over batches; the last one says why."""
    breaker = Breaker(TOLERANCE).learnt(["503", "503"], QUICK, NOW)
    assert breaker.works
    breaker = breaker.learnt(["408", ""], QUICK, NOW).learnt(["500", "500"], QUICK, NOW)
    assert breaker.works
    breaker = breaker.learnt(["timeout"], QUICK, NOW)
    assert (breaker.state, breaker.since, breaker.until) == (State.OPEN, NOW, NOW + MINUTE)
    assert breaker.why == "timeout"


def test_slowness_opens_it_as_well() -> None:
    """One slow batch among quick ones is nothing; when the middle one is slow, the provider is left."""
    breaker = Breaker(TOLERANCE)
    for seconds in (QUICK, LONG, QUICK, LONG):
        breaker = breaker.learnt([""], seconds, NOW)
        assert breaker.works
    breaker = breaker.learnt([""], LONG, NOW)
    assert (breaker.state, breaker.why) == (State.OPEN, SLOW)


def test_it_comes_back_by_one_message() -> None:
    """Not before it has rested, then for one trial; if that succeeds, nothing is held against it."""
    breaker = left()
    assert not breaker.may_be_tried(NOW + MINUTE - timedelta(microseconds=1))
    assert breaker.may_be_tried(NOW + MINUTE)
    breaker = breaker.tried()
    assert not breaker.may_be_tried(NOW + MINUTE)
    assert breaker.learnt([""], QUICK, NOW + MINUTE) == Breaker(TOLERANCE)


@pytest.mark.parametrize(("code", "seconds", "why"), [("503", QUICK, "503"), ("", LONG, SLOW)])
def test_a_trial_that_fails_doubles_the_rest(code: str, seconds: float, why: str) -> None:
    """A minute, two, four … an hour at most; that it was slow counts like a failure. Since when it is left stays."""
    breaker, now, rests = left(), NOW, list[timedelta]()
    for _ in range(8):
        assert breaker.until is not None
        rests.append(breaker.until - now)
        now = breaker.until
        breaker = breaker.tried().learnt([code], seconds, now)
        assert (breaker.since, breaker.why) == (NOW, why)
    assert rests == [min(MINUTE * 2**number, LONGEST_REST) for number in range(8)]


@pytest.mark.parametrize("wrong", [timedelta(hours=8), timedelta(days=365)])
def test_a_clock_that_is_put_back_does_not_leave_it_for_that_long(wrong: timedelta) -> None:
    """Left, tried in vain or asked to wait while the clock was ahead: tried as soon as the clock is right again."""
    ahead = NOW + wrong
    for breaker in (
        left(ahead),
        left().tried().learnt(["503"], QUICK, ahead),
        left().asked_to_wait("429", 60, ahead),
        Breaker(TOLERANCE).asked_to_wait("429", 60, ahead),
    ):
        assert not breaker.may_be_tried(ahead + timedelta(seconds=59))
        assert breaker.may_be_tried(NOW + 2 * MINUTE)


def test_a_trial_without_a_message_costs_nothing() -> None:
    """With nothing to try it with, it may be tried at once when there is something."""
    breaker = left().tried().untried()
    assert breaker == left()
    assert Breaker(TOLERANCE).untried() == Breaker(TOLERANCE)


def test_the_providers_wish_to_wait_is_a_rest() -> None:
    """Retry-After leaves a provider that works for so long, and lengthens a rest that would be over before."""
    breaker = Breaker(TOLERANCE).asked_to_wait("429", 5, NOW)
    assert (breaker.state, breaker.until, breaker.why) == (State.OPEN, NOW + timedelta(seconds=5), "429")
    assert left().asked_to_wait("429", 600, NOW).until == NOW + timedelta(seconds=600)
    assert left().asked_to_wait("429", 5, NOW).until == NOW + MINUTE


batches = st.lists(st.sampled_from(["", "", "503", "timeout"]), min_size=1, max_size=6)


class Provider(RuleBasedStateMachine):
    """A provider that is sent batches, tried, asked to be left alone, in any order as time goes by."""

    def __init__(self) -> None:
        """It works, and nothing has been sent."""
        super().__init__()
        self.now = NOW
        self.breaker = Breaker(TOLERANCE)
        self.row = 0  # failures in a row since it was last taken for working

    @rule(codes=batches, seconds=st.sampled_from([QUICK, LONG]), only=st.booleans())
    def send(self, codes: list[str], seconds: float, *, only: bool) -> None:
        """It is left exactly when it failed too often in a row, or was slow for a while."""
        before = self.breaker
        self.breaker = before.learnt(codes, seconds, self.now, only=only)
        for code in codes:
            self.row = self.row + 1 if code else 0
        if before.works:
            slow = sorted([*before.recent, seconds][-7:])
            too_slow = len(slow) >= ENOUGH and slow[(len(slow) - 1) // 2] == LONG
            assert self.breaker.works is not (self.row >= TOLERANCE.failures or too_slow)
        elif before.state is State.OPEN and not only:
            assert self.breaker == before
        elif not codes[-1] and seconds == QUICK:
            assert self.breaker == Breaker(TOLERANCE)
        else:
            assert not self.breaker.works
        if self.breaker.works is not before.works:
            self.row = 0

    @rule(minutes=st.integers(0, 90))
    def time_goes_by(self, minutes: int) -> None:
        """Time alone closes nothing."""
        self.now += minutes * MINUTE

    @rule()
    def try_it(self) -> None:
        """Only one who has rested is tried."""
        if self.breaker.may_be_tried(self.now):
            self.breaker = self.breaker.tried()

    @rule()
    def nothing_to_try(self) -> None:
        """The trial did not come about."""
        self.breaker = self.breaker.untried()

    @rule(seconds=st.integers(1, 7200))
    def ask_to_wait(self, seconds: int) -> None:
        """Whatever state it is in, it rests at least so long."""
        was = self.breaker.works
        self.breaker = self.breaker.asked_to_wait("429", seconds, self.now)
        assert self.breaker.until is not None
        assert self.breaker.until >= self.now + timedelta(seconds=seconds)
        if was:
            self.row = 0

    @invariant()
    def it_is_never_left_for_ever(self) -> None:
        """Who is left has a moment of return, and rests an hour at most unless he asked for more."""
        if self.breaker.works:
            assert self.breaker.since is self.breaker.until is None
        else:
            assert self.breaker.since is not None
            assert self.breaker.until is not None
            assert self.breaker.rest <= LONGEST_REST
            assert self.breaker.tried().untried().may_be_tried(self.breaker.until)


TestProvider = Provider.TestCase
