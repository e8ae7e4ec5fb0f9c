"""Every channel against the bare client, on the same server process in the same run; a slow channel beside a fast one.

    .venv/bin/python benchmarks/channels.py [--messages 400] [--rounds 5] [--only http --only email]

Bare: aiosmtplib's `sendmail` of ready bytes; Twilio's own client; elsewhere an aiohttp POST that repeats the bytes of
one real request, signature and all. Both over eight connections (mail: four), in turns. Throughput is that of one
batch; latency that of messages sent one by one over the same number of connections. Ratios count, absolute figures
drift with the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import aiohttp
import aiosmtplib
from common import ROOT, scratch, server
from rich.console import Console
from rich.progress import track
from rich.table import Table
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client
from yarl import URL

from channels.base import Message, Receipt
from channels.email import EmailSettings
from channels.wire.mime import MailFrame
from support.channel_stages import PERSON, WEBHOOK_SECRET, opened
from support.cloud_sms_servers import KEY_ID, SECRET
from support.twilio_server import ACCOUNT, TOKEN
from support.workplace_servers import SECRET as APP_SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from channels.base import Channel

AT_ONCE = 8
CONNECTIONS = 4  # of mail
TURNS = 10
AT = datetime.now(UTC)
TEXT = "【某市信访局】提醒：事项XF202609170012“书面告知”10月8日到期，余3个工作日。"
MAIL = "<p>提醒：事项“书面告知”10月8日到期，余3个工作日。您为首办责任人，请及时办理。</p>\n" * 60
SENDER = {"name": "某市信访局", "address": "duban@example.com"}
NUMBERED = {"*": {"id": "1", "state": "approved", "variables": ["{text}"]}}
NAMED = {"*": {"id": "SMS_1", "state": "approved", "variables": {"text": "{text}"}}}
FIELDS = {name: f"{{{name}}}" for name in ("to", "text", "reference")}


def settings(name: str, url: str) -> dict[str, Any]:
    """The channel as an office would have it."""
    own: dict[str, dict[str, Any]] = {
        "http": {
            "url": f"{url}/sms",
            "body": {"format": "json", "content": FIELDS},
            "success": {"json": {"code": "0"}},
        },
        "twilio": {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": "+15005550006"},
        "aliyun": {"access_key_id": KEY_ID, "access_key_secret": SECRET, "sign_name": "某局", "templates": NAMED},
        "tencent": {"secret_id": KEY_ID, "secret_key": SECRET, "app_id": "1400000000", "sign_name": "某局"}
        | {"templates": NUMBERED},
        "huawei": {"app_key": KEY_ID, "app_secret": SECRET, "from": "8820000000000", "templates": NUMBERED},
        "mas": {"ec_name": "某市信访局", "ap_id": "duban", "secret_key": SECRET, "sign": "signId"},
        "wecom": {"corp_id": "ww1", "agent_id": 7, "secret": APP_SECRET, "per_person_per_minute": 10_000},
        "dingtalk": {"app_key": "ding1", "agent_id": 7, "app_secret": APP_SECRET, "confirm_after": 0},
        "feishu": {"app_id": "cli1", "app_secret": APP_SECRET},
        "webhook": {"url": f"{url}/duban", "secret": WEBHOOK_SECRET},
    }
    base = {} if name in {"http", "webhook"} else {"base_url": url}
    return own[name] | base | {"concurrency": AT_ONCE}


Send = Callable[[int], Awaitable[object]]
HTTP = ("http", "twilio", "aliyun", "tencent", "huawei", "mas", "wecom", "dingtalk", "feishu", "webhook")
PERSONS = {"dingtalk": PERSON, "feishu": PERSON, "webhook": PERSON}


@dataclass
class Figures:
    """One way of sending, in one round: messages a second, and seconds for each."""

    rate: float
    latencies: list[float]

    @property
    def percentiles(self) -> tuple[float, float]:
        """The 50th and the 95th, in milliseconds."""
        cut = quantiles(self.latencies, n=20)
        return cut[9] * 1000, cut[18] * 1000


# --- the bare clients ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """What a channel really sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


async def captured(name: str, port: int) -> Request:
    """One real request of the channel, read by a proxy on its way to the server."""
    seen: list[bytes] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection("127.0.0.1", port)

        async def forward(source: asyncio.StreamReader, target: asyncio.StreamWriter, *, keep: bool) -> None:
            while data := await source.read(65_536):
                if keep:
                    seen.append(data)
                target.write(data)
            target.close()

        await asyncio.gather(forward(reader, here, keep=True), forward(there, writer, keep=False))

    proxy = await asyncio.start_server(relay, "127.0.0.1", 0)
    channel = opened(name, **settings(name, f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"))
    (outcome,) = await channel.send_many([message(name, 0)])
    assert isinstance(outcome, Receipt), outcome
    await channel.close()
    proxy.close()
    head, _, body = b"".join(seen)[_last_request(b"".join(seen)) :].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    return Request(method, path, dict(line.split(": ", 1) for line in lines), body)


def _last_request(stream: bytes) -> int:
    """Where the last request begins: whoever wants a token asks for that first."""
    return max(stream.rfind(b"POST /"), stream.rfind(b"GET /"))


@asynccontextmanager
async def bare_http(name: str, port: int) -> AsyncGenerator[Send]:
    """The same bytes every time, by aiohttp."""
    request = await captured(name, port)
    url = f"http://127.0.0.1:{port}{request.path}"
    address = URL(url, encoded=True)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def send(_number: int) -> None:
            async with session.request(
                request.method, address, data=request.body or None, headers=request.headers
            ) as answer:
                assert answer.status < 300, await answer.text()  # noqa: PLR2004 - RFC 9110
                await answer.read()

        yield send


@asynccontextmanager
async def bare_twilio(_name: str, port: int) -> AsyncGenerator[Send]:
    """Twilio's own asynchronous client, sent here instead of there."""

    class Here(AsyncTwilioHttpClient):  # type: ignore[misc]  # twilio ships no types
        async def request(self, method: str, uri: str, *more: Any, **options: Any) -> Any:  # noqa: ANN401 - theirs
            return await super().request(method, uri.replace("https://api.twilio.com", here), *more, **options)

    here = f"http://127.0.0.1:{port}"
    transport = Here(pool_connections=True)
    client = Client(ACCOUNT, TOKEN, http_client=transport)

    async def send(number: int) -> None:
        await client.messages.create_async(to="+8613800000001", from_="+15005550006", body=f"{TEXT}{number}")

    yield send
    await transport.close()


@asynccontextmanager
async def bare_mail(_name: str, port: int) -> AsyncGenerator[Send]:
    """Ready connections of aiosmtplib."""
    fields = {"host": "127.0.0.1", "port": port, "encryption": "none", "from": SENDER}
    content = MailFrame.of(EmailSettings.model_validate(fields)).build(message("email", 0)).content
    free: asyncio.Queue[aiosmtplib.SMTP] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
        await client.connect()
        free.put_nowait(client)

    async def send(number: int) -> None:
        client = await free.get()
        await client.sendmail("duban@example.com", [f"u{number}@example.com"], content)
        free.put_nowait(client)

    yield send
    while not free.empty():
        await free.get_nowait().quit()


# --- measuring -------------------------------------------------------------------------------------------------


def message(name: str, number: int) -> Message:
    """One of many, all different."""
    if name == "email":
        return Message(f"k{number}", f"u{number}@example.com", TEXT, AT, "", "【督办】提醒", MAIL)
    return Message(
        f"k{number}",
        f"member.{number}" if name == "wecom" else PERSONS.get(name, "+8613800000001"),
        f"{TEXT}{number}",
        AT,
    )


async def one_by_one(send: Send, numbers: range, lanes: int) -> tuple[float, list[float]]:
    """These, `lanes` at a time: the seconds of all, and of each."""
    waiting = iter(numbers)
    latencies: list[float] = []

    async def lane() -> None:
        for number in waiting:
            begun = time.perf_counter()
            await send(number)
            latencies.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(lanes)))
    return time.perf_counter() - begun, latencies


async def in_a_batch(name: str, channel: Channel, numbers: range) -> float:
    """These in one call: the seconds of all."""
    wanted = [message(name, number) for number in numbers]
    begun = time.perf_counter()
    outcomes = await channel.send_many(wanted)
    seconds = time.perf_counter() - begun
    assert all(isinstance(one, Receipt) for one in outcomes), outcomes[:3]
    return seconds


async def round_of(name: str, port: int, count: int) -> tuple[Figures, Figures]:
    """Ours and the bare client's, some messages each in turns: whatever else the machine does meets both."""
    lanes = CONNECTIONS if name == "email" else AT_ONCE
    if name == "email":
        own: dict[str, Any] = {"host": "127.0.0.1", "port": port, "encryption": "none", "from": SENDER}
        channel = opened("email", **own, connections=CONNECTIONS)
    else:
        channel = opened(name, **settings(name, f"http://127.0.0.1:{port}"))
    bare = {"email": bare_mail, "twilio": bare_twilio}.get(name, bare_http)

    async def singly(number: int) -> object:
        return await channel.send_many([message(name, number)])

    seconds = {"ours": 0.0, "bare": 0.0}
    latencies: dict[str, list[float]] = {"ours": [], "bare": []}
    async with bare(name, port) as send:
        await in_a_batch(name, channel, range(-3 * lanes, -2 * lanes))
        await one_by_one(send, range(lanes), lanes)
        for turn in range(TURNS):
            some = range(turn * count // TURNS, (turn + 1) * count // TURNS)
            seconds["ours"] += await in_a_batch(name, channel, some)
            passed, each = await one_by_one(send, some, lanes)
            seconds["bare"] += passed
            latencies["bare"] += each
            latencies["ours"] += (await one_by_one(singly, range(count + some.start, count + some.stop), lanes))[1]
    await channel.close()
    ours, theirs = (Figures(count / seconds[whose], latencies[whose]) for whose in ("ours", "bare"))
    return ours, theirs


@contextmanager
def providers() -> Generator[dict[str, int]]:
    """Every server, mail included, as two processes: their ports."""
    command = [sys.executable, "-m", "support.channel_servers"]
    with (
        server("support.smtp_server") as mail,
        subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True) as process,  # noqa: S603 - ours
    ):
        assert process.stdout is not None
        try:
            yield {"email": mail, **json.loads(process.stdout.readline())}
        finally:
            process.kill()


def compare(names: list[str], count: int, rounds: int) -> Table:
    """The table of all channels."""
    found: dict[str, list[tuple[Figures, Figures]]] = {name: [] for name in names}
    for _ in track(range(rounds), "rounds"):
        with providers() as ports:
            for name in names:
                found[name].append(asyncio.run(round_of(name, ports[name], count)))
    table = Table("channel", "ours /s", "bare /s", "ratio", "ours p50/p95 ms", "bare p50/p95 ms", "ratio p50")
    for name, pairs in found.items():
        rates = [ours.rate / bare.rate for ours, bare in pairs]
        waits = [ours.percentiles[0] / bare.percentiles[0] for ours, bare in pairs]
        table.add_row(
            name,
            f"{median(ours.rate for ours, _ in pairs):,.0f}",
            f"{median(bare.rate for _, bare in pairs):,.0f}",
            f"{median(rates):.2f} ({min(rates):.2f} – {max(rates):.2f})",
            "/".join(f"{median(ours.percentiles[which] for ours, _ in pairs):.1f}" for which in (0, 1)),
            "/".join(f"{median(bare.percentiles[which] for _, bare in pairs):.1f}" for which in (0, 1)),
            f"{median(waits):.2f}",
        )
    return table


# --- a slow channel beside a fast one --------------------------------------------------------------------------


async def seconds_to_empty(folder: Path, cases: int, fast: int, slow: int, record: Path, *, beside: bool) -> float:
    """How long the fast channel takes for its notices, the whole daemon's delivery side at work."""
    from daemon.clock import ManualClock  # noqa: PLC0415 - the rest of this file needs no daemon
    from daemon.settings import load  # noqa: PLC0415 - the same
    from daemon.store import Store  # noqa: PLC0415 - the same
    from daemon.wiring import open_node  # noqa: PLC0415 - the same
    from support.office import build_office  # noqa: PLC0415 - the same

    now = datetime(2026, 9, 16, 2, 0, tzinfo=UTC)
    office = build_office(folder, cases=cases, arrived=datetime(2026, 9, 16, 10), sms_port=fast)  # noqa: DTZ001 - local
    office.change("policies/office.yaml", "via: [sms, email]", "via: [sms, slow]" if beside else "via: [sms]")
    fields = {"key": "{key}", "to": "{to}", "text": "{text}"}
    channel = {"type": "http", "url": f"http://127.0.0.1:{slow}/sms", "body": {"format": "json", "content": fields}}
    office.put_channel("slow", channel | {"success": {"json": {"code": "0"}}, "concurrency": AT_ONCE})
    configuration = load(office.configuration)
    Store.migrate(configuration.settings.store.url)
    node = open_node(configuration, ManualClock(now))
    try:
        await node.sync()
        await node.tick()
        wanted = sent(record) + cases
        pumping = asyncio.create_task(node.pump())
        begun = time.perf_counter()
        while sent(record) < wanted:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - begun
        await pumping
    finally:
        await node.close()
    return seconds


def sent(record: Path) -> int:
    """How many messages a gateway has written down."""
    return record.read_bytes().count(b"\n") if record.exists() else 0


def beside_a_slow_one(cases: int, rounds: int) -> str:
    """The fast channel's time with the slow one beside it, over its time alone."""
    ratios: list[float] = []
    with scratch() as folder:
        record = folder / "fast"
        with (
            server("support.sms_gateway", "--delay", "0.005", "--record", str(record)) as fast,
            server("support.sms_gateway", "--delay", "0.05") as slow,
        ):
            for number in track(range(rounds), "beside a slow one"):
                seconds = {
                    beside: asyncio.run(
                        seconds_to_empty(folder / f"{number}{beside}", cases, fast, slow, record, beside=beside)
                    )
                    for beside in (False, True)
                }
                ratios.append(seconds[True] / seconds[False])
    return f"{median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("email", *HTTP), action="append", help="default: all")
    chosen = parser.parse_args()
    console = Console(width=120)
    console.print(compare(chosen.only or ["email", *HTTP], chosen.messages, chosen.rounds))
    share = beside_a_slow_one(chosen.messages, chosen.rounds)
    console.print(f"time of a channel beside one at a tenth of its speed, over its time alone: {share}", markup=False)


if __name__ == "__main__":
    main()
