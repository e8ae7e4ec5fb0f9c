"""Twilio on loopback that calls back: signed status calls over real HTTP, before its answer or whenever it is told to.

Calls are signed for the public address and sent to the port behind it, as through a proxy that names another host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp

from support.provider_calls import twilio_signature
from support.twilio_server import TOKEN, TwilioServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

PUBLIC = "https://duban.example.com"


class CallingTwilio(TwilioServer):
    """Tells of every message what `before_answer` lists, before it answers the request that sent it."""

    def __init__(self) -> None:
        super().__init__()
        self.before_answer: list[str] = []
        self.then: Callable[[], Awaitable[object]] | None = None  # what happens after that, still before the answer
        self.console_port: int | None = None
        self.statuses: list[int] = []  # what our calls were answered with

    async def _create(self, request: web.Request) -> web.StreamResponse:
        answer = await super()._create(request)
        for status in self.before_answer:
            await self.tell(len(self.messages) - 1, status)
        if self.then is not None:
            await self.then()
        return answer

    async def tell(self, index: int, *statuses: str, code: str = "") -> None:
        """Call back about a message, once for each status; `code` is why it failed."""
        told: dict[str, Any] = self.messages[index]
        for status in statuses:
            fields = {"MessageSid": told["sid"], "MessageStatus": status, "To": told["to"]}
            await self._call(self.forms[index]["StatusCallback"], fields | ({"ErrorCode": code} if code else {}))

    async def say(self, sender: str, text: str, sid: str) -> None:
        """Somebody wrote back."""
        fields = {"MessageSid": sid, "SmsStatus": "received", "From": sender, "Body": text}
        await self._call(f"{PUBLIC}/in/sms", fields)

    async def _call(self, url: str, fields: dict[str, str]) -> None:
        at = urlsplit(url)
        assert f"{at.scheme}://{at.netloc}" == PUBLIC
        here = f"http://127.0.0.1:{self.console_port}{at.path}{'?' if at.query else ''}{at.query}"
        headers = {"X-Twilio-Signature": twilio_signature(url, fields, TOKEN)}
        async with aiohttp.ClientSession() as session, session.post(here, data=fields, headers=headers) as answer:
            self.statuses.append(answer.status)


def twilio_settings(port: int) -> dict[str, Any]:
    """The channel in the YAML."""
    return {
        "type": "twilio",
        "account_sid": "AC" + "0" * 32,
        "auth_token": TOKEN,
        "from": "+15005550006",
        "base_url": f"http://127.0.0.1:{port}",
    }
