from __future__ import annotations

import copy
import json
from datetime import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.duration import Duration, Moment, Unit
from policies.errors import PolicyError, Problem
from policies.language import KnownNames, parse_policies, policy_schema, policy_version
from policies.model import (
    Acknowledge,
    Bound,
    Condition,
    Cutoff,
    ExtensionBase,
    ExtensionRule,
    FirstHandlerRule,
    Lights,
    Policy,
    PolicySet,
    Repeat,
    Roll,
    Step,
    Via,
)

STEP = {"at": "due 09:00", "to": "first_handler", "say": "today"}


def tree(**changes: Any) -> dict[str, Any]:
    """A small right policy, with other top-level keys."""
    limit = {"title": "办结", "start": "accepted_at", "within": "60 日", "done": "finished_at", "ladder": "standard"}
    ladder = {"lights": {"yellow": "3 工作日", "orange": "1 工作日"}, "steps": [dict(STEP)]}
    return {
        "policy": "office",
        "title": "限时办结",
        "limits": {"finish": limit},
        "ladders": {"standard": ladder},
        **changes,
    }


def with_limit(**changes: Any) -> dict[str, Any]:
    """That policy with other keys of its limit."""
    whole = tree()
    whole["limits"]["finish"].update(changes)
    return whole


def with_steps(*steps: dict[str, Any]) -> dict[str, Any]:
    """That policy with these steps; what a step leaves out is taken from STEP."""
    whole = tree()
    whole["ladders"]["standard"]["steps"] = [{**STEP, **step} for step in steps]
    return whole


def parse(written: object, known: KnownNames | None = None) -> Policy:
    """The one policy of one file."""
    return parse_policies({"office.yaml": written}, known).policies["office"]


def mistakes(written: object, known: KnownNames | None = None) -> list[tuple[str, str]]:
    """Dotted path and Chinese sentence of every problem."""
    with pytest.raises(PolicyError) as caught:
        parse(written, known)
    return [(".".join(map(str, each.path[1:])), each.message.zh) for each in caught.value.problems]


def test_the_smallest_policy_gets_the_defaults_of_the_law() -> None:
    """Roll to the next working day, cut-off 24:00, the generic chain, both kinds of channel."""
    policy = parse(tree())
    limit = policy.limits[0]
    assert (limit.id, limit.start, limit.done, limit.roll, limit.cutoff) == (
        "finish",
        ("accepted_at",),
        ("finished_at",),
        Roll.NEXT_WORKDAY,
        Cutoff.MIDNIGHT,
    )
    assert limit.within == Duration(Fraction(60), Unit.DAY)
    assert limit.enabled
    assert policy.first_handler == FirstHandlerRule()
    assert policy.chain == ("first_handler", "section_head", "deputy_leader", "principal")
    assert policy.via == Via(("sms", "email"))


def test_everything_that_can_be_written_arrives() -> None:
    """Each key of the language ends in its field of the model."""
    written = with_limit(
        basis="条例第三十四条",
        start=["accepted_at", "arrived_at"],
        extension={"up_to": "30 日", "approved_by": ["principal"], "from": "rolled", "petitioner_told": False},
        platform_due="limit_at",
        roll="none",
        cutoff="office",
        calendar="ours",
        excludes="听证",
        applies_to={"level": ["省", "市"]},
    )
    written.update(
        applies_to={"kind": "求决", "litigation": False, "area": {"not": ["甲区", 3, None]}},
        first_handler={"freeze_at": "arrived_at", "stays_informed": "orange", "handbacks_allowed": 0},
        roles={"chief": "热线办主任"},
        chain=["first_handler", "chief"],
        via="email",
        calendar="china",
    )
    written["ladders"]["standard"]["title"] = "责任单位"
    written["ladders"]["standard"]["steps"] = [
        {
            "id": "one",
            "at": "start",
            "to": ["first_handler", "chief"],
            "cc": "inspector",
            "say": "assigned",
            "via": "sms",
            "issue": "urging_note",
            "acknowledge": {"within": "4 工作小时", "else": "chief", "milestone": "signed_at"},
            "repeat": {"every": "5 工作日", "times": 6},
        }
    ]
    policy = parse(written)
    assert policy.applies_to == (
        Condition("kind", ("求决",)),
        Condition("litigation", (False,)),
        Condition("area", ("甲区", 3, None), negate=True),
    )
    assert policy.first_handler == FirstHandlerRule(("arrived_at",), "orange", 0)
    assert (policy.chain, policy.via, policy.calendar) == (("first_handler", "chief"), Via(("email",)), "china")
    assert policy.roles["chief"] == "热线办主任"
    [limit] = policy.limits
    assert limit.extension == ExtensionRule(
        Duration(Fraction(30), Unit.DAY), ("principal",), ExtensionBase.ROLLED, petitioner_told=False
    )
    assert (limit.basis, limit.platform_due, limit.roll, limit.cutoff, limit.calendar, limit.excludes) == (
        "条例第三十四条",
        (Bound("limit_at"),),
        Roll.NONE,
        Cutoff.OFFICE,
        "ours",
        ("听证",),
    )
    assert limit.applies_to == (Condition("level", ("省", "市")),)
    ladder = policy.ladders["standard"]
    assert ladder.title == "责任单位"
    assert ladder.lights == Lights(Duration(Fraction(3), Unit.WORKDAY), Duration(Fraction(1), Unit.WORKDAY))
    assert ladder.steps == (
        Step(
            id="one",
            at=Moment("start"),
            to=("first_handler", "chief"),
            say="assigned",
            cc=("inspector",),
            via=Via(("sms",)),
            repeat=Repeat(Duration(Fraction(5), Unit.WORKDAY), 6),
            acknowledge=Acknowledge(Duration(Fraction(4), Unit.WORKHOUR), ("chief",), "signed_at"),
            issue="urging_note",
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "every 5 工作日 up to 6 times",
        "every 5 workdays up to 6 more times",
        "每 5 工作日，最多 6 次",
        "每 5 个工作日一次，最多再 6 次",
        "每 5 工作日，再 6 次",
        "每5工作日至多6次",
        "Every 5 workdays at most 6 times",
    ],
)
def test_a_repeat_may_be_one_sentence(text: str) -> None:
    """The sentence and the mapping are the same repeat."""
    step = parse(with_steps({"repeat": text})).ladders["standard"].steps[0]
    assert step.repeat == Repeat(Duration(Fraction(5), Unit.WORKDAY), 6)


@pytest.mark.parametrize(
    ("moments", "ids"),
    [
        (["start", "due - 3 工作日 09:00", "due 09:00", "due + 1 日"], ["start", "due-3wd", "due", "due+1d"]),
        (["due 09:00", "due 14:00", "due 14:00", "due"], ["due", "due-1400", "due-1400-2", "due-2"]),
        (["start + 50%", "due - 2 小时", "due - 30 分钟"], ["start+50pct", "due-2h", "due-30min"]),
        (["due + 1 月", "due + 1 年", "due + 4 工作小时"], ["due+1mo", "due+1y", "due+4wh"]),
    ],
)
def test_step_ids_come_from_their_moments(moments: list[str], ids: list[str]) -> None:
    """A step without `id` is named for its moment; a later equal one gets a longer name, an earlier one keeps its."""
    steps = parse(with_steps(*({"at": moment} for moment in moments))).ladders["standard"].steps
    assert [step.id for step in steps] == ids


def test_a_written_step_id_is_kept_clear_of() -> None:
    """A default id never collides with one that is written further down."""
    steps = parse(with_steps({"at": "due"}, {"at": "start", "id": "due"})).ladders["standard"].steps
    assert [step.id for step in steps] == ["due-2", "due"]
    assert steps[0].at == Moment("due")


def test_the_time_of_day_of_a_step_stays() -> None:
    """`09:00` is a wall-clock time, not a number of minutes."""
    assert parse(tree()).ladders["standard"].steps[0].at == Moment("due", at=time(9))


def test_a_limit_without_a_number_can_only_be_off() -> None:
    """`within: unset` is for limits the law gives no figure for; enabled, it is refused."""
    assert not parse(with_limit(within="unset", enabled=False)).limits[0].enabled
    [(path, sentence)] = mistakes(with_limit(within="unset"))
    assert path == "limits.finish.within"
    assert "必须写明长度" in sentence


@pytest.mark.parametrize(
    ("written", "path", "sentence"),
    [
        (with_limit(within=60), "limits.finish.within", "没有写单位"),
        (with_limit(within=True), "limits.finish.within", "应为时间长度"),
        (with_limit(within="-1 日"), "limits.finish.within", "不能为负"),
        (with_limit(ladder="standerd"), "limits.finish.ladder", "没有名为“standerd”的阶梯"),
        (with_limit(start=[]), "limits.finish.start", "不能为空"),
        (with_limit(extension={"up_to": "0 日"}), "limits.finish.extension.up_to", "应大于零"),
        (with_steps({"to": "nobody"}), "ladders.standard.steps.0.to", "没有名为“nobody”的角色"),
        (with_steps({"at": "monday"}), "ladders.standard.steps.0.at", "时刻应从 start（起算）、due（到期）"),
        (with_steps({"via": "fax"}), "ladders.standard.steps.0.via", "没有名为“fax”的通道类别"),
        (with_steps({"id": "a"}, {"id": "a"}), "ladders.standard.steps.1.id", "与第 1 个梯级相同"),
        (tree(applies_to={"kind": {"not": {"not": 1}}}), "applies_to.kind", "不能再写“not”"),
        (tree(applies_to={"kind": None}), "applies_to.kind", "实为空"),
        (tree(applies_to={"kind": {"not": None}}), "applies_to.kind", "实为空"),
        (tree(applies_to=3), "applies_to", "应为映射（键: 值），实为 3"),
        (tree(policy="信访 一"), "policy", "名称应由"),
        (tree(limits={}), "limits", "不能为空"),
        (3, "", "应为映射（键: 值），实为 3"),
        (None, "", "应为映射（键: 值），实为空"),
        ([], "", "应为映射（键: 值），实为列表"),
    ],
)
def test_a_mistake_is_named_where_it_stands(written: object, path: str, sentence: str) -> None:
    """One mistake, one problem, at its own key."""
    [(found_path, found)] = mistakes(written)
    assert found_path == path
    assert sentence in found


def test_names_are_looked_up_in_the_rest_of_the_configuration() -> None:
    """Milestones, fields, templates and calendars are checked once they are known, also those of defaults."""
    written = with_limit(calendar="mars", platform_due="limt_at", applies_to={"colour": 1})
    known = KnownNames(
        milestones={"finished_at", "limit_at"}, fields={"kind"}, says={"remind"}, calendars={"china"}, kinds=("sms",)
    )
    assert {path for path, _ in mistakes(written, known)} == {
        "first_handler.freeze_at",
        "limits.finish.start",
        "limits.finish.calendar",
        "limits.finish.platform_due",
        "limits.finish.applies_to.colour",
        "ladders.standard.steps.0.say",
    }
    parse(written)


def test_a_limit_that_is_off_may_name_milestones_the_office_lacks() -> None:
    """The shipped rules can be read against a database that has no columns for some of them."""
    written = with_limit(enabled=False, start="never_at")
    known = KnownNames(milestones={"accepted_at", "finished_at"})
    assert parse(written, known).limits[0].start == ("never_at",)


def test_the_kinds_of_the_channels_are_the_default_of_via() -> None:
    """An office with mail only does not plan text messages nobody can send."""
    assert parse(tree(), KnownNames(kinds=("email",))).via == Via(("email",))


def test_mistakes_of_all_files_come_at_once() -> None:
    """A broken file does not hide the mistakes of another; each path begins with its file."""
    with pytest.raises(PolicyError) as caught:
        parse_policies({"b.yaml": with_limit(within=1, ladder="x"), "a.yaml": tree(titel="x"), "c.yaml": tree()})
    assert [(each.path[0], each.path[-1]) for each in caught.value.problems] == [
        ("a.yaml", "titel"),
        ("b.yaml", "within"),
        ("b.yaml", "ladder"),
        ("b.yaml", "policy"),
        ("c.yaml", "policy"),
    ]


def test_the_version_depends_on_what_is_said_only() -> None:
    """File names and the order of keys do not matter; any value does."""
    one = tree()
    turned = dict(reversed(list(one.items())))
    assert policy_version({"a": one}) == policy_version({"b": turned})
    assert policy_version({"a": one}) != policy_version({"a": with_limit(within="61 日")})
    assert parse_policies({"a": one}).version == policy_version({"a": one})


def paths_of(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path of a tree."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(found for key, value in inner for found in paths_of(value, (*path, key)))]


WHOLE = with_limit(extension={"up_to": "30 日", "approved_by": "principal"}, applies_to={"kind": {"not": "x"}})
WHOLE["ladders"]["standard"]["steps"] += [
    {**STEP, "repeat": {"every": "1 日", "times": 1}, "acknowledge": {"within": "1 小时", "else": "handler"}}
]
WHOLE["limits"]["finish"] |= {
    "within": {"earlier_of": ["7 日", "5 工作日"]},
    "start": ["other.done"],
    "platform_due": ["limit_at", "accepted_at + 30 日"],
    "recur": {"every": "1 月", "until": "finished_at", "at_most": 3},
    "pause": {"approved_by": "principal", "basis": "required", "up_to": "9 日"},
}
WHOLE["limits"]["other"] = {**WHOLE["limits"]["finish"], "start": "accepted_at", "within": {"set_by": "limit_at"}}
del WHOLE["limits"]["other"]["recur"]
WHOLE["ladders"]["standard"]["steps"] += [
    {
        **STEP,
        "id": "said",
        "when": {"light": "red", "handbacks": {"at_least": 2}},
        "unless": ["acknowledged"],
        "via": {"in_order": ["sms", "email"], "wait": "30 分钟"},
    }
]
WHOLE |= {
    "legs": ["functional"],
    "release_above": "principal",
    "restricted": {"recipients": ["P1"]},
    "quiet_hours": {"from": "22:00", "to": "07:30"},
    "digest": {"lights": ["green"], "at_least": 2},
    "tests": [
        {
            "name": "甲",
            "case": {
                "unit": "乙科",
                "accepted_at": "2026-09-16 10:00",
                "transfers": [{"at": "2026-09-17", "to_unit": "丙科"}],
                "extensions": [{"length": "3 日", "decided_at": "2026-09-18"}],
                "pauses": [{"from_at": "2026-09-19", "to_at": "2026-09-20"}],
            },
            "changes": [{"at": "2026-09-20", "finished_at": "2026-09-20", "level": 1}],
            "until": "2026-10-20",
            "due": {"finish": "2026-10-08"},
            "expect": [{"at": "2026-09-28 09:00", "step": "said", "to": "principal"}],
            "vacant": ["section_head"],
        }
    ],
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_the_whole_of_it_is_right_before_it_is_broken() -> None:
    """The tree the next test breaks has every kind of part, and no mistake."""
    found = parse_policies({"office.yaml": WHOLE})
    assert (len(found.policies), len(found.trials)) == (1, 1)


@settings(max_examples=400)
@given(st.sampled_from(paths_of(WHOLE)[1:]), ANYTHING)
def test_any_value_anywhere_is_a_policy_or_a_list_of_problems(path: tuple[Any, ...], value: object) -> None:
    """Nothing an administrator can write raises anything but PolicyError, and every problem lies in the file."""
    written = copy.deepcopy(WHOLE)
    node: Any = written
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    outcome: PolicySet | tuple[Problem, ...]
    try:
        outcome = parse_policies({"office.yaml": written})
    except PolicyError as error:
        outcome = error.problems
    if isinstance(outcome, PolicySet):
        return
    assert outcome
    assert all(problem.path[0] == "office.yaml" and problem.message.zh for problem in outcome)


def test_the_published_schema_is_up_to_date() -> None:
    """The file editors use is what the code accepts, with every key of a policy."""
    published = Path(__file__).resolve().parents[2] / "config" / "policy.schema.json"
    assert json.loads(published.read_text("utf-8")) == policy_schema()
    assert {"policy", "title", "limits", "ladders"} <= set(policy_schema()["required"])
