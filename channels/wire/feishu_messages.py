"""The messages of one Feishu application: `tenant_access_token/internal` and `im/v1/messages`.

https://open.feishu.cn/document/server-docs/im-v1/message/create
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from channels.base import OutcomeUnknown, Receipt
from channels.wire.coded import JSON, Codes, TokenCalls, exchange_of, json_body
from channels.wire.exchange import Sending
from channels.wire.identity import reference_of
from channels.wire.person import shortened, user_id
from channels.wire.shell import CannotBeAsked
from channels.wire.tree import text_at
from channels.wire.verdict import Meanings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Message, Outcome
    from channels.feishu import FeishuSettings
    from channels.wire.exchange import Answer
    from channels.wire.token import Granted

CODES = Codes(
    place="code",
    stale=frozenset({"99991661", "99991663", "99991664", "99991671", "99991677"}),  # token missing, wrong or over
    meanings=Meanings(
        name="feishu",
        whole_channel=frozenset(
            {
                "10003",  # app id wrong
                "10012",  # app id wrong
                "10014",  # app secret wrong
                "99991401",  # our address is not on the list of trusted ones
                "99991403",  # the month's calls are used up
                "99991662",  # the application is switched off
                "99991672",  # no right to this interface
                "230006",  # the application has no bot
                "230027",  # no right to send
                "230036",  # the tenant's key is deleted
            }
        ),
        permanent=frozenset(
            {
                "230001",  # an argument
                "230002",  # not in that group
                "230013",  # the person may not use the bot
                "230017",  # not the bot's own
                "230018",  # nobody may speak there now
                "230022",  # refused words
                "230025",  # text too long
                "230028",  # held back by data protection
                "230029",  # the person has left
                "230034",  # no such receiver
                "230035",  # no right to write to the person
                "230038",  # the person is of another organisation
                "230053",  # the person wants no messages of the bot
                "99992351",  # not an open id
                "99992360",  # not an id of that kind
                "99992361",  # an open id of another application
                "99992402",  # an argument
            }
        ),
        temporary={
            "99991400": None,
            "230020": 1.0,
            "11232": 60.0,
            "11233": 60.0,
            "1500": None,
            "2200": None,
        },  # too often; broken
        unknown=frozenset({"230049"}),  # the same message is just being sent
    ),
)
_LONGEST_TEXT = 100_000  # bytes; Feishu takes 150 KB with all around it


class FeishuMessages(CannotBeAsked):
    """Sends as one application's bot."""

    because = "Feishu knows a message by its own number only"

    def __init__(self, settings: FeishuSettings) -> None:
        self._settings = settings
        self._base = f"{settings.base_url.rstrip('/')}/open-apis"
        self._sending = Sending(settings.concurrency, settings.rate)
        self._exchange = exchange_of(settings)
        self._calls = TokenCalls(CODES, self._ask_for_token)

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        return await self._sending.each(messages, self._send)

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()
        await self._exchange.close()

    async def _send(self, message: Message) -> Outcome:
        text = shortened(message.text, _LONGEST_TEXT).replace("<at ", "<at\u200b ")  # nobody is mentioned by a value
        body = json_body(
            {
                "receive_id": user_id(message.to),
                "msg_type": "text",
                "content": json.dumps({"text": text}, ensure_ascii=False),
                "uuid": reference_of(message.key),  # of the same one, Feishu sends at most one in an hour
            }
        )

        async def ask(token: str) -> Answer:
            return await self._exchange.ask(
                "POST",
                f"{self._base}/im/v1/messages",
                params={"receive_id_type": self._settings.receive_id_type},
                data=body,
                headers={**JSON, "Authorization": f"Bearer {token}"},
            )

        said = await self._calls.call(ask)
        made: object = said.get("data")
        reference = text_at(cast("dict[str, Any]", made), "message_id") if isinstance(made, dict) else ""
        if not reference:
            raise OutcomeUnknown("malformed_answer", "no message in the answer")
        return Receipt(reference, answer="ok")

    async def _ask_for_token(self) -> Granted:
        settings = self._settings
        body = json_body({"app_id": settings.app_id, "app_secret": settings.app_secret.get_secret_value()})
        address = f"{self._base}/auth/v3/tenant_access_token/internal"
        answer = await self._exchange.ask("POST", address, data=body, headers=JSON)
        return CODES.granted(answer, "tenant_access_token", "expire")
