"""What one version of the policies says otherwise than another, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.beforehand.difference import Kind, difference
from policies.duration import parse_duration, parse_moment
from policies.model import Ladder, Lights, Limit, Policy, PolicySet, Step

LIGHTS = Lights(parse_duration("3 工作日"), parse_duration("1 工作日"))
STEPS = (
    Step("1", parse_moment("start"), ("first_handler",), "assigned"),
    Step("2", parse_moment("due - 3 工作日 09:00"), ("first_handler",), "remind"),
    Step("3", parse_moment("due + 1 工作日 09:00"), ("deputy_leader",), "urge"),
)
LIMIT = Limit("finish", "办结", ("accepted_at",), parse_duration("60 日"), ("finished_at",), "standard")
LADDER = Ladder("standard", LIGHTS, STEPS)
POLICY = Policy("xinfang", "信访", (LIMIT,), {"standard": LADDER})


def policies(policy: Policy) -> PolicySet:
    """A set of one."""
    return PolicySet("v", {policy.id: policy})


def with_steps(*steps: Step) -> Policy:
    """The policy with these steps."""
    return replace(POLICY, ladders={"standard": replace(LADDER, steps=steps)})


def told(new: Policy) -> list[str]:
    """The differences in Chinese."""
    return [one.text.zh for one in difference(policies(POLICY), policies(new))]


USUAL = "黄灯 3 工作日，橙灯 1 工作日"
URGENT = Step("9", parse_moment("due 09:00"), ("section_head",), "today")


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (POLICY, []),
        (
            replace(POLICY, limits=(replace(LIMIT, within=parse_duration("90 日")),)),
            ["时限“办结”：期限由“60 日”改为“90 日”"],
        ),
        (replace(POLICY, limits=()), ["删除时限“办结”"]),
        (
            replace(
                POLICY, ladders={"standard": replace(LADDER, lights=replace(LIGHTS, yellow=parse_duration("5 日")))}
            ),
            ["阶梯“standard”：灯色由“黄灯 3 工作日，橙灯 1 工作日”改为“黄灯 5 日，橙灯 1 工作日”"],
        ),
        (
            replace(POLICY, ladders={"standard": replace(LADDER, lights=replace(LIGHTS, titles={"yellow": "蓝灯"}))}),
            [f"阶梯“standard”：灯色由“{USUAL}”改为“{USUAL}，叫法 yellow 蓝灯”"],
        ),
        (
            with_steps(STEPS[0], URGENT, *STEPS[1:]),
            ["新增阶梯“standard”梯级“today”（due 09:00），发给科室负责人", "新增模板“today”"],
        ),
        (
            with_steps(*STEPS[:2]),
            ["删除阶梯“standard”梯级“urge”（due + 1 工作日 09:00），发给分管领导", "删除模板“urge”"],
        ),
        (
            with_steps(*STEPS[:2], replace(STEPS[2], to=("principal",))),
            ["阶梯“standard”梯级“urge”（due + 1 工作日 09:00）：收件人由“分管领导”改为“主要负责人”"],
        ),
        (replace(POLICY, dark=True), ["策略“信访”：只试运行、不发送由“否”改为“是”"]),
    ],
)
def test_each_difference_is_one_sentence(new: Policy, expected: list[str]) -> None:
    """Lengths, limits, lights, steps put in between or taken out, recipients, dark."""
    assert told(new) == expected


def test_whole_policies_come_and_go() -> None:
    """A policy only one side has is one line; a set against itself is none."""
    other = replace(POLICY, id="hotline", title="热线")
    both = PolicySet("v2", {"xinfang": POLICY, "hotline": other})
    assert [(one.policy, one.kind) for one in difference(policies(POLICY), both)] == [("hotline", Kind.ADDED)]
    assert [(one.policy, one.kind) for one in difference(both, policies(POLICY))] == [("hotline", Kind.REMOVED)]
    assert difference(both, both) == ()
