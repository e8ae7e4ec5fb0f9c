"""How the calls of a gateway to us are described in YAML (`calls:` of `type: http`).

calls:
  proof: {query: token, equals: "{callback_token}"}      # or a signature worked out under compute
  receipts: {ours: {query: ours}, status: {query: type}, delivered: ["1"], failed: ["2", "16"]}
  replies: {sender: {query: from}, text: {query: text}, id: {query: id}}
  answer: {body: {format: json, content: {code: 0}}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from channels.wire.http_parts import Body, Charset, Computed  # pydantic reads them
from channels.wire.template import names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = ("query", "form", "json", "header")
OF_A_CALL = frozenset({"body", "url", "method"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Place(_Strict):
    """Where something stands in a call: in its query, form or JSON, in a header, or as the last part of its path."""

    query: str | None = Field(default=None, description="查询参数的名称 / a field of the query")
    form: str | None = Field(default=None, description="表单字段的名称 / a field of the form")
    path_in_json: str | None = Field(default=None, alias="json", description="JSON 里的路径 / a path in the JSON")
    header: str | None = Field(default=None, description="请求头的名称 / a header")
    last_part: bool = Field(default=False, description="地址的最后一段 / the last part of the address")

    @model_validator(mode="after")
    def _one_place(self) -> Place:
        given = [self.query, self.form, self.path_in_json, self.header, self.last_part or None]
        if sum(one is not None for one in given) != 1:
            raise ValueError(
                "query、form、json、header、last_part 写其中一个 / give one of query, form, json, header and last_part"
            )
        return self


class Proof(Place):
    """What shows that a call is the gateway's: what must stand at a place, made with a secret."""

    equals: str = Field(min_length=1, description="那里应有的内容 / what must stand there")


class Receipts(_Strict):
    """What a receipt says. A status in none of the lists is `unlisted`; without `code` the status is why it failed."""

    status: Place = Field(description="状态在哪里 / where the status stands")
    ours: Place | None = Field(default=None, description="我们的编号 {reference} 在哪里 / where our {reference} stands")
    theirs: Place | None = Field(default=None, description="对方的编号在哪里 / where the gateway's number stands")
    delivered: list[str] = Field(default_factory=list[str], description="哪些状态算送达 / which mean delivered")
    read: list[str] = Field(default_factory=list[str], description="哪些状态算已读 / which mean read")
    failed: list[str] = Field(default_factory=list[str], description="哪些状态算没送到 / which mean not delivered")
    opted_out: list[str] = Field(
        default_factory=list[str], description="哪些失败原因算退订 / which reasons mean that the reader has opted out"
    )
    waiting: list[str] = Field(default_factory=list[str], description="哪些状态还说明不了什么 / which say nothing yet")
    unlisted: Literal["waiting", "failed"] = Field(
        default="waiting", description="没列出的状态算哪一种 / what any other status is"
    )
    code: Place | None = Field(default=None, description="失败原因在哪里 / where the reason of a failure stands")
    at: Place | None = Field(default=None, description="时间在哪里 / where its time stands")

    @field_validator("delivered", "read", "failed", "opted_out", "waiting", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [_as_written(one) for one in cast("list[object]", value)]

    @model_validator(mode="after")
    def _says_something(self) -> Receipts:
        if self.ours is None and self.theirs is None:
            raise ValueError("ours、theirs 至少写一个，否则不知道是哪一条 / give ours or theirs, to tell which message")
        if not (self.delivered or self.read):
            raise ValueError("delivered、read 至少写一个状态 / give delivered or read a status")
        every = [*self.delivered, *self.read, *self.failed, *self.waiting]
        twice = sorted({one for one in every if every.count(one) > 1})
        if twice:
            named = ", ".join(twice)
            raise ValueError(f"状态写在两处：{named} / a status stands in two lists: {named}")
        return self


def _as_written(value: object) -> object:
    """A number or `true` in the YAML as it stands in the call."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


class Replies(_Strict):
    """What a reply says."""

    sender: Place = Field(description="发送号码在哪里 / where the number stands")
    text: Place = Field(description="内容在哪里 / where the words stand")
    id: Place | None = Field(default=None, description="对方给这条上行的编号在哪里 / where the gateway's number stands")
    at: Place | None = Field(default=None, description="时间在哪里 / where its time stands")


class CallAnswer(_Strict):
    """What the gateway wants to hear."""

    status: int = Field(default=200, ge=200, le=299)
    body: Body | None = None


class Calls(_Strict):
    """The calls of one gateway. `records` is the path of the list, where one call tells of several.

    A record with the status of a receipt is one; any other is a reply.
    """

    proof: Proof = Field(description="凭什么认定是网关来的 / what shows that a call is the gateway's")
    charset: Charset = Field(default="utf-8", description="查询参数和表单的编码 / of the query and the form")
    compute: list[Computed] = []
    records: str | None = Field(
        default=None, description="一次送来多件时，JSON 里列表的路径 / path of the list in the JSON"
    )
    receipts: Receipts | None = Field(default=None, description="回执怎样读 / how receipts are read")
    replies: Replies | None = Field(default=None, description="上行怎样读 / how replies are read")
    answer: CallAnswer = Field(default=CallAnswer(), description="回答什么 / what to answer")

    @model_validator(mode="after")
    def _tells_something(self) -> Calls:
        if self.receipts is None and self.replies is None:
            raise ValueError("receipts、replies 至少写一个 / give receipts or replies")
        return self

    def problems(self, values: set[str], secrets: set[str]) -> Iterator[str]:
        """What is wrong with its placeholders, each with its place, given the settings' own names."""
        known = values | secrets | OF_A_CALL
        proving = set(secrets)  # what cannot be known without a secret
        for index, computed in enumerate(self.compute):
            texts = [*(computed.concat or ()), *(computed.sorted_fields or {}).values(), computed.key or ""]
            for text in texts:
                yield from _unknown(f"calls.compute.{index}", text, known)
            if computed.name in known:
                name = computed.name
                place = f"calls.compute.{index}.name"
                yield f"{place}: “{name}”已有含义 / {place}: “{name}” already means something"
            if computed.digest != "none" and any(proving & set(names_in(text)) for text in texts):
                proving.add(computed.name)
            known.add(computed.name)
        yield from _unknown("calls.proof.equals", self.proof.equals, known)
        if not proving & set(names_in(self.proof.equals)):
            yield (
                "calls.proof.equals: 里面没有 secrets 的密串，谁都能冒充"
                " / calls.proof.equals: holds no secret of secrets: anybody could call"
            )


def _unknown(place: str, text: str, known: set[str]) -> Iterator[str]:
    for name in names_in(text):
        if name not in known and name.partition(".")[0] not in PLACES:
            usable = f"{', '.join(sorted(known))}, query.…, form.…, json.…, header.…"
            yield (
                f"{place}: 没有占位符 {{{name}}}；可用：{usable}"
                f" / {place}: unknown placeholder {{{name}}}; known: {usable}"
            )
