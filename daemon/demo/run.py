"""Fast-forward: the invented city lives four weeks in a minute, and the daemon's real parts enforce its limits."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from daemon import process, settings, telemetry, wiring
from daemon.clock import ManualClock
from daemon.demo.database import SharedDatabase
from daemon.demo.life import ENDS_AT, STARTS_AT, ZONE, life, shifted, weeks_until
from daemon.demo.servers import LocalServer
from daemon.demo.town import UNITS
from daemon.demo.view import LAST_MESSAGES, SentMessage, masked
from daemon.render import renderer_of
from daemon.store import Store
from daemon.store.values import DeliveryState
from policies.model import Light
from policies.people.seats import role_title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from daemon.clock import Clock
    from daemon.demo.configuration import DemoFolder
    from daemon.demo.view import View
    from daemon.render import Renderer
    from daemon.settings import Configuration
    from daemon.store.values import Delivery
    from daemon.wiring import Node
    from policies.text import Language

SYNC_EVERY = timedelta(minutes=15)  # of simulated time: changes of the shared database are read this often
A_LITTLE_LATER = timedelta(minutes=1)
REDRAW_EVERY = 0.25  # seconds of real time between two counts of the lights
LIVE_EVERY = 1.0  # seconds, when the city lives in real time
PAGE = 500
SENT = frozenset({DeliveryState.ACCEPTED, DeliveryState.DELIVERED})
UNIT_NAMES = {unit.code: unit.name for unit in UNITS}


class Demo:
    """One fast-forward run in its folder."""

    def __init__(self, folder: DemoFolder, seed: int, seconds: float, language: Language, view: View) -> None:
        """Prepare; `seconds` is how long the four weeks should take at least, where somebody watches."""
        self._folder = folder
        self._seed = seed
        self._seconds = seconds
        self._language: Language = language
        self._view = view
        self._seen_delivery = 0
        self._counted_at = 0.0

    def run(self) -> Configuration:
        """Everything from the empty folder to the last tick; the configuration that was used.

        Raises:
            DaemonError: a part could not be started.
        """
        self._folder.create()
        with ExitStack() as stack:
            mail = stack.enter_context(LocalServer("daemon.demo.mail_server", self._folder.mails))
            sms = stack.enter_context(LocalServer("daemon.demo.sms_gateway", self._folder.texts))
            database = stack.enter_context(SharedDatabase(self._folder.shared_database, life(self._seed)))
            stack.callback(telemetry.set_up, sys.__stderr__)  # nobody writes to a closed log afterwards
            telemetry.set_up(stack.enter_context(self._folder.log.open("w", encoding="utf-8")))
            database.apply_until(STARTS_AT)
            self._folder.write_configuration(mail.port, sms.port, self._language)
            configuration = settings.load(self._folder.configuration)
            Store.migrate(configuration.settings.store.url)
            asyncio.run(self._live_through(configuration, database))
        return configuration

    def run_in_real_time(self, clock: Clock, announce: Callable[[], None]) -> int:
        """The daemon itself on the invented city, moved to this week, until it is stopped; returns its exit code.

        `announce` is called once everything stands.

        Raises:
            DaemonError: a part could not be started.
        """
        self._folder.create()
        changes = shifted(life(self._seed), weeks_until(clock.now()))
        with ExitStack() as stack:
            mail = stack.enter_context(LocalServer("daemon.demo.mail_server", self._folder.mails))
            sms = stack.enter_context(LocalServer("daemon.demo.sms_gateway", self._folder.texts))
            database = stack.enter_context(SharedDatabase(self._folder.shared_database, changes))
            database.apply_until(clock.now())
            self._folder.write_configuration(mail.port, sms.port, self._language)
            Store.migrate(settings.load(self._folder.configuration).settings.store.url)
            announce()
            return asyncio.run(self._run_daemon(database, clock))

    async def _run_daemon(self, database: SharedDatabase, clock: Clock) -> int:
        life_goes_on = asyncio.create_task(_live(database, clock))
        try:
            return await process.run(self._folder.configuration, clock)
        finally:
            life_goes_on.cancel()

    async def _live_through(self, configuration: Configuration, database: SharedDatabase) -> None:
        clock = ManualClock(STARTS_AT)
        node = wiring.open_node(configuration, clock, node_name="demo")
        renderer = renderer_of(configuration)
        started = time.monotonic()
        try:
            while clock.now() < ENDS_AT:
                await node.sync()
                await node.tick()
                await node.pump_until_idle()
                self._show_messages(node, renderer)
                clock.move_to(_next_moment(clock.now(), node, database))
                await self._keep_pace(started, clock.now())
                database.apply_until(clock.now())
                self._move_picture(clock.now(), node, database)
            self._move_picture(clock.now(), node, database)
            await node.seal()
        finally:
            await node.close()

    async def _keep_pace(self, started: float, now: datetime) -> None:
        """Not faster than somebody can watch."""
        if self._view.console.is_terminal:
            share = (now - STARTS_AT) / (ENDS_AT - STARTS_AT)
            await asyncio.sleep(max(0.0, started + share * self._seconds - time.monotonic()))

    def _move_picture(self, now: datetime, node: Node, database: SharedDatabase) -> None:
        picture = self._view.picture
        new_day = now.astimezone(ZONE).date() != picture.now.astimezone(ZONE).date()
        if new_day or time.monotonic() - self._counted_at >= REDRAW_EVERY:
            picture.lights = lights_by_unit(node.store)
            picture.cases, picture.finished = database.counts()
            self._counted_at = time.monotonic()
        picture.now = now
        self._view.moved()

    def _show_messages(self, node: Node, renderer: Renderer) -> None:
        new = list(deliveries_after(node.store, self._seen_delivery))
        if not new:
            return
        self._seen_delivery = new[-1].id
        sent = [delivery for delivery in new if delivery.state in SENT]
        self._view.picture.sent.update(delivery.notice.channel for delivery in sent)
        remembered = node.store.directory()
        if remembered is None:
            return
        for delivery in sent[-LAST_MESSAGES:]:
            message = renderer.render(
                delivery.notice,
                remembered[0].officials[delivery.notice.person],
                node.configuration.kinds[delivery.notice.channel],
            )
            self._view.picture.messages.append(
                SentMessage(
                    delivery.notice.at,
                    delivery.notice.channel,
                    role_title(delivery.notice.role).say(self._language),
                    masked(message.to),
                    message.subject or message.text,
                )
            )


async def _live(database: SharedDatabase, clock: Clock) -> None:
    """Let everything happen at its time."""
    while True:
        database.apply_until(clock.now())
        await asyncio.sleep(LIVE_EVERY)


def _next_moment(now: datetime, node: Node, database: SharedDatabase) -> datetime:
    """The next instant at which anything can happen: somebody changes a case and we read it, or we want to act."""
    moments = [ENDS_AT]
    change_at = database.next_change_at()
    if change_at is not None:
        moments.append(_next_sync(change_at))
    wake_at = node.next_wake_at()
    if wake_at is not None:
        moments.append(max(wake_at, now + A_LITTLE_LATER))
    return max(min(moments), now)


def _next_sync(change_at: datetime) -> datetime:
    """When a change at that instant is read: syncs stand at every quarter of an hour."""
    rounds = -((STARTS_AT - change_at) // SYNC_EVERY)
    return STARTS_AT + rounds * SYNC_EVERY


def deliveries_after(store: Store, after_id: int = 0) -> Iterator[Delivery]:
    """The whole outbox from that row on."""
    while page := store.deliveries(limit=PAGE, after_id=after_id):
        yield from page
        after_id = page[-1].id


def lights_by_unit(store: Store) -> dict[str, Counter[str]]:
    """How many open limits stand at which light, by the name of the unit that has the case now."""
    lights: dict[str, Counter[str]] = defaultdict(Counter)
    after_id = 0
    while page := store.obligations(limit=PAGE, after_id=after_id):
        cases = store.cases({stored.obligation.case_key for stored in page})
        for stored in page:
            unit = cases[stored.obligation.case_key].case.unit or ""
            lights[UNIT_NAMES.get(unit, unit)][(stored.history.light or Light.GREEN).value] += 1
        after_id = page[-1].id
    return lights
