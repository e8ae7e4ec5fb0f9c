"""Texts a provider has approved beforehand: which of them says what a message says, and what is put into it.

Where a provider sends no free text, a message is the number of an approved template and its variables. The settings
say which template stands for which word after `say:`; `*` stands for every word that has none of its own.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from channels.base import PARAMETERS, PermanentFailure
from channels.wire.template import PARAMETER, fill, names_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeVar

    from channels.base import Message

    Chosen = TypeVar("Chosen", bound="_Template")

ANY = "*"  # for every word after `say:` that has no template of its own
COUNT = "count"  # how many notices a digest holds; no other message has it
DIGEST = "digest"
FILLED = ("text", "to_name", *(PARAMETER + name for name in (*PARAMETERS, COUNT)))


class _Template(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    state: Literal["approved", "waiting", "refused"]
    # characters a variable may have, as the provider's console says of this template
    longest: int | None = Field(default=None, ge=1)

    def texts(self) -> Iterable[str]:
        """What its variables are filled with."""
        raise NotImplementedError


def _checked(name: str | int, value: str) -> str:
    wrong = [found for found in names_in(value) if found not in FILLED]
    if wrong:
        known = ", ".join(FILLED)
        meant = get_close_matches(wrong[0], FILLED, 1)
        zh, en = (f"，是不是想写 {{{meant[0]}}}？", f"; did you mean {{{meant[0]}}}?") if meant else ("", "")
        raise ValueError(
            f"变量 {name} 里没有占位符 {{{wrong[0]}}}{zh}（可用：{known}） / "
            f"variable {name} has no placeholder {{{wrong[0]}}}{en} (known: {known})"
        )
    return value


class NamedTemplate(_Template):
    """A template whose variables have names, as `${case}`."""

    variables: dict[str, str] = {}

    @field_validator("variables")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: _checked(name, text) for name, text in value.items()}

    def texts(self) -> Iterable[str]:
        """What its variables are filled with."""
        return self.variables.values()

    def filled(self, message: Message, signature: str) -> dict[str, str]:
        """The variables of this message, without the signature, which the provider puts in front itself.

        Raises:
            PermanentFailure: the message lacks a value, or holds half a character.
        """
        values = _values(message, signature)
        return {name: fill(text, values) for name, text in self.variables.items()}


class OrderedTemplate(_Template):
    """A template whose variables are numbered, as `{1}`."""

    variables: list[str] = []

    @field_validator("variables")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        return [_checked(number, text) for number, text in enumerate(value, start=1)]

    def texts(self) -> Iterable[str]:
        """What its variables are filled with, in their order."""
        return self.variables

    def filled(self, message: Message, signature: str) -> list[str]:
        """The variables of this message in their order, without the signature; raises as `NamedTemplate.filled`."""
        values = _values(message, signature)
        return [fill(text, values) for text in self.variables]


def template_for(message: Message, templates: Mapping[str, Chosen]) -> Chosen:
    """The approved template that says what this message says.

    Raises:
        PermanentFailure: there is none (`no_template`), or the provider has not approved it (`template_waiting`,
            `template_refused`). Other messages may have one, so it is never the whole channel.
    """
    lacking = lacks(message.say, templates)
    if lacking is not None:
        raise PermanentFailure(lacking, f"no approved template for say: {message.say or '-'}")
    return templates.get(message.say) or templates[ANY]


def lacks(say: str, templates: Mapping[str, Chosen]) -> str | None:
    """Why no approved template stands for that word: `no_template`, `template_waiting`, `template_refused`."""
    found = templates.get(say) or templates.get(ANY)
    if found is None:
        return "no_template"
    return None if found.state == "approved" else f"template_{found.state}"


def too_long_for(message: Message, template: NamedTemplate | OrderedTemplate, signature: str) -> list[str]:
    """The variables (by name or number) whose value in this message is longer than the template allows."""
    if template.longest is None:
        return []
    filled = template.filled(message, signature)
    values = filled if isinstance(filled, dict) else {str(n): value for n, value in enumerate(filled, start=1)}
    return [name for name, value in values.items() if len(value) > template.longest]


def some_approved(templates: Mapping[str, Chosen]) -> Mapping[str, Chosen]:
    """The templates, unless a message could never be sent with them.

    Raises:
        ValueError: none is approved, or one for single messages counts what only a digest holds.
    """
    counting = [word for word, one in templates.items() if word != DIGEST and _counts(one)]
    if counting:
        raise ValueError(
            f"{{{PARAMETER}{COUNT}}} 只有 {DIGEST} 才有，不能用在 {counting[0]} / "
            f"only {DIGEST} has {{{PARAMETER}{COUNT}}}, not {counting[0]}"
        )
    if templates and not any(one.state == "approved" for one in templates.values()):
        raise ValueError(
            "没有一个模板是 state: approved，这个通道什么也发不出 / no template is approved: nothing could be sent"
        )
    return templates


def _counts(template: _Template) -> bool:
    return any(PARAMETER + COUNT in names_in(text) for text in template.texts())


def bare_text(text: str, signature: str) -> str:
    """The text without the signature in front of it, for a provider that adds it."""
    return text.removeprefix(f"【{signature}】") if signature else text


def _values(message: Message, signature: str) -> dict[str, str]:
    values = {
        "text": bare_text(message.text, signature),
        "to_name": message.to_name,
        **{PARAMETER + name: value for name, value in message.params.items()},
    }
    for value in values.values():
        require_whole_characters(value)
    return values


def require_whole_characters(text: str) -> None:
    """Let only text pass that can be written in UTF-8.

    Raises:
        PermanentFailure: half a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PermanentFailure("bad_text", "half a character (lone surrogate)") from None
