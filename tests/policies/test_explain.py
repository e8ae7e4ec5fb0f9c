"""The sentences people read."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta

import pytest

from policies.duration import SAME_DAY, parse_duration
from policies.explain import (
    count_sentences,
    ladder_sentences,
    length_text,
    obligation_sentences,
    plan_sentences,
    reason_sentence,
    state_word,
    why_word,
)
from policies.model import Condition, ObligationState, QuietHours, Reason, Recurrence, Via, Why
from policies.obligations import obligations_of
from policies.text import Text
from support.invented_office import (
    CALENDARS,
    CHINA,
    LADDER,
    at,
    case,
    counted,
    decide,
    directory,
    finish,
    limit,
    obligation,
    policies,
    policy,
    step,
    with_steps,
)

NOW = at("2026-09-28 09:00")


@pytest.mark.parametrize("why", list(Why))
def test_every_reason_has_a_word(why: Why) -> None:
    """The closed list of reasons is named in both languages, each differently."""
    assert why_word(why).zh
    assert why_word(why).en
    assert [why_word(other) for other in Why].count(why_word(why)) == 1


@pytest.mark.parametrize("state", list(ObligationState))
def test_every_state_has_a_word(state: ObligationState) -> None:
    """Each state of an obligation has its word."""
    assert state_word(state).zh


def test_return_of_a_recurring_limit_says_which_it_is_and_from_where_it_is_counted() -> None:
    """Three months from 30 November and one more: the thirtieth stays, and the end of the one before is no start."""
    monthly = limit(
        start=("arrived_at",), within=parse_duration("3 月"), recur=Recurrence(parse_duration("1 月")), platform_due=()
    )
    letter = case(milestones={"arrived_at": at("2025-11-30 10:00")})
    found = obligations_of(policies(policy(monthly)), letter, CALENDARS, at("2026-03-02 10:00")).obligations
    first, second = (obligation_sentences(monthly, one, CHINA, None, found[0].start_at)[0] for one in found)
    assert first.zh == "书面告知：2025-11-30 10:00 起算，3 个月，名义期限 2026-02-28 24:00，法定期限相同。"
    assert second.zh == (
        "书面告知第 2 期：2025-11-30 10:00 起算，3 个月，再加 1 个月；自上一期届满（2026-02-28 24:00）起，"
        "名义期限 2026-03-30 24:00，法定期限相同。"
    )
    assert second.en.startswith("notify, return 2: counted from 2025-11-30 10:00, 3 months and 1 month more; begins at")


def test_obligation_tells_its_dates_and_its_count() -> None:
    """The headline has start, length, nominal and legal end as offices write them; the count follows."""
    rules, the_case = policy(), case()
    (count,) = obligations_of(policies(rules), the_case, CALENDARS, NOW, words=True).counts
    sentences = obligation_sentences(limit(), obligation(), CHINA, count)
    assert sentences[0].zh == (
        "书面告知：2026-09-16 10:00 起算，15 日，名义期限 2026-10-01 24:00，法定期限 2026-10-08 24:00。"
    )
    whole = "".join(sentence.zh for sentence in sentences)
    assert "信访工作条例第二十三条" in whole
    assert "顺延" in whole
    assert count_sentences(count)[0] in sentences


def test_obligation_tells_what_is_special() -> None:
    """Platform limit, assumed start, provisional end and late doing are all said."""
    milestones = {
        "arrived_at": at("2026-11-02 10:00"),
        "limit_at": at("2026-12-30 10:00"),
        "finished_at": at("2027-01-05 10:00"),
    }
    the_case = case(milestones=milestones)
    one = counted(the_case, at("2027-01-10 10:00"), policy(finish())).obligations[0]
    whole = "".join(sentence.zh for sentence in obligation_sentences(finish(), one, CHINA))
    assert all(word in whole for word in ("平台期限 2026-12-30 10:00", "推定", "暂定", "超期办结"))


def test_ladder_lists_every_instant_with_its_people() -> None:
    """All steps, returns and derived steps in time, the past ones marked."""
    sentences = ladder_sentences(LADDER, obligation(), case(), CHINA, NOW)
    assert len(sentences) == 8
    assert sentences[0].zh == "2026-09-16 10:00（已过）assigned：首办责任人。"
    assert sentences[1].zh == "2026-09-16 16:00（已过）assigned.unacknowledged：科室负责人。"
    assert sentences[4].zh == "2026-10-09 09:00（未到）urge：分管领导，抄送科室负责人、督查专员。"
    assert sentences[7].en == "2026-10-28 09:00 (to come) bulletin#2: principal."


def test_plan_tells_light_notices_reasons_and_the_next_look() -> None:
    """A plan reads from top to bottom: light, who is told, why, when next."""
    sentences = [sentence.zh for sentence in plan_sentences(decide(NOW), CHINA)]
    assert sentences[0] == "当前黄灯。"
    assert sentences[1] == "通知首办责任人 clerk（sms，remind），含错过的 1 个梯级。"
    assert sentences[-1] == "下次检查：2026-09-30 00:00。"
    end = [sentence.en for sentence in plan_sentences(decide(at("2027-03-01 09:00")), CHINA)]
    assert end[-1] == "Not looked at again unless the case changes."


def test_copies_are_said_to_be_copies() -> None:
    """A copy is named so."""
    plan = decide(at("2026-10-09 09:00"), people=directory())
    assert any(sentence.zh.startswith("抄送：") for sentence in plan_sentences(plan, CHINA))


def test_reason_without_step_or_instant() -> None:
    """A reason about the whole case needs no place."""
    reason = Reason(Why.FINDING, Text("要看一看。", "Look at it."))
    assert reason_sentence(reason, CHINA) == Text("【需人工核查】要看一看。", "[to be looked at] Look at it.")


def test_plan_says_what_is_out_of_the_ordinary_about_a_notice() -> None:
    """Waiting for the morning, the next channel, a release, a dark policy: each stands behind the notice."""
    rules = policy(
        quiet=QuietHours(time(22), time(7, 30)), dark=True, via=Via(("sms", "email"), in_order=True), release_above=None
    )
    plan = decide(at("2026-09-16 23:00"), rules=rules)
    (notice,) = plan.notices
    sentences = plan_sentences(replace(plan, notices=(replace(notice, release=True),)), CHINA)
    assert sentences[1].zh == (
        "通知首办责任人 clerk（sms，assigned），不成则改用 email，2026-09-17 07:30 再发（免打扰），待人工核发，"
        "试运行不发送。"
    )
    assert sentences[1].en.endswith(
        "else by email, held until 2026-09-17 07:30 (quiet hours), waits for a human's release, "
        "not sent: the policy is dark."
    )


def test_ladder_says_under_which_conditions_a_step_speaks() -> None:
    """Whoever reads the ladder sees what keeps a step silent."""
    one = step(
        "x",
        "start",
        "handler",
        when=(Condition("handbacks", at_least=2), Condition("light", ("red", "orange"), negate=True)),
        unless=(Condition("acted", (True,)), Condition("days_left", at_least=1, at_most=3, negate=True)),
    )
    (sentence,) = ladder_sentences(with_steps(one).ladders["standard"], obligation(), case(), CHINA, NOW)
    assert sentence.zh.endswith(
        "承办人，限申请退回次数 ≥ 2、灯色 ≠ 红灯或橙灯，除非已办理 = 是、非（剩余工作日 ≥ 1，≤ 3）。"
    )
    assert sentence.en.endswith(
        "handler, when hand-backs ≥ 2; light ≠ red or orange, unless acted = yes; not (working days left ≥ 1, ≤ 3)."
    )


def test_a_limit_of_the_same_day_says_so() -> None:
    """`当日` instead of a figure, in the count and in what differs."""
    urgent = limit(within=SAME_DAY)
    assert length_text(urgent) == Text("当日", "same day")
    assert length_text(replace(urgent, or_within=(parse_duration("4 小时"),))).zh == "当日、4 小时（以先届满的为准）"
    [found] = counted(case(), NOW, policy(urgent)).obligations
    assert found.legal_due_at == at("2026-09-17 00:00") - timedelta(microseconds=1)


def test_the_office_s_own_names_of_lights_are_shown() -> None:
    """What is called 蓝灯 here is said so: in the plan, in its reasons, in conditions and in what messages may say."""
    blue = replace(LADDER.lights, titles={"yellow": "蓝灯", "orange": "黄灯"})
    asks = step("x", "due 09:00", "handler", when=(Condition("light", ("red", "orange")),))
    rules = replace(policy(), ladders={"standard": replace(LADDER, lights=blue)})
    plan = decide(NOW, rules=rules)
    told = [sentence.zh for sentence in plan_sentences(plan, CHINA, blue)]
    assert told[0] == "当前蓝灯。"
    assert any("当前蓝灯" in sentence for sentence in told[1:])
    assert {(notice.facts["light"], notice.facts["light_title"]) for notice in plan.notices} == {("yellow", "蓝灯")}
    (sentence,) = ladder_sentences(replace(LADDER, lights=blue, steps=(asks,)), obligation(), case(), CHINA, NOW)
    assert sentence.zh.endswith("承办人，限灯色 = 红灯或黄灯。")
    assert "light_title" not in decide(NOW).notices[0].facts
