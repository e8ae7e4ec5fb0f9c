"""The web side: providers' calls, the state of health, what every answer says about itself."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
import pytest

from channels.base import Answer, Call, CallRefused, Learnt, News, Receipt
from daemon.console import server as server_module
from daemon.console.app import app
from daemon.console.calls import LARGEST, Calls
from daemon.console.health import Health, health_route
from daemon.console.server import ConsoleServer, _Impatient
from daemon.errors import StoreUnavailable
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass
class Office:
    """A channel named `sms` that reads what its provider says, and an inbox that can be away."""

    heard: list[tuple[str, News]] = field(default_factory=list[tuple[str, News]])
    calls: list[Call] = field(default_factory=list[Call])
    away: bool = False
    healthy: bool = True

    def listen_at(self, url: str) -> None:
        """Nothing to remember."""

    def hear(self, call: Call) -> tuple[News, Answer]:
        """A call with the right token says that `abc` arrived; one with none breaks the channel."""
        self.calls.append(call)
        token = dict(call.query)["token"]
        if token != "right":
            raise CallRefused("signature")
        return News((Learnt(Receipt(delivered=True), ours="abc"),)), Answer(200, b"<ok/>", "text/xml")


@dataclass
class Ears:
    """The office's inbox."""

    office: Office

    async def listening(self, channel: str) -> Office | None:
        """Only `sms` is there."""
        return self.office if channel == "sms" else None

    async def hear(self, channel: str, news: News) -> int:
        """Keep it, unless the store is away."""
        if self.office.away:
            raise StoreUnavailable(Text("不在", "away"))
        self.office.heard.append((channel, news))
        return 1


@asynccontextmanager
async def console(office: Office, public: str = "https://duban.example.com") -> AsyncGenerator[tuple[str, Calls]]:
    """The console on a port of its own: its address, and its calls."""
    prefix = "/duban" if public.endswith("/duban") else ""
    calls = Calls(Ears(office), public, prefix)
    health = health_route(lambda: Health(office.healthy, () if office.healthy else ("pump",)), calls.counts)
    server = ConsoleServer(app([health, *calls.routes()], prefix), "127.0.0.1:0")
    assert await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}", calls
    finally:
        await server.stop()


async def ask(url: str, method: str = "GET", **more: object) -> tuple[int, str, dict[str, str]]:
    """One request: status, body, headers."""
    async with aiohttp.ClientSession() as session, session.request(method, url, **more) as answer:  # type: ignore[arg-type]
        return answer.status, await answer.text(), dict(answer.headers)


async def test_a_call_is_answered_after_it_was_written_down() -> None:
    """The channel gets the public address as it was called, whatever host the proxy names, and says the answer."""
    office = Office()
    async with console(office) as (base, _):
        url = f"{base}/in/sms/st%20ate?token=right&x=%E4%B8%AD&x="
        said = await ask(url, "POST", data=b"a=1", headers={"Host": "evil.example.com", "X-Forwarded-Host": "evil"})
    assert said[:2] == (200, "<ok/>")
    assert said[2]["Content-Type"].startswith("text/xml")
    (call,) = office.calls
    assert call.url == "https://duban.example.com/in/sms/st%20ate?token=right&x=%E4%B8%AD&x="
    assert call.query == (("token", "right"), ("x", "中"), ("x", ""))
    assert (call.method, call.body, call.headers["host"]) == ("POST", b"a=1", "evil.example.com")
    assert [channel for channel, _ in office.heard] == ["sms"]


@pytest.mark.parametrize("path", ["/in/sms?token=right", "/duban/in/sms?token=right"])
async def test_a_prefix_may_be_left_or_taken_away_by_the_proxy(path: str) -> None:
    """Either way the address the provider signed is the public one."""
    office = Office()
    async with console(office, "https://example.com/duban") as (base, _):
        assert (await ask(base + path))[0] == 200
    assert office.calls[0].url == "https://example.com/duban/in/sms?token=right"


async def test_calls_that_are_not_taken_say_so_and_are_counted() -> None:
    """Refused, unknown, too large, another method, a defect of the channel, the store away: each has its status."""
    office = Office()
    async with console(office) as (base, calls):
        assert (await ask(f"{base}/in/sms?token=wrong"))[0] == 403
        assert (await ask(f"{base}/in/email?token=right"))[0] == 404
        assert (await ask(f"{base}/in/sms?token=right", "POST", data=b"x" * (LARGEST + 1)))[0] == 413
        assert (await ask(f"{base}/in/sms?token=right", "PUT"))[0] == 405
        assert (await ask(f"{base}/in/sms"))[0] == 500
        office.away = True
        status, _, headers = await ask(f"{base}/in/sms?token=right")
        assert (status, headers["Retry-After"]) == (503, "30")
        assert not office.heard
        counted = {how: count for how, count in calls.counts.items() if "/" not in how}
    assert counted == {"refused": 1, "too_large": 1, "broken": 1, "unavailable": 1}


async def test_a_body_without_a_length_is_not_read_beyond_the_limit() -> None:
    """A provider that streams for ever is told to stop."""

    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(10):
            yield b"x" * (LARGEST // 4)

    async with console(Office()) as (base, _):
        assert (await ask(f"{base}/in/sms?token=right", "POST", data=endless()))[0] == 413


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """Who dawdles is told so, and his connection is free."""
    calls = Calls(Ears(Office()), "https://duban.example.com", whole_within=0.05)
    server = ConsoleServer(app([*calls.routes()]), "127.0.0.1:0")
    assert await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /in/sms HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()
    await server.stop()
    assert calls.counts["too_slow"] == 1


async def _ended_after(port: int | None, *sent: bytes) -> bytes:
    """What the server says on one connection to whoever sends these, one after the other, until it ends that."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(reader.read())
    for one in sent:
        if reading.done():
            break
        with contextlib.suppress(ConnectionError):
            writer.write(one)
            await writer.drain()
        await asyncio.wait([reading], timeout=0.02)
    answer = await asyncio.gather(reading, return_exceptions=True)
    writer.close()
    return answer[0] if isinstance(answer[0], bytes) else b""


async def test_nobody_keeps_a_connection_by_being_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing at all, a head that trickles in, and one more after a request: each is ended; who is done is served."""
    monkeypatch.setattr(_Impatient, "head_within", 0.2)
    monkeypatch.setattr(_Impatient, "over_within", 0.4)
    async with console(Office()) as (base, _):
        port = int(base.rpartition(":")[2])
        get = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
        nothing = _ended_after(port)
        trickling = _ended_after(port, get, *[b"x: y\r\n"] * 1000)
        afterwards = _ended_after(port, get + b"\r\n", *[b"x"] * 1000)
        body = b"POST /in/sms?token=right HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n"
        dawdling = _ended_after(port, body, *[b"x"] * 1000)
        async with asyncio.timeout(20):
            said = await asyncio.gather(nothing, trickling, afterwards, dawdling)
        assert said[:2] == [b"", b""]
        assert said[2].startswith(b"HTTP/1.1 200")
        assert said[2].count(b"HTTP/1.1") == 1
        assert said[3] == b""
        assert (await ask(f"{base}/healthz"))[0] == 200


async def test_far_too_many_connections_take_no_more_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond the limit are closed at once; when the others are gone, calls are taken again."""
    monkeypatch.setattr(server_module, "MOST", 5)
    office = Office()
    async with console(office) as (base, _):
        port = int(base.rpartition(":")[2])
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        for _, one in held:
            one.close()
            await one.wait_closed()
        await asyncio.sleep(0)
        assert (await ask(f"{base}/in/sms?token=right"))[0] == 200


async def test_no_answer_leads_to_another_host() -> None:
    """A slash too many is a page that is not there, not a redirection to the host the caller named."""
    async with console(Office()) as (base, _):
        status, _, headers = await ask(f"{base}/healthz/", headers={"Host": "evil.example.com"}, allow_redirects=False)
    assert status == 404
    assert "Location" not in headers


async def test_the_health_page_tells_and_every_answer_is_guarded() -> None:
    """200 or 503, figures without personal data, and the headers that keep browsers from misusing it."""
    office = Office()
    async with console(office) as (base, _):
        good = await ask(f"{base}/healthz")
        office.healthy = False
        bad = await ask(f"{base}/healthz")
        missing = await ask(f"{base}/nothing")
    assert (good[0], bad[0], missing[0]) == (200, 503, 404)
    assert good[1] == '{"status":"ok","proof_holds":true,"stale_jobs":[],"calls":{}}'
    for _, _, headers in (good, bad, missing):
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "Server" not in headers


async def test_an_address_in_use_is_tried_again() -> None:
    """The server says that it does not listen, and does as soon as it can."""
    first = ConsoleServer(app([]), "127.0.0.1:0")
    assert await first.start()
    second = ConsoleServer(app([]), f"127.0.0.1:{first.port}")
    assert not await second.start()
    await first.stop()
    assert await second.start()
    assert await second.start()
    await second.stop()
    assert not second.listening
