"""One daemon from start to end: open, tell systemd, keep the rhythm, reload, drain, leave.

    load settings -> open node -> READY=1 -> jobs … -> SIGTERM -> drain -> close
    SIGHUP          read the configuration again; a broken one is refused and the old one goes on
    changed files, `duban reload`   the same
    SIGTERM/SIGINT  finish what is on the wire, then leave; a second one leaves at once
    Fenced          another node has taken over: leave without claiming anything more, exit 75

The watchdog is fed only while the audit proves that no open obligation is forgotten and every job is fresh.
What is heavy (databases, templates, channels) is imported when the daemon opens, not with this module.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from daemon import telemetry
from daemon.errors import DaemonError, Fenced, SettingsError
from daemon.notify import ServiceNotifier
from daemon.scheduler import Job, Rhythm
from daemon.watch import LOOK_EVERY as LOOK_AT_FILES_EVERY
from daemon.watch import Watch, look_at
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from daemon.clock import Clock
    from daemon.console.health import Health
    from daemon.console.server import ConsoleServer
    from daemon.settings import Configuration, ScheduleSettings
    from daemon.store.values import Audit
    from daemon.watch import Look
    from daemon.wiring import Node

log = telemetry.logger(__name__)

EXIT_AT_ONCE = 128 + signal.SIGTERM  # what a shell shows for a process ended by SIGTERM
HEARTBEAT_EVERY = timedelta(seconds=5)  # a worker counts as dead after 30 s of silence
BURY_EVERY = timedelta(seconds=15)
REACH_EVERY = timedelta(minutes=30)  # it looks whether it is night; the report is made once
TAKE_IN_EVERY = timedelta(seconds=5)  # what providers told is taken over within that time
FOLLOW_EVERY = timedelta(seconds=2)  # what the store says of policies, and whether somebody wants a reload
RELOAD_WANTED = "reload_wanted"  # a bookmark: who wants it and when, as JSON; another value is another wish
RELOAD_ANSWER = "reload_answer:"  # followed by the worker's epoch: what became of the wish it names
PROOF_GRACE = timedelta(minutes=5)  # how long the audit may find something before the watchdog starves
LOOK_EVERY = 30.0  # seconds between two looks at our own health when no watchdog asks for more
DRAIN_FOR = timedelta(seconds=45)  # to finish what is under way; below TimeoutStopSec of the unit
START_WITHIN = 120.0
LOOK_FOR_CYCLES_EVERY = 50_000  # more values made than let go
OPEN_CONSOLE_EVERY = 60.0  # seconds between two looks whether the web side is still there
ONE_WISH = 1.0  # two signals within a second are one wish: some supervisors signal the process and its group


async def run(configuration_path: Path, clock: Clock) -> int:
    """Run until told to stop; returns the exit code.

    Raises:
        DaemonError: it could not start (settings, schema, a database that is away); nothing is left open.
    """
    notifier = ServiceNotifier()
    notifier.extend_timeout(START_WITHIN)
    async with AsyncExitStack() as cleanups:
        configuration = await asyncio.to_thread(_load, configuration_path)
        node = await asyncio.to_thread(_open, configuration, clock)
        cleanups.push_async_callback(_close, node)
        spare_the_collector()
        return await Process(node, configuration_path, clock, notifier).run()


def spare_the_collector() -> None:
    """Let the garbage collector look less often, and never again at what the start has made.

    A batch makes tens of thousands of short-lived values and hardly a cycle: looking for cycles every 700 of them
    was a tenth of all work.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(LOOK_FOR_CYCLES_EVERY)


def _load(path: Path) -> Configuration:
    from daemon.settings import load  # noqa: PLC0415 - see the module's docstring

    return load(path)


def _open(configuration: Configuration, clock: Clock) -> Node:
    from daemon.wiring import open_node  # noqa: PLC0415 - see the module's docstring

    return open_node(configuration, clock)


async def _close(node: Node) -> None:
    try:
        await node.close()
    except Exception:
        log.exception(telemetry.CLEANUP_FAILED)


class Proof:
    """The audit's verdict over time: broken only when it finds something for longer than the grace, without progress.

    Right after a start or an outage many checks are late at once; as long as their number falls, work is being done.
    """

    def __init__(self) -> None:
        self._worst: int | None = None
        self._broken_since: datetime | None = None
        self.last: Audit | None = None

    def take(self, audit: Audit, now: datetime) -> None:
        """Take the latest audit."""
        self.last = audit
        wrong = audit.unaccounted + audit.overdue_checks
        if wrong == 0:
            self._broken_since, self._worst = None, None
        elif self._broken_since is None or self._worst is None or wrong < self._worst:
            self._broken_since, self._worst = now, wrong

    def holds(self, now: datetime) -> bool:
        """Whether every open obligation is known to have a next step or a reason for none."""
        return self._broken_since is None or now - self._broken_since <= PROOF_GRACE


class Process:
    """A running daemon around an open node."""

    def __init__(self, node: Node, configuration_path: Path, clock: Clock, notifier: ServiceNotifier) -> None:
        self._node = node
        self._path = configuration_path
        self._clock = clock
        self._notifier = notifier
        self._proof = Proof()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._asked_at: float | None = None
        self._fenced = False
        self._withheld = False
        self._wish: str | None = None
        self._console = self._console_of(node)
        self._watch_of_files = Watch(self._look_at_files())
        self._rhythm = Rhythm(
            jobs_of(node, self._audit, self._follow, node.configuration.settings.schedule),
            clock,
            node.name,
            self._record,
            self._step_down,
        )

    async def run(self) -> int:
        """Until told to stop; returns the exit code."""
        self._catch_signals()
        self._wish = await asyncio.to_thread(self._node.store.bookmark, RELOAD_WANTED)
        self._rhythm.start()
        if self._console is not None:
            await self._console.start()
        self._notifier.ready(self._status())
        log.info(telemetry.STARTED, epoch=self._node.epoch, node=self._node.name, version=self._version())
        sides = [
            asyncio.create_task(side)
            for side in (
                self._watch(),
                self._reload_when_asked(),
                self._reload_when_files_change(),
                self._keep_console_open(),
            )
        ]
        try:
            await self._stop.wait()
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
        await self._leave()
        return Fenced.exit_code if self._fenced else 0

    # --- signals ---------------------------------------------------------------------------------------

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)

    def _asked_to_stop(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._asked_at is None:
            self._asked_at = now
            self._stop.set()
        elif now - self._asked_at >= ONE_WISH:
            log.warning(telemetry.STOPPED_AT_ONCE)
            sys.stdout.flush()
            os._exit(EXIT_AT_ONCE)  # what is on the wire becomes in doubt and is settled by the next start

    def _step_down(self) -> None:
        self._fenced = True
        log.error(telemetry.FENCED, epoch=self._node.epoch)
        self._stop.set()

    async def _leave(self) -> None:
        self._notifier.stopping("正在停止：等待已发出的消息")
        self._notifier.extend_timeout(DRAIN_FOR.total_seconds() + 10)
        log.info(telemetry.STOPPING)
        ended, drained, closed = await asyncio.gather(
            self._rhythm.stop(DRAIN_FOR.total_seconds()),
            self._node.drain(DRAIN_FOR),
            self._close_console(),
            return_exceptions=True,
        )
        for problem in (ended, drained, closed):
            if isinstance(problem, Exception):
                log.error(telemetry.CLEANUP_FAILED, problem=repr(problem))
        log.info(telemetry.STOPPED, in_order=ended is True and drained is None)

    # --- the web side ----------------------------------------------------------------------------------

    def _console_of(self, node: Node) -> ConsoleServer | None:
        settings = node.configuration.settings.console
        if settings is None:
            return None
        from daemon.console import open_console  # noqa: PLC0415 - see the module's docstring

        return open_console(node, settings, self._health)

    async def _keep_console_open(self) -> None:
        """Its address may have been taken for a while, or it may have broken: enforcement goes on without it."""
        while self._console is not None:
            await asyncio.sleep(OPEN_CONSOLE_EVERY)
            await self._console.start()

    async def _close_console(self) -> None:
        """What a provider was told to be safe is committed; the calls under way are finished, then nobody is heard."""
        if self._console is not None:
            await self._console.stop()

    # --- configuration ---------------------------------------------------------------------------------

    async def _reload_when_asked(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._notifier.reloading("正在重新载入配置")
            wish = self._wish
            refused = await self._reload_once()
            self._notifier.ready(f"新配置有误，沿用原配置：{refused.zh}" if refused else self._status())
            await self._answer(wish, refused)

    async def _reload_when_files_change(self) -> None:
        """Take files that changed and have settled; those of a refused change are not tried again until they change."""
        while True:
            await asyncio.sleep(LOOK_AT_FILES_EVERY)
            if not self._node.configuration.settings.release.watch:
                continue
            look = await asyncio.to_thread(self._look_at_files)
            if self._watch_of_files.has_settled(look):
                self._reload.set()

    def _look_at_files(self) -> Look:
        return look_at(self._path, self._node.configuration.watched)

    async def _follow(self) -> None:
        """Follow the store: the policies in force, cases to count again, and somebody's wish for a reload."""
        await self._node.follow()
        wish = await asyncio.to_thread(self._node.store.bookmark, RELOAD_WANTED)
        if wish is not None and wish != self._wish:
            self._wish = wish
            self._reload.set()

    async def _answer(self, wish: str | None, refused: Text | None) -> None:
        """Tell whoever waits for it with `duban reload` what became of it."""
        if wish is None:
            return
        answer = {
            "wish": wish,
            "node": self._node.name,
            "refused": {"zh": refused.zh, "en": refused.en} if refused else None,
            "policies": self._node.taken.value,
            "version": self._node.version,
        }
        written = json.dumps(answer, ensure_ascii=False)
        try:
            await asyncio.to_thread(self._node.store.set_bookmark, f"{RELOAD_ANSWER}{self._node.epoch}", written)
        except DaemonError as error:
            log.warning(telemetry.BEAT_LOST, job="reload", problem=error.message.zh)

    async def _reload_once(self) -> Text | None:
        """Put the configuration on disk in force; why it was refused, or nothing."""
        try:
            self._watch_of_files.take(await asyncio.to_thread(self._look_at_files))
            new = await asyncio.to_thread(_load, self._path)
            later = needs_restart(self._node.configuration, new)
            taken = await self._node.reload(new)
        except DaemonError as error:
            problems = error.problems if isinstance(error, SettingsError) else ()
            told = [problem.zh for problem in (*problems, error.message)]
            log.error(telemetry.RELOAD_REFUSED, problems=told)  # noqa: TRY400 - the sentences say all
            return await self._told(error.message)
        except Exception as error:
            log.exception(telemetry.RELOAD_REFUSED)
            kind = type(error).__name__
            return await self._told(Text(f"程序内部错误（{kind}）。", f"internal error ({kind})."))
        log.info(telemetry.RELOADED, version=self._version(), needs_restart=later, policies=taken.value)
        return None

    async def _told(self, problem: Text) -> Text:
        """The administrators are told too: after a change of files nobody looks at a terminal."""
        from daemon.alerts import files_refused  # noqa: PLC0415 - see the module's docstring

        try:
            await self._node.tell(files_refused(problem))
        except DaemonError as error:
            log.warning(telemetry.BEAT_LOST, job="reload", problem=error.message.zh)
        return problem

    # --- health ----------------------------------------------------------------------------------------

    async def _audit(self) -> None:
        audit = await self._node.audit()
        now = self._clock.now()
        self._proof.take(audit, now)
        if audit.unaccounted or audit.overdue_checks:
            log.warning(telemetry.AUDIT_BROKEN, unaccounted=audit.unaccounted, overdue=audit.overdue_checks)
        self._notifier.status(self._status())

    async def _record(self, job: str, now: datetime, error: str) -> None:
        await asyncio.to_thread(self._node.store.beat, job, self._node.name, now, error)

    def _health(self) -> Health:
        from daemon.console.health import Health  # noqa: PLC0415 - see the module's docstring

        now = self._clock.now()
        return Health(self._proof.holds(now), self._rhythm.stale(now))

    async def _watch(self) -> None:
        """Feed the watchdog while all is well; otherwise say why not, once."""
        every = self._notifier.feed_every or LOOK_EVERY
        while True:
            self._look()
            await asyncio.sleep(every)

    def _look(self) -> None:
        now = self._clock.now()
        stale = self._rhythm.stale(now)
        if self._proof.holds(now) and not stale:
            self._notifier.alive()
            if self._withheld:
                log.info(telemetry.WATCHDOG_RESUMED)
            self._withheld = False
        elif not self._withheld:
            self._withheld = True
            log.error(telemetry.WATCHDOG_WITHHELD, stale_jobs=list(stale), proof=self._proof.holds(now))

    def _version(self) -> str:
        return self._node.version[:12]

    def _status(self) -> str:
        audit = self._proof.last
        if audit is None:
            return f"已启动；策略版本 {self._version()}"
        found = audit.unaccounted + audit.overdue_checks
        verdict = "正常运行" if found == 0 else f"注意：{found} 项时限未按时检查"
        return (
            f"{verdict}；在办时限 {audit.open} 项，待发 {audit.pending} 条，存疑 {audit.in_doubt} 条；"
            f"策略版本 {self._version()}"
        )


def jobs_of(
    node: Node,
    audit: Callable[[], Awaitable[None]],
    follow: Callable[[], Awaitable[None]],
    schedule: ScheduleSettings,
) -> tuple[Job, ...]:
    """All periodic jobs, with the longest run each may take.

    A time-out is for a call that hangs, not for much work: cancelling a pump leaves messages in doubt, and the first
    reading of a large database takes its time. The others wait for the same threads.
    """
    long, usual = timedelta(hours=4), timedelta(minutes=30)
    return (
        Job("heartbeat", HEARTBEAT_EVERY, usual, node.heartbeat),
        Job("sync", _seconds(schedule.sync), usual, node.sync),
        Job("tick", _seconds(schedule.tick), usual, node.tick),
        Job("pump", _seconds(schedule.pump), long, node.pump),
        Job("collect", _seconds(schedule.collect), usual, node.collect),
        Job("take_in", TAKE_IN_EVERY, usual, node.take_in),
        Job("follow", FOLLOW_EVERY, usual, follow),
        Job("audit", _seconds(schedule.audit), usual, audit),
        Job("bury", BURY_EVERY, usual, node.bury),
        Job("full_sync", _seconds(schedule.full_sync), long, node.full_sync, at_start=False),
        Job("seal", _seconds(schedule.seal), usual, node.seal, at_start=False),
        Job("reach", REACH_EVERY, long, node.reach, at_start=False),
    )


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def needs_restart(old: Configuration, new: Configuration) -> list[str]:
    """What changed but only counts after a restart: databases, rhythm and web side stay open over a reload."""
    from daemon.settings import console_in_place  # noqa: PLC0415 - see the module's docstring

    parts = ("store", "source", "schedule")
    changed = [part for part in parts if getattr(old.settings, part) != getattr(new.settings, part)]
    console = new.settings.console
    if console_in_place(old.settings.console, console) != console:
        changed.append("console")
    if old.administrators != new.administrators:
        changed.append("administrators")
    if old.zone != new.zone:
        changed.append("office.time_zone")
    return changed
