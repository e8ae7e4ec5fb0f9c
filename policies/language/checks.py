"""What one part of a policy file cannot see alone: names used twice, limits in a circle, milestones nobody maps.

Works on the tree as it was written, so that these mistakes are told together with those of the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from policies.complaints import Mistake, shown
from policies.duration import DurationError, Moment, parse_moment
from policies.errors import Problem
from policies.ladders.quiet import is_quiet
from policies.language.lengths import time_of_day
from policies.language.parts import CHAIN
from policies.language.steps import step_ids
from policies.language.words import ANCHORS, PERSONAL_ROLES, ROLES, Names, items, meant_or_known
from policies.model import QuietHours
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import time

    from policies.errors import KeyPath
    from policies.language.words import KnownNames

TERRITORIAL = "territorial"


def names_of(tree: object, known: KnownNames) -> Names:
    """What the file itself defines, read as far as it can be."""
    limits = {name: _at(tree, "limits", name, "enabled") is not False for name in _keys(_at(tree, "limits"))}
    ids = {ladder: _ids_of(_at(tree, "ladders", ladder, "steps")) for ladder in _keys(_at(tree, "ladders"))}
    chain = items(_at(tree, "chain") or list(CHAIN))
    return Names(
        known=known,
        ladders=frozenset(ids),
        roles=frozenset({*ROLES, *known.roles, *_keys(_at(tree, "roles"))}),
        limits=limits,
        steps={limit: ids.get(_text(_at(tree, "limits", limit, "ladder"))) for limit in limits},
        chain=tuple(role for role in chain if isinstance(role, str)),
        persons=frozenset(str(person) for person in items(_at(tree, "restricted", "recipients"))),
        appointed=frozenset(_appointed(tree)),
        named={
            role: field for role in _keys(_at(tree, "roles")) if (field := _text(_at(tree, "roles", role, "field")))
        },
    )


def _appointed(tree: object) -> Iterator[str]:
    """The milestones that hold an end themselves: as `appointed_in` reads them off the policy."""
    for limit in _keys(_at(tree, "limits")):
        yield from (name for name in items(_at(tree, "limits", limit, "within", "set_by")) if isinstance(name, str))
        for written in items(_at(tree, "limits", limit, "platform_due")):
            moment = _moment(written)
            if moment is not None and moment.offset is None:
                yield moment.anchor


def across_parts(tree: object, known: KnownNames) -> Iterator[Problem]:
    """Every mistake of one file that lies between its parts."""
    yield from _steps_named_twice(tree)
    yield from _tests_named_twice(tree)
    yield from _limits_in_a_circle(tree)
    yield from _set_ends_that_come_again(tree)
    yield from _milestones_nobody_maps(tree, known)
    yield from _place_nobody_maps(tree, known)
    yield from _digests_in_quiet_hours(tree)


def policies_named_twice(trees: Mapping[str, object]) -> Iterator[Problem]:
    """The same policy name in two files."""
    first: dict[str, str] = {}
    for name in sorted(trees):
        policy = _at(trees[name], "policy")
        if not isinstance(policy, str):
            continue
        if policy in first:
            yield Problem(
                (name, "policy"),
                Text(
                    f"策略名“{policy}”已在 {first[policy]} 里用过，每个策略名只能用一次",
                    f'the policy name "{policy}" is already used in {first[policy]}; each can be used once',
                ),
            )
        first.setdefault(policy, name)


def _set_ends_that_come_again(tree: object) -> Iterator[Problem]:
    """An end set for the single case comes once: what comes again needs a length."""
    for name in _keys(_at(tree, "limits")):
        if _at(tree, "limits", name, "within", "set_by") is None or _at(tree, "limits", name, "recur") is None:
            continue
        zh = "每案各自指定的期限（within: {set_by: …}）只有一次，不能再按周期重来，应去掉 recur 或写长度"
        en = "an end set for each case (within: {set_by: …}) comes once only: leave out recur, or write a length"
        yield Problem(("limits", name, "recur"), Text(zh, en))


def _digests_in_quiet_hours(tree: object) -> Iterator[Problem]:
    """An hour of the digest at which nothing may go out."""
    start, end = _clock(_at(tree, "quiet_hours", "from")), _clock(_at(tree, "quiet_hours", "to"))
    if start is None or end is None:
        return
    for index, written in enumerate(_list(_at(tree, "digest", "at"))):
        hour = _clock(written)
        if hour is not None and is_quiet(QuietHours(start, end), hour):
            zh = f"{hour:%H:%M} 在免打扰时间 {start:%H:%M} 至 {end:%H:%M} 里，那时不发消息；应写在免打扰以外"
            en = f"{hour:%H:%M} lies in the quiet hours {start:%H:%M} to {end:%H:%M}; write an hour outside them"
            yield Problem(("digest", "at", index), Text(zh, en))


# --- names used twice -----------------------------------------------------------------------------------------


def _steps_named_twice(tree: object) -> Iterator[Problem]:
    for ladder in _keys(_at(tree, "ladders")):
        seen: dict[str, int] = {}
        for index, step in enumerate(_list(_at(tree, "ladders", ladder, "steps"))):
            step_id = _at(step, "id")
            if isinstance(step_id, str) and step_id in seen:
                path: KeyPath = ("ladders", ladder, "steps", index, "id")
                number = seen[step_id] + 1
                yield Problem(
                    path,
                    Text(
                        f"梯级名“{step_id}”与第 {number} 个梯级相同，同一阶梯里应各不相同",
                        f'the step id "{step_id}" is also that of step {number}; within a ladder each must differ',
                    ),
                )
            elif isinstance(step_id, str):
                seen[step_id] = index


def _tests_named_twice(tree: object) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, trial in enumerate(_list(_at(tree, "tests"))):
        name = _at(trial, "name")
        if not isinstance(name, str):
            continue
        if name in seen:
            number = seen[name] + 1
            yield Problem(
                ("tests", index, "name"),
                Text(
                    f"“{name}”与第 {number} 个测试同名，应各不相同",
                    f'"{name}" is also the name of test {number}; each must differ',
                ),
            )
        seen.setdefault(name, index)


# --- limits that follow one another -----------------------------------------------------------------------------


def _limits_in_a_circle(tree: object) -> Iterator[Problem]:
    """A limit that waits for itself would never begin; each circle is told once, at the limit written first."""
    follows = {limit: list(_followed(tree, limit)) for limit in _keys(_at(tree, "limits"))}
    told: set[str] = set()
    for limit in follows:
        circle = _circle_from(limit, follows)
        if not circle or told & set(circle):
            continue
        told |= set(circle)
        way = [*circle, limit]
        yield Problem(
            ("limits", limit, "start"),
            Text(
                f"时限互相等待，谁也不会开始：{' → '.join(way)}；请把其中一个的 start 改成节点时间",
                f"these limits wait for each other and none would begin: {' -> '.join(way)}; "
                "let one of them start at a milestone",
            ),
        )


def _followed(tree: object, limit: str) -> Iterator[str]:
    for start in items(_at(tree, "limits", limit, "start")):
        name, dot, _ = start.rpartition(".") if isinstance(start, str) else ("", "", "")
        if dot:
            yield name


def _circle_from(limit: str, follows: Mapping[str, list[str]]) -> list[str]:
    """The way from the limit back to itself, without its end; empty if there is none."""
    ways: list[list[str]] = [[limit]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for following in follows.get(way[-1], ()):
            if following == limit:
                return way
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []


# --- milestones and fields the office does not have -------------------------------------------------------------


def _milestones_nobody_maps(tree: object, known: KnownNames) -> Iterator[Problem]:
    """Moments that hang on a milestone; ladders of limits that are all switched off may name what is not there."""
    if known.milestones is None:
        return
    for ladder in sorted(_ladders_in_use(tree)):
        for index, step in enumerate(_list(_at(tree, "ladders", ladder, "steps"))):
            moment = _moment(_at(step, "at"))
            if moment is None or moment.anchor in (*ANCHORS, *known.milestones) or not moment.anchor.endswith("_at"):
                continue
            found = shown(moment.anchor)
            yield Problem(
                ("ladders", ladder, "steps", index, "at"),
                Text(f"没有名为{found.zh}的节点时间", f"there is no milestone named {found.en}"),
                meant_or_known(moment.anchor, {*ANCHORS, *known.milestones}),
            )


def _ladders_in_use(tree: object) -> set[str]:
    """All but those whose limits are all switched off."""
    limits = {name: _at(tree, "limits", name) for name in _keys(_at(tree, "limits"))}
    users = [(_text(_at(limit, "ladder")), _at(limit, "enabled") is not False) for limit in limits.values()]
    off = {ladder for ladder, _ in users} - {ladder for ladder, enabled in users if enabled}
    return set(_keys(_at(tree, "ladders"))) - off


def _place_nobody_maps(tree: object, known: KnownNames) -> Iterator[Problem]:
    """The territorial leg begins at the field `place`; unless it is written, the case must have one of that name."""
    if known.fields is None or "place" in known.fields or "place" in _keys(tree):
        return
    if TERRITORIAL in items(_at(tree, "legs")) or any(_territorial(role) for role in _recipients(tree)):
        yield Problem(
            ("place",),
            Text(
                "走属地（territorial）要知道案件属于哪个地方：请写 place: 字段名；案件没有名为“place”的字段",
                "the territorial leg needs the place of the case: write place: <field>; cases have no field "
                'named "place"',
            ),
            Text(f"可写的有：{'、'.join(sorted(known.fields))}", f"known are: {', '.join(sorted(known.fields))}"),
        )


def _recipients(tree: object) -> Iterator[object]:
    yield from items(_at(tree, "first_handler", "shirking_to"))
    for ladder in _keys(_at(tree, "ladders")):
        for step in _list(_at(tree, "ladders", ladder, "steps")):
            asked = _at(step, "acknowledge")
            for written in (_at(step, "to"), _at(step, "cc"), _at(asked, "else"), _at(asked, "then", "else")):
                yield from items(written)


def _territorial(role: object) -> bool:
    plain, _, leg = role.partition("@") if isinstance(role, str) else ("", "", "")
    return leg == TERRITORIAL and plain not in PERSONAL_ROLES


# --- the tree as it was written -----------------------------------------------------------------------------------


def _at(tree: object, *path: str) -> Any:  # noqa: ANN401 - unchecked YAML
    node = tree
    for key in path:
        node = cast("dict[str, object]", node).get(key) if isinstance(node, dict) else None
    return node


def _keys(node: object) -> list[str]:
    return list(cast("dict[str, object]", node)) if isinstance(node, dict) else []


def _list(node: object) -> list[object]:
    return cast("list[object]", node) if isinstance(node, list) else []


def _text(node: object) -> str:
    return node if isinstance(node, str) else ""


def _clock(written: object) -> time | None:
    try:
        return time_of_day(written)
    except Mistake:
        return None


def _moment(written: object) -> Moment | None:
    try:
        return parse_moment(written) if isinstance(written, str) else None
    except DurationError:
        return None


def _ids_of(steps: object) -> frozenset[str] | None:
    """The ids of a ladder's steps; None if one of them cannot be known."""
    named: list[tuple[str | None, Moment]] = []
    for step in _list(steps):
        moment, written = _moment(_at(step, "at")), _at(step, "id")
        if moment is None or not isinstance(written, str | None):
            return None
        named.append((written, moment))
    return frozenset(step_ids(named))
