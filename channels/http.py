"""Any SMS gateway that takes an HTTP request, described in YAML: no code for another provider."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, field_validator, model_validator

from channels.base import ChannelType
from channels.wire.call_settings import Calls  # pydantic reads it
from channels.wire.http_parts import Body, Charset, Computed
from channels.wire.shell import ProviderChannel
from channels.wire.sms import NumberFormat  # pydantic reads it
from channels.wire.template import CALLBACKS, PARAMETER, WORDS, names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from channels.base import Answer, Call, News
    from channels.wire.described_calls import DescribedCalls
    from channels.wire.gateway import Gateway


def _compiled(value: str | None) -> str | None:
    try:
        re.compile(value or "")
    except re.error as error:
        raise ValueError(f"不是正则表达式 / not a regular expression: {error}") from None
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class AnswerTest(_Strict):
    """What an answer must look like; everything given must hold. JSON paths are written `data.items.0.code`."""

    status: list[int] = [200, 201, 202]
    fields: dict[str, JsonValue] = Field(default_factory=dict, alias="json")
    regex: str | None = None
    text: str | None = None

    _compiles = field_validator("regex")(_compiled)


class Where(_Strict):
    """Where something stands in an answer: a JSON path, or the first group of a regular expression."""

    path: str | None = Field(default=None, alias="json")
    regex: str | None = None

    _compiles = field_validator("regex")(_compiled)

    @model_validator(mode="after")
    def _one_place(self) -> Where:
        if (self.path is None) == (self.regex is None):
            raise ValueError("json 与 regex 必须写且只写一个 / give exactly one of json and regex")
        return self


class ErrorCodes(_Strict):
    """What the provider's own codes mean. `unlisted` is for a code that is found but stands in no list."""

    temporary: list[str] = []
    permanent: list[str] = []
    whole_channel: list[str] = []
    unknown: list[str] = []
    opted_out: list[str] = Field(default_factory=list[str], description="对方已退订 / the reader has opted out")
    unlisted: Literal["temporary", "permanent", "unknown"] = "temporary"

    @field_validator("temporary", "permanent", "whole_channel", "unknown", "opted_out", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        codes = cast("list[object]", value)
        return [str(one) if isinstance(one, int) else one for one in codes]


class Request(_Strict):
    """One request."""

    method: Literal["GET", "POST", "PUT"] = "POST"
    url: str = Field(pattern=r"^https?://")
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    query_charset: Charset = "utf-8"
    body: Body | None = None
    compute: list[Computed] = []

    def templates(self) -> Iterator[tuple[str, str]]:
        """Every text that may hold placeholders, with its place, except those of `compute`."""
        yield "url", self.url
        yield from ((f"headers.{name}", text) for name, text in self.headers.items())
        yield from ((f"query.{name}", text) for name, text in self.query.items())
        if self.body is not None:
            yield from _strings("body.content", self.body.content)


class Lookup(Request):
    """How to ask the gateway whether it has a message; `{reference}` names it.

    Both tests must be written: an answer taken for "absent" by mistake would send the message a second time.
    """

    method: Literal["GET", "POST", "PUT"] = "GET"
    present: AnswerTest
    absent: AnswerTest
    reference: Where | None = None
    delivered: AnswerTest | None = Field(default=None, description="how a present message shows that it has arrived")


class HttpSettings(Request):
    """`type: http`. Time-outs in seconds."""

    values: dict[str, str] = {}
    secrets: dict[str, SecretStr] = {}
    basic_auth: str | None = Field(default=None, description="user:password, placeholders allowed")
    number: NumberFormat = "e164"
    time_zone: str = "Asia/Shanghai"
    success: AnswerTest
    reference: Where | None = None
    code: Where | None = None
    errors: ErrorCodes = ErrorCodes()
    unknown_status: list[int] = [502, 504]
    lookup: Lookup | None = None
    calls: Calls | None = Field(
        default=None, description="网关怎样送来回执和上行 / how the gateway brings receipts and replies"
    )
    connect_timeout: float = Field(default=10, gt=0, le=300)
    timeout: float = Field(default=30, gt=0, le=300)
    concurrency: int = Field(default=8, ge=1, le=256)
    rate: float | None = Field(default=None, gt=0, description="messages per second")
    ca_file: str | None = None

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, value: str) -> str:
        from zoneinfo import ZoneInfo  # noqa: PLC0415  # only here

        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("没有这个时区 / no such time zone") from None
        return value

    @field_validator("values", "secrets")
    @classmethod
    def _new_names(cls, value: dict[str, object]) -> dict[str, object]:
        taken = sorted(set(value) & WORDS)
        if taken:
            raise ValueError(f"名称已有含义 / these names already mean something: {', '.join(taken)}")
        return value

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> HttpSettings:
        own = WORDS | set(self.values) | set(self.secrets)
        wrong = [*_unknown_names(self, own, "")]
        if self.basic_auth is not None:
            wrong += _unknown_in("basic_auth", self.basic_auth, own)
        if self.lookup is not None:
            wrong += _unknown_names(self.lookup, own, "lookup.")
        if self.calls is not None:
            proving = {
                name for name, secret in self.secrets.items() if secret.get_secret_value()
            }  # empty proves nothing
            wrong += self.calls.problems({*self.values, *self.secrets} - proving, proving)
        elif self.tells_where_we_are:
            wrong.append("{callback} 要有 calls 才有人听 / {callback} needs calls: nobody would listen")
        if set(self.values) & set(self.secrets):
            wrong.append("values / secrets: 同名 / the same name in both")
        if wrong:
            both = [one.partition(" / ") for one in wrong]
            raise ValueError(f"{'；'.join(zh for zh, _, _ in both)} / {'; '.join(en for _, _, en in both)}")
        return self

    @property
    def tells_where_we_are(self) -> bool:
        """Whether a request carries our own address, so that it needs one."""
        return any(set(names_in(text)) & CALLBACKS for _, text in self.templates())


def _strings(place: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(f"{place}.{name}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(f"{place}.{index}", inner)


def _unknown_names(request: Request, own: set[str] | frozenset[str], prefix: str) -> Iterator[str]:
    """Placeholders that nothing fills; what `compute` makes counts from the next entry on."""
    known = set(own)
    for index, computed in enumerate(request.compute):
        place = f"{prefix}compute.{index}"
        parts = [*(computed.concat or ()), *(computed.sorted_fields or {}).values(), computed.key or ""]
        for text in parts:
            yield from _unknown_in(place, text, known)
        if computed.name in known:
            name = computed.name
            yield f"{place}.name: “{name}”已有含义 / {place}.name: “{name}” already means something"
        known.add(computed.name)
    for place, text in request.templates():
        yield from _unknown_in(prefix + place, text, known)


def _unknown_in(place: str, text: str, known: set[str] | frozenset[str]) -> list[str]:
    names = [name for name in names_in(text) if name not in known and not name.startswith(PARAMETER)]
    return [
        f"{place}: 没有占位符 {{{name}}}；可用：{', '.join(sorted(known))}"
        f" / {place}: unknown placeholder {{{name}}}; known: {', '.join(sorted(known))}"
        for name in names
    ]


class HttpChannel(ProviderChannel):
    """SMS through one gateway."""

    settings_type: ClassVar[type[BaseModel]] = HttpSettings


class HeardHttpChannel(HttpChannel):
    """The same, where the gateway tells us what became of messages and what people write back."""

    def __init__(self, gateway: Gateway, calls: DescribedCalls, at_once: int, *, tells_delivery: bool) -> None:
        super().__init__(gateway, at_once, tells_delivery=tells_delivery)
        self._gateway = gateway
        self._calls = calls

    def listen_at(self, url: str) -> None:
        """What `{callback}` in the requests stands for."""
        self._gateway.listens_at = url

    def hear(self, call: Call) -> tuple[News, Answer]:
        """Read a call as `calls` describes it.

        Raises:
            CallRefused: its proof is wrong, or there is neither a receipt nor a reply in it.
        """
        return self._calls.hear(call)


def open_http(settings: HttpSettings) -> HttpChannel | HeardHttpChannel:
    """A channel over this gateway; nothing is asked before the first message.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.gateway import Gateway  # noqa: PLC0415  # aiohttp takes a quarter of a second to load

    tells_delivery = settings.lookup is not None and settings.lookup.delivered is not None
    gateway = Gateway(settings)
    if settings.calls is None:
        return HttpChannel(gateway, settings.concurrency, tells_delivery=tells_delivery)
    from channels.wire.described_calls import DescribedCalls  # noqa: PLC0415  # the same

    calls = DescribedCalls(settings.calls, gateway.own, gateway.zone)
    return HeardHttpChannel(gateway, calls, settings.concurrency, tells_delivery=tells_delivery)


CHANNEL = ChannelType("http", HttpSettings, open_http, "sms", frozenset({"asked", "delivery", "replies"}))
