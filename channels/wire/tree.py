"""What stands where in the JSON of a provider, which may have any shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping


def inner(tree: object, *steps: str | int) -> Any:  # noqa: ANN401  # whatever the provider put there
    """What stands at this place of an answer; None where the answer has another shape."""
    for step in steps:
        if isinstance(tree, dict) and isinstance(step, str):
            tree = cast("dict[str, object]", tree).get(step)
        elif isinstance(tree, list) and isinstance(step, int) and step < len(cast("list[object]", tree)):
            tree = cast("list[object]", tree)[step]
        else:
            return None
    return tree


def objects(tree: object) -> list[dict[str, Any]]:
    """The objects of a list, nothing else; empty if it is no list."""
    if not isinstance(tree, list):
        return []
    return [cast("dict[str, Any]", one) for one in cast("list[object]", tree) if isinstance(one, dict)]


def text_at(said: Mapping[str, Any], name: str) -> str:
    """A text or a number as text; empty if it is neither, or not there."""
    value = said.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def word(value: object) -> str:
    """A value of an answer as text; empty for nothing."""
    return "" if value is None else str(value)
