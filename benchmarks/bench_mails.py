"""Mails per second, from a due obligation to the server, against a bare aiosmtplib loop that sends ready bytes.

    python benchmarks/bench_mails.py [--mails 2000] [--rounds 3] [--postgresql] [--full]

Ours: claim the due obligation, re-read the case from the shared database, decide, write notice and ledger durably,
render in Chinese (text and HTML), build, send, record. Theirs: `sendmail` in a loop over as many connections.
Same server, same run, in turns. Both are warm: every handler has been told of his case before, what is measured are the
reminders. The ratio of each round counts, absolute figures drift with the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

import aiosmtplib
from common import NOW, postgresql, scratch, server, show

from channels.wire.mime import MailFrame
from daemon.clock import ManualClock
from daemon.process import spare_the_collector
from daemon.render import renderer_of
from daemon.settings import load
from daemon.store import Store
from daemon.wiring import open_node
from support.office import build_office

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.wiring import Node

CONNECTIONS = 4
REMINDED_AT = datetime(2026, 9, 28, 1, 0, tzinfo=UTC)  # three working days before the limit, 9:00 in the office
FULL = (5000, 7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgresql", action="store_true", help="the store on PostgreSQL, fsync on")
    parser.add_argument("--full", action="store_true", help=f"{FULL[0]} mails, {FULL[1]} rounds")
    chosen = parser.parse_args()
    mails, rounds = FULL if chosen.full else (chosen.mails, chosen.rounds)
    print(f"store on {'PostgreSQL' if chosen.postgresql else 'SQLite'}")
    with server("support.smtp_server") as port:
        asyncio.run(compare(port, mails, rounds, on_postgresql=chosen.postgresql))


async def compare(port: int, mails: int, rounds: int, *, on_postgresql: bool) -> None:
    ours: list[float] = []
    bare: list[float] = []
    raw = b""
    for _ in range(rounds):
        with scratch() as folder, postgresql() if on_postgresql else nullcontext("") as url:
            raw, rate = await duban(folder / "office", port, mails, url)
            ours.append(rate)
        bare.append(await aiosmtplib_loop(port, raw, mails))
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    show(f"{mails} mails of {len(raw)} bytes, {CONNECTIONS} connections", [("duban", ours), ("aiosmtplib", bare)], "/s")
    print(f"  ratio: median of the rounds {median(ratios):.2f}  ({min(ratios):.2f} – {max(ratios):.2f})")


async def duban(folder: Path, port: int, mails: int, store_url: str) -> tuple[bytes, float]:
    """A sample mail, and mails per second."""
    arrived = NOW.replace(tzinfo=None)
    office = build_office(folder, cases=mails, arrived=arrived, smtp_port=port, store_url=store_url)
    office.change("policies/office.yaml", "via: [sms, email]", "via: [email]")
    configuration = load(office.configuration)
    Store.migrate(configuration.settings.store.url)
    clock = ManualClock(NOW)
    node = open_node(configuration, clock)
    spare_the_collector()
    await node.sync()
    await node.tick()
    assert await node.pump() == mails  # the first handlers learn of their cases
    clock.move_to(REMINDED_AT)
    begun = time.perf_counter()
    await node.tick()
    decided = time.perf_counter()
    sent = await node.pump()
    ended = time.perf_counter()
    assert sent == mails, sent
    print(f"  decided {mails / (decided - begun):,.0f}/s, sent and recorded {mails / (ended - decided):,.0f}/s")
    raw = _sample(node)
    await node.close()
    return raw, mails / (ended - begun)


def _sample(node: Node) -> bytes:
    """The bytes of one of the mails just sent, for the bare loop."""
    delivery = node.store.deliveries(limit=1)[0]
    directory = node.store.directory()
    assert directory is not None
    official = directory[0].officials[delivery.notice.person]
    message = renderer_of(node.configuration).render(delivery.notice, official, "email")
    return MailFrame.of(node.configuration.channel_settings["email"]).build(message).content  # type: ignore[arg-type]


async def aiosmtplib_loop(port: int, raw: bytes, mails: int) -> float:
    left = iter(range(mails))
    clients = [
        aiosmtplib.SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False) for _ in range(CONNECTIONS)
    ]
    for client in clients:
        await client.connect()

    async def loop(client: aiosmtplib.SMTP) -> None:
        for _ in left:
            await client.sendmail("duban@example.com", ["handler@example.com"], raw)

    begun = time.perf_counter()
    await asyncio.gather(*map(loop, clients))
    rate = mails / (time.perf_counter() - begun)
    for client in clients:
        await client.quit()
    return rate


if __name__ == "__main__":
    main()
