"""The HTTP server under the pages: uvicorn in the daemon's own loop, with none of the habits of a server by itself.

It catches no signals (the process does), keeps no access log (it would hold addresses), believes no proxy's headers,
and opens its socket itself: uvicorn ends the whole process where it cannot listen. Nobody keeps a connection by being
slow: uvicorn waits for ever for the head of a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from daemon import telemetry

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp

log = telemetry.logger(__name__)

BACKLOG = 128
AT_ONCE = 200  # connections; more are told 503
MOST = 400  # connections; more are closed without a word: each takes one of the files the whole daemon may open
IDLE_FOR = 5  # seconds a connection is kept after a request
HEAD_WITHIN = 10.0  # seconds until the head of a request is there, however its bytes trickle in
OVER_WITHIN = 60.0  # seconds until a request is answered and its answer taken; providers wait far shorter
FINISH_WITHIN = 10  # seconds for the requests under way when we leave


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the process."""
        yield


class _Impatient(H11Protocol):
    """A connection that is ended when its next request is not there, or not over, in time."""

    head_within, over_within = HEAD_WITHIN, OVER_WITHIN
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait, unless there are far too many already."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            transport.abort()
        else:
            self._wait(self.head_within)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for any more."""
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A request that is there has longer; more bytes of one that is not gain nothing."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before and not self.cycle.response_complete:
            self._wait(self.over_within)

    def on_response_complete(self) -> None:
        """Wait for the next one."""
        self._wait(self.head_within)
        before = self.cycle
        super().on_response_complete()
        if self.cycle is not before:  # it had been sent along already
            self._wait(self.over_within)

    def _wait(self, seconds: float | None) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


class ConsoleServer:
    """Serves one application on one address until it is stopped."""

    def __init__(self, app: ASGIApp, listen: str) -> None:
        self._app = app
        host, _, port = listen.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.port: int | None = None  # the real one, while it listens

    @property
    def listening(self) -> bool:
        """Whether it serves."""
        return self._serving is not None and not self._serving.done()

    async def start(self) -> bool:
        """Listen, unless it does already. An address that cannot be had is said in the log; the answer is False then.

        It is to be called again from time to time: whoever has the address may leave, or this server have broken.
        """
        if self.listening:
            return True
        try:
            listener = await asyncio.to_thread(self._listener)
        except OSError as error:
            log.error(telemetry.CONSOLE_NOT_OPEN, problem=error.strerror or type(error).__name__)  # noqa: TRY400
            return False
        config = uvicorn.Config(
            self._app,
            http=_Impatient,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # a scanner must not fill the log with requests that are none
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=AT_ONCE,
            backlog=BACKLOG,
            timeout_keep_alive=IDLE_FOR,
            timeout_graceful_shutdown=FINISH_WITHIN,
        )
        self._server = _Server(config)
        self.port = int(listener.getsockname()[1])
        self._serving = asyncio.create_task(self._serve(self._server, listener))
        log.info(telemetry.CONSOLE_OPEN, port=self.port)
        return True

    async def stop(self) -> None:
        """Take no more requests and finish those under way, within a few seconds."""
        if self._server is not None:
            self._server.should_exit = True
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
        self._server = self._serving = self.port = None

    def _listener(self) -> socket.socket:
        """A listening socket: calls that come before the server serves wait in it."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        return socket.create_server((self._host, self._port), family=family, backlog=BACKLOG)

    async def _serve(self, server: _Server, listener: socket.socket) -> None:
        try:
            await server.serve(sockets=[listener])
        except Exception:
            log.exception(telemetry.CONSOLE_BROKE)  # the daemon goes on; `start` is called again
        finally:
            listener.close()
