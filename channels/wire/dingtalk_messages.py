"""Work notices of one DingTalk application: `gettoken`, `asyncsend_v2`, `getsendresult`.

https://open.dingtalk.com/document/orgapp/asynchronous-sending-of-enterprise-session-messages

DingTalk takes a notice first and looks at it afterwards: whether the person exists, has had the same text today, or
too many, only the result tells. So it is asked for once, a little later.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from channels.base import CANNOT_ASK, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from channels.wire.coded import JSON, Codes, TokenCalls, exchange_of, json_body
from channels.wire.exchange import Sending
from channels.wire.person import shortened, user_id
from channels.wire.tree import text_at
from channels.wire.verdict import Meanings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from channels.base import Message, Outcome
    from channels.dingtalk import DingTalkSettings
    from channels.wire.exchange import Answer
    from channels.wire.token import Granted

CODES = Codes(
    place="errcode",
    stale=frozenset({"40001", "40014", "42001", "33001"}),  # token wrong, over, or of nobody
    outer="88",  # "see sub_code"
    inner="sub_code",
    meanings=Meanings(
        name="dingtalk",
        whole_channel=frozenset(
            {
                "40013",  # corp id wrong
                "40056",  # agent id wrong
                "40089",  # corp id or secret wrong
                "40096",  # app key or secret wrong
                "60011",  # no right to this interface
                "60020",  # our address is not on the list of trusted ones
                "70003",  # agent and token do not belong together
                "90006",  # our server is shut out
            }
        ),
        permanent=frozenset(
            {
                "41",  # an argument
                "33012",  # no such user id
                "40035",  # an argument
                "50002",  # the person is outside of what the application may reach
                "60121",  # no such user
                "400002",  # an argument
                "1430000",  # no receiver
                "1430002",  # forbidden words
            }
        ),
        temporary={
            "-1": 30.0,
            **dict.fromkeys(("90002", "90018", "90003", "90004", "90005"), 60.0),  # too often
            **dict.fromkeys(("143103", "143104", "1430003"), 60.0),  # too many a minute; they protect themselves
        },
    ),
)
_SAME_TEXT_TODAY = {143106, 143206}
_TOO_MANY_TODAY = {143105, 143205}
_LONGEST_TEXT = 2048  # bytes of the whole notice
_FRAME = 100  # bytes the notice takes beside the text and its time
_REMEMBERED = 10_000  # task numbers kept; DingTalk itself answers for 24 hours


class WorkNotices:
    """Sends as one application."""

    def __init__(self, settings: DingTalkSettings) -> None:
        self._settings = settings
        self._base = settings.base_url.rstrip("/")
        self._zone = ZoneInfo(settings.time_zone)
        self._sending = Sending(settings.concurrency, settings.rate)
        self._asking = Sending(settings.concurrency, None)
        self._exchange = exchange_of(settings)
        self._calls = TokenCalls(CODES, self._ask_for_token)
        self._tasks: OrderedDict[str, str] = OrderedDict()

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all, and see a little later what became of them; the outcome of each, in the same order."""
        outcomes = await self._sending.each(messages, self._send)
        if not self._settings.confirm_after:
            return outcomes
        taken = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Receipt)]
        if taken:
            await asyncio.sleep(self._settings.confirm_after)
            confirmed = await self._asking.each([messages[index] for index in taken], self._confirm)
            for index, outcome in zip(taken, confirmed, strict=True):
                outcomes[index] = outcome
        return outcomes

    async def find(self, message: Message) -> Receipt | None:
        """What became of a notice taken before; None: it reached nobody.

        Raises:
            OutcomeUnknown: we have no task number for it, or DingTalk did not answer.
        """
        task = self._tasks.get(message.key)
        if task is None:
            raise OutcomeUnknown(CANNOT_ASK, "DingTalk knows a notice by its own number only, and we have none")
        try:
            became = _became(await self._result(task), task, message.to)
        except SendError as failure:
            raise OutcomeUnknown(failure.code, failure.detail) from None
        return became if isinstance(became, Receipt) else None

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()
        await self._exchange.close()

    async def _send(self, message: Message) -> Outcome:
        body = json_body(
            {
                "agent_id": self._settings.agent_id,
                "userid_list": user_id(message.to),
                "msg": {"msgtype": "text", "text": {"content": self._text(message)}},
            }
        )
        said = await self._post("asyncsend_v2", body)
        task = text_at(said, "task_id")
        if not task:
            raise OutcomeUnknown("malformed_answer", "no task number in the answer")
        self._tasks[message.key] = task
        if len(self._tasks) > _REMEMBERED:
            self._tasks.popitem(last=False)
        return Receipt(task, answer="ok")

    def _text(self, message: Message) -> str:
        """The text and when it was decided: the same text reaches the same person only once a day.

        A resend carries the same time, so that DingTalk itself leaves out what is twice.
        """
        at = f"\n{message.at.astimezone(self._zone):%Y-%m-%d %H:%M:%S}"
        return shortened(message.text, _LONGEST_TEXT - _FRAME - len(at)) + at

    async def _confirm(self, message: Message) -> Outcome:
        task = self._tasks.get(message.key, "")
        try:
            return _became(await self._result(task), task, message.to)
        except SendError:
            return Receipt(task, answer="ok")  # taken it has been, whatever is wrong with the question

    async def _result(self, task: str) -> Mapping[str, Any]:
        number = int(task) if task.isascii() and task.isdecimal() else task
        said = await self._post("getsendresult", json_body({"agent_id": self._settings.agent_id, "task_id": number}))
        result: object = said.get("send_result")
        return cast("Mapping[str, Any]", result) if isinstance(result, dict) else {}

    async def _post(self, name: str, body: bytes) -> Mapping[str, Any]:
        address = f"{self._base}/topapi/message/corpconversation/{name}"

        async def ask(token: str) -> Answer:
            return await self._exchange.ask("POST", address, params={"access_token": token}, data=body, headers=JSON)

        return await self._calls.call(ask)

    async def _ask_for_token(self) -> Granted:
        settings = self._settings
        secret = settings.app_secret.get_secret_value() if settings.app_secret is not None else ""
        answer = await self._exchange.ask(
            "GET", f"{self._base}/gettoken", params={"appkey": settings.app_key or "", "appsecret": secret}
        )
        return CODES.granted(answer, "access_token", "expires_in")


def _became(result: Mapping[str, Any], task: str, person: str) -> Outcome:
    """What the result says about the one person of the notice; nothing yet counts as taken."""
    for listed, outcome in (
        ("read_user_id_list", Receipt(task, delivered=True, read=True, answer="read")),
        ("unread_user_id_list", Receipt(task, delivered=True, answer="delivered")),
        ("invalid_user_id_list", PermanentFailure("dingtalk_invalid_user")),
        ("forbidden_user_id_list", _held_back(result, task)),
        ("failed_user_id_list", TemporaryFailure("dingtalk_failed", "DingTalk could not hand it over")),
    ):
        if _names(result, listed, person):
            return outcome
    return _held_back(result, task) if _forbidden(result) else Receipt(task, answer="ok")


def _held_back(result: Mapping[str, Any], task: str) -> Outcome:
    """Why DingTalk let it through to nobody."""
    forbidden = _forbidden(result)
    if forbidden & _SAME_TEXT_TODAY:
        return Receipt(task, answer="same_text_today")  # the person has exactly this notice already
    if forbidden & _TOO_MANY_TODAY:
        return PermanentFailure("dingtalk_143105", "as many as one person may get in a day")
    return TemporaryFailure("dingtalk_forbidden", "held back by DingTalk", retry_after=60)


def _names(result: Mapping[str, Any], listed: str, person: str) -> bool:
    """Whether the person stands in that list, which may come as a list or as one text."""
    found: object = result.get(listed)
    several: list[object] = list(found.split(",")) if isinstance(found, str) else []
    if isinstance(found, list):
        several = cast("list[object]", found)
    return person.lower() in {str(one).lower() for one in several}


def _forbidden(result: Mapping[str, Any]) -> set[int]:
    listed: object = result.get("forbidden_list")
    entries = cast("list[object]", listed) if isinstance(listed, list) else []
    codes = (str(cast("dict[str, object]", one).get("code", "")) for one in entries if isinstance(one, dict))
    return {int(code) for code in codes if code.isascii() and code.isdecimal()}
