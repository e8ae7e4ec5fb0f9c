"""One HTTP request and its answer, with what can go wrong told apart: before the request left, or after."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from channels.base import Message, Outcome, OutcomeUnknown, PermanentFailure, SendError, TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from yarl import URL

_LARGEST_ANSWER = 1 << 20
_KEEP_ALIVE = 15.0  # seconds; shorter than the idle limit of the usual gateway, so that it does not close first


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said; it may quote the request and never leaves `channels/` whole."""

    status: int
    text: str = field(repr=False)
    retry_after: float | None = None


@dataclass(slots=True)
class _Progress:
    """How far a request has come."""

    left: bool = False


class HttpExchange:
    """Reused connections to one provider. No redirects, no retries: a repeated request may be a repeated SMS."""

    def __init__(self, *, connections: int, connect_seconds: float, seconds: float, ca_file: str | None = None) -> None:
        self._timeout = aiohttp.ClientTimeout(total=seconds, connect=connect_seconds)
        self._connections = connections
        self._context = _tls_context(ca_file)
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, method: str, url: str | URL, **options: Any) -> Answer:  # noqa: ANN401  # aiohttp's own arguments
        """Send one request, read the whole answer.

        Raises:
            TemporaryFailure: the request did not leave: refused, no such host, too slow to connect.
            PermanentFailure: for the whole channel: the certificate is not trusted, or the address is no address.
            OutcomeUnknown: the request left and no whole answer came back.
        """
        progress = _Progress()
        try:
            async with self._open().request(
                method, url, allow_redirects=False, trace_request_ctx=progress, **options
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > _LARGEST_ANSWER:
                        raise OutcomeUnknown("answer_too_long")
                text = body.decode(response.charset or "utf-8", "replace")
                return Answer(response.status, text, _retry_after(response.headers))
        except (aiohttp.ClientError, OSError, ValueError, LookupError) as error:
            raise _failure(error, progress) from None

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEEP_ALIVE, ssl=self._context)
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_mark_left)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                trace_configs=[trace],
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "duban"},
            )
            # a GET on a connection that died would be sent again by the library; for a gateway that is a second SMS
            self._session._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # no public switch
        return self._session


async def _mark_left(session: aiohttp.ClientSession, context: Any, params: Any) -> None:  # noqa: ANN401  # aiohttp's
    del session, params
    context.trace_request_ctx.left = True


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise PermanentFailure("ca_file", "the CA file cannot be read", whole_channel=True) from None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait (RFC 9110 10.2.3; Feishu's own header); a date is left to the sender's own schedule."""
    text = headers.get("Retry-After") or headers.get("x-ogw-ratelimit-reset") or ""
    return float(text) if text.isascii() and text.isdigit() else None


def _failure(error: Exception, progress: _Progress) -> SendError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return PermanentFailure("certificate", "the certificate is not trusted", whole_channel=True)
    if isinstance(error, aiohttp.InvalidURL | ValueError) and not progress.left:
        return PermanentFailure("bad_request", type(error).__name__)
    word = "timeout" if isinstance(error, TimeoutError) else "connection_lost"
    if progress.left:
        return OutcomeUnknown(word, "after the request left")
    return TemporaryFailure("connect_timeout" if word == "timeout" else "cannot_connect", type(error).__name__)


class Pace:
    """Lets through at most `rate` a second, evenly spaced; without a rate, everything at once."""

    def __init__(self, rate: float | None) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for one's turn."""
        if not self._gap:
            return
        now = asyncio.get_running_loop().time()
        start = max(now, self._next)
        self._next = start + self._gap
        await asyncio.sleep(start - now)


class Sending:
    """Messages side by side, at most `concurrency` at once over all batches."""

    def __init__(self, concurrency: int, rate: float | None) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._pace = Pace(rate)

    async def each(self, messages: Sequence[Message], send: Callable[[Message], Awaitable[Outcome]]) -> list[Outcome]:
        """The outcome of each, in the same order; a failure raised by `send` is an outcome."""
        outcomes: list[Outcome] = [OutcomeUnknown("not_run")] * len(messages)
        waiting = iter(enumerate(messages))

        async def lane() -> None:
            async with self._slots:
                for index, message in waiting:
                    await self._pace.turn()
                    try:
                        outcomes[index] = await send(message)
                    except SendError as failure:
                        outcomes[index] = failure

        async with asyncio.TaskGroup() as lanes:
            for _ in range(min(self._concurrency, len(messages))):
                lanes.create_task(lane())
        return outcomes


def basic_auth_header(credentials: str) -> dict[str, str]:
    """`user:password` as the header of RFC 7617, in UTF-8."""
    coded = base64.b64encode(credentials.encode("utf-8", "replace")).decode()
    return {"Authorization": f"Basic {coded}"}
