"""The HTTP server under the pages: uvicorn in the daemon's own loop, with none of the habits of a server by itself.

It catches no signals (the process does), keeps no access log (it would hold addresses), believes no proxy's headers,
and opens its socket itself: uvicorn ends the whole process where it cannot listen.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import uvicorn

from daemon import telemetry

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp

log = telemetry.logger(__name__)

BACKLOG = 128
AT_ONCE = 200  # connections; more are told 503
IDLE_FOR = 5  # seconds a connection without a request is kept
FINISH_WITHIN = 10  # seconds for the requests under way when we leave


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the process."""
        yield


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
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
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
