"""Calls of providers to us: as values, and over real HTTP to a listener on loopback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web

from channels.base import Call, CallRefused, Listening
from support.sms_gateway import FaultyServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import News

HERE = "https://duban.example.com/in/sms"
CALLBACK_TOKEN = "not-a-real-callback-token"
FORM = {"content-type": "application/x-www-form-urlencoded"}
_PATIENCE = 20.0  # seconds
JSON = {"content-type": "application/json"}


def get(url: str, headers: dict[str, str] | None = None) -> Call:
    """A GET to this address."""
    return Call("GET", url, headers or {}, query_of(url))


def post_form(
    url: str, fields: Sequence[tuple[str, str]] | dict[str, str], headers: dict[str, str] | None = None
) -> Call:
    """A form posted to this address."""
    pairs = list(fields.items()) if isinstance(fields, dict) else list(fields)
    return Call("POST", url, FORM | (headers or {}), query_of(url), urlencode(pairs).encode())


def post_json(url: str, tree: object, headers: dict[str, str] | None = None) -> Call:
    """JSON posted to this address."""
    return Call("POST", url, JSON | (headers or {}), query_of(url), json.dumps(tree, ensure_ascii=False).encode())


def query_of(url: str) -> list[tuple[str, str]]:
    """The query of an address, decoded."""
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def twilio_signature(url: str, fields: dict[str, str], token: str) -> str:
    """As Twilio's page on security works it out: the address, then each field's name and value, HMAC-SHA1, base64."""
    material = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), material.encode(), hashlib.sha1).digest()).decode()


def from_twilio(fields: dict[str, str], token: str, url: str = HERE) -> Call:
    """A form signed as Twilio signs it."""
    return post_form(url, fields, {"x-twilio-signature": twilio_signature(url, fields, token)})


class CallListener(FaultyServer):
    """A web server that lets one channel hear what is sent to `/in`, and keeps what it learnt."""

    def __init__(self, channel: Listening | None = None) -> None:
        super().__init__()
        self.channel = channel
        self._heard = asyncio.Condition()
        self.news: list[News] = []
        self.refused: list[str] = []
        self.calls: list[Call] = []

    def routes(self) -> list[web.RouteDef]:
        """Everything under `/in`."""
        return [web.route("*", "/in{rest:.*}", self._hear)]

    async def hear_of(self, *, learnt: int = 0, said: int = 0) -> None:
        """Wait until so many receipts and replies have come."""

        def enough() -> bool:
            return (
                sum(len(one.learnt) for one in self.news) >= learnt and sum(len(one.said) for one in self.news) >= said
            )

        async with self._heard:
            await asyncio.wait_for(self._heard.wait_for(enough), _PATIENCE)

    async def _hear(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        if fault is not None:
            return await self.spoil(request, fault)
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = list(request.query.items())
        call = Call(request.method, str(request.url), headers, query, await request.read())
        self.calls.append(call)
        try:
            assert self.channel is not None
            news, answer = self.channel.hear(call)
        except CallRefused as refused:
            self.refused.append(refused.code)
            return web.Response(status=refused.status)
        async with self._heard:
            self.news.append(news)
            self._heard.notify_all()
        whole: dict[str, Any] = {"status": answer.status, "body": answer.body}
        return web.Response(**whole, headers={"Content-Type": answer.content_type})
