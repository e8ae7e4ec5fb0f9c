"""What is written correctly and will not do what its writer wants."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from typing import TYPE_CHECKING, Any

import pytest

from policies.beforehand.lint import Setting, lint
from policies.duration import parse_duration
from policies.model import Bound, Condition, Directory, ExtensionRule, Official, Post, QuietHours, RestrictedRule
from support.invented_office import CALENDARS, finish, limit, policies, policy, step, with_steps

if TYPE_CHECKING:
    from policies.model import Policy

TODAY = date(2026, 11, 1)


def found(rules: Policy, **setting: Any) -> list[str]:
    """The findings in Chinese, with the key they stand at."""
    problems = lint(policies(rules), Setting(CALENDARS, **setting), TODAY)
    return [f"{'.'.join(map(str, p.path))}: {p.message.zh}" for p in problems]


def test_the_usual_policy_is_fine() -> None:
    """Nothing to say about the policy every other test uses."""
    assert found(policy(limit(), finish(basis="信访工作条例第三十四条"))) == []


@pytest.mark.parametrize(
    ("within", "basis", "said"),
    [
        ("15 日", "信访工作条例第二十三条", None),
        ("16 日", "信访工作条例第二十三条", "期限 16 日 比所依据的《信访工作条例》第 23 条（书面告知 15 日）宽"),
        ("10 日", "信访工作条例第二十三条", None),
        (
            "10 工作日",
            "信访工作条例第二十三条",
            "期限 10 工作日 比所依据的《信访工作条例》第 23 条（书面告知 15 日）宽",
        ),
        ("3 工作日", "信访工作条例第二十三条", None),
        ("1 个月", "信访工作条例第三十五条", "期限 1 个月 比所依据的《信访工作条例》第 35 条（复查 30 日）宽"),
        ("90 日", "本市规定", None),
        ("90 日", "信访工作条例第二十五条", None),
    ],
)
def test_looser_than_the_law_it_names(within: str, basis: str, said: str | None) -> None:
    """A longer limit than the article's is pointed out, in whatever unit, with a day on which it shows."""
    told = found(policy(limit(within=parse_duration(within), basis=basis)))
    looser = [one for one in told if "宽" in one]
    assert (looser == []) if said is None else said in looser[0]
    assert all(one.startswith("xinfang.limits.notify.within") for one in looser)


def test_objection_and_notice_share_an_article() -> None:
    """Ten days are too long for an objection and fine for the notice: what the limit is called decides."""
    ten = limit(id="object", title="提出异议", within=parse_duration("10 日"), basis="信访工作条例第二十三条第三款")
    assert any("提出异议 5 工作日" in one for one in found(policy(ten)))


def test_an_extension_the_law_does_not_give() -> None:
    """Longer than the article allows, or where the article allows none."""
    long = finish(basis="信访工作条例第三十四条", extension=ExtensionRule(parse_duration("60 日"), ("principal",)))
    assert found(policy(long)) == [
        "xinfang.limits.finish.extension.up_to: 最长可延 60 日，超过《信访工作条例》第 34 条的 30 日"
    ]
    none = finish(basis="信访工作条例第三十五条", within=parse_duration("30 日"))
    assert found(policy(none)) == ["xinfang.limits.finish.extension: 所依据的《信访工作条例》第 35 条没有规定可以延期"]


def test_a_ladder_nobody_uses() -> None:
    """Its steps never run."""
    rules = policy()
    spare = replace(rules, ladders={**rules.ladders, "spare": replace(rules.ladders["standard"], id="spare")})
    assert found(spare) == ["xinfang.ladders.spare: 没有时限使用这个阶梯，里面的梯级都不会执行"]


REMIND = step("remind", "due - 3 工作日 09:00", "first_handler")


@pytest.mark.parametrize(
    ("one", "key", "said"),
    [
        (step("x", "notified_at + 2 工作日", "handler"), "at", "到那时已办结"),
        (
            step("x", "due + 1 工作日 09:00", "handler", when=(Condition("light", ("yellow", "orange")),)),
            "when",
            "期限过后总是红灯",
        ),
        (
            step("x", "due", "handler", when=(Condition("level", ("省",)),), unless=(Condition("level", ("省",)),)),
            "unless",
            "同一个条件",
        ),
        (step("x", "due - 30 日", "handler"), "at", "多半早于起算"),
        (step("x", "due + 2 日", "handler", say="remind"), "say", "到期之后才发"),
        (step("x", "due - 2 日", "handler", say="urge"), "say", "会冤枉人"),
    ],
)
def test_steps_that_do_not_do_what_they_say(one: Any, key: str, said: str) -> None:
    """Dead steps, warnings that come too late, accusations that come too early."""
    [told] = found(with_steps(REMIND, one))
    assert told.startswith(f"xinfang.ladders.standard.steps.1.{key}: ")
    assert said in told


def test_nobody_is_warned_before_the_limit() -> None:
    """A ladder that speaks only afterwards."""
    assert found(with_steps(step("urge", "due + 1 工作日 09:00", "deputy_leader"))) == [
        "xinfang.ladders.standard: “书面告知”超期后才有人说话，到期前没有一次预警：请在期限之前加一级 remind"
    ]


@pytest.mark.parametrize(
    ("moment", "more", "swallowed"),
    [
        ("due 23:00", {}, True),
        ("due 23:00", {"may_wake": "最后一日"}, False),
        ("due 09:00", {}, False),
        ("due - 1 日 23:00", {}, False),
    ],
)
def test_quiet_hours_that_swallow_the_last_warning(moment: str, more: Any, swallowed: bool) -> None:
    """A last warning raised in quiet hours that end after the limit is pointed out, unless it may wake."""
    rules = with_steps(step("today", moment, "handler", **more), quiet=QuietHours(time(22), time(7, 30)))
    assert any("免打扰" in one for one in found(rules)) is swallowed


def test_a_role_nobody_holds() -> None:
    """With the people at hand, each role without a holder is named once, where it is first used."""
    people = Directory(posts=(Post("B", "section_head", "head"), Post("B", "deputy_leader", "deputy")))
    told = found(policy(), people=people)
    instead = "：发给他的都会转给上一级或系统管理员"
    assert told == [
        f"xinfang.ladders.standard.steps.3.cc: 没有任何人担任“督查专员”（inspector）{instead}",
        f"xinfang.ladders.standard.steps.4.to: 没有任何人担任“主要负责人”（principal）{instead}",
    ]


def test_limits_switched_off_are_left_alone() -> None:
    """What is not in force is not looked at."""
    assert found(policy(limit(within=parse_duration("99 日"), enabled=False))) == []


def test_platform_bounds_do_not_hide_the_length() -> None:
    """A platform limit beside it does not make a loose length right."""
    loose = limit(within=parse_duration("20 日"), platform_due=(Bound("limit_at"),))
    assert len(found(policy(loose))) == 1


KINDS = {"1": "投诉", "2": "咨询"}


@pytest.mark.parametrize(
    ("asked", "said", "hint"),
    [
        ("投诉", None, None),
        ("举报", "字段“kind”多半不会有“举报”这个值，这个条件就永远不满足", "译出的值有：咨询、投诉"),
        ("“投诉”", "字段“kind”多半不会有““投诉””这个值，这个条件就永远不满足", "里面的 “ 是全角的，"),
        (1, "代码“1”读进来已是“投诉”，永远不会等于“1”", "应写“投诉”"),
        ("9", None, None),  # a code the mapping does not list stays as it is
        (True, None, None),
    ],
)
def test_a_value_no_case_has(asked: str | int | bool, said: str | None, hint: str | None) -> None:
    """What the mapping never yields is pointed out with what it does yield; what may be a code is let be."""
    asks = (Condition("kind", (asked,)),)
    for rules, key in (
        (policy(limit(), applies_to=asks), "applies_to.kind"),
        (policy(limit(applies_to=asks)), "limits.notify.applies_to.kind"),
    ):
        problems = lint(policies(rules), Setting(CALENDARS, codes={"kind": KINDS}), TODAY)
        assert [(p.path, p.message.zh) for p in problems] == (
            [] if said is None else [(("xinfang", *key.split(".")), said)]
        )
        assert all(p.hint is not None and p.hint.zh.startswith(hint or "-") for p in problems)


def test_restricted_cases_go_to_keys_somebody_has() -> None:
    """A name instead of a key would keep every restricted case from everybody; the key is offered."""
    people = Directory(officials={"T00-D": Official("T00-D", "督查一")})
    rules = replace(policy(limit()), restricted=RestrictedRule(("督查一", "T00-D")))
    problems = [p for p in lint(policies(rules), Setting(CALENDARS, people=people), TODAY) if "restricted" in p.path]
    assert [(p.path[1:], p.hint and p.hint.zh) for p in problems] == [
        (("restricted", "recipients", 0), "“督查一”是姓名，应写编号“T00-D”")
    ]
    assert "发不到这个人" in problems[0].message.zh
