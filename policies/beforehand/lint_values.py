"""Values that a condition asks for and no case ever has: `kind: 举报` where the codes are read as 投诉 and 咨询."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.conditions import fits
from policies.errors import Problem
from policies.spelling import suggestion, wide_mark
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policies.errors import KeyPath
    from policies.model import Condition, Policy, Scalar


def values_nobody_has(policy: Policy, codes: Mapping[str, Mapping[str, Scalar]]) -> Iterator[Problem]:
    """What the conditions of a policy ask for and the mapping of the shared database never yields.

    A code the mapping does not list is read as it is: a value that may be such a code is not questioned.
    """
    for path, condition in _conditions(policy):
        for value in condition.values:
            if isinstance(value, bool) or not isinstance(value, str | int):
                continue
            said = _never(condition.field, str(value), codes.get(condition.field, {}))
            if said is not None:
                yield Problem((*path, condition.field), *said)


def _never(field: str, value: str, codes: Mapping[str, Scalar]) -> tuple[Text, Text | None] | None:
    read = [word for word in codes.values() if word is not None]
    if any(fits(word, value) for word in read):
        return None
    if value in codes:
        word = codes[value]
        zh, en = f"代码“{value}”读进来已是“{word}”，永远不会等于“{value}”", f'the code "{value}" is read as "{word}"'
        return Text(zh, f"{en} and never equals itself"), Text(f"应写“{word}”", f'write "{word}"')
    mark = wide_mark(value)
    if not read or value.isascii():
        return None if mark is None else (_oddly(field, value), mark)
    words = sorted({str(word) for word in read})
    known = Text(f"译出的值有：{'、'.join(words)}", f"known are: {', '.join(words)}")
    return _oddly(field, value), mark or suggestion(value, words) or known


def _oddly(field: str, value: str) -> Text:
    return Text(
        f"字段“{field}”多半不会有“{value}”这个值，这个条件就永远不满足",
        f'"{field}" will hardly ever be "{value}": the condition never holds',
    )


def _conditions(policy: Policy) -> Iterator[tuple[KeyPath, Condition]]:
    yield from ((("applies_to",), one) for one in policy.applies_to)
    for limit in policy.limits:
        yield from ((("limits", limit.id, "applies_to"), one) for one in limit.applies_to)
    for ladder in policy.ladders.values():
        for index, step in enumerate(ladder.steps):
            path: KeyPath = ("ladders", ladder.id, "steps", index)
            yield from (((*path, "when"), one) for one in step.when)
            yield from (((*path, "unless"), one) for one in step.unless)
