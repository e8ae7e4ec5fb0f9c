"""The messages of one WeCom application: `gettoken` and `message/send`.

https://developer.work.weixin.qq.com/document/path/90236 (messages), /path/90313 (codes)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from channels.base import PermanentFailure, Receipt
from channels.wire.coded import JSON, Codes, TokenCalls, exchange_of, json_body
from channels.wire.exchange import Sending
from channels.wire.person import Allowance, shortened, user_id
from channels.wire.shell import CannotBeAsked
from channels.wire.tree import text_at
from channels.wire.verdict import Meanings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Message, Outcome
    from channels.wecom import WeComSettings
    from channels.wire.exchange import Answer
    from channels.wire.token import Granted

CODES = Codes(
    place="errcode",
    stale=frozenset({"40014", "42001"}),  # token wrong, token over
    meanings=Meanings(
        name="wecom",
        whole_channel=frozenset(
            {
                "40001",  # secret wrong
                "40013",  # corp id wrong
                "40056",  # agent id wrong
                "41002",  # no corp id
                "41004",  # no secret
                "41011",  # no agent id
                "48002",  # no right to this interface
                "50003",  # the application is switched off
                "60011",  # the application may not reach these people
                "60020",  # our address is not on the list of trusted ones
                "301002",  # no right to this application
            }
        ),
        permanent=frozenset(
            {
                "40003",  # no such user id
                "40008",  # message type
                "40031",  # user id list
                "40058",  # an argument
                "44004",  # empty text
                "45002",  # text too long
                "46004",  # no such member
                "60111",  # no such member
                "81013",  # nobody of those named can be reached
                "82001",  # nobody named
            }
        ),
        temporary={"-1": 30.0, "45009": 60.0, "45033": 10.0},  # busy; too often; too many at once
    ),
)
_LONGEST_TEXT = 2048  # bytes; WeCom cuts what is longer
_LONGEST_TITLE, _LONGEST_DESCRIPTION = 128, 512
_A_MINUTE = 60.0


class WeComMessages(CannotBeAsked):
    """Sends as one application."""

    because = "WeCom has no question about one message"

    def __init__(self, settings: WeComSettings) -> None:
        self._settings = settings
        self._base = settings.base_url.rstrip("/")
        self._sending = Sending(settings.concurrency, settings.rate)
        self._exchange = exchange_of(settings)
        self._calls = TokenCalls(CODES, self._ask_for_token)
        # beyond 30 a minute to one member WeCom drops messages and says that all is well
        self._allowance = Allowance(settings.per_person_per_minute, _A_MINUTE)

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        return await self._sending.each(messages, self._send)

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()
        await self._exchange.close()

    async def _send(self, message: Message) -> Outcome:
        person = user_id(message.to)
        body = json_body(
            {
                "touser": person,
                "agentid": self._settings.agent_id,
                "msgtype": self._settings.message,
                self._settings.message: self._content(message),
            }
        )
        self._allowance.take(person)

        async def ask(token: str) -> Answer:
            address = f"{self._base}/cgi-bin/message/send"
            return await self._exchange.ask("POST", address, params={"access_token": token}, data=body, headers=JSON)

        said = await self._calls.call(ask)
        for refused in ("invaliduser", "unlicenseduser"):
            if person.lower() in text_at(said, refused).lower().split("|"):
                raise PermanentFailure(f"wecom_{refused}")
        return Receipt(text_at(said, "msgid"), answer="ok")

    def _content(self, message: Message) -> dict[str, Any]:
        if self._settings.message != "textcard":
            return {"content": shortened(message.text, _LONGEST_TEXT)}
        return {
            "title": shortened(message.subject or self._settings.title, _LONGEST_TITLE),
            "description": shortened(message.text, _LONGEST_DESCRIPTION),
            "url": self._settings.link,
            "btntxt": self._settings.button,
        }

    async def _ask_for_token(self) -> Granted:
        answer = await self._exchange.ask(
            "GET",
            f"{self._base}/cgi-bin/gettoken",
            params={"corpid": self._settings.corp_id, "corpsecret": self._settings.secret.get_secret_value()},
        )
        return CODES.granted(answer, "access_token", "expires_in")
