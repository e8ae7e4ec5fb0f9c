"""A custom robot in one DingTalk group: everybody there reads what it says, the one it is for is mentioned.

https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from channels.base import Receipt
from channels.wire.coded import DONE, JSON, Codes, exchange_of, json_body
from channels.wire.exchange import Sending
from channels.wire.person import Allowance, shortened, user_id
from channels.wire.shell import CannotBeAsked
from channels.wire.verdict import Meanings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from channels.base import Message, Outcome
    from channels.dingtalk import DingTalkSettings, RobotSettings

CODES = Codes(
    place="errcode",
    meanings=Meanings(
        name="dingtalk",
        whole_channel=frozenset(
            {
                "40035",  # no token
                "300001",  # no such token
                "300005",  # no such token
                "310000",  # signature, keyword or address refused
                "400013",  # the group is gone
                "400101",  # no such token
                "400102",  # the robot is switched off
                "400106",  # no such robot
            }
        ),
        permanent=frozenset(
            {"43004", "400105", "430101", "430102", "430103", "430104"}
        ),  # its shape; links and words refused
        temporary={"-1": 30.0, "130101": 600.0, "410100": 600.0},  # busy; too fast: shut out for ten minutes
    ),
)
_LONGEST_TEXT = 18_000  # bytes; DingTalk takes 20,000 with all around it
_A_MINUTE = 60.0


def system_now() -> datetime:
    """The present instant: DingTalk refuses a signature that is an hour old."""
    return datetime.now(UTC)


def signature(timestamp: str, secret: str) -> str:
    """HMAC-SHA256 of the time-stamp, a line feed and the secret, with the secret as key too; in base64."""
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


class GroupRobot(CannotBeAsked):
    """Speaks as one robot."""

    because = "a robot cannot be asked what it said"

    def __init__(
        self, settings: DingTalkSettings, robot: RobotSettings, now: Callable[[], datetime] = system_now
    ) -> None:
        self._address = f"{settings.base_url.rstrip('/')}/robot/send"
        self._token = robot.access_token.get_secret_value()
        self._secret = robot.secret.get_secret_value() if robot.secret is not None else None
        self._now = now
        self._sending = Sending(settings.concurrency, settings.rate)
        self._exchange = exchange_of(settings)
        self._allowance = Allowance(robot.per_minute, _A_MINUTE)

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        return await self._sending.each(messages, self._send)

    async def close(self) -> None:
        """Close the connections."""
        await self._exchange.close()

    async def _send(self, message: Message) -> Outcome:
        person = user_id(message.to)
        text = {"content": shortened(message.text, _LONGEST_TEXT)}
        body = json_body({"msgtype": "text", "text": text, "at": {"atUserIds": [person], "isAtAll": False}})
        self._allowance.take("")
        answer = await self._exchange.ask("POST", self._address, params=self._signed(), data=body, headers=JSON)
        code, _ = CODES.read(answer)
        if code != DONE:
            raise CODES.failure(code, answer)
        return Receipt(answer="ok")

    def _signed(self) -> dict[str, str]:
        if self._secret is None:
            return {"access_token": self._token}
        timestamp = str(int(self._now().timestamp() * 1000))
        sign = signature(timestamp, self._secret)
        return {"access_token": self._token, "timestamp": timestamp, "sign": sign}
