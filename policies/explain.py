"""The sentences that explain a count, an obligation, a ladder and a plan; the same ones on every screen and in logs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from policies.duration import limit_words
from policies.ladders.lights import light_word
from policies.ladders.rungs import signed_for, timeline
from policies.ladders.sentences import condition_text
from policies.limits.instances import occurrence_of
from policies.model import ObligationState, Why
from policies.people.seats import role_title
from policies.text import Text
from policies.wording import instant_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.counting import Count
    from policies.ladders.rungs import Rung
    from policies.model import Case, Ladder, Lights, Limit, Notice, Obligation, Plan, Reason, Reception

WHY: Mapping[Why, Text] = {
    Why.DUE: Text("到时", "due"),
    Why.CAUGHT_UP: Text("补发", "caught up"),
    Why.MISSED: Text("错过并入", "missed"),
    Why.NOT_YET: Text("未到时", "not yet"),
    Why.ACKNOWLEDGED: Text("已签收", "acknowledged"),
    Why.ACTED: Text("已办理", "acted"),
    Why.DONE: Text("已办结", "done"),
    Why.PAUSED: Text("已中止", "paused"),
    Why.WITHDRAWN: Text("已撤销", "withdrawn"),
    Why.VACANT: Text("职务空缺", "vacant post"),
    Why.UNREACHABLE: Text("无法联系", "unreachable"),
    Why.SAME_PERSON: Text("同一人", "same person"),
    Why.UNDELIVERED: Text("未送达", "undelivered"),
    Why.NOBODY: Text("无人可通知", "nobody"),
    Why.LIGHT: Text("变灯", "light"),
    Why.BREACH: Text("超期", "overdue"),
    Why.END_OF_LADDER: Text("阶梯结束", "end of the ladder"),
    Why.MOVED: Text("期限变动", "limit moved"),
    Why.RESTRICTED: Text("限制知悉", "restricted"),
    Why.FINDING: Text("需人工核查", "to be looked at"),
    Why.NOT_WANTED: Text("条件不符", "not wanted"),
    Why.SKIPPED: Text("错过不补", "skipped"),
    Why.DELEGATED: Text("代理", "delegated"),
    Why.RECUSED: Text("回避", "recused"),
    Why.RELEASE: Text("待核发", "awaits release"),
    Why.QUIET: Text("免打扰", "quiet hours"),
    Why.PREFERENCE: Text("按本人选择", "as he chose"),
    Why.GATHERED: Text("并入汇总", "gathered"),
    Why.SHIRKING: Text("推诿", "shirking"),
    Why.REVIEW: Text("挂账复查", "review"),
    Why.HANDED_OVER: Text("已转出", "handed over"),
    Why.PLATFORM_BREACH: Text("超平台期限", "past the platform limit"),
}

STATES: Mapping[ObligationState, Text] = {
    ObligationState.OPEN: Text("在办", "open"),
    ObligationState.PAUSED: Text("中止", "paused"),
    ObligationState.DONE: Text("办结", "done"),
    ObligationState.WITHDRAWN: Text("撤销", "withdrawn"),
}


def why_word(why: Why) -> Text:
    """The reason in one or two words."""
    return WHY[why]


def state_word(state: ObligationState) -> Text:
    """Where an obligation stands, in one word."""
    return STATES[state]


def reason_sentence(reason: Reason, calendar: Calendar) -> Text:
    """`[错过并入] standard.2（2026-09-28 09:00）：…`: why, which step, its instant, and the words."""
    word = WHY[reason.why]
    about = [reason.step] if reason.step else []
    if reason.at is not None:
        about.append(instant_of(reason.at, calendar))
    place = " ".join(about)
    zh = f"【{word.zh}】{place}：{reason.text.zh}" if place else f"【{word.zh}】{reason.text.zh}"
    en = f"[{word.en}] {place}: {reason.text.en}" if place else f"[{word.en}] {reason.text.en}"
    return Text(zh, en)


def count_sentences(count: Count) -> tuple[Text, ...]:
    """How the two ends of a period were reached, step by step."""
    return tuple(step.text for step in count.steps)


def obligation_sentences(
    limit: Limit,
    obligation: Obligation,
    calendar: Calendar,
    count: Count | None = None,
    series_from: datetime | None = None,
) -> tuple[Text, ...]:
    """One limit on one case: the headline, what is special about it, and the count if it is handed in.

    `series_from` is when the first return of a recurring limit began: all of them are counted from there.
    """
    headline = _headline_of_return(limit, obligation, calendar, series_from) or _headline(limit, obligation, calendar)
    sentences = [headline, *_remarks(obligation, calendar)]
    if limit.basis:
        sentences.append(Text(f"依据：{limit.basis}。", f"Basis: {limit.basis}."))
    if count is not None:
        sentences.extend(count_sentences(count))
    return tuple(sentences)


def _headline(limit: Limit, one: Obligation, calendar: Calendar) -> Text:
    start, nominal, legal = (instant_of(at, calendar) for at in (one.start_at, one.nominal_due_at, one.legal_due_at))
    length = length_text(limit)
    zh = f"{limit.title}：{start} 起算，{length.zh}，名义期限 {nominal}"
    en = f"{limit.id}: runs from {start}, {length.en}, nominal end {nominal}"
    if legal == nominal:
        return Text(f"{zh}，法定期限相同。", f"{en}, which is the legal end too.")
    return Text(f"{zh}，法定期限 {legal}。", f"{en}, legal end {legal}.")


def _headline_of_return(limit: Limit, one: Obligation, calendar: Calendar, series_from: datetime | None) -> Text | None:
    """Which return of a recurring limit it is and what it is counted from; None for the first and for all others."""
    number = occurrence_of(one.instance, recurs=limit.recur is not None, per_holder=limit.per_holder)
    if limit.recur is None or number == 1 or series_from is None:
        return None
    anchor, begins, nominal, legal = (
        instant_of(at, calendar) for at in (series_from, one.start_at, one.nominal_due_at, one.legal_due_at)
    )
    length, every = length_text(limit), limit.recur.every
    again = limit_words(replace(every, amount=every.amount * (number - 1)))
    zh = f"{limit.title}第 {number} 期：{anchor} 起算，{length.zh}，再加 {again.zh}；自上一期届满（{begins}）起，"
    en = f"{limit.id}, return {number}: counted from {anchor}, {length.en} and {again.en} more; begins at {begins}, "
    zh, en = f"{zh}名义期限 {nominal}", f"{en}nominal end {nominal}"
    if legal == nominal:
        return Text(f"{zh}，法定期限相同。", f"{en}, which is the legal end too.")
    return Text(f"{zh}，法定期限 {legal}。", f"{en}, legal end {legal}.")


def length_text(limit: Limit) -> Text:
    """How long the limit is: its length, those of which the first to end counts, or that it is set case by case."""
    if limit.set_by:
        return Text("期限由本案指定", "its end set for the case")
    lengths = (limit.within, *limit.or_within)
    if not limit.or_within:
        return limit_words(limit.within)
    said = [limit_words(one) for one in lengths]
    zh, en = "、".join(one.zh for one in said), ", ".join(one.en for one in said)
    return Text(f"{zh}（以先届满的为准）", f"{en} (whichever ends first)")


def _remarks(one: Obligation, calendar: Calendar) -> list[Text]:
    remarks: list[Text] = []
    if one.platform_due_at is not None:
        platform, due = instant_of(one.platform_due_at, calendar), instant_of(one.due_at, calendar)
        zh, en = f"平台期限 {platform}，提醒按 {due}。", f"Platform limit {platform}; reminders work to {due}."
        remarks.append(Text(zh, en))
    if one.start_assumed:
        remarks.append(Text("起算时间为推定（首选节点缺失）。", "The start is assumed: the first choice is missing."))
    if one.extended:
        remarks.append(Text("已依法延期。", "Lawfully extended."))
    if one.provisional:
        zh, en = "涉及尚未公布的放假安排，暂定。", "Provisional: a year's holidays are not announced yet."
        remarks.append(Text(zh, en))
    state = STATES[one.state]
    if one.done_at is None:
        remarks.append(Text(f"状态：{state.zh}（第 {one.deadline_version} 版期限）。", _standing(one, state)))
        return remarks
    done, late = instant_of(one.done_at, calendar), one.done_at > one.legal_due_at
    zh, en = ("超期办结", "done late") if late else ("按期办结", "done on time")
    remarks.append(Text(f"{zh}：{done}。", f"{en}: {done}."))
    return remarks


def _standing(one: Obligation, state: Text) -> str:
    return f"State: {state.en} (deadline version {one.deadline_version})."


def ladder_sentences(
    ladder: Ladder,
    obligation: Obligation,
    case: Case,
    calendar: Calendar,
    now: datetime,
    receptions: Mapping[str, Reception] | None = None,
) -> tuple[Text, ...]:
    """Every instant of the ladder with whom it speaks to, past ones marked; `receptions` as in its history."""
    signed = signed_for(ladder, obligation, case, receptions or {}, calendar, now)
    rungs = timeline(ladder, obligation, case.milestones, calendar, signed)
    return tuple(_rung_sentence(rung, ladder.lights, calendar, now) for rung in rungs)


def _rung_sentence(rung: Rung, lights: Lights, calendar: Calendar, now: datetime) -> Text:
    step = rung.step
    to = rung.otherwise or step.to
    cc = () if rung.otherwise else step.cc
    at = instant_of(rung.at, calendar)
    mark_zh, mark_en = ("已过", "past") if rung.at <= now else ("未到", "to come")
    zh = f"{at}（{mark_zh}）{rung.name}：{'、'.join(role_title(role).zh for role in to)}"
    en = f"{at} ({mark_en}) {rung.name}: {', '.join(role_title(role).en for role in to)}"
    if cc:
        zh += f"，抄送{'、'.join(role_title(role).zh for role in cc)}"
        en += f", copy to {', '.join(role_title(role).en for role in cc)}"
    for words, conditions in ((Text("，限", ", when "), step.when), (Text("，除非", ", unless "), step.unless)):
        if conditions:
            said = [condition_text(condition, lights) for condition in conditions]
            joined = Text("、".join(one.zh for one in said), "; ".join(one.en for one in said))
            zh, en = f"{zh}{words.zh}{joined.zh}", f"{en}{words.en}{joined.en}"
    return Text(f"{zh}。", f"{en}.")


def plan_sentences(plan: Plan, calendar: Calendar, lights: Lights | None = None) -> tuple[Text, ...]:
    """What is decided now: the light, who is told, every reason, and when it is looked at again."""
    light = light_word(plan.light, lights)
    sentences = [Text(f"当前{light.zh}。", f"The light is {light.en}.")]
    sentences += [_notice_sentence(notice, calendar) for notice in plan.notices]
    sentences += [reason_sentence(reason, calendar) for reason in plan.reasons]
    if plan.next_check_at is None:
        sentences.append(Text("不再自动检查，除非案件有变化。", "Not looked at again unless the case changes."))
    else:
        at = instant_of(plan.next_check_at, calendar)
        sentences.append(Text(f"下次检查：{at}。", f"Looked at again: {at}."))
    return tuple(sentences)


def _notice_sentence(notice: Notice, calendar: Calendar) -> Text:
    title = role_title(notice.role)
    zh = f"通知{title.zh} {notice.person}（{notice.channel}，{notice.say}）"
    en = f"{notice.channel} '{notice.say}' to the {title.en} {notice.person}"
    if notice.copy:
        zh, en = f"抄送：{zh}", f"copy: {en}"
    if notice.missed:
        zh, en = f"{zh}，含错过的 {len(notice.missed)} 个梯级", f"{en}, for {len(notice.missed)} missed step(s)"
    if notice.instead:
        zh, en = f"{zh}，不成则改用 {'、'.join(notice.instead)}", f"{en}, else by {', '.join(notice.instead)}"
    if notice.hold_until is not None:
        at = instant_of(notice.hold_until, calendar)
        why = Text("待汇总", "for the digest") if notice.digest else Text("免打扰", "quiet hours")
        zh, en = f"{zh}，{at} 再发（{why.zh}）", f"{en}, held until {at} ({why.en})"
    if notice.release:
        zh, en = f"{zh}，待人工核发", f"{en}, waits for a human's release"
    if notice.dark:
        zh, en = f"{zh}，试运行不发送", f"{en}, not sent: the policy is dark"
    return Text(f"{zh}。", f"{en}.")
