"""Providers of text messages on loopback that call us back over real HTTP, each in its own form.

`before_answer` says how often a message is told to have arrived before the request that sent it is answered; `tell`
tells it afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from support.cloud_sms_servers import AliyunServer, HuaweiServer, MasServer, TencentServer
from support.provider_calls import CALLBACK_TOKEN
from support.provider_office import NOT_ASKED, aliyun, http
from support.sms_gateway import FaultyServer, SmsGateway

if TYPE_CHECKING:
    from collections.abc import Callable

_DESCRIBED: dict[str, Any] = {
    "secrets": {"callback_token": CALLBACK_TOKEN},
    "reference": {"json": "data.id"},
    "calls": {
        "proof": {"header": "X-Token", "equals": "{callback_token}"},
        "receipts": {"ours": {"json": "custom"}, "theirs": {"json": "id"}, "status": {"json": "state"}}
        | {"delivered": ["OK"], "unlisted": "failed"},
    },
}


class CallingProvider:
    """One provider with its server, its settings, and how it says that its message number `n` has arrived."""

    def __init__(
        self,
        kind: type[FaultyServer],
        settings: Callable[[str], dict[str, Any]],
        receipt: Callable[[dict[str, Any], int], dict[str, Any]],
    ) -> None:
        self._settings = settings
        self._receipt = receipt
        self.before_answer = 0
        self.console_port: int | None = None
        self.answers: list[int] = []  # what our side answered
        provider = self

        class Calling(kind):  # type: ignore[misc, valid-type]  # any of them
            def routes(self) -> list[web.RouteDef]:
                return [web.route(one.method, one.path, provider.around(one.handler)) for one in super().routes()]

        self.server: FaultyServer = Calling()

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The messages it has."""
        kept: list[dict[str, Any]] = getattr(self.server, "sent", None) or getattr(self.server, "messages", [])
        return kept

    def settings(self, url: str) -> dict[str, Any]:
        """The channel in the YAML."""
        return self._settings(url)

    def around(self, handler: Any) -> Any:
        """The handler, and the calls before its answer is on the wire."""

        async def handle(request: web.Request) -> web.StreamResponse:
            before = len(self.taken)
            answer: web.StreamResponse = await handler(request)
            for _ in range(self.before_answer if len(self.taken) > before else 0):
                await self.tell()
            return answer

        return handle

    async def tell(self) -> None:
        """Call about the last message."""
        number = len(self.taken)
        what = self._receipt(self.taken[-1], number)
        url = f"http://127.0.0.1:{self.console_port}/in/sms?token={CALLBACK_TOKEN}"
        headers = {"X-Token": CALLBACK_TOKEN}
        async with aiohttp.ClientSession() as session, session.post(url, headers=headers, **what) as answer:
            self.answers.append(answer.status)


def _with_token(settings: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    return lambda url: settings(url) | {"callback_token": CALLBACK_TOKEN}


def _aliyun(message: dict[str, Any], number: int) -> dict[str, Any]:
    about = {"phone_number": "13800001000", "biz_id": f"B{number}^0", "out_id": message["OutId"]}
    return {"json": [about | {"success": True, "err_code": "DELIVERED"}]}


def _tencent(_message: dict[str, Any], number: int) -> dict[str, Any]:
    about = {"mobile": "13800001000", "nationcode": "86", "sid": f"S{number}"}
    return {"json": [about | {"report_status": "SUCCESS", "errmsg": "DELIVRD"}]}


def _huawei(message: dict[str, Any], number: int) -> dict[str, Any]:
    about = {"smsMsgId": f"H{number}", "total": "1", "sequence": "1", "extend": message["extend"]}
    return {"data": about | {"status": "DELIVRD"}}


def _mas(_message: dict[str, Any], number: int) -> dict[str, Any]:
    return {"json": {"msgGroup": f"M{number}", "mobile": "13800001000", "reportStatus": "CM:0000"}}


def _described(message: dict[str, Any], number: int) -> dict[str, Any]:
    return {"json": {"custom": message["reference"], "id": f"S{number}", "state": "OK"}}


CALLING: dict[str, Callable[[], CallingProvider]] = {
    "aliyun": lambda: CallingProvider(AliyunServer, _with_token(aliyun), _aliyun),
    "tencent": lambda: CallingProvider(TencentServer, _with_token(NOT_ASKED["tencent"][1]), _tencent),
    "huawei": lambda: CallingProvider(HuaweiServer, _with_token(NOT_ASKED["huawei"][1]), _huawei),
    "mas": lambda: CallingProvider(MasServer, _with_token(NOT_ASKED["mas"][1]), _mas),
    "http": lambda: CallingProvider(SmsGateway, lambda url: http(url) | _DESCRIBED, _described),
}
