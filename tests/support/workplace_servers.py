"""WeCom, DingTalk and Feishu on loopback: they give out tokens, keep what they accept, answer in their own shapes.

`fail` spoils the next sendings, `fail_token` the next answers to whoever asks for a token, `forget_tokens` makes every
token given so far one they do not know.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from aiohttp import web

from support.sms_gateway import Fault, FaultyServer

SECRET = "not-a-real-app-secret"
PERSON = "zhang.san"


class TokenServer(FaultyServer):
    """A provider that wants a token with every call."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.tokens_given = 0
        self.token_life = 7200
        self._known: set[str] = set()
        self._token_faults: deque[Fault] = deque()

    def fail_token(self, *faults: str | Fault) -> None:
        """Spoil the next answers to whoever asks for a token."""
        self._token_faults.extend(Fault.named(one) if isinstance(one, str) else one for one in faults)

    def forget_tokens(self) -> None:
        """Know no token any more, as when somebody resets the secret."""
        self._known.clear()

    def knows(self, token: str) -> bool:
        """Whether a call may come in."""
        return token in self._known

    def new_token(self) -> str:
        """One more token."""
        self.tokens_given += 1
        token = f"token-{self.tokens_given}"
        self._known.add(token)
        return token

    async def spoil_token(self, request: web.Request) -> web.StreamResponse | None:
        """The spoilt answer to whoever asks for a token, if there is to be one."""
        return await self.spoil(request, self._token_faults.popleft()) if self._token_faults else None


def coded(place: str, code: int, status: int = 200, **more: Any) -> Fault:
    """A refusal with a code; its words quote address and secret, as theirs may."""
    said = {place: code, "errmsg": f"refused {PERSON} {SECRET}", "msg": f"refused {PERSON} {SECRET}", **more}
    return Fault(status, json.dumps(said))


class WeComServer(TokenServer):
    """One corporation with one application."""

    def __init__(self) -> None:
        super().__init__()
        self.invalid: set[str] = set()
        self.unlicensed: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        """`gettoken` and `message/send`."""
        return [web.get("/cgi-bin/gettoken", self._token), web.post("/cgi-bin/message/send", self._send)]

    async def _token(self, request: web.Request) -> web.StreamResponse:
        spoilt = await self.spoil_token(request)
        if spoilt is not None:
            return spoilt
        if request.query.get("corpsecret") != SECRET:
            return web.json_response({"errcode": 40001, "errmsg": "invalid credential"})
        answer = {"errcode": 0, "errmsg": "ok", "access_token": self.new_token(), "expires_in": self.token_life}
        return web.json_response(answer)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        if not self.knows(request.query.get("access_token", "")):
            return web.json_response({"errcode": 40014, "errmsg": "invalid access_token"})
        said = await request.json()
        if fault is None or fault.taken:
            self.messages.append(said)
        if fault is not None:
            return await self.spoil(request, fault)
        person = said["touser"].lower()
        answer: dict[str, Any] = {"errcode": 0, "errmsg": "ok", "msgid": f"W{len(self.messages)}"}
        answer["invaliduser"] = person if person in self.invalid else ""
        answer["unlicenseduser"] = person if person in self.unlicensed else ""
        return web.json_response(answer)


class DingTalkServer(TokenServer):
    """One organisation with one application and one robot; it takes a notice first and looks at it afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, Any] = {}  # what the result of every further notice says
        self.robot_secret: str | None = None
        self.robot_queries: list[dict[str, str]] = []
        self.asked_for: list[int] = []
        self._result_faults: deque[Fault] = deque()

    def fail_result(self, *faults: Fault | str) -> None:
        """Spoil the next answers about what became of a notice."""
        self._result_faults.extend(Fault.named(one) if isinstance(one, str) else one for one in faults)

    def routes(self) -> list[web.RouteDef]:
        """Token, notices, their results, the robot."""
        return [
            web.get("/gettoken", self._token),
            web.post("/topapi/message/corpconversation/asyncsend_v2", self._send),
            web.post("/topapi/message/corpconversation/getsendresult", self._result),
            web.post("/robot/send", self._speak),
        ]

    async def _token(self, request: web.Request) -> web.StreamResponse:
        spoilt = await self.spoil_token(request)
        if spoilt is not None:
            return spoilt
        if request.query.get("appsecret") != SECRET:
            return web.json_response({"errcode": 40089, "errmsg": "不合法的corpid或corpsecret"})
        answer = {"errcode": 0, "errmsg": "ok", "access_token": self.new_token(), "expires_in": self.token_life}
        return web.json_response(answer)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        if not self.knows(request.query.get("access_token", "")):
            refused = {"errcode": 88, "sub_code": "40014", "errmsg": "不合法的access_token"}
            return web.json_response(refused)
        said = await request.json()
        if fault is None or fault.taken:
            self.messages.append(said)
        if fault is not None:
            return await self.spoil(request, fault)
        return web.json_response({"errcode": 0, "errmsg": "ok", "task_id": len(self.messages), "request_id": "r"})

    async def _result(self, request: web.Request) -> web.StreamResponse:
        if self._result_faults:
            return await self.spoil(request, self._result_faults.popleft())
        self.asked_for.append((await request.json())["task_id"])
        return web.json_response({"errcode": 0, "errmsg": "ok", "send_result": self.results})

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        self.robot_queries.append(dict(request.query))
        if fault is None or fault.taken:
            self.messages.append(await request.json())
        if fault is not None:
            return await self.spoil(request, fault)
        return web.json_response({"errcode": 0, "errmsg": "ok"})


class FeishuServer(TokenServer):
    """One tenant with one application; of the same uuid it takes one message."""

    def routes(self) -> list[web.RouteDef]:
        """Token and messages."""
        return [
            web.post("/open-apis/auth/v3/tenant_access_token/internal", self._token),
            web.post("/open-apis/im/v1/messages", self._send),
        ]

    async def _token(self, request: web.Request) -> web.StreamResponse:
        spoilt = await self.spoil_token(request)
        if spoilt is not None:
            return spoilt
        if (await request.json()).get("app_secret") != SECRET:
            return web.json_response({"code": 10014, "msg": "app secret invalid"})
        answer = {"code": 0, "msg": "ok", "tenant_access_token": self.new_token(), "expire": self.token_life}
        return web.json_response(answer)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        if not self.knows(request.headers.get("Authorization", "").removeprefix("Bearer ")):
            return web.json_response({"code": 99991663, "msg": "Invalid access token"}, status=400)
        said = {**await request.json(), **request.query}
        known = [one["uuid"] for one in self.messages]
        if (fault is None or fault.taken) and said["uuid"] not in known:
            self.messages.append(said)
            known.append(said["uuid"])
        if fault is not None:
            return await self.spoil(request, fault)
        made = {"message_id": f"om_{known.index(said['uuid'])}"}
        return web.json_response({"code": 0, "msg": "success", "data": made})
