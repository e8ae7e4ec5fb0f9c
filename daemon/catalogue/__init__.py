"""What channels there are (通道目录): what each type takes, what it can do, and where it comes from. Pure.

Nothing is opened and no provider is asked; secrets are named, never shown.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, SecretStr

from channels.registry import GROUP, channel_types
from daemon.catalogue.meanings import ABOUT, meaning_of
from daemon.sharing import SHARED, Sharing
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

    from channels.base import ChannelType

BUILT_IN = "duban"
_WORDS: dict[object, Text] = {
    str: Text("文字", "text"),
    int: Text("整数", "integer"),
    float: Text("数", "number"),
    bool: Text("true/false", "true/false"),
}
_LIMITS = {"ge": "≥ ", "gt": "> ", "le": "≤ ", "lt": "< "}


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a channel's settings. `path` is as it stands in the YAML; `default` None: it must be written.

    An empty `default` is none at all. Times are in seconds unless the meaning says otherwise.
    """

    path: tuple[str, ...]
    takes: Text
    default: str | None
    secret: bool
    meaning: Text

    @property
    def name(self) -> str:
        """The path in one word."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a provider offers beside taking a message. What depends on the settings is true if they can bring it about.

    `asked`: it can be asked whether it has a message; `delivery`: it can say that one arrived; `called`: it calls us
    with receipts or replies; `collected`: we fetch them; `replies`: people can answer.
    """

    asked: bool
    delivery: bool
    called: bool
    collected: bool
    replies: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """One channel type (通道类型) as the catalogue shows it. `origin` is the package it comes from.

    `kind` is empty where it is that of the channels behind it.
    """

    name: str
    kind: str
    origin: str
    about: Text
    can: Abilities
    settings: tuple[Setting, ...]


def sheets() -> list[Sheet]:
    """Every channel type there is, in the order of its names."""
    outside = _origins()
    found = [sheet_of(each, outside.get(name, BUILT_IN)) for name, each in channel_types().items()]
    return sorted([*found, _shared()], key=lambda sheet: sheet.name)


def _shared() -> Sheet:
    """Several providers behind one channel: no channel of its own, but written like one."""
    nothing = Abilities(asked=False, delivery=False, called=False, collected=False, replies=False)
    return Sheet(SHARED, "", BUILT_IN, ABOUT[SHARED], nothing, tuple(settings_of(Sharing, SHARED)))


def sheet_of(channel_type: ChannelType, origin: str = BUILT_IN) -> Sheet:
    """One of them."""
    return Sheet(
        channel_type.name,
        channel_type.kind,
        origin,
        ABOUT.get(channel_type.name) or _first_line(channel_type),
        abilities_of(channel_type),
        tuple(settings_of(channel_type.settings, channel_type.name)),
    )


def abilities_of(channel_type: ChannelType) -> Abilities:
    """What the type says of itself, and what one of its classes has methods for."""
    opened = _classes_of(channel_type)
    return Abilities(
        asked="asked" in channel_type.can,
        delivery="delivery" in channel_type.can,
        called=any(hasattr(one, "hear") for one in opened),
        collected=any(hasattr(one, "collect") for one in opened),
        replies="replies" in channel_type.can,
    )


def settings_of(
    model: type[BaseModel], type_name: str = "", path: tuple[str, ...] = (), above: tuple[type[BaseModel], ...] = ()
) -> Iterator[Setting]:
    """Every key of the settings, those inside others after the one they are in; what is needed stands first."""
    if model in above:
        return
    fields = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    for name, field in fields:
        here = (*path, field.alias or name)
        inner = tuple(_models_in(field.annotation))
        yield Setting(
            here, _takes(field, inner), _default(field), _is_secret(field), meaning_of(type_name, here, field)
        )
        for one in inner:
            yield from settings_of(one, type_name, here, (*above, model))


def _origins() -> dict[str, str]:
    """The package of each type that comes by an entry point. A built-in name cannot be taken over."""
    found: dict[str, str] = {}
    for entry in entry_points(group=GROUP):
        name = getattr(entry.load(), "name", entry.name)
        found[str(name)] = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    built_in = {name for name, each in channel_types().items() if each.settings.__module__.startswith("channels.")}
    return {name: origin for name, origin in found.items() if name not in built_in}


def _classes_of(channel_type: ChannelType) -> list[object]:
    """The classes `open` says it gives, one of them or another; a class used as `open` is its own."""
    if isinstance(channel_type.open, type):
        return [cast("object", channel_type.open)]
    written = getattr(channel_type.open, "__annotations__", {}).get("return")
    known: dict[str, object] = getattr(channel_type.open, "__globals__", {})
    return [known.get(one.strip()) for one in written.split("|")] if isinstance(written, str) else [written]


def _first_line(channel_type: ChannelType) -> Text:
    """What a channel of another package says of itself: the first line of its module, or of its settings."""
    module = sys.modules.get(channel_type.settings.__module__)
    said = (getattr(module, "__doc__", None) or channel_type.settings.__doc__ or "").strip().partition("\n")[0]
    return Text(said, said)


# --- one setting --------------------------------------------------------------------------------------------------


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not get_args(annotation):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _takes(field: FieldInfo, inner: tuple[type[BaseModel], ...]) -> Text:
    """What may be written there, in words, with its bounds."""
    annotation = _without_none(field.annotation)
    many, named = get_origin(annotation) in {list, tuple}, get_origin(annotation) is dict
    if inner:
        word = Text("一组设置", "a group of settings")
        if many:
            word = Text("若干组设置", "groups of settings")
        return Text("名称对应的设置", "settings by name") if named else word
    if named:
        return Text("键值", "a mapping")
    if many:
        return Text("列表", "a list")
    if get_origin(annotation) is Literal:
        values = " | ".join(map(str, get_args(annotation)))
        return Text(values, values)
    if annotation is SecretStr:
        return Text("密码", "a secret")
    word = _WORDS.get(annotation, Text("文字", "text"))
    bounds = " ".join(
        f"{sign}{_number(getattr(limit, name))}"
        for limit in field.metadata
        for name, sign in _LIMITS.items()
        if getattr(limit, name, None) is not None
    )
    return word + Text(f" {bounds}", f" {bounds}") if bounds else word


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _without_none(annotation: object) -> object:
    kept = [one for one in get_args(annotation) if one is not NoneType]
    return kept[0] if len(kept) == 1 and NoneType in get_args(annotation) else annotation


def _is_secret(field: FieldInfo) -> bool:
    def within(annotation: object) -> bool:
        return annotation is SecretStr or any(map(within, get_args(annotation)))

    return within(field.annotation)


def _default(field: FieldInfo) -> str | None:
    """How it would be written; empty for none."""
    if field.is_required():
        return None
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value == "" or isinstance(value, BaseModel) or value in ((), [], {}):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value) if isinstance(value, int | float | str) else json.dumps(value, ensure_ascii=False)
