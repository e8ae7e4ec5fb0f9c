"""`tests:` of a policy file: a case as it changes in time, and what is expected of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from policies.duration import Duration, Unit
from policies.errors import PolicyError
from policies.language import KnownNames, parse_policies, policy_version
from policies.model import Case, Expected, Extension, Movement, Pause, Transfer, Trial
from support.invented_office import at, end_of

SMALL: dict[str, Any] = {
    "policy": "office",
    "title": "限时办结",
    "limits": {
        "notify": {
            "title": "告知",
            "start": "arrived_at",
            "within": "15 日",
            "done": "notified_at",
            "ladder": "standard",
        },
    },
    "ladders": {
        "standard": {
            "lights": {"yellow": "3 工作日", "orange": "1 工作日"},
            "steps": [
                {"id": "assigned", "at": "start", "to": "first_handler", "say": "assigned"},
                {"at": "due - 3 工作日 09:00", "to": "first_handler", "say": "remind"},
            ],
        }
    },
}
CASE = {"unit": "乙科", "handler": "承办人甲", "kind": "求决", "arrived_at": "2026-09-16 10:00"}
WHOLE = {"name": "节后到期", "case": CASE, "until": "2026-10-20", "due": {"notify": "2026-10-08"}}
KNOWN = KnownNames(
    milestones={"arrived_at", "accepted_at", "notified_at", "finished_at", "limit_at", "replied_at", "hearing_at"},
    fields={"kind", "level", "seen_at"},
)


def trials(*written: dict[str, Any], known: KnownNames = KNOWN) -> tuple[Trial, ...]:
    """The trials of the small policy."""
    return parse_policies({"office.yaml": {**SMALL, "tests": list(written)}}, known).trials


def trial(**changes: Any) -> Trial:
    """One trial with other keys."""
    [found] = trials({**WHOLE, **changes})
    return found


def case_at(found: Trial, instant: datetime) -> Case:
    """What the case says at that instant."""
    return [case for since, case in found.facts if since <= instant][-1]


def mistakes(**changes: Any) -> list[tuple[str, str]]:
    """Place and Chinese sentence of everything wrong with a trial."""
    with pytest.raises(PolicyError) as caught:
        trial(**changes)
    return [(".".join(map(str, each.path[3:])), each.message.zh) for each in caught.value.problems]


def test_a_trial_is_read_with_everything_it_may_say() -> None:
    """Times are those of the office's clocks; a date alone expects any minute of that day."""
    found = trial(
        changes=[{"at": "2026-09-30 10:00", "notified_at": "2026-09-30 10:00"}],
        due={"notify": "2026-10-08"},
        expect=[
            {"at": "2026-09-28 09:00", "step": "due-3wd", "to": "first_handler", "limit": "notify", "channel": "sms"},
            {"at": "2026-09-16", "step": "assigned.unacknowledged", "to": "承办人甲"},
        ],
        vacant="section_head",
    )
    first = Case("T1", "乙科", "承办人甲", milestones={"arrived_at": at("2026-09-16 10:00")}, fields={"kind": "求决"})
    assert (found.name, found.policy, found.index, found.silent) == ("节后到期", "office", 0, False)
    assert found.facts[0] == (at("2026-09-16 10:00"), first)
    assert [since for since, _ in found.facts] == [at("2026-09-16 10:00"), at("2026-09-30 10:00")]
    assert found.facts[1][1].milestones["notified_at"] == at("2026-09-30 10:00")
    assert found.until == end_of("2026-10-20")
    assert found.dues == {"notify": date(2026, 10, 8)}
    assert found.expects == (
        Expected(at("2026-09-28 09:00"), "due-3wd", "first_handler", "notify", "sms"),
        Expected(at("2026-09-16 00:00"), "assigned.unacknowledged", "承办人甲", whole_day=True),
    )
    assert found.absent == ("section_head",)


def test_nothing_expected_and_nothing_said_are_different() -> None:
    """`expect: nothing` forbids every message; without `expect` messages are not compared."""
    silent, open_ = trials({**WHOLE, "expect": "nothing"}, {**WHOLE, "name": "乙"})
    assert (silent.silent, silent.expects, open_.silent, open_.expects) == (True, (), False, ())
    assert [silent.index, open_.index] == [0, 1]


def test_the_clock_is_that_of_the_office() -> None:
    """Ten o'clock in an office at Greenwich is ten o'clock there."""
    [found] = trials(WHOLE, known=KnownNames(zone=ZoneInfo("Europe/London")))
    assert found.facts[0][0] == datetime(2026, 9, 16, 9, tzinfo=UTC)


def test_what_the_case_says_becomes_known_as_it_happens() -> None:
    """A milestone of the future is not there before; the platform's limit is known from the beginning."""
    found = trial(case={**CASE, "accepted_at": "2026-09-18", "finished_at": "2026-12-01", "limit_at": "2026-11-15"})
    before, after = case_at(found, at("2026-09-17 09:00")), case_at(found, at("2026-09-18 09:00"))
    assert set(before.milestones) == {"arrived_at", "limit_at"}
    assert before.milestones["limit_at"] == end_of("2026-11-15")
    assert after.milestones["accepted_at"] == at("2026-09-18 00:00")
    assert "finished_at" not in found.facts[-1][1].milestones  # after `until`


@pytest.mark.parametrize(
    ("limit", "known_at_first"),
    [
        ({"within": {"set_by": "settle_by"}}, True),
        ({"platform_due": ["settle_by"]}, True),
        ({"platform_due": "settle_by + 30 日"}, False),
        ({}, False),
    ],
)
def test_what_the_policy_reads_as_a_limit_is_known_in_advance(limit: dict[str, Any], known_at_first: bool) -> None:
    """Whatever its name: by what `set_by` and `platform_due` say; a date of it is then the end of that day."""
    tree = {
        **SMALL,
        "limits": {"notify": {**SMALL["limits"]["notify"], **limit}},
        "tests": [{**WHOLE, "case": {**CASE, "settle_by": "2026-10-15"}}],
    }
    known = KnownNames(milestones={*(KNOWN.milestones or ()), "settle_by"}, fields=KNOWN.fields)
    [found] = parse_policies({"office.yaml": tree}, known).trials
    first, last = found.facts[0][1], found.facts[-1][1]
    assert ("settle_by" in first.milestones) is known_at_first
    assert last.milestones["settle_by"] == (end_of("2026-10-15") if known_at_first else at("2026-10-15 00:00"))


def test_a_trial_may_name_one_clock_of_a_limit() -> None:
    """The second holder's or the second return; the name is kept as it was written."""
    assert trial(due={"notify.2": "2026-10-08"}).dues == {"notify.2": date(2026, 10, 8)}


def test_what_a_change_says_is_known_from_then_on() -> None:
    """Also an instant that lies ahead (a hearing fixed), one entered late, and one taken back."""
    found = trial(
        changes=[
            {"at": "2026-09-20", "hearing_at": "2026-10-10 09:00", "level": 3},
            {"at": "2026-09-25", "accepted_at": "2026-09-18 08:00", "hearing_at": None, "handler": None},
        ]
    )
    assert case_at(found, at("2026-09-21 00:00")).milestones["hearing_at"] == at("2026-10-10 09:00")
    last = found.facts[-1][1]
    assert last.milestones == {"arrived_at": at("2026-09-16 10:00"), "accepted_at": at("2026-09-18 08:00")}
    assert (last.fields, last.unit, last.handler) == ({"kind": "求决", "level": 3}, "乙科", None)


def test_a_milestone_that_came_more_than_once_is_a_list() -> None:
    """The last one counts as the milestone, all are its series, each from its own instant on."""
    found = trial(case={**CASE, "replied_at": ["2026-10-02", "2026-09-20"]})
    once, twice = case_at(found, at("2026-09-21 00:00")), found.facts[-1][1]
    assert (once.milestones["replied_at"], once.series) == (at("2026-09-20 00:00"), {})
    assert twice.series == {"replied_at": (at("2026-09-20 00:00"), at("2026-10-02 00:00"))}
    assert twice.milestones["replied_at"] == at("2026-10-02 00:00")
    told = trial(changes=[{"at": "2026-10-03", "replied_at": ["2026-10-02", "2026-09-20"]}])
    assert told.facts[-1][1].series == twice.series


def test_the_case_follows_its_movements() -> None:
    """A hand-over changes unit and handler unless the same change names them; a hand-back asked for does not."""
    found = trial(
        case={**CASE, "transfers": [{"at": "2026-09-18", "to_unit": "丙科", "to_official": "乙", "document": "1 号"}]},
        changes=[
            {"at": "2026-09-20", "transfers": [{"at": "2026-09-20", "to_unit": "乙科", "kind": "hand_back"}]},
            {"at": "2026-09-22", "unit": "丁科", "transfers": [{"at": "2026-09-21", "to_unit": "戊科"}]},
        ],
    )
    where = [(case.unit, case.handler, len(case.transfers)) for _, case in found.facts]
    assert where == [("乙科", "承办人甲", 0), ("丙科", "乙", 1), ("丙科", "乙", 2), ("丁科", "乙", 3)]
    assert found.facts[1][1].transfers == (Transfer(1, at("2026-09-18 00:00"), "丙科", "乙", document="1 号"),)
    assert found.facts[2][1].transfers[1].kind is Movement.HAND_BACK


def test_extensions_and_pauses_have_the_names_of_the_model() -> None:
    """A line with the number of an earlier one takes its place: so a pause ends."""
    found = trial(
        case={
            **CASE,
            "extensions": [
                {"length": "30 日", "decided_at": "2026-09-20 09:00", "approved_by": "principal", "limit": "notify"}
            ],
        },
        changes=[
            {"at": "2026-09-22", "pauses": [{"from_at": "2026-09-22", "basis": "听证", "review_at": "2026-10-09"}]},
            {"at": "2026-09-25", "pauses": [{"seq": 1, "from_at": "2026-09-22", "to_at": "2026-09-24"}]},
        ],
    )
    [extension] = found.facts[-1][1].extensions
    assert extension == Extension(
        1, Duration(Fraction(30), Unit.DAY), at("2026-09-20 09:00"), "principal", limit="notify"
    )
    assert case_at(found, at("2026-09-23 00:00")).pauses == (
        Pause(1, at("2026-09-22 00:00"), basis="听证", review_at=at("2026-10-09 00:00")),
    )
    assert found.facts[-1][1].pauses == (Pause(1, at("2026-09-22 00:00"), end_of("2026-09-24")),)


def test_the_other_facts_of_a_case() -> None:
    """Restricted, closed, withdrawn from, repeated: as the model has them."""
    case = trial(case={**CASE, "restricted": True, "open": False, "recused": "甲", "earlier": "XF1", "unit": 37}).facts
    found = case[0][1]
    assert (found.restricted, found.open, found.recused, found.earlier) == (True, False, ("甲",), "XF1")
    assert found.unit == "37"


def test_a_field_may_end_like_a_milestone() -> None:
    """What the mapping calls a field stays what was written."""
    assert trial(case={**CASE, "seen_at": "某日"}).facts[0][1].fields["seen_at"] == "某日"


@pytest.mark.parametrize(
    ("changes", "place", "sentence"),
    [
        ({"case": {**CASE, "lewel": 1}}, "case.lewel", "没有名为“lewel”的节点时间或案件字段"),
        ({"case": {**CASE, "accepted_at": "明天"}}, "case.accepted_at", "应为日期或时刻"),
        ({"case": {**CASE, "accepted_at": 20260916}}, "case.accepted_at", "实为 20260916"),
        ({"case": {**CASE, "accepted_at": "0001-01-01"}}, "case.accepted_at", "年份应在"),
        ({"case": {"kind": "求决"}}, "case", "至少要有一个节点时间"),
        ({"due": {}}, "expect", "什么都不比较"),
        ({"until": "2026-09-01"}, "until", "应晚于"),
        ({"changes": [{"at": "2026-09-01", "level": 1}]}, "changes.0.at", "否则看不到"),
        ({"expect": [{"at": "2026-12-01", "step": "due-3wd"}]}, "expect.0.at", "否则看不到"),
        ({"expect": {"at": "2026-09-20", "step": "due-3w"}}, "expect.step", "没有名为“due-3w”的梯级"),
        ({"expect": [{"at": "2026-09-20", "step": "assigned", "to": "乙"}]}, "expect.0.to", "没有名为“乙”的角色或人"),
        ({"expect": [{"at": "2026-09-20", "step": "assigned", "channel": "fax"}]}, "expect.0.channel", "通道"),
        ({"due": {"finish": "2026-10-08"}}, "due.finish", "没有名为“finish”的时限"),
        ({"vacant": "chief"}, "vacant", "没有名为“chief”的角色"),
        ({"expect": []}, "expect", "写 nothing"),
    ],
)
def test_a_mistake_in_a_trial_is_named_where_it_stands(changes: dict[str, Any], place: str, sentence: str) -> None:
    """One mistake, one problem, at its own key."""
    [(found, said)] = mistakes(**changes)
    assert found == place
    assert sentence in said


def test_a_trial_changes_no_policy() -> None:
    """Adding a test leaves the version as it was: nothing of what the policy does is different."""
    assert policy_version({"a": SMALL}) == policy_version({"a": {**SMALL, "tests": [WHOLE]}})
