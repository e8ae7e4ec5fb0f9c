"""`/a/<token>`: the page on which an official acknowledges (签收) what he was sent, without any login.

The token is the right: whoever holds the message may sign for it, and for nothing else. So a POST needs no check where
it comes from (CSRF): a foreign page cannot know the token, and nothing is taken from a cookie or a session that it
could borrow. GET only shows, because scanners of links and previews of chats open every address they see. Nothing of
petitioners, no name and no number is on the page; of a restricted case only its number and the date are.
The page is plain HTML without a script, for old telephones.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from daemon.errors import DaemonError
from daemon.links import PATH, LinkExpired, Links, LinkUnknown
from daemon.store.values import Acknowledged
from policies.ladders.recipients import RESTRICTED
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from daemon.render import Renderer
    from daemon.settings import Configuration
    from daemon.store.acknowledgements import Sent

LARGEST = 4096  # bytes of a form of ours
ALL = "all"
NOBODY_ASKED: Mapping[int, Acknowledged] = MappingProxyType({})
_TOKEN = re.compile(r"[0-9A-Za-z]*")  # what telephones take for more of a link (。, ），请…) is none of it
_FOLDER = Path(__file__).parent
_STYLE = (_FOLDER / "acknowledge.css").read_text(encoding="utf-8").strip()
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
}

_DONE = frozenset({Acknowledged.TAKEN, Acknowledged.LATE})
_TITLES: Mapping[Acknowledged, Text] = {
    Acknowledged.TAKEN: Text("已签收", "Acknowledged"),
    Acknowledged.LATE: Text("已签收（逾时）", "Acknowledged, late"),
    Acknowledged.ALREADY: Text("此前已签收", "Acknowledged before"),
    Acknowledged.CLOSED: Text("该事项已结束", "This case is closed"),
    Acknowledged.NOT_SENT: Text("该消息没有发出", "This message was not sent"),
    Acknowledged.NOT_YOURS: Text("该消息没有发出", "This message was not sent"),
}
_SENTENCES: Mapping[Acknowledged, Text] = {
    Acknowledged.LATE: Text(
        "此前因未按时签收，已告知您的上级；现已补记签收。",
        "Others had been told that it was wanting; it is taken down now.",
    ),
    Acknowledged.CLOSED: Text(
        "事项已办结或已撤销，不需要再签收，未作记录。", "It is finished or withdrawn: nothing to acknowledge any more."
    ),
    Acknowledged.NOT_SENT: Text(
        "系统没有发出过这条消息，不算签收；已记录您知悉该事项。",
        "The system never sent this message: it does not count as acknowledged; that you know of the case is recorded.",
    ),
}
_WHAT_NOW = Text(
    "请打开最近一条消息里的链接，或回复该消息签收；仍不行的，请电话告知本单位督办人员代录。",
    "Open the link in the latest message, or reply to it; otherwise call the supervision office, who can record it.",
)
_NOT_DONE = Text(
    "签收只表示您已收到并知晓，不等于办结。本页无需登录，请勿转发链接。",
    "Acknowledging says that you know of it, not that it is done. No login is needed; do not forward the link.",
)


class Desk(Protocol):
    """What the page needs of the node behind it."""

    @property
    def configuration(self) -> Configuration:
        """The configuration in force."""
        ...

    @property
    def renderer(self) -> Renderer:
        """Words in the office's language."""
        ...

    def now(self) -> datetime:
        """The present instant."""
        ...

    async def message_of(self, delivery: int) -> list[Sent]:
        """Everything in the message with that delivery. Raises DaemonError."""
        ...

    async def sign(self, deliveries: Collection[int]) -> Mapping[int, Acknowledged]:
        """Acknowledge these by link; the answers. Raises DaemonError."""
        ...


@dataclass(frozen=True, slots=True)
class _Item:
    """One case of the message as the page shows it; `button` is what its button is called, empty for none."""

    case: str
    stage: str
    due: str
    role: str
    state: str = ""
    tone: str = ""
    button: str = ""


class AcknowledgePage:
    """Shows what is to be acknowledged, and takes it down."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._page = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        ).get_template("acknowledge.html")

    def routes(self) -> Sequence[BaseRoute]:
        """Where the links lead."""
        return [Route(PATH + "{token:path}", self.answer, methods=["GET", "POST"])]

    async def answer(self, request: Request) -> Response:
        """The page of one token: shown for GET, taken down for POST."""
        try:
            number = self._links().read(_token(request), self._desk.now())
            message = await self._desk.message_of(number)
            if not message:
                raise LinkUnknown  # noqa: TRY301 - said like any other link that is not ours
            if request.method != "POST":
                return self._shown(message, NOBODY_ASKED)
            chosen = _chosen(message, await _form(request))
            answers = await self._desk.sign([one.delivery.id for one in chosen]) if chosen else NOBODY_ASKED
            return self._shown(await self._desk.message_of(number), answers)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it any more
        except LinkExpired:
            return self._refused(Text("链接已过期", "This link has expired"), 410)
        except LinkUnknown:
            return self._refused(Text("链接无效", "This link is not valid"), 404)
        except DaemonError:
            title = Text("暂时无法签收", "Not possible at the moment")
            told = Text("系统数据库暂时无法访问，请过几分钟再试。", "Our database does not answer; try again later.")
            return self._written(title, 503, "bad", [told])

    def _links(self) -> Links:
        """By the secrets in force now, with which messages are written too: a reload may have changed them."""
        settings = self._desk.configuration.settings.console
        if settings is None:
            raise LinkUnknown
        return Links(settings)

    def _refused(self, title: Text, status: int) -> Response:
        """The same words whatever was wrong: whether such a delivery exists is not told."""
        return self._written(title, status, "bad", [_WHAT_NOW])

    def _shown(self, message: Sequence[Sent], answers: Mapping[int, Acknowledged]) -> Response:
        items = [self._item(one, place, answers.get(one.delivery.id)) for place, one in enumerate(message)]
        waiting = [item for item in items if item.button]
        title, tone = _title(message, answers, len(waiting))
        sentences = [_SENTENCES[answer] for answer in dict.fromkeys(answers.values()) if answer in _SENTENCES]
        if not answers and not waiting and not any(one.running for one in message):
            sentences.append(_SENTENCES[Acknowledged.CLOSED])
        next_ones = [one for one in message if answers.get(one.delivery.id) in _DONE]
        sentences += self._next(next_ones)
        return self._written(title, 200, tone, sentences, items=items, all_of=len(waiting), notes=[_NOT_DONE])

    def _item(self, one: Sent, place: int, answer: Acknowledged | None) -> _Item:
        say, notice = self._say, one.delivery.notice
        words = self._words(one)
        drill, restricted = not notice.case_key, one.restricted or notice.role == RESTRICTED
        item = _Item(
            case=say(Text("通道演练", "Drill")) if drill else words["case"],
            stage="" if drill or restricted else words["stage"],
            due="" if drill else words["due_full"],
            role="" if drill or restricted else words["role_title"],
        )
        signed_at = one.delivery.acknowledged_at
        if answer not in _DONE and signed_at is not None:
            return replace(item, state=say(_since(self._moment(signed_at))), tone="good")
        if answer is not None:
            told = _TITLES[answer]
            if answer in _DONE and signed_at is not None:
                told = Text(f"✓ {told.zh} {self._moment(signed_at)}", f"✓ {told.en} {self._moment(signed_at)}")
            return replace(item, state=say(told), tone="good" if answer in _DONE else "bad")
        if not one.running and not drill:
            return replace(item, state=say(_TITLES[Acknowledged.CLOSED]), tone="bad")
        return replace(item, button=f"item{place}")

    def _next(self, signed: Sequence[Sent]) -> list[Text]:
        """What is to be done next, by the earliest date."""
        dated = [one for one in signed if one.delivery.notice.case_key]
        if not dated:
            return []
        first = min(dated, key=lambda one: (one.due_at is None, one.due_at, one.delivery.id))
        due = self._words(first)["due_full"]
        if len(dated) > 1:
            return [
                Text(f"请按期办理，最早一件{due}到期。", f"Please handle them in time; the first is due {due}."),
            ]
        return [Text(f"请在{due}前办结并录入结果。", f"Please finish it and record the result by {due}.")]

    def _words(self, one: Sent) -> Mapping[str, str]:
        """The words of its message, with the date as it is now: a limit may have been extended since."""
        notice = one.delivery.notice
        if one.due_at is not None:
            moved = {"due_at": one.due_at.isoformat(), "legal_due": one.due_at.isoformat()}
            notice = replace(notice, facts={**notice.facts, **moved})
        return self._desk.renderer.words(notice, one.delivery.created_at)

    def _moment(self, at: datetime) -> str:
        local = at.astimezone(self._desk.configuration.zone)
        return f"{local:%Y-%m-%d %H:%M}"

    def _say(self, text: Text) -> str:
        return text.say(self._desk.configuration.settings.language)

    def _either(self, chinese: str, english: str) -> str:
        return self._say(Text(chinese, english))

    def _written(
        self,
        title: Text,
        status: int,
        tone: str,
        sentences: Sequence[Text],
        *,
        items: Sequence[_Item] = (),
        all_of: int = 0,
        notes: Sequence[Text] = (),
    ) -> Response:
        settings = self._desk.configuration.settings
        page = self._page.render(
            lang="zh-CN" if settings.language == "zh" else "en",
            title=self._say(title),
            tone=tone,
            office=settings.office.name,
            say=self._either,
            style=Markup(_STYLE),  # noqa: S704 - a file of ours
            sentences=[self._say(one) for one in sentences],
            items=items,
            single=len(items) == 1,
            all_of=all_of if all_of > 1 else 0,
            notes=[self._say(one) for one in notes],
        )
        return HTMLResponse(page, status, headers=HEADERS)


def _title(message: Sequence[Sent], answers: Mapping[int, Acknowledged], waiting: int) -> tuple[Text, str]:
    """The heading, and its colour."""
    said = set(answers.values())
    if said:
        order = (Acknowledged.TAKEN, Acknowledged.LATE, *_TITLES)
        first = next(answer for answer in order if answer in said)
        return _TITLES[first], "good" if first in _DONE or first is Acknowledged.ALREADY else "bad"
    if waiting:
        many = Text(f"请签收以下{waiting}件事项", f"Please acknowledge these {waiting} cases")
        return (many if waiting > 1 else Text("请签收", "Please acknowledge")), ""
    if any(one.delivery.acknowledged_at is not None for one in message):
        return Text("已签收", "Acknowledged"), "good"
    return _TITLES[Acknowledged.CLOSED], "bad"


def _since(moment: str) -> Text:
    return Text(f"✓ 已于 {moment} 签收", f"✓ Acknowledged on {moment}")


def _chosen(message: Sequence[Sent], pressed: Collection[str]) -> list[Sent]:
    """Those whose button was pressed; all of them for the button under the list, and where there is but one."""
    if ALL in pressed or len(message) == 1:
        return list(message)
    return [one for place, one in enumerate(message) if f"item{place}" in pressed]


def _token(request: Request) -> str:
    """The token of the address, without what a telephone glued to it."""
    found = _TOKEN.match(request.path_params["token"])
    return found[0] if found else ""


async def _form(request: Request) -> set[str]:
    """The names of the buttons that were pressed; of anything that is no form of ours nothing is read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return set()
    return {name for name, _ in parse_qsl(body.decode("latin-1"), keep_blank_values=True)}
