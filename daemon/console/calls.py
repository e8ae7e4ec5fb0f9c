"""Providers' calls: `/in/<channel>`. The provider hears that all is well only when what it told is committed."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from channels.base import Call, CallRefused
from daemon import telemetry
from daemon.errors import DaemonError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from channels.base import Listening, News

log = telemetry.logger(__name__)

LARGEST = 256 * 1024  # bytes of a call
CALL_AGAIN_AFTER = "30"  # seconds, while our own database is away
WHOLE_WITHIN = 20.0  # seconds for the body; whoever dawdles would keep one of our connections
SAID_EVERY = 100  # refused calls of one kind between two lines of the log


class Ears(Protocol):
    """Where calls are handed to: the channels of the present configuration, and the inbox."""

    async def listening(self, channel: str) -> Listening | None:
        """The channel of that name, if it is one that providers call."""
        ...

    async def hear(self, channel: str, news: News) -> int:
        """Write down what came over that channel; raises DaemonError when that cannot be done now."""
        ...


class Calls:
    """Takes providers' calls, and counts them by what became of them."""

    def __init__(self, ears: Ears, public_url: str, prefix: str = "", whole_within: float = WHOLE_WITHIN) -> None:
        self._whole_within = whole_within
        self._ears = ears
        self._public_url = public_url
        self._prefix = prefix
        self.counts: Counter[str] = Counter()  # taken | refused | too_large | too_slow | unavailable | broken

    def routes(self) -> Sequence[BaseRoute]:
        """Where providers call."""
        methods = ["GET", "POST"]
        return [
            Route("/in/{channel}", self.take, methods=methods),
            Route("/in/{channel}/{rest:path}", self.take, methods=methods),
        ]

    async def take(self, request: Request) -> Response:
        """One call: checked and read by the channel, written down, answered."""
        name: str = request.path_params["channel"]
        try:
            channel = await self._ears.listening(name)
        except DaemonError as error:
            return self._ended("unavailable", "", 503, type(error).__name__)
        if channel is None:
            return PlainTextResponse("not found", 404)
        return await self._take(name, channel, request)

    async def _take(self, name: str, channel: Listening, request: Request) -> Response:
        try:
            async with asyncio.timeout(self._whole_within):
                body = await _body(request)
            if body is None:
                return self._ended("too_large", name, 413)
            news, answer = channel.hear(self._call(request, body))
            await self._ears.hear(name, news)
        except (TimeoutError, ClientDisconnect):
            return self._ended("too_slow", name, 408)
        except CallRefused as refusal:
            return self._ended("refused", name, refusal.status, refusal.code)
        except DaemonError as error:
            return self._ended("unavailable", name, 503, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a channel's defect is answered, and told by its name alone
            return self._ended("broken", name, 500, type(error).__name__)
        self.counts["taken"] += 1
        return Response(answer.body, answer.status, media_type=answer.content_type)

    def _call(self, request: Request, body: bytes) -> Call:
        raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
        path = raw.decode("latin-1")
        path = path[len(self._prefix) :] if self._prefix and path.startswith(f"{self._prefix}/in/") else path
        query: bytes = request.scope.get("query_string", b"")
        return Call(
            method=request.method,
            url=f"{self._public_url}{path}{'?' if query else ''}{query.decode('latin-1')}",
            headers=dict(request.headers),
            query=tuple(request.query_params.multi_items()),
            body=body,
        )

    def _ended(self, how: str, channel: str, status: int, code: str = "") -> Response:
        kind = f"{how}/{channel}/{code}"
        self.counts[how] += 1
        self.counts[kind] += 1
        if self.counts[kind] % SAID_EVERY == 1:  # a scanner must not fill the log
            log.warning(telemetry.CALL_NOT_TAKEN, channel=channel, how=how, code=code, times=self.counts[kind])
        headers = {"Retry-After": CALL_AGAIN_AFTER} if status == 503 else None  # noqa: PLR2004 - as above
        return PlainTextResponse(how, status, headers=headers)


async def _body(request: Request) -> bytes | None:
    """The body, or None if it is too large."""
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > LARGEST:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return None
    return bytes(body)
