"""The application behind the server: which page is where, and what every answer says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.routing import Mount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What a browser must not do with our answers. A page of its own may say more about what it loads.
_SAID = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def app(routes: Sequence[BaseRoute], prefix: str = "") -> Starlette:
    """The application with these routes.

    `prefix` is the path of the public address, if it has one: proxies either leave it there or take it away.
    """
    everywhere = [*routes, *([Mount(prefix, routes=list(routes))] if prefix else [])]
    made = Starlette(routes=everywhere, middleware=[Middleware(_Guarded)])
    made.router.redirect_slashes = False  # it would lead to whatever host the caller names, and without TLS
    return made


class _Guarded:
    """Adds the headers of `_SAID` to every answer that does not have them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SAID.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded)
