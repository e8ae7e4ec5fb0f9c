"""Twilio's Messages resource on loopback: keeps what it accepts, checks the credentials, answers in Twilio's shape."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from aiohttp import web

from support.sms_gateway import Fault, FaultyServer

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT = "AC" + "0" * 32
TOKEN = "not-a-real-token"


def twilio_error(code: int, status: int = 400, headers: Mapping[str, str] | None = None) -> Fault:
    """An error as Twilio words it, with the number in it, as theirs have."""
    body = {"code": code, "message": "The 'To' number +8613800000001 is wrong", "more_info": "", "status": status}
    return Fault(status, json.dumps(body), headers or {})


class TwilioServer(FaultyServer):
    """One account."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.forms: list[dict[str, Any]] = []
        self.page_size = 50
        self.pages = 0

    def routes(self) -> list[web.RouteDef]:
        """Create and list messages."""
        return [
            web.post("/2010-04-01/Accounts/{account}/Messages.json", self._create),
            web.post("/2010-04-01/Accounts/{account}/Calls.json", self._call),
            web.get("/2010-04-01/Accounts/{account}/Messages.json", self._list),
        ]

    async def _create(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        form = {name: str(value) for name, value in (await request.post()).items()}
        if not _allowed(request):
            return await self.spoil(request, twilio_error(20003, 401))
        if fault is None or fault.taken:
            self.forms.append(form)
            self.messages.append(self._message(form))
        if fault is not None:
            return await self.spoil(request, fault)
        return web.json_response(self.messages[-1], status=201)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        form = {name: str(value) for name, value in (await request.post()).items()}
        if not _allowed(request):
            return await self.spoil(request, twilio_error(20003, 401))
        if fault is None or fault.taken:
            self.forms.append(form)
        if fault is not None:
            return await self.spoil(request, fault)
        made = {"sid": f"CA{len(self.forms):032d}", "status": "queued", "to": form["To"], "from": form["From"]}
        return web.json_response(made, status=201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        if fault is not None:
            return await self.spoil(request, fault)
        found = [one for one in reversed(self.messages) if one["to"] == request.query.get("To")]
        self.pages += 1
        page, size = int(request.query.get("Page", 0)), self.page_size
        more = page * size + size < len(found)
        following = f"{request.path}?{urlencode({'To': request.query['To'], 'Page': page + 1})}" if more else None
        shown = found[page * size : page * size + size]
        return web.json_response(
            {"messages": shown, "next_page_uri": following, "page": page, "page_size": size, "uri": ""}
        )

    def _message(self, form: dict[str, str]) -> dict[str, Any]:
        now = format_datetime(datetime.now(UTC))
        return {
            "sid": f"SM{len(self.messages) + 1:032d}",
            "account_sid": ACCOUNT,
            "to": form["To"],
            "from": form.get("From"),
            "messaging_service_sid": form.get("MessagingServiceSid"),
            "body": form["Body"],
            "status": "queued",
            "num_segments": "1",
            "date_created": now,
            "date_updated": now,
            "date_sent": None,
            "error_code": None,
            "error_message": None,
        }


def _allowed(request: web.Request) -> bool:
    wanted = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    return request.headers.get("Authorization") == f"Basic {wanted}"
