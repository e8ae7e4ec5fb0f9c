"""The mail channel against a bare aiosmtplib loop that sends ready bytes, on the same server in the same run.

    python benchmarks/smtp_channel.py [--mails 4000] [--rounds 5]

Servers: the asyncio sink of the tests in a process of its own, and Postfix's `smtp-sink` where it is installed. Ratios
of one run count; absolute figures drift with the machine. The channel's figures include building every mail.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import TYPE_CHECKING

import aiosmtplib

from channels.base import Message, Receipt
from channels.email import EmailSettings, open_email
from channels.wire.mime import MailFrame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOT = Path(__file__).parent.parent
BATCH = 500
TEXT = "提醒：事项XF202609170012“书面告知”10月8日到期，余3个工作日。您为首办责任人，请及时办理。\n" * 6
HTML = f"<p>{TEXT}</p>"


def settings(port: int, connections: int) -> EmailSettings:
    """The channel, as an office would have it."""
    sender = {"name": "某市信访局督查室", "address": "duban@example.com"}
    fields = {"host": "127.0.0.1", "port": port, "encryption": "none", "connections": connections, "from": sender}
    return EmailSettings.model_validate(fields)


def messages(count: int) -> list[Message]:
    at = datetime(2026, 9, 28, 1, 30, tzinfo=UTC)
    return [
        Message(f"k{i}", f"u{i}@example.com", TEXT, at, "首办责任人", "【督办】提醒：书面告知10月8日到期", HTML)
        for i in range(count)
    ]


async def through_channel(port: int, count: int, connections: int) -> float:
    """Mails a second, built and sent in batches of 500."""
    channel = open_email(settings(port, connections))
    wanted = messages(count)
    await channel.send_many(wanted[:connections])
    begun = time.perf_counter()
    for start in range(0, count, BATCH):
        outcomes = await channel.send_many(wanted[start : start + BATCH])
        assert all(isinstance(one, Receipt) for one in outcomes)
    rate = count / (time.perf_counter() - begun)
    await channel.close()
    return rate


async def through_aiosmtplib(port: int, count: int, connections: int) -> float:
    """Mails a second, bytes ready, connections reused."""
    content = MailFrame.of(settings(port, 1)).build(messages(1)[0]).content
    clients = [aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) for _ in range(connections)]
    for client in clients:
        await client.connect()

    async def loop(client: aiosmtplib.SMTP) -> None:
        for number in range(count // connections):
            await client.sendmail("duban@example.com", [f"u{number}@example.com"], content)

    begun = time.perf_counter()
    await asyncio.gather(*(loop(client) for client in clients))
    rate = count // connections * connections / (time.perf_counter() - begun)
    for client in clients:
        await client.quit()
    return rate


def build_rates(count: int) -> tuple[float, float]:
    """Mails built a second: ours, and the standard library's EmailMessage."""
    frame = MailFrame.of(settings(1, 1))
    wanted = messages(count)
    begun = time.perf_counter()
    for message in wanted:
        frame.build(message)
    ours = count / (time.perf_counter() - begun)
    few = count // 20
    begun = time.perf_counter()
    for message in wanted[:few]:
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"] = "某市信访局督查室 <duban@example.com>", f"首办责任人 <{message.to}>"
        mail["Subject"] = message.subject
        mail.set_content(message.text)
        mail.add_alternative(message.html, subtype="html")
        mail.as_bytes()
    return ours, few / (time.perf_counter() - begun)


def start_servers() -> dict[str, tuple[subprocess.Popen[str], int]]:
    """The sinks there are, each in a process of its own."""
    sink = subprocess.Popen(
        [sys.executable, "-m", "support.smtp_server"],
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sink.stdout is not None
    servers = {"asyncio sink": (sink, int(sink.stdout.readline()))}
    smtp_sink = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if smtp_sink is not None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([smtp_sink, *user, f"127.0.0.1:{port}", "1000"], text=True)  # noqa: S603  # ours
        time.sleep(1)
        servers["smtp-sink (C)"] = (process, port)
    return servers


async def measure(name: str, port: int, mails: int, rounds: int) -> None:
    ways: dict[str, Callable[[int, int, int], Awaitable[float]]] = {
        "channel": through_channel,
        "aiosmtplib": through_aiosmtplib,
    }
    for connections in (1, 4, 8):
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                rates[way].append(await run(port, mails, connections))
        middle = {way: statistics.median(found) for way, found in rates.items()}
        ratio = statistics.median(a / b for a, b in zip(rates["channel"], rates["aiosmtplib"], strict=True))
        spread = ", ".join(f"{way} {min(found):,.0f}-{max(found):,.0f}" for way, found in rates.items())
        print(
            f"{name:14} {connections} connections: channel {middle['channel']:8,.0f}/s   "
            f"aiosmtplib {middle['aiosmtplib']:7,.0f}/s   ratio {ratio:4.1f}   ({spread})",
            flush=True,
        )


def main() -> None:
    """Print one line per server and number of connections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    ours, theirs = build_rates(10_000)
    print(f"building: {ours:,.0f}/s; EmailMessage {theirs:,.0f}/s; ratio {ours / theirs:.0f}")
    servers = start_servers()
    try:
        for name, (_, port) in servers.items():
            asyncio.run(measure(name, port, chosen.mails, chosen.rounds))
    finally:
        for process, _ in servers.values():
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
