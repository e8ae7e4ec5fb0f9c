"""The invented office at work: nodes over it, a clock that stands still, a mail server and an SMS gateway."""

from __future__ import annotations

import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from daemon.clock import ManualClock
from daemon.errors import SourceUnavailable
from daemon.settings import load
from daemon.wiring import open_node
from support.office import Office, build_office
from support.sms_gateway import SmsGateway
from support.smtp_server import SmtpServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from email.message import EmailMessage
    from pathlib import Path

    from daemon.store import Store
    from daemon.store.values import Delivery
    from daemon.wiring import Node
    from policies.model import Obligation

SHANGHAI = ZoneInfo("Asia/Shanghai")
CASE = "XF00000000"
LOOKUP = """
    lookup:
      url: http://127.0.0.1:{port}/sms/{{reference}}
      present: {{json: {{found: true}}}}
      absent: {{json: {{found: false}}}}
      reference: {{json: id}}
"""


def at(text: str) -> datetime:
    """`2026-09-16 10:00` on a clock in Shanghai, as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


def plain_part(mail: EmailMessage) -> str:
    """What a reader without HTML sees."""
    body = mail.get_body(("plain",))
    assert body is not None
    text: str = body.get_content()
    return text.replace("\r\n", "\n")


@dataclass(frozen=True)
class Received:
    """One message as a server got it, and what the office's clock showed."""

    clock: str
    channel: str
    to: str
    text: str
    duplicate: bool


@dataclass
class Running:
    """Everything a test needs to move time, change the shared database and see what arrives."""

    office: Office
    clock: ManualClock
    mails: SmtpServer
    texts: SmsGateway
    node: Node
    received: list[Received] = field(default_factory=list[Received])
    _seen: tuple[int, int] = (0, 0)

    @property
    def store(self) -> Store:
        """The node's store."""
        return self.node.store

    async def work(self, moment: str | None = None) -> list[Received]:
        """At that moment: take over what changed (if the source answers), decide, send. What arrived meanwhile."""
        if moment is not None:
            self.clock.move_to(at(moment))
        with contextlib.suppress(SourceUnavailable):
            await self.node.sync()
        await self.node.pump_until_idle()
        return self.collect()

    async def live_until(self, moment: str) -> list[Received]:
        """Work whenever something is due, up to that moment."""
        first = len(self.received)
        end = at(moment)
        await self.work()
        while (due := self.node.next_wake_at()) is not None and due <= end:
            self.clock.move_to(max(due, self.clock.now()))
            await self.work()
        self.clock.move_to(end)
        await self.work()
        return self.received[first:]

    def collect(self) -> list[Received]:
        """What arrived since the last time it was asked."""
        mails, texts = self._seen
        clock = f"{self.clock.now().astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        fresh = [
            Received(
                clock,
                "email",
                str(mail["To"].addresses[0].addr_spec),
                f"{mail['Subject']}\n{plain_part(mail)}",
                "X-Duban-Possible-Duplicate" in mail,
            )
            for mail in self.mails.mails[mails:]
        ]
        fresh += [
            Received(clock, "sms", one["to"], one["text"], one["possible_duplicate"] not in {"", "false", "0", False})
            for one in self.texts.messages[texts:]
        ]
        self._seen = (len(self.mails.mails), len(self.texts.messages))
        self.received += fresh
        return fresh

    def execute(self, sql: str, *parameters: object) -> None:
        """Change the shared database, as its own system would."""
        self.office.execute(sql, *parameters)

    def update(self, changes: str, key: str = CASE) -> None:
        """Change one case, `SET` as given, with its change time."""
        changed = f"{self.clock.now().astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S.%f}"
        self.office.execute(f"UPDATE cases SET {changes}, changed = ? WHERE no = ?", changed, key)  # noqa: S608 - tests

    def hide_source(self) -> Callable[[], None]:
        """Take the shared table away, as an outage does; call the answer to bring it back."""
        self.execute("ALTER TABLE cases RENAME TO cases_away")
        return lambda: self.execute("ALTER TABLE cases_away RENAME TO cases")

    async def reload(self) -> None:
        """Put the configuration files as they are now in force."""
        await self.node.reload(load(self.office.configuration))

    async def restart(self, moment: str) -> None:
        """Stop the only node, let time pass, start another."""
        await self.node.close()
        self.clock.move_to(at(moment))
        self.node = await self.another_node("again")

    async def another_node(self, name: str = "second") -> Node:
        """A second worker over the same store and source; close it."""
        return open_node(load(self.office.configuration), self.clock, node_name=name)

    # --- what the store says ---------------------------------------------------------------------------

    def story(self, key: str = CASE) -> list[str]:
        """The kinds of the ledger's lines about a case, in order."""
        return [row.kind for row in self.store.ledger(key)]

    def told(self, kind: str, key: str = CASE) -> list[str]:
        """The ledger's lines of one kind about a case, as text."""
        return [str(dict(row.body)) for row in self.store.ledger(key) if row.kind == kind]

    def deliveries(self, channel: str | None = None, key: str = CASE) -> list[Delivery]:
        """The outbox of a case."""
        return [d for d in self.store.deliveries(case_key=key) if channel in (None, d.notice.channel)]

    def states(self, channel: str | None = None, key: str = CASE) -> list[str]:
        """`text person state` of each delivery."""
        return [f"{d.notice.say} {d.notice.person} {d.state.value}" for d in self.deliveries(channel, key)]

    def obligation(self, key: str = CASE) -> Obligation:
        """The only obligation of a case."""
        (only,) = self.store.obligations_of([key])[key]
        return only.obligation


@asynccontextmanager
async def running_office(
    folder: Path,
    store_url: str,
    *,
    now: str = "2026-09-16 10:00",
    arrived: str = "2026-09-16 10:00",
    cases: int = 1,
    lookup: bool = False,
    prepare: Callable[[Office], None] = lambda _office: None,
) -> AsyncGenerator[Running]:
    """The office with its servers and one node, not yet synchronised. `store_url` is migrated already."""
    mails, texts = SmtpServer(), SmsGateway()
    await mails.start()
    await texts.start()
    try:
        office = build_office(
            folder / "office",
            cases=cases,
            arrived=datetime.fromisoformat(arrived),
            smtp_port=mails.port,
            sms_port=texts.port,
            store_url=store_url,
        )
        if lookup:
            office.change("duban.yaml", 'to: "{to}"', 'reference: "{reference}", to: "{to}"')
            office.change(
                "duban.yaml",
                "    reference: {json: data.id}\n",
                "    reference: {json: data.id}" + LOOKUP.format(port=texts.port),
            )
        prepare(office)
        clock = ManualClock(at(now))
        running = Running(office, clock, mails, texts, open_node(load(office.configuration), clock, node_name="first"))
        try:
            yield running
        finally:
            await running.node.close()
    finally:
        await texts.stop()
        await mails.stop()
