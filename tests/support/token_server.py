"""A server that gives access tokens for a refresh token (RFC 6749 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from support.sms_gateway import FaultyServer

if TYPE_CHECKING:
    from collections.abc import Iterable


class TokenServer(FaultyServer):
    """Each asking gives the next token, which is then among the good ones; `answer` is said instead, if set."""

    def __init__(self) -> None:
        super().__init__()
        self.good: set[str] = set()
        self.asked: list[dict[str, str]] = []
        self.answer = ""

    def routes(self) -> Iterable[web.RouteDef]:
        """One address."""
        return [web.post("/token", self._give)]

    async def _give(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append({name: str(value) for name, value in form.items()})
        if self.answer:
            status, _, text = self.answer.partition(" ")
            return web.Response(status=int(status), text=text)
        token = f"token-{len(self.asked)}"
        self.good.add(token)
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": 3600})
