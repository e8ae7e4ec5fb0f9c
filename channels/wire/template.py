"""Placeholders in the description of a gateway: `{to}`, `{text}`; `{{` and `}}` stand for the braces themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from channels.base import PermanentFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue

PARAMETER = "param."  # `{param.name}` is one of the message's structured values

CALLBACKS = frozenset({"callback", "callback_escaped"})  # where the gateway reaches us; the second percent-encoded

# at_… is the instant the message was decided, now_… the one the request is made at (gateways check it)
WORDS = frozenset(
    {
        *CALLBACKS,
        *("to", "to_name", "text", "subject", "key", "reference", "possible_duplicate", "nonce"),
        *(f"{which}_{form}" for which in ("at", "now") for form in ("iso", "unix", "ms", "compact", "http")),
    }
)

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def names_in(template: str) -> list[str]:
    """The names of the placeholders in it."""
    return [found[1] for found in _PLACEHOLDER.finditer(template) if found[1] is not None]


def fill(template: str, values: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """The template with its placeholders replaced; nothing in a value is taken for a placeholder.

    Raises:
        PermanentFailure: the message lacks a structured value the template needs.
    """

    def one(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0][0]
        if name not in values:
            raise PermanentFailure("missing_value", f"the message has no {name}")
        return escape(values[name])

    return _PLACEHOLDER.sub(one, template)


def fill_url(template: str, values: Mapping[str, str]) -> str:
    """The same for an address: values are percent-encoded, so that they stay where they are put."""
    return fill(template, values, lambda value: quote(value, safe=""))


def fill_tree(tree: JsonValue, values: Mapping[str, str]) -> JsonValue:
    """The same for every text in a structure; its keys stay as they are."""
    if isinstance(tree, str):
        return fill(tree, values)
    if isinstance(tree, dict):
        return {name: fill_tree(inner, values) for name, inner in tree.items()}
    if isinstance(tree, list):
        return [fill_tree(inner, values) for inner in tree]
    return tree
