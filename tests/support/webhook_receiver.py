"""A receiver of signed requests on loopback; it takes what is signed and remembers bodies and headers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from support.sms_gateway import FaultyServer

if TYPE_CHECKING:
    from collections.abc import Mapping


class WebhookReceiver(FaultyServer):
    """Receives at `/duban`."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What the requests carried."""
        return [json.loads(body)["data"] for body in self.bodies]

    def routes(self) -> list[web.RouteDef]:
        """One address."""
        return [web.post("/duban", self._receive)]

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        if fault is None or fault.taken:
            self.bodies.append(await request.read())
            self.headers.append(dict(request.headers))
            self.on_taken(json.loads(self.bodies[-1]))
        if fault is not None:
            return await self.spoil(request, fault)
        return web.Response(status=204)
