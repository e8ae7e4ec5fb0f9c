"""A small SMS gateway on loopback: takes JSON, form or query, writes a line about each SMS before it answers.

`python -m support.sms_gateway --port 0 --record FILE` prints its port. `POST /control` with `{"fault": …, "times": n}`
switches faults on from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

# What a server can do to a request instead of its usual answer. Of these the message is taken all the same:
# `drop` resets the connection, `hang` never answers, `slow` answers when the client has long gone, `half` breaks off
# in the middle of its answer; the rest answer 200 with something that is no answer.
TAKEN = ("drop", "hang", "slow", "half", "malformed", "truncated", "wrong-type", "empty")
UNREAD = ("reset", "shut")  # resets the connection, or shuts its side of it, and does nothing
FAULTS = (*TAKEN, *UNREAD)
NONSENSE = {
    "malformed": ("text/html", "<html>what is this?</html>"),
    "truncated": ("application/json", '{"code": "0", "data": {"id": "S'),
    "wrong-type": ("application/json", '["0", {"code": ["0"]}, null]'),
    "empty": ("application/json", ""),
}


@dataclass(frozen=True)
class Fault:
    """What happens instead of the usual answer. With `taken` the SMS is accepted all the same."""

    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    word: str = ""
    taken: bool = False

    @staticmethod
    def named(text: str) -> Fault:
        """One of FAULTS, `refuse CODE`, or `STATUS [retry-after]`."""
        first, _, second = text.partition(" ")
        if first in FAULTS:
            return Fault(word=first, taken=first in TAKEN)
        if first == "refuse":
            return Fault(200, json.dumps({"code": second}))
        return Fault(int(first), "{}", {"Retry-After": second} if second else {})


class FaultyServer:
    """An aiohttp server whose next answers can be spoilt."""

    def __init__(self) -> None:
        self.port = 0
        self.requests = 0
        self.hanging = asyncio.Event()
        self.late: float | None = None  # seconds until a slow answer comes by itself; None: when it is released
        self.late_answer = (400, "{}")  # taken for the answer to another message it does harm
        self.on_taken: Callable[[Mapping[str, Any]], None] = lambda _message: None
        self.released = asyncio.Event()
        self._faults: deque[Fault] = deque()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def fail(self, *faults: str | Fault) -> None:
        """Spoil the next answers."""
        self._faults.extend(Fault.named(one) if isinstance(one, str) else one for one in faults)

    def mend(self) -> None:
        """Answer as usual again."""
        self._faults.clear()

    def next_fault(self) -> Fault | None:
        """The fault this request meets."""
        self.requests += 1
        return self._faults.popleft() if self._faults else None

    async def spoil(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        """Answer as the fault says."""
        if fault.status:
            return web.Response(status=fault.status, text=fault.body, headers=fault.headers)
        if fault.word == "hang":
            self.hanging.set()
            await self.released.wait()
        if fault.word == "slow":
            self.hanging.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.released.wait(), self.late)
            status, text = self.late_answer
            return web.Response(status=status, text=text, content_type="application/json")
        if fault.word in NONSENSE:
            kind, text = NONSENSE[fault.word]
            return web.Response(status=200, content_type=kind, text=text)
        transport = request.transport
        assert transport is not None
        if fault.word == "half":
            transport.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"co')  # type: ignore[attr-defined]
            transport.close()
        elif fault.word == "shut":
            transport.write_eof()  # type: ignore[attr-defined]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.released.wait(), self.late)
        else:
            transport.abort()  # type: ignore[attr-defined]
        return web.Response()

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        raise NotImplementedError

    async def start(self, port: int = 0) -> None:
        """Listen on loopback, again after a stop."""
        self.released.clear()
        application = web.Application()
        application.add_routes(self.routes())
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Let go of what hangs and close everything."""
        self.released.set()
        if self._runner is not None:
            await self._runner.cleanup()


class SmsGateway(FaultyServer):
    """Takes SMS at `/sms`, tells about them at `/sms/{reference}`."""

    def __init__(self, record: int | None = None, *, base64_body: bool = False, delay: float = 0.0) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.arrived = False  # what it says, asked about a message it has
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[bytes] = []
        self._record = record
        self._base64_body = base64_body
        self._delay = delay

    def routes(self) -> list[web.RouteDef]:
        """Sending, asking, and the switch for faults."""
        return [
            web.post("/sms", self._send),
            web.get("/sms", self._send),
            web.get("/sms/{reference}", self._find),
            web.post("/control", self._control),
        ]

    async def _send(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        if fault is None or fault.taken:
            await self._take(request)
        if self._delay:
            await asyncio.sleep(self._delay)
        if fault is not None:
            return await self.spoil(request, fault)
        return web.json_response({"code": "0", "data": {"id": f"S{len(self.messages)}"}})

    async def _take(self, request: web.Request) -> None:
        body = await request.read()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        if self._base64_body:
            body = base64.b64decode(body)
        if request.content_type == "application/x-www-form-urlencoded" and not self._base64_body:
            fields: dict[str, Any] = dict(await request.post())
        else:
            fields = json.loads(body) if body.startswith(b"{") else {}
        fields = dict(request.query) | fields
        self.messages.append(fields)
        self.on_taken(fields)
        if self._record is not None:
            line = {name: fields.get(name) for name in ("key", "to", "text", "possible_duplicate")}
            os.write(self._record, (json.dumps(line, ensure_ascii=False) + "\n").encode())

    async def _find(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        if fault is not None:
            return await self.spoil(request, fault)
        wanted = request.match_info["reference"]
        for index, message in enumerate(self.messages, start=1):
            if wanted == message.get("reference"):
                return web.json_response({"found": True, "id": f"S{index}", "arrived": self.arrived})
        return web.json_response({"found": False})

    async def _control(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.fail(*[asked["fault"]] * int(asked.get("times", 1)))
        return web.Response(text="ok")


@contextlib.asynccontextmanager
async def running(server: FaultyServer) -> AsyncIterator[Any]:
    """The server, started and stopped."""
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _serve(port: int, record: int | None, delay: float) -> None:
    gateway = SmsGateway(record, delay=delay)
    await gateway.start(port)
    print(gateway.port, flush=True)  # noqa: T201  # whoever started it reads the port
    await asyncio.Event().wait()


def main() -> None:
    """Run a gateway until killed."""
    parser = argparse.ArgumentParser(description=SmsGateway.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until an SMS taken is answered")
    chosen = parser.parse_args()
    record = os.open(chosen.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if chosen.record else None
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(chosen.port, record, chosen.delay))


if __name__ == "__main__":
    main()
