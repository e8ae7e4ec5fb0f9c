"""The rhythm: a handful of interval jobs in memory. What is due when is a fact in our tables, never a job.

APScheduler keeps the time; it is untyped, so nothing of it leaves this file. Two of its habits are cured here: an
error inside its own loop would stop it for ever without a word, and an error in a job would be known to nobody.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from daemon import telemetry
from daemon.clock import MachineClock
from daemon.errors import DaemonError, Fenced, SourceUnavailable, StoreUnavailable
from daemon.store.values import JobBeat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from daemon.clock import Clock

log = telemetry.logger(__name__)

STUMBLE = 1.0  # seconds until the scheduler tries again after an error of its own
RECORD_EVERY = timedelta(seconds=30)  # an unchanged beat is written to the store this often, not at every run
REPEAT_LOG = timedelta(minutes=5)  # a job that goes on failing is logged again after this long
FIRST_RUN_WITHIN = timedelta(minutes=10)  # also a daily job runs soon after a start, or daily restarts would starve it


@dataclass(frozen=True, slots=True)
class Job:
    """Something done every so often. A run longer than `time_out` is cancelled and counts as failed.

    `at_start` is for jobs that run at once when the daemon starts.
    """

    name: str
    every: timedelta
    time_out: timedelta
    run: Callable[[], Awaitable[object]]
    at_start: bool = True


class _GuardedScheduler(AsyncIOScheduler):  # type: ignore[misc]  # apscheduler ships no types
    """An error in one pass delays the next by a second, and does not end all passes (APScheduler 3.11.3 would)."""

    def _process_jobs(self) -> float | None:
        try:
            wait: float | None = super()._process_jobs()
        except Exception:
            log.exception(telemetry.SCHEDULER_STUMBLED)
            return STUMBLE
        return wait


class Rhythm:
    """Runs the jobs, remembers each one's last run, and never stops because of an error.

    `record(job, now, error)` keeps a beat for others to see (`error` empty for a good run); it may fail.
    `on_fenced` is called when a run says that another node has taken over: the caller must step down.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        clock: Clock,
        node: str,
        record: Callable[[str, datetime, str], Awaitable[None]],
        on_fenced: Callable[[], None],
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._clock = clock
        self._record = record
        self._on_fenced = on_fenced
        self._beats = {job.name: JobBeat(job.name, node, None) for job in jobs}
        self._alive_at: dict[str, datetime] = {}
        self._recorded: dict[str, tuple[datetime, str]] = {}
        self._logged: dict[str, datetime] = {}
        self._under_way: set[asyncio.Task[object]] = set()
        self._scheduler = _GuardedScheduler(
            timezone=UTC,
            jobstores={"default": MemoryJobStore()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self) -> None:
        """Begin; needs a running event loop."""
        now = self._clock.now()
        started = MachineClock().now()  # the rhythm beats in real time, whatever clock decides about dates
        for job in self._jobs.values():
            self._alive_at[job.name] = now
            delay = timedelta() if job.at_start else min(job.every, FIRST_RUN_WITHIN)
            self._scheduler.add_job(
                self._run,
                _interval(job.every),
                args=[job],
                id=job.name,
                next_run_time=started + delay,
            )
        self._scheduler.start()

    async def stop(self, patience: float) -> bool:
        """Start no further run and wait at most so many seconds for those under way; whether all have ended."""
        if not self._scheduler.running:
            return True
        self._scheduler.pause()
        left: set[asyncio.Task[object]] = set()
        if self._under_way:
            _, left = await asyncio.wait(self._under_way, timeout=patience)
        self._scheduler.shutdown(wait=False)
        await asyncio.sleep(0)  # the shutdown is a call of its own on the loop
        return not left

    def beats(self) -> tuple[JobBeat, ...]:
        """The last good and the last bad run of every job."""
        return tuple(self._beats.values())

    def stale(self, now: datetime) -> tuple[str, ...]:
        """The jobs whose last good run is too long ago.

        A run that ended because a database is away is not stale: the outage is waited out, and killing this process
        would not end it.
        """
        return tuple(job.name for job in self._jobs.values() if now - self._alive_at[job.name] > _patience(job))

    def fresh(self, now: datetime) -> bool:
        """Whether every job's last good run is recent enough."""
        return not self.stale(now)

    async def _run(self, job: Job) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._under_way.add(task)
        try:
            error = await self._attempt(job)
            await self._remember(job, error)
        finally:
            if task is not None:
                self._under_way.discard(task)

    async def _attempt(self, job: Job) -> str:
        """Run the job once; what went wrong, or nothing."""
        try:
            async with asyncio.timeout(job.time_out.total_seconds()):
                await job.run()
        except TimeoutError:
            return f"time-out after {job.time_out.total_seconds():.0f} s"
        except Fenced as error:
            self._on_fenced()
            return error.message.zh
        except (SourceUnavailable, StoreUnavailable) as error:
            self._alive_at[job.name] = self._clock.now()
            return error.message.zh
        except DaemonError as error:
            return error.message.zh
        except Exception as error:
            if self._worth_logging(job.name):
                log.exception(telemetry.JOB_FAILED, job=job.name)
            return type(error).__name__
        self._alive_at[job.name] = self._clock.now()
        return ""

    async def _remember(self, job: Job, error: str) -> None:
        now = self._clock.now()
        before = self._beats[job.name]
        if error:
            if self._worth_logging(job.name):
                log.warning(telemetry.JOB_FAILED, job=job.name, problem=error)
            self._beats[job.name] = dataclasses.replace(before, last_error=error, last_error_at=now)
        else:
            if self._logged.pop(job.name, None):
                log.info(telemetry.JOB_RECOVERED, job=job.name)
            self._beats[job.name] = dataclasses.replace(before, last_ok_at=now, last_error="")
        await self._write(job.name, now, error)

    async def _write(self, name: str, now: datetime, error: str) -> None:
        """Write the beat down, unless the same was written a moment ago."""
        last = self._recorded.get(name)
        if last is not None and last[1] == error and now - last[0] < RECORD_EVERY:
            return
        try:
            await self._record(name, now, error)
        except Exception as problem:  # noqa: BLE001 - a beat that cannot be written is only missing from `status`
            log.warning(telemetry.BEAT_LOST, job=name, problem=type(problem).__name__)
        else:
            self._recorded[name] = (now, error)

    def _worth_logging(self, name: str) -> bool:
        """Whether a failure of this job was not logged a moment ago; it is taken for logged from now on."""
        now = self._clock.now()
        last = self._logged.get(name)
        if last is not None and now - last < REPEAT_LOG:
            return False
        self._logged[name] = now
        return True


def _interval(every: timedelta) -> IntervalTrigger:
    """The only trigger in use: it is right over changes of summer time, the calendar ones are not."""
    seconds = every.total_seconds()
    return IntervalTrigger(seconds=seconds, timezone=UTC)  # pyright: ignore[reportArgumentType]  # fractions are fine


def _patience(job: Job) -> timedelta:
    """How long a job may go without a good run: three intervals and the longest run there may be."""
    return 3 * job.every + job.time_out
