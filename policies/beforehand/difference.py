"""What one version of the policies says otherwise than another, in words: limits, lengths, steps, recipients, lights.

Steps carry numbers, not names: they are matched by what they say, so that a step put in between is one added step and
not a change of all that follow.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import time
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, cast

from policies.duration import SAME_DAY, Duration, Moment, format_duration, format_moment, limit_words
from policies.model import Acknowledge, Condition, Repeat, Step, Via
from policies.people.seats import role_title
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from policies.model import Ladder, Limit, Policy, PolicySet


class Kind(StrEnum):
    """How something differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is said otherwise: in which policy, about what, how, and in words."""

    policy: str
    about: str  # policy | limit | ladder | step | template
    name: str  # of the limit, ladder, step or template; empty for the policy itself
    kind: Kind
    text: Text


WORDS: dict[str, Text] = {
    "acknowledge": Text("签收要求", "acknowledgement"),
    "after_close": Text("案件关闭后仍计时", "runs on after the case is closed"),
    "applies_to": Text("适用于", "applies to"),
    "approved_by": Text("批准人", "approved by"),
    "area": Text("属地", "area"),
    "at": Text("时刻", "moment"),
    "at_least": Text("至少", "at least"),
    "at_most": Text("至多", "at most"),
    "basis": Text("依据", "basis"),
    "calendar": Text("日历", "calendar"),
    "catch_up": Text("错过后", "catch-up"),
    "cc": Text("抄送", "copies to"),
    "chain": Text("上级链", "chain"),
    "counted_from": Text("延期起算", "extension counted from"),
    "cutoff": Text("截止时刻", "cut-off"),
    "choice": Text("由本人选择", "left to choose"),
    "dark": Text("只试运行、不发送", "dark"),
    "digest": Text("汇总", "digest"),
    "done": Text("办结节点", "done"),
    "enabled": Text("启用", "enabled"),
    "every": Text("每", "every"),
    "excludes": Text("扣除", "excludes"),
    "extension": Text("延期", "extension"),
    "first_handler": Text("首办责任人", "first handler"),
    "freeze_at": Text("确定于", "frozen at"),
    "handbacks_allowed": Text("允许退回次数", "hand-backs allowed"),
    "in_doubt": Text("结果不明时", "when in doubt"),
    "inherit": Text("重复信访回到首办", "a repeated case goes back to the first handler"),
    "issue": Text("文书", "document"),
    "ladder": Text("阶梯", "ladder"),
    "legs": Text("上级线", "legs"),
    "lights": Text("灯色", "lights"),
    "may_wake": Text("免打扰时段仍发的依据", "basis for passing quiet hours"),
    "named": Text("由案件写明的角色", "roles the case names"),
    "or_within": Text("或期限", "or within"),
    "orange": Text("橙灯", "orange"),
    "otherwise": Text("未签收转告", "otherwise told"),
    "pause": Text("中止", "pause"),
    "per_holder": Text("按承办单位分别计时", "a clock per holder"),
    "petitioner_told": Text("须告知信访人", "petitioner told"),
    "place": Text("属地字段", "place"),
    "platform_due": Text("平台期限", "platform limit"),
    "quiet": Text("免打扰", "quiet hours"),
    "recipients": Text("收件人", "recipients"),
    "recur": Text("重复期限", "recurrence"),
    "release_above": Text("核发界限", "release above"),
    "repeat": Text("重复", "repeat"),
    "restricted": Text("限制知悉", "restricted"),
    "roles": Text("角色名称", "titles of roles"),
    "roll": Text("顺延", "roll"),
    "say": Text("模板", "template"),
    "set_by": Text("由节点指定", "set by"),
    "shirking_to": Text("推诿报告", "shirking told to"),
    "start": Text("起算", "start"),
    "stays_informed": Text("转办后仍知悉", "stays informed from"),
    "times": Text("次数", "times"),
    "title": Text("名称", "title"),
    "titles": Text("叫法", "names"),
    "to": Text("收件人", "to"),
    "unless": Text("除非", "unless"),
    "until": Text("直到", "until"),
    "up_to": Text("至多", "up to"),
    "via": Text("通道", "channels"),
    "when": Text("条件", "when"),
    "within": Text("期限", "length"),
    "yellow": Text("黄灯", "yellow"),
}
_NOTHING = Text("无", "none")
_ROLES = frozenset({"to", "cc", "otherwise", "approved_by", "chain", "shirking_to", "release_above"})
_TOLD_APART = frozenset({"id", "limits", "ladders", "steps"})


def difference(old: PolicySet, new: PolicySet) -> tuple[Difference, ...]:
    """Everything the new version says otherwise, policy by policy; nothing if only comments or order changed."""
    found: list[Difference] = []
    for name in sorted({*old.policies, *new.policies}):
        before, after = old.policies.get(name), new.policies.get(name)
        if before is None or after is None:
            one = after or before
            assert one is not None  # noqa: S101 - the name is from one of the two
            found.append(_whole(name, "policy", "", one.title, added=before is None))
        else:
            found.extend(_of_policy(before, after))
    return tuple(found)


def _of_policy(old: Policy, new: Policy) -> Iterator[Difference]:
    titles = {**old.roles, **new.roles}
    about = Text(f"策略“{new.title}”", f"policy {new.id}")
    yield from _changes(new.id, "policy", "", about, old, new, titles)
    before, after = {one.id: one for one in old.limits}, {one.id: one for one in new.limits}
    for name in dict.fromkeys([*before, *after]):
        yield from _of_limit(new.id, name, before.get(name), after.get(name), titles)
    for name in dict.fromkeys([*old.ladders, *new.ladders]):
        yield from _of_ladder(new.id, name, old.ladders.get(name), new.ladders.get(name), titles)
    for say in sorted(_templates(new) - _templates(old)):
        yield _whole(new.id, "template", say, say, added=True)
    for say in sorted(_templates(old) - _templates(new)):
        yield _whole(new.id, "template", say, say, added=False)


def _templates(policy: Policy) -> set[str]:
    return {step.say for ladder in policy.ladders.values() for step in ladder.steps}


def _of_limit(
    policy: str, name: str, old: Limit | None, new: Limit | None, titles: dict[str, str]
) -> Iterator[Difference]:
    if old is None or new is None:
        one = new or old
        yield _whole(policy, "limit", name, one.title if one else name, added=old is None)
        return
    yield from _changes(policy, "limit", name, Text(f"时限“{new.title}”", f"limit {name}"), old, new, titles)


def _of_ladder(
    policy: str, name: str, old: Ladder | None, new: Ladder | None, titles: dict[str, str]
) -> Iterator[Difference]:
    if old is None or new is None:
        yield _whole(policy, "ladder", name, name, added=old is None)
        return
    about = Text(f"阶梯“{new.title or name}”", f"ladder {name}")
    yield from _changes(policy, "ladder", name, about, old, new, titles)
    for before, after in _matched(old.steps, new.steps):
        yield from _of_step(policy, about, before, after, titles)


def _of_step(
    policy: str, ladder: Text, old: Step | None, new: Step | None, titles: dict[str, str]
) -> Iterator[Difference]:
    one = new or old
    if one is None:
        return
    moment = Text(format_moment(one.at, "zh"), format_moment(one.at, "en"))
    about = Text(f"{ladder.zh}梯级“{one.say}”（{moment.zh}）", f"{ladder.en}, step {one.say} ({moment.en})")
    if old is None or new is None:
        to = _shown(one.to, "to", titles)
        words = ("新增", "added") if old is None else ("删除", "removed")
        text = Text(f"{words[0]}{about.zh}，发给{to.zh}", f"{words[1]}: {about.en}, to {to.en}")
        yield Difference(policy, "step", one.id, Kind.ADDED if old is None else Kind.REMOVED, text)
        return
    yield from _changes(policy, "step", new.id, about, old, new, titles)


def _matched(old: Sequence[Step], new: Sequence[Step]) -> list[tuple[Step | None, Step | None]]:
    """Steps of the two ladders side by side: the same ones first, then those of one moment, then of one text."""
    left, pairs = list(old), dict[int, Step]()
    for likeness in (_content, _moment, _message):
        for number, step in enumerate(new):
            if number in pairs:
                continue
            twin = next((one for one in left if likeness(one) == likeness(step)), None)
            if twin is not None:
                left.remove(twin)
                pairs[number] = twin
    return [*((pairs.get(number), step) for number, step in enumerate(new)), *((one, None) for one in left)]


def _content(step: Step) -> object:
    return replace(step, id="")


def _moment(step: Step) -> object:
    return step.at, step.say


def _message(step: Step) -> object:
    return step.say, step.to


def _changes(
    policy: str, about: str, name: str, words: Text, old: object, new: object, titles: dict[str, str]
) -> Iterator[Difference]:
    """One difference for each field that is not told apart."""
    for each in _fields(new):
        if each in _TOLD_APART or getattr(old, each) == getattr(new, each):
            continue
        field = WORDS.get(each, Text(each, each))
        before, after = (_shown(getattr(one, each), each, titles) for one in (old, new))
        text = Text(
            f"{words.zh}：{field.zh}由“{before.zh}”改为“{after.zh}”",
            f"{words.en}: {field.en} was {before.en}, is {after.en}",
        )
        yield Difference(policy, about, name, Kind.CHANGED, text)


def _whole(policy: str, about: str, name: str, title: str, *, added: bool) -> Difference:
    noun = _NOUNS[about]
    zh, en = ("新增", "added") if added else ("删除", "removed")
    text = Text(f"{zh}{noun.zh}“{title}”", f"{en}: {noun.en} {name or policy}")
    return Difference(policy, about, name, Kind.ADDED if added else Kind.REMOVED, text)


_NOUNS = {
    "policy": Text("策略", "policy"),
    "limit": Text("时限", "limit"),
    "ladder": Text("阶梯", "ladder"),
    "template": Text("模板", "template"),
}


# --- values in words ----------------------------------------------------------------------------------------


def _fields(value: object) -> list[str]:
    return [one.name for one in fields(value)] if is_dataclass(value) else []


def _shown(value: object, field: str, titles: dict[str, str]) -> Text:
    """A value of a policy as an office would say it."""
    if value is None or value in ("", ()) or value == {}:
        return _NOTHING
    if isinstance(value, tuple):
        listed = cast("tuple[object, ...]", value)
        return _joined([_shown(one, field, titles) for one in listed], "、", ", ")
    if isinstance(value, dict):
        entries = sorted(cast("dict[str, str]", value).items())
        return _joined([Text(f"{key} {one}", f"{key} {one}") for key, one in entries], "、", ", ")
    return _written(value, titles) or _plain(value, field, titles)


def _plain(value: object, field: str, titles: dict[str, str]) -> Text:
    if isinstance(value, bool):
        return Text("是", "yes") if value else Text("否", "no")
    if is_dataclass(value):
        return _parts(value, titles)
    if isinstance(value, str) and field in _ROLES:
        title = role_title(value)
        return Text(titles.get(value, title.zh), title.en)
    return Text(str(value), str(value))


def _written(value: object, titles: dict[str, str]) -> Text | None:
    """What has a way of writing of its own."""
    told: Text | None = None
    match value:
        case Duration():
            told = _duration(value)
        case Moment():
            told = Text(format_moment(value, "zh"), format_moment(value, "en"))
        case Condition():
            told = _condition(value, titles)
        case Via():
            told = _via(value)
        case Repeat(every=every, times=times):
            length = _duration(every)
            told = Text(f"每 {length.zh}，最多再 {times} 次", f"every {length.en} up to {times} more times")
        case Acknowledge(within=within, otherwise=otherwise, then=then):
            length, others = _duration(within), _shown(otherwise, "to", titles)
            told = Text(f"{length.zh}内签收，否则告知{others.zh}", f"within {length.en}, else {others.en}")
            if then is not None:
                length, others = _duration(then.within), _shown(then.otherwise, "to", titles)
                told += Text(
                    f"；签收后 {length.zh}内办理，否则告知{others.zh}",
                    f"; then act within {length.en}, else {others.en}",
                )
        case time():
            told = Text(f"{value:%H:%M}", f"{value:%H:%M}")
        case Enum():
            told = Text(str(value.value), str(value.value))
        case _:
            pass
    return told


def _parts(value: object, titles: dict[str, str]) -> Text:
    told = [
        Text(f"{word.zh} {said.zh}", f"{word.en} {said.en}")
        for name in _fields(value)
        if (said := _shown(getattr(value, name), name, titles)) is not _NOTHING
        for word in (WORDS.get(name, Text(name, name)),)
    ]
    return _joined(told, "，", ", ")


def _joined(texts: Sequence[Text], zh: str, en: str) -> Text:
    return Text(zh.join(one.zh for one in texts), en.join(one.en for one in texts))


def _duration(value: Duration) -> Text:
    if value == SAME_DAY:
        return limit_words(value)
    if not value.amount:
        return Text("未设", "not set")
    return Text(format_duration(value, "zh"), format_duration(value, "en"))


def _condition(value: Condition, titles: dict[str, str]) -> Text:
    if value.at_least is not None or value.at_most is not None:
        low = "" if value.at_least is None else f" ≥ {value.at_least:g}"
        high = "" if value.at_most is None else f" ≤ {value.at_most:g}"
        return Text(f"{value.field}{low}{high}", f"{value.field}{low}{high}")
    values = _shown(value.values, "", titles)
    sign = "≠" if value.negate else "="
    return Text(f"{value.field} {sign} {values.zh}", f"{value.field} {sign} {values.en}")


def _via(value: Via) -> Text:
    names = [_CHANNELS.get(one, Text(one, one)) for one in value.channels]
    if not value.in_order:
        return _joined(names, "、", ", ")
    told = _joined(names, "，不通再", ", then ")
    if value.wait is None:
        return told
    wait = _duration(value.wait)
    return Text(f"{told.zh}（等 {wait.zh}）", f"{told.en} (after {wait.en})")


_CHANNELS = {"sms": Text("短信", "SMS"), "email": Text("邮件", "email")}
