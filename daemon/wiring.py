"""Put the parts together: one worker with its store, source, channels and rules, opened once and closed in reverse."""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from channels.base import Listening, PermanentFailure
from daemon import alerts, telemetry
from daemon.answering import Answers
from daemon.engine import Engine
from daemon.errors import SettingsError, SourceUnavailable
from daemon.incoming import Receiving
from daemon.intake import SyncReport
from daemon.policy_release import (
    UNREADABLE,
    WORDS,
    Taken,
    follow,
    no_trials,
    require_templates,
    rules_in_force,
    settle,
    take_files,
)
from daemon.providers import PROVIDERS
from daemon.reach import nightly
from daemon.render import Renderer, renderer_of
from daemon.rules import Rules
from daemon.second_look import failed_trials
from daemon.sender import Sender
from daemon.settings import console_in_place
from daemon.source.database import DatabaseSource
from daemon.store import Store
from daemon.store.values import Event
from daemon.store.versions import SHOWN
from daemon.ways import WayOut
from policies.duration import Duration, Unit
from policies.moving import shift
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from channels.base import News
    from daemon.alerts import Trouble
    from daemon.clock import Clock
    from daemon.policy_release import Trials
    from daemon.providers import Providers
    from daemon.settings import Configuration
    from daemon.store.acknowledgements import Sent
    from daemon.store.values import Acknowledged, Audit, Delivery

log = telemetry.logger(__name__)

SILENT_FOR = timedelta(seconds=30)  # a worker whose heartbeat is older is taken for dead
SKIPPED = timedelta(seconds=20)  # between two heartbeats of our own: the store was away, or we were
ALARM_AFTER = timedelta(minutes=15)  # a shared database or a provider away for longer is told to the administrators
CONFLICTS_TOLD = timedelta(days=2)  # for how long a conflict over a first handler is told if it was not yet
STOPS_TOLD = timedelta(days=2)  # for how long that somebody stopped a channel is told if it was not yet
AUDIT_GRACE = timedelta(minutes=5)
A_WORKING_DAY = Duration(Fraction(1), Unit.WORKDAY)  # a notice held for longer is told to the administrators

T = TypeVar("T")


def open_node(
    configuration: Configuration, clock: Clock, *, node_name: str | None = None, run_trials: Trials = failed_trials
) -> Node:
    """Open the store and the source, follow the policies in force and register as a worker. Blocking.

    Raises:
        DaemonError: store or source cannot be used; what was opened is closed again.
    """
    settings = configuration.settings
    store = Store(settings.store.url)
    try:
        source = open_source(configuration, clock)
    except BaseException:
        store.close()
        raise
    try:
        read_only = _proved_read_only(source)
        now = clock.now()
        taken = _offered(store, configuration, now, run_trials)
        rules = rules_in_force(store, configuration, now)
        name = node_name or this_node()
        bury_crashed(store, name, now)
        epoch = store.open_worker(name, os.getpid(), now)
        return Node(configuration, store, source, clock, epoch, name, rules, taken, run_trials, read_only=read_only)
    except BaseException:
        source.close()
        store.close()
        raise


def this_node() -> str:
    """A name for this machine since its start and the container on it: where process numbers mean something."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    if not (boot.exists() and namespace.is_symlink()):
        return socket.gethostname()
    inode = namespace.readlink().name.strip("pid:[]")
    return f"{socket.gethostname()}:{boot.read_text(encoding='ascii')[:8]}:{inode}"


def bury_crashed(store: Store, node: str, now: datetime) -> None:
    """Take over at once from workers of this node whose process is gone, without waiting for their silence."""
    gone = [epoch for epoch, name, pid in store.workers_alive() if name == node and not _is_running(pid)]
    if gone:
        given_back, in_doubt = store.bury(gone, now)
        log.warning(telemetry.TOOK_OVER, workers=len(gone), obligations=given_back, in_doubt=in_doubt)


def _is_running(pid: int) -> bool:
    if pid == os.getpid():
        return False  # the number came round again: that worker cannot be this process, which registers only now
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def open_source(configuration: Configuration, clock: Clock) -> DatabaseSource:
    """The shared database, read-only, through the configured mapping."""
    return DatabaseSource(configuration.settings.source, configuration.zone, configuration.administrators, clock)


def _proved_read_only(source: DatabaseSource) -> bool:
    """Refuse an account that could write; a shared database that is away is asked again before it is first read."""
    try:
        source.require_read_only()
    except SourceUnavailable as error:
        log.warning(telemetry.SOURCE_AWAY, problem=error.message.zh)
        return False
    return True


def _offered(store: Store, configuration: Configuration, now: datetime, run_trials: Trials) -> Taken:
    """Put the files forward; where they fail their checks, the version in force goes on."""
    try:
        return take_files(store, configuration, renderer_of(configuration), now, changed=False, run_trials=run_trials)
    except SettingsError as error:
        told = [problem.zh for problem in (*error.problems, error.message)]
        log.error(telemetry.RELOAD_REFUSED, problems=told)  # noqa: TRY400 - the sentences say all
        return Taken.LEFT


def rules_of(configuration: Configuration) -> Rules:
    """The rules its files write, whatever is in force."""
    return Rules(
        configuration.policies,
        configuration.calendars,
        configuration.kinds,
        configuration.settings.office.calendar,
    )


class Node:
    """One worker. Everything that blocks runs in its threads; one thread only for SQLite, its single writer."""

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        source: DatabaseSource,
        clock: Clock,
        epoch: int,
        name: str,
        rules: Rules,
        taken: Taken,
        run_trials: Trials = no_trials,
        *,
        read_only: bool,
    ) -> None:
        self.configuration = configuration
        self.store = store
        self.source = source
        self.clock = clock
        self.epoch = epoch
        self.name = name
        threads = 1 if configuration.settings.store.url.startswith("sqlite") else 4
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._pulse = ThreadPoolExecutor(1, thread_name_prefix="pulse")  # a hanging source must not stop the heart
        self._beat_at: datetime | None = None
        self._steady_since: datetime | None = None
        self._engine = Engine(store, source, rules, epoch)
        self._taken = taken
        self._run_trials = run_trials
        self._settled: str | None = None  # the version for which running cases have been looked after
        self._switching = asyncio.Lock()
        self._sits_out = False  # it cannot read the version in force: the other nodes decide
        self._renderer = renderer_of(configuration)
        self._sender: Sender | None = None
        self._stack = AsyncExitStack()
        self._read_only = read_only
        region = configuration.settings.source.phone_region
        self.answers = Answers(self._engine, configuration.zone, configuration.behind)
        self._receiving = Receiving(self._engine, region, clock, self._executor, self.answers, self._may_tell)

    # --- the jobs --------------------------------------------------------------------------------------

    async def sync(self) -> SyncReport:
        """Take over what changed in the shared database. Raises SourceUnavailable."""
        return await self._sync(full=False)

    async def full_sync(self) -> SyncReport:
        """Read everything, notice deletions. Raises SourceUnavailable."""
        return await self._sync(full=True)

    async def _sync(self, *, full: bool) -> SyncReport:
        """Page by page: with one thread for SQLite, decisions, messages and the heartbeat come in between."""
        if self._sits_out:
            return SyncReport(0, 0, 0, 0)
        if not self._read_only:
            await self._in_thread(self.source.require_read_only)
            self._read_only = True
        steps = self._engine.intake.sync_in_steps(self.clock.now(), full=full)
        report: SyncReport | None = None
        while report is None:
            report = await self._in_thread(partial(next, steps))
        return report

    async def tick(self) -> int:
        """Decide all that is due now; returns how many obligations were looked at."""
        total = 0
        while done := await self._in_thread(lambda: self._engine.tick(self.clock.now())):
            total += done
        return total

    async def pump(self) -> int:
        """Send all that may go out now; returns how many attempts were made."""
        return await (await self._open_sender()).pump()

    async def pump_until_idle(self) -> int:
        """Decide and send in turn until neither finds anything to do now."""
        total = 0
        while done := await self.pump() + await self.tick():
            total += done
        return total

    async def collect(self) -> int:
        """Ask the channels that can be asked what came back; returns how much of it was new."""
        return await self._receiving.collect((await self._open_sender()).ways.values(), self._behind())

    async def take_in(self) -> int:
        """Take over the receipts and replies that were heard; returns how much was done with."""
        return await self._receiving.take_in()

    async def listening(self, channel: str) -> Listening | None:
        """The open channel of that name, if it is one that providers call. Raises SettingsError when none can open."""
        way = (await self._open_sender()).ways.get(channel)
        return way.channel if way is not None and isinstance(way.channel, Listening) else None

    async def hear(self, channel: str, news: News) -> int:
        """Write down what came back over a channel; when this returns it is safe. Raises StoreUnavailable."""
        kind = self.configuration.kinds.get(channel, "")
        return await self._receiving.hear(channel, kind, news, self._behind().get(channel, ""))

    def _may_tell(self, channel: str, one: Delivery) -> bool:
        return self.configuration.may_tell(channel, one.notice.channel, one.provider)

    def _behind(self) -> dict[str, str]:
        """The shared channel each provider is behind."""
        return {name: shared for shared, one in self.configuration.sharing.items() for name in one.providers}

    # --- what the acknowledgement page asks ------------------------------------------------------------

    @property
    def renderer(self) -> Renderer:
        """The templates in force."""
        return self._renderer

    def now(self) -> datetime:
        """The present instant."""
        return self.clock.now()

    async def message_of(self, delivery: int) -> list[Sent]:
        """Everything that leaves in one message with that delivery. Raises StoreUnavailable."""
        return await self._in_thread(lambda: self.store.message_of(delivery))

    async def sign(self, deliveries: Collection[int]) -> Mapping[int, Acknowledged]:
        """Take down that these were acknowledged by link, now; the answers. Raises StoreUnavailable."""
        now = self.clock.now()
        return await self._in_thread(lambda: self.store.acknowledge_deliveries(deliveries, now, "link", now))

    @property
    def providers(self) -> Mapping[str, Providers]:
        """By shared channel what this node has learnt of the providers behind it, once it has sent anything."""
        return {} if self._sender is None else self._sender.providers

    async def heartbeat(self) -> None:
        """Say that this worker is alive. Raises Fenced."""
        now = self.clock.now()
        await asyncio.get_running_loop().run_in_executor(
            self._pulse, lambda: self.store.heartbeat(self.epoch, self.clock.now())
        )
        if self._beat_at is None or self._steady_since is None or now - self._beat_at > SKIPPED:
            self._steady_since = now
        self._beat_at = now

    async def bury(self) -> tuple[int, int]:
        """Take over from workers that died.

        Only who has been heard all the time himself may call others silent: after an outage of the store nobody was.
        """
        if self._steady_since is None or self.clock.now() - self._steady_since < SILENT_FOR:
            return 0, 0
        return await self._in_thread(lambda: self.store.bury_silent(self.clock.now(), SILENT_FOR, keep=self.epoch))

    async def audit(self) -> Audit:
        """The proof that every open obligation has a next step or a stated reason for none.

        What is wrong with duban itself is told to the administrators, once a day.
        """
        now = self.clock.now()
        proof = await self._in_thread(lambda: self.store.audit(now, AUDIT_GRACE))
        await self._in_thread(lambda: self._tell(self._troubles(proof, now), now))
        await self._in_thread(lambda: self._report_providers(now))
        return proof

    def _report_providers(self, now: datetime) -> None:
        """For `status`: how the providers behind shared channels stand with this node."""
        standing = {channel: providers.standing() for channel, providers in self.providers.items()}
        if standing:
            self.store.save_report(f"{PROVIDERS}{self.name}", standing, now)

    def _troubles(self, proof: Audit, now: datetime) -> list[Trouble]:
        zone = self.configuration.zone
        found: list[Trouble] = []
        if self.version != self.configuration.version:
            found.append(alerts.policies_not_taken(self.configuration.version[:SHOWN], WORDS[self._taken]))
        since = self._engine.intake.away_since
        if since is not None and now - since >= ALARM_AFTER:
            found.append(alerts.source_away(f"{since.astimezone(zone):%Y-%m-%d %H:%M}"))
        if proof.unaccounted:
            found.append(alerts.unaccounted(proof.unaccounted))
        if self._sender is not None:
            found.extend(alerts.channel_at_rest(name, code) for name, code in self._sender.refusing.items())
            found.extend(self._stopped_today(self._sender, now))
        found.extend(self._left_for_long(now))
        found.extend(alerts.channel_unheard(name, code) for name, code in self._receiving.unheard(now).items())
        calendar = self.configuration.calendars[self.configuration.settings.office.calendar]
        held_at = proof.oldest_held_at
        if held_at is not None and now >= shift(held_at, A_WORKING_DAY, calendar):
            found.append(
                alerts.release_wanted(proof.held, f"{held_at.astimezone(zone):%Y-%m-%d %H:%M}", proof.held_too_long)
            )
        unknown = alerts.year_unknown(calendar, now.astimezone(zone).date())
        return [*found, unknown] if unknown else found

    def _left_for_long(self, now: datetime) -> list[Trouble]:
        zone = self.configuration.zone
        return [
            alerts.provider_left(channel, name, breaker.why, f"{since.astimezone(zone):%Y-%m-%d %H:%M}")
            for channel, providers in self.providers.items()
            for name, breaker in providers.breakers.items()
            if (since := breaker.since) is not None and now - since >= ALARM_AFTER
        ]

    def _stopped_today(self, sender: Sender, now: datetime) -> list[Trouble]:
        today = now.astimezone(self.configuration.zone).date()
        cases = [key for key, at in sender.stopped.items() if at.astimezone(self.configuration.zone).date() == today]
        return [alerts.private_content(cases)] if cases else []

    def _tell(self, troubles: Sequence[Trouble], now: datetime) -> None:
        zone = self.configuration.zone
        today = now.astimezone(zone).date()
        conflicts = self.store.first_handler_conflicts(now - CONFLICTS_TOLD)
        disputed = alerts.about_conflicts([(one.case_key, one.recorded_at) for one in conflicts], zone)
        language = self.configuration.settings.language
        stopped = [
            (alerts.channel_stopped(one.person, one.channel, one.how), one.since_at.astimezone(zone).date())
            for one in self.store.stops()
            if now - one.since_at <= STOPS_TOLD
        ]
        for trouble, day in (*((one, today) for one in troubles), *disputed, *stopped):
            notices = alerts.notices_about(
                trouble, self._engine.directory, self.configuration.kinds, day, now, language
            )
            event = Event("", "alert", now, {"kind": trouble.kind, "zh": trouble.text.zh, "en": trouble.text.en})
            if notices:
                self.store.add_notices(None, notices, [event], self.version, now)

    async def seal(self) -> str | None:
        """Seal the ledger."""
        return await self._in_thread(lambda: self.store.seal(self.clock.now()))

    async def reach(self) -> None:
        """Once a night: find out who could not be reached in the days ahead, and tell the administrators."""
        trouble = await self._in_thread(
            lambda: nightly(
                self.store, self._engine.rules, self._engine.directory, self.configuration.zone, self.clock.now()
            )
        )
        if trouble is not None:
            await self.tell(trouble)

    def next_wake_at(self) -> datetime | None:
        """The earliest moment anything is to be decided or sent."""
        moments = [at for at in (self.store.next_check_at(), self.store.next_delivery_at()) if at is not None]
        return min(moments, default=None)

    # --- the policies in force -------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """The version of the policies new cases run by."""
        return self._engine.rules.policies.version

    @property
    def taken(self) -> Taken:
        """What became of the policy files when they were last read."""
        return self._taken

    async def follow(self) -> None:
        """Do what the store says of the policies: take over another version, count cases again that were moved."""
        async with self._switching:
            await self._in_thread(lambda: self._follow(self.clock.now()))
        while await self._in_thread(lambda: self._engine.count_again(self.clock.now())):
            pass

    def _follow(self, now: datetime) -> None:
        followed = follow(self.store, self._engine.rules, self._renderer, now)
        told = [alerts.policy_fell_back(version[:SHOWN], why) for version, why in followed.fell_back]
        if followed.rules is None:
            self._sit_out()
        else:
            told += self._put_in_force(followed.rules, now)
        self._tell(told, now)

    def _sit_out(self) -> None:
        if not self._sits_out:
            log.error(telemetry.POLICY_UNREADABLE, node=self.name)
        self._sits_out = self._engine.intake.overtaken = True

    def _put_in_force(self, rules: Rules, now: datetime) -> list[Trouble]:
        """Decide by these rules from now on, and look after the cases that cannot stay with theirs."""
        if self._sits_out:
            self._sits_out = self._engine.intake.overtaken = False
        if rules.policies.version != self.version:
            log.info(telemetry.POLICY_IN_FORCE, version=rules.policies.version[:SHOWN], before=self.version[:SHOWN])
            self.store.bind_unbound(self.version)
        self._engine.intake.rules = rules
        if self._settled == self.version:
            return []
        lost = settle(self.store, rules, now, everybody=self.configuration.settings.release.migrate == "automatic")
        self._settled = self.version
        return [alerts.cases_moved(count, version[:SHOWN], UNREADABLE) for version, count in lost]

    async def tell(self, trouble: Trouble) -> None:
        """Tell the administrators, once a day and kind."""
        now = self.clock.now()
        await self._in_thread(lambda: self._tell([trouble], now))

    # --- life ------------------------------------------------------------------------------------------

    async def reload(self, configuration: Configuration) -> Taken:
        """Put a new, already validated configuration in force: policies, templates, channels. Store and source stay.

        So does the place of the web side: until a restart providers and links are given the address that is served now.
        Everything that can fail comes before the swap. Returns what became of the policy files.

        Raises:
            SettingsError: templates, trials or a channel fail; the old configuration goes on.
        """
        console = console_in_place(self.configuration.settings.console, configuration.settings.console)
        configuration = replace(configuration, settings=replace(configuration.settings, console=console))
        renderer = renderer_of(configuration)
        async with self._switching:
            async with AsyncExitStack() as opening:
                ways = await _open_channels(configuration, opening)
                now = self.clock.now()
                taken, rules = await self._in_thread(lambda: self._released(configuration, renderer, now))
                stack = opening.pop_all()
            sender = Sender(self._engine, ways, renderer, self.clock, self._executor, configuration.sharing)
            old_sender, old_stack = self._sender, self._stack
            if old_sender is not None:
                sender.follow(old_sender)
            self.configuration, self._renderer, self._taken = configuration, renderer, taken
            self._settled, self.answers.behind = None, configuration.behind
            told = await self._in_thread(lambda: self._put_in_force(rules, now))
            self._sender, self._stack = sender, stack
        await self._in_thread(lambda: self._tell(told, now))
        log.info(telemetry.POLICY_TAKEN, outcome=taken.value, version=configuration.version[:SHOWN])
        if old_sender is not None:
            old_sender.stop()
            await old_sender.idle()
        await old_stack.aclose()
        return taken

    def _released(self, configuration: Configuration, renderer: Renderer, now: datetime) -> tuple[Taken, Rules]:
        changed = configuration.version != self.configuration.version
        faults = self._engine.rules.faults
        require_templates(self.store, rules_in_force(self.store, configuration, now, faults), renderer)
        taken = take_files(self.store, configuration, renderer, now, changed=changed, run_trials=self._run_trials)
        return taken, rules_in_force(self.store, configuration, now, faults)

    async def drain(self, patience: timedelta) -> None:
        """Claim nothing more and wait, at most that long, for what is on the wire. Raises TimeoutError."""
        if self._sender is not None:
            self._sender.stop()
            async with asyncio.timeout(patience.total_seconds()):
                await self._sender.idle()

    async def close(self) -> None:
        """Leave in good order: channels, worker, source, store, threads."""
        if self._sender is not None:
            self._sender.stop()
        await self._stack.aclose()
        try:
            await self._in_thread(lambda: self.store.close_worker(self.epoch, self.clock.now()))
        finally:
            self.source.close()
            self.store.close()
            self._executor.shutdown(wait=True)
            self._pulse.shutdown(wait=True)

    async def _open_sender(self) -> Sender:
        if self._sender is None:
            async with AsyncExitStack() as opening:
                ways = await _open_channels(self.configuration, opening)
                self._stack = opening.pop_all()
            self._sender = Sender(
                self._engine, ways, self._renderer, self.clock, self._executor, self.configuration.sharing
            )
        return self._sender

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


async def _open_channels(configuration: Configuration, stack: AsyncExitStack) -> dict[str, WayOut]:
    ways: dict[str, WayOut] = {}
    for name, settings in configuration.channel_settings.items():
        try:
            channel = configuration.channel_types[name].open(settings)
        except PermanentFailure as error:
            zh, en = f"通道 {name} 无法打开：{error.code}。", f"channel {name} cannot be opened: {error.code}."
            raise SettingsError(Text(zh, en)) from error
        stack.push_async_callback(channel.close)
        ways[name] = WayOut(name, configuration.kinds[name], channel, configuration.media[name])
        if isinstance(channel, Listening) and (console := configuration.settings.console) is not None:
            channel.listen_at(f"{console.public_url}/in/{quote(name, safe='')}")
    return ways
