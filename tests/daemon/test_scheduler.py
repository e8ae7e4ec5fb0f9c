from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.clock import ManualClock
from daemon.errors import Fenced, SourceUnavailable, StoreUnavailable
from daemon.scheduler import Job, Rhythm
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
QUICK = timedelta(milliseconds=10)
MINUTE = timedelta(minutes=1)


class Records:
    """What the rhythm writes down about its jobs; can be told to fail as a store that is away."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str]] = []
        self.away = False

    async def __call__(self, job: str, now: datetime, error: str) -> None:
        """Take one beat."""
        del now
        if self.away:
            raise StoreUnavailable(Text("数据库没有应答", "no answer"))
        self.written.append((job, error))


class Counted:
    """A job body that counts its runs, does what it is told in each, and lets a test wait for the n-th."""

    def __init__(self, body: Callable[[int], Awaitable[None]] | None = None) -> None:
        self.runs = 0
        self._body = body
        self._more = asyncio.Condition()

    async def __call__(self) -> None:
        """One run."""
        self.runs += 1
        async with self._more:
            self._more.notify_all()
        if self._body is not None:
            await self._body(self.runs)

    async def reached(self, runs: int) -> None:
        """Wait until it ran that often."""
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: self.runs >= runs)


def raising(error: Exception, runs: int = 1_000_000) -> Callable[[int], Awaitable[None]]:
    """A body that raises in its first runs and is fine afterwards."""

    async def body(run: int) -> None:
        if run <= runs:
            raise error

    return body


@asynccontextmanager
async def beating(
    *jobs: Job, clock: ManualClock, records: Records | None = None, fenced: Callable[[], None] = lambda: None
) -> AsyncIterator[Rhythm]:
    """A rhythm that runs these jobs and is stopped afterwards."""
    rhythm = Rhythm(jobs, clock, "node", records or Records(), fenced)
    rhythm.start()
    try:
        yield rhythm
    finally:
        await rhythm.stop(5)


@pytest.fixture
def clock() -> ManualClock:
    """A Monday morning in the office."""
    return ManualClock(START)


async def test_a_job_runs_at_once_and_again(clock: ManualClock) -> None:
    """A job runs when the daemon starts and then again and again, and its good runs are remembered."""
    work, records = Counted(), Records()
    async with beating(Job("tick", QUICK, MINUTE, work), clock=clock, records=records) as rhythm:
        await work.reached(3)
    assert rhythm.beats()[0].last_ok_at == START
    assert records.written == [("tick", "")]


async def test_an_error_never_stops_the_rhythm(clock: ManualClock) -> None:
    """A job that raises is run again; its error is recorded, and so is its recovery."""
    work, records = Counted(raising(ValueError("bad"), runs=2)), Records()
    async with beating(Job("tick", QUICK, MINUTE, work), clock=clock, records=records) as rhythm:
        await work.reached(4)
    assert records.written == [("tick", "ValueError"), ("tick", "")]
    assert (rhythm.beats()[0].last_error, rhythm.beats()[0].last_error_at) == ("", START)


async def test_a_run_that_hangs_is_cut_off(clock: ManualClock) -> None:
    """A run longer than its time-out is cancelled, recorded as failed, and the next one starts."""
    never = asyncio.Event()

    async def hang(run: int) -> None:
        if run == 1:
            await never.wait()

    work, records = Counted(hang), Records()
    async with beating(Job("sync", QUICK, timedelta(milliseconds=50), work), clock=clock, records=records):
        await work.reached(3)
    assert records.written == [("sync", "time-out after 0 s"), ("sync", "")]


async def test_an_error_of_the_scheduler_itself_is_survived(clock: ManualClock) -> None:
    """Three passes of the scheduler that throw only delay the runs: the guard of the subclass works."""
    work = Counted()
    async with beating(Job("tick", QUICK, MINUTE, work), clock=clock) as rhythm:
        await work.reached(1)
        store = rhythm._scheduler._jobstores["default"]
        good = store.update_job

        def fail(job: object) -> None:
            store.update_job = good
            raise OSError(str(job))

        store.update_job = fail
        before = work.runs
        await work.reached(before + 3)


async def test_silence_is_noticed(clock: ManualClock) -> None:
    """A job without a good run for three intervals and a time-out is not fresh any more, and is named."""
    fine = Job("tick", QUICK, MINUTE, Counted())
    bad = Counted(raising(ValueError("bad")))
    async with beating(fine, Job("sync", timedelta(seconds=10), MINUTE, bad), clock=clock) as rhythm:
        await bad.reached(1)
        assert rhythm.fresh(START + timedelta(seconds=60))
        assert rhythm.stale(START + timedelta(seconds=90)) == ("tick",)
        assert rhythm.stale(START + timedelta(seconds=91)) == ("tick", "sync")


@pytest.mark.parametrize("away", [SourceUnavailable, StoreUnavailable])
async def test_an_outage_is_waited_out(clock: ManualClock, away: type[Exception]) -> None:
    """A database that is away makes the run fail, but not stale: killing the daemon would not bring it back."""
    work = Counted(raising(away(Text("没有应答", "no answer"))))
    job = Job("sync", QUICK, timedelta(seconds=1), work)
    async with beating(job, clock=clock) as rhythm:
        await work.reached(1)
        clock.advance(timedelta(hours=1))
        await work.reached(work.runs + 2)
        assert rhythm.fresh(clock.now())
        assert rhythm.beats()[0].last_error == "没有应答"
        assert rhythm.beats()[0].last_ok_at is None


async def test_being_fenced_is_told(clock: ManualClock) -> None:
    """When a run says that another node took over, the process is told to step down."""
    told = asyncio.Event()
    work = Counted(raising(Fenced()))
    async with beating(Job("heartbeat", QUICK, MINUTE, work), clock=clock, fenced=told.set), asyncio.timeout(10):
        await told.wait()


async def test_a_beat_that_cannot_be_written_does_no_harm(clock: ManualClock) -> None:
    """The rhythm goes on when the store cannot take its beats."""
    work, records = Counted(), Records()
    records.away = True
    async with beating(Job("tick", QUICK, MINUTE, work), clock=clock, records=records) as rhythm:
        await work.reached(3)
    assert rhythm.beats()[0].last_ok_at == START


async def test_a_daily_job_waits_a_little(clock: ManualClock) -> None:
    """A job that is not for the start does not run at once, but sooner than its interval."""
    rare, often = Counted(), Counted()
    jobs = (
        Job("full_sync", timedelta(days=1), MINUTE, rare, at_start=False),
        Job("tick", QUICK, MINUTE, often),
    )
    async with beating(*jobs, clock=clock) as rhythm:
        await often.reached(3)
        waits = rhythm._scheduler.get_job("full_sync").next_run_time - datetime.now(UTC)
    assert rare.runs == 0
    assert timedelta(minutes=9) < waits <= timedelta(minutes=10)


async def test_stopping_waits_for_what_is_under_way(clock: ManualClock) -> None:
    """A run that is under way ends by itself within the patience; afterwards nothing runs any more."""
    may_end = asyncio.Event()
    ended: list[int] = []

    async def slow(run: int) -> None:
        await may_end.wait()
        ended.append(run)

    work = Counted(slow)
    async with beating(Job("pump", QUICK, MINUTE, work), clock=clock) as rhythm:
        await work.reached(1)
        asyncio.get_running_loop().call_soon(may_end.set)
        assert await rhythm.stop(5)
    assert ended == [1]


async def test_stopping_does_not_wait_for_ever(clock: ManualClock) -> None:
    """A run that does not end is left behind and said so."""
    never = asyncio.Event()

    async def hang(_run: int) -> None:
        await never.wait()

    work = Counted(hang)
    async with beating(Job("pump", QUICK, MINUTE, work), clock=clock) as rhythm:
        await work.reached(1)
        assert not await rhythm.stop(0.05)
