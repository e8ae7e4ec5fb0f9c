"""The sentences of a plan: why each step is taken or not taken, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.conditions import HISTORY_WORDS, WordKind
from policies.ladders.lights import light_word
from policies.model import Light, Reason, Why
from policies.people.seats import role_title
from policies.text import Text
from policies.wording import instant_of, just_after

if TYPE_CHECKING:
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.ladders.rungs import Rung
    from policies.model import Condition, Lights, Notice, Obligation, Scalar

_RESTING = {
    Why.DONE: Text("已办结，不再提醒。", "Done: nothing more is said."),
    Why.PAUSED: Text("已中止，恢复后再计算。", "Paused: looked at again when it goes on."),
    Why.WITHDRAWN: Text(
        "案件已结束或规定不再适用，不再提醒。", "The case is closed or the rule is gone: nothing more is said."
    ),
}

_HISTORY = {
    "light": Text("灯色", "light"),
    "overdue": Text("已超法定期限", "overdue"),
    "platform_overdue": Text("已超平台期限", "past the platform limit"),
    "acknowledged": Text("已签收", "acknowledged"),
    "delivered": Text("已送达", "delivered"),
    "read": Text("已阅读", "read"),
    "acted": Text("已办理", "acted"),
    "handbacks": Text("申请退回次数", "hand-backs"),
    "transfers": Text("转办次数", "transfers"),
    "days_open": Text("已历自然日", "days open"),
    "days_left": Text("剩余工作日", "working days left"),
    "extended": Text("已延期", "extended"),
    "provisional": Text("期限暂定", "provisional"),
    "start_assumed": Text("起算时间为推定", "start assumed"),
    "repeat": Text("重复信访", "repeat"),
    "first_time": Text("初次信访", "first time"),
    "breached": Text("曾超期", "breached"),
}


def resting(why: Why, obligation: Obligation) -> Reason:
    """Nothing is said any more, or not at present."""
    return Reason(why, _RESTING[why], at=obligation.done_at)


# --- whether a step speaks --------------------------------------------------------------------------------------


def fired(rung: Rung, why: Why, missed: int) -> Reason:
    """The step speaks now."""
    if why is Why.DUE:
        return Reason(why, Text("到了本梯级的时间。", "The step's moment has come."), rung.id, rung.at)
    if not missed:
        return Reason(why, Text("补发：错过后照发。", "Caught up: said though it is late."), rung.id, rung.at)
    zh = f"补发：合并此前错过的 {missed} 个梯级，只发一次。"
    en = f"Caught up: said once for the {missed} step(s) missed before."
    return Reason(why, Text(zh, en), rung.id, rung.at)


def review(rung: Rung) -> Reason:
    """A parked case comes back."""
    text = Text("挂账案件到了复查日。", "The day has come to review the parked case.")
    return Reason(Why.REVIEW, text, rung.name, rung.at)


def missed(rung: Rung, into: datetime, calendar: Calendar) -> Reason:
    """A later step spoke for this one."""
    said = instant_of(into, calendar)
    text = Text(f"已错过，并入 {said} 的梯级。", f"Missed: folded into the step of {said}.")
    return Reason(Why.MISSED, text, rung.name, rung.at)


def skipped(rung: Rung) -> Reason:
    """The step was missed, and its rule says to leave it."""
    text = Text("已错过，按规定不再补发。", "Missed: its rule says not to send it late.")
    return Reason(Why.SKIPPED, text, rung.name, rung.at)


def not_wanted(rung: Rung, condition: Condition, found: Scalar, lights: Lights, *, under_when: bool) -> Reason:
    """A condition of the step keeps it silent."""
    said = condition_text(condition, lights)
    now = _found_text(condition, found, lights)
    zh = f"不发：条件“{said.zh}”不成立{now.zh}。" if under_when else f"不发：遇“{said.zh}”即不发{now.zh}。"
    en = f"Not said: it wants '{said.en}'{now.en}." if under_when else f"Not said: not if '{said.en}'{now.en}."
    return Reason(Why.NOT_WANTED, Text(zh, en), rung.name, rung.at)


def not_yet(rung: Rung, calendar: Calendar) -> Reason:
    """The next step, still to come."""
    said = instant_of(rung.at, calendar)
    return Reason(Why.NOT_YET, Text(f"下一梯级：{said}。", f"The next step: {said}."), rung.name, rung.at)


def was_acknowledged(rung: Rung) -> Reason:
    """Nobody has to be urged to acknowledge."""
    return Reason(Why.ACKNOWLEDGED, Text("已签收，不必催签。", "It was acknowledged."), rung.id, rung.at)


def was_acted(rung: Rung) -> Reason:
    """Something was done with the case since: nobody has to be told that nothing was."""
    return Reason(Why.ACTED, Text("已有办理记录，不必督促。", "Something was done: nobody is urged."), rung.id, rung.at)


def never_said(rung: Rung) -> Reason:
    """Nobody can have acknowledged in time what goes out only now: nobody is blamed for it."""
    text = Text("此前未能发出，谈不上逾期未签收，不催签。", "It was not sent before: nobody failed to acknowledge it.")
    return Reason(Why.MISSED, text, rung.id, rung.at)


def kept_silent(rung: Rung) -> Reason:
    """Nobody can have acknowledged what was never to be sent."""
    text = Text("该梯级当时未发，不催签。", "The step was kept silent: there is nothing to acknowledge.")
    return Reason(Why.NOT_WANTED, text, rung.id, rung.at)


def condition_text(condition: Condition, lights: Lights | None = None) -> Text:
    """A condition in words: `灯色 = red`, `申请退回次数 ≥ 2`."""
    name = _HISTORY.get(condition.field, Text(condition.field, condition.field))
    sign = "≠" if condition.negate else "="
    if condition.at_least is not None or condition.at_most is not None:
        bounds = [f"≥ {condition.at_least:g}"] if condition.at_least is not None else []
        bounds += [f"≤ {condition.at_most:g}"] if condition.at_most is not None else []
        zh, en = f"{name.zh} {'，'.join(bounds)}", f"{name.en} {', '.join(bounds)}"
        return Text(f"非（{zh}）", f"not ({en})") if condition.negate else Text(zh, en)
    values = [_value_text(value, lights) for value in condition.values]
    zh, en = "或".join(value.zh for value in values), " or ".join(value.en for value in values)
    return Text(f"{name.zh} {sign} {zh}", f"{name.en} {sign} {en}")


def _found_text(condition: Condition, found: Scalar, lights: Lights) -> Text:
    """What was found instead: said of figures and lights only, never of what stands in the case."""
    kind = HISTORY_WORDS.get(condition.field)
    if kind is None or kind is WordKind.FLAG:
        return Text("", "")
    said = _value_text(found, lights)
    return Text(f"（现为{said.zh}）", f" (it is {said.en})")


def _value_text(value: Scalar, lights: Lights | None) -> Text:
    if isinstance(value, bool):
        return Text("是", "yes") if value else Text("否", "no")
    if value is None:
        return Text("（空）", "(empty)")
    if isinstance(value, str) and value in set(Light):
        return light_word(Light(value), lights)
    return Text(str(value), str(value))


# --- who is told, and how ---------------------------------------------------------------------------------------


def same_person(step: str, role: str, person: str, at: datetime) -> Reason:
    """He gets it in another role already."""
    title = role_title(role)
    zh, en = f"{person} 同时是{title.zh}，只发一次。", f"{person} is {title.en} as well: told once."
    return Reason(Why.SAME_PERSON, Text(zh, en), step, at, person)


def no_address(step: str, person: str, channel: str, at: datetime) -> Reason:
    """One of several channels does not reach him."""
    zh = f"{person} 没有登记 {channel} 地址，改用其他通道。"
    en = f"{person} has no address for {channel}; the other channels are used."
    return Reason(Why.UNREACHABLE, Text(zh, en), step, at, person)


def preferred(step: str, person: str, channel: str, at: datetime) -> Reason:
    """He gets it over the channel he chose."""
    zh, en = (
        f"{person} 选择由 {channel} 接收，发不到再用其他通道。",
        f"{person} chose {channel}; the others if it fails.",
    )
    return Reason(Why.PREFERENCE, Text(zh, en), step, at, person)


def held(step: str, until: datetime, calendar: Calendar, at: datetime) -> Reason:
    """It waits for the end of the quiet hours."""
    said = instant_of(until, calendar)
    text = Text(f"免打扰时段，{said} 再发。", f"Quiet hours: it goes out at {said}.")
    return Reason(Why.QUIET, text, step, at)


def gathered(step: str, until: datetime, calendar: Calendar, at: datetime) -> Reason:
    """It waits for the hour at which messages to one person leave as one."""
    said = instant_of(until, calendar)
    text = Text(f"不急，并入 {said} 的汇总。", f"It may wait: it goes into the digest of {said}.")
    return Reason(Why.GATHERED, text, step, at)


def woke(step: str, basis: str, at: datetime) -> Reason:
    """It passes the quiet hours, on a basis."""
    text = Text(f"免打扰时段照发，依据：{basis}。", f"Sent in the quiet hours, on the basis: {basis}.")
    return Reason(Why.QUIET, text, step, at)


def waits_for_release(step: str, role: str, person: str, at: datetime) -> Reason:
    """It goes above the leader the policy names."""
    title = role_title(role)
    zh = f"发给{title.zh} {person} 的须经人工核发后发出。"
    en = f"What goes to the {title.en} {person} waits until somebody releases it."
    return Reason(Why.RELEASE, Text(zh, en), step, at, person)


def handed_over(planned: Notice, now: datetime) -> Reason:
    """Somebody else is in that role by now."""
    title = role_title(planned.role)
    zh = f"发出前{title.zh}已不是 {planned.person}，改发给现任。"
    en = f"{planned.person} was no longer the {title.en} when it was to go out: the present one is told."
    return Reason(Why.MOVED, Text(zh, en), planned.step, now, planned.person)


def recused_since(planned: Notice, now: datetime) -> Reason:
    """The one it was meant for must not hear of the case any more."""
    zh = f"发出前 {planned.person} 已回避，不再发给本人，转报上一级。"
    en = f"{planned.person} was recused before it went out: the next one up is told."
    return Reason(Why.RECUSED, Text(zh, en), planned.step, now, planned.person)


def undelivered(failed: Notice, now: datetime) -> Reason:
    """It goes to the next person up."""
    title = role_title(failed.role)
    zh = f"发给{title.zh} {failed.person} 的 {failed.channel} 未能送达，转报上一级。"
    en = f"The {failed.channel} to the {title.en} {failed.person} was not delivered: the next one up is told."
    return Reason(Why.UNDELIVERED, Text(zh, en), failed.step, now, failed.person)


def other_channel(failed: Notice, channel: str, now: datetime) -> Reason:
    """It goes to the same person over the next channel."""
    title = role_title(failed.role)
    zh = f"发给{title.zh} {failed.person} 的 {failed.channel} 未能送达，改用 {channel}。"
    en = f"The {failed.channel} to the {title.en} {failed.person} was not delivered: {channel} is tried."
    return Reason(Why.UNDELIVERED, Text(zh, en), failed.step, now, failed.person)


# --- restricted cases -------------------------------------------------------------------------------------------


def restricted(step: str, at: datetime) -> Reason:
    """Nothing goes to the general chain."""
    zh = "限制知悉的案件，不走一般上级链，不发通知。"
    en = "A restricted case: nothing goes to the general chain of command."
    return Reason(Why.RESTRICTED, Text(zh, en), step, at)


def restricted_told(step: str, at: datetime) -> Reason:
    """Only those on the list are told, without content."""
    zh = "限制知悉的案件，只通知名单内人员，不含案情。"
    en = "A restricted case: only those on the list are told, and nothing of what it is about."
    return Reason(Why.RESTRICTED, Text(zh, en), step, at)


def restricted_nobody(step: str, at: datetime) -> Reason:
    """Nobody on the list can be reached, and nobody else may hear of it."""
    zh = "限制知悉名单内无人可以通知，也不得通知其他人。"
    en = "Nobody on the list of a restricted case can be reached, and nobody else may be told."
    return Reason(Why.NOBODY, Text(zh, en), step, at)


def restricted_passed_over(step: str, person: str, why: Why, at: datetime) -> Reason:
    """One of the list is passed over: recused, gone, or without an address."""
    zh, en = {
        Why.RECUSED: ("应当回避", "is recused"),
        Why.VACANT: ("不在人员名录中，或已不在岗", "is not in the directory, or no longer in office"),
    }.get(why, ("没有登记可用的号码或邮箱", "has no address of the kind wanted"))
    return Reason(why, Text(f"{person} {zh}。", f"{person} {en}."), step, at, person)


# --- shirking ---------------------------------------------------------------------------------------------------


def shirking(step: str, number: int, allowed: int, at: datetime) -> Reason:
    """Handed back more often than the policy allows."""
    zh = f"已申请退回 {number} 次，超过允许的 {allowed} 次（推诿）。"
    en = f"Handed back {number} times, {allowed} allowed (shirking)."
    return Reason(Why.SHIRKING, Text(zh, en), step, at)


def shirking_folded(step: str, into: str, at: datetime) -> Reason:
    """A further hand-back came before anybody looked: that one is told of."""
    return Reason(Why.MISSED, Text(f"并入 {into}。", f"Folded into {into}."), step, at)


# --- lights, breaches, the end ----------------------------------------------------------------------------------


def light_changed(before: Light | None, after: Light, lights: Lights, now: datetime) -> Reason:
    """The light is another than at the last look."""
    word = light_word(after, lights)
    if before is None:
        return Reason(Why.LIGHT, Text(f"当前{word.zh}。", f"The light is {word.en}."), at=now)
    was = light_word(before, lights)
    zh, en = f"由{was.zh}变为{word.zh}。", f"The light changed from {was.en} to {word.en}."
    return Reason(Why.LIGHT, Text(zh, en), at=now)


def breach(obligation: Obligation, *, done: bool) -> Reason:
    """The legal limit passed."""
    text = Text("已超过法定期限。", "The legal limit has passed.")
    if done:
        text = Text("办结时已超过法定期限。", "It was done after the legal limit.")
    return Reason(Why.BREACH, text, at=just_after(obligation.legal_due_at))


def platform_breach(platform_due_at: datetime, *, done: bool) -> Reason:
    """The platform's limit passed; that is no breach of the law."""
    text = Text("已超过平台期限。", "The platform's limit has passed.")
    if done:
        text = Text("办结时已超过平台期限。", "It was done after the platform's limit.")
    return Reason(Why.PLATFORM_BREACH, text, at=just_after(platform_due_at))


def end_of_ladder(now: datetime) -> Reason:
    """Nothing is left to say."""
    return Reason(Why.END_OF_LADDER, Text("阶梯已走完。", "The ladder has come to its end."), at=now)
