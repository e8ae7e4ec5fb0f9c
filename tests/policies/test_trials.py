"""The tests an administrator writes beside a policy: what they catch and how they say it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

from policies.beforehand.trials import run_trials
from policies.model import Case, Expected, PolicySet, Transfer, Trial
from support.invented_office import CALENDARS, KINDS, at, policy, step, with_steps

CASE = Case("T1", unit="乙科", handler="承办人甲", milestones={"arrived_at": at("2026-09-16 10:00")})
UNTIL = at("2026-10-20 00:00")
SENT = (
    Expected(at("2026-09-16 10:00"), "assigned", "first_handler"),
    Expected(at("2026-09-16 16:00"), "assigned.unacknowledged", "section_head"),
    Expected(at("2026-09-28 09:00"), "remind", "first_handler", limit="notify", channel="sms"),
    Expected(at("2026-10-08 00:00"), "today", whole_day=True),
    Expected(at("2026-10-09 09:00"), "urge", "deputy_leader"),
    Expected(at("2026-10-09 09:00"), "urge"),
    Expected(at("2026-10-14 09:00"), "bulletin"),
)


def trial(**changes: Any) -> Trial:
    """A trial of the usual policy."""
    usual = {"name": "国庆", "policy": "xinfang", "facts": ((CASE.milestones["arrived_at"], CASE),), "until": UNTIL}
    return Trial(**{**usual, **changes})


def failed(*trials: Trial, rules: Any = None) -> list[str]:
    """What went wrong, in Chinese, with the path."""
    one = rules or policy()
    problems = run_trials(PolicySet("v", {one.id: one}, trials), CALENDARS, KINDS)
    return [f"{'.'.join(map(str, p.path))}: {p.message.zh}" for p in problems]


def test_what_is_expected_and_comes_passes() -> None:
    """Every message named, by minute or by day, by role or without, and nothing else: nothing to say."""
    assert failed(trial(expects=SENT, dues={"notify": date(2026, 10, 8)})) == []


def test_a_wrong_date_says_what_it_really_is() -> None:
    """A limit that ends on another day than expected, and one that does not run at all."""
    told = failed(trial(dues={"notify": date(2026, 10, 1), "finish": date(2026, 11, 1)}))
    assert told == [
        "xinfang.tests.0.due.notify: 测试“国庆”不符：应于 2026-10-01 到期，实际 2026-10-08",
        "xinfang.tests.0.due.finish: 测试“国庆”不符：应于 2026-11-01 到期，实际没有这个时限在算",
    ]


def test_each_clock_of_a_limit_has_its_own_end() -> None:
    """`notify.2` is the second holder's clock, `notify.1` the first one's; what does not run is told with what does."""
    moved = replace(
        CASE,
        unit="丙科",
        transfers=(Transfer(1, CASE.milestones["arrived_at"], "乙科"), Transfer(2, at("2026-09-18 10:00"), "丙科")),
    )
    usual = policy()
    limits = tuple(replace(limit, per_holder=limit.id == "notify") for limit in usual.limits)
    rules = replace(usual, limits=limits)
    played = {"facts": ((CASE.milestones["arrived_at"], CASE), (at("2026-09-18 10:00"), moved))}
    right = {"notify": date(2026, 10, 8), "notify.1": date(2026, 10, 8), "notify.2": date(2026, 10, 8)}
    assert failed(trial(**played, dues=right), rules=rules) == []
    wrong = {"notify.3": date(2026, 10, 8), "notify.2": date(2026, 10, 9)}
    absent, other = failed(trial(**played, dues=wrong), rules=rules)
    assert absent.endswith("应于 2026-10-08 到期，实际没有这个时限在算；在算的有：notify.1、notify.2")
    assert other.endswith("应于 2026-10-09 到期，实际 2026-10-08")


def test_a_message_that_does_not_come_says_when_it_does() -> None:
    """A step expected too early is missing, and where it really went is both told and surplus."""
    wrong = (*SENT[:2], Expected(at("2026-09-29 09:00"), "remind", "first_handler"), *SENT[3:])
    missing, surplus = failed(trial(expects=wrong))
    assert missing == (
        "xinfang.tests.0.expect.2: 测试“国庆”不符：2026-09-29 09:00 应有梯级“remind”发给首办责任人，实际没有；"
        "它在 2026-09-28 09:00 发给首办责任人"
    )
    assert surplus == "xinfang.tests.0.expect: 测试“国庆”不符：还发了没有写到的：2026-09-28 09:00 “remind”→首办责任人"


def test_much_surplus_is_shortened() -> None:
    """Of many messages nobody wrote down the first five are shown, with the number."""
    [told] = failed(trial(expects=SENT[:1]))
    assert told.count("→") == 5
    assert re.search(r"等 \d+ 条$", told)


def test_silence_can_be_expected() -> None:
    """A case that is notified at once is silent afterwards; one that is not breaks the silence."""
    done = Case("T1", "乙科", "承办人甲", {**CASE.milestones, "notified_at": at("2026-09-16 10:00")})
    assert failed(trial(facts=((at("2026-09-16 10:00"), done),), silent=True)) == []
    assert len(failed(trial(silent=True))) == 1


def test_facts_may_change_on_the_way() -> None:
    """From the notice on nothing more is said."""
    done = Case("T1", "乙科", "承办人甲", {**CASE.milestones, "notified_at": at("2026-09-29 10:00")})
    facts = ((at("2026-09-16 10:00"), CASE), (at("2026-09-29 10:00"), done))
    assert failed(trial(facts=facts, expects=SENT[:3])) == []


def test_a_vacant_post_is_told_upward() -> None:
    """The office of the trial has every role but those named as vacant; the next one up gets the message."""
    rules = with_steps(step("today", "due 09:00", "section_head"))
    sent = (
        Expected(at("2026-10-08 09:00"), "today", "deputy_leader"),
        Expected(at("2026-10-08 09:00"), "today", "administrator"),
    )
    assert failed(trial(expects=sent, absent=("section_head",)), rules=rules) == []


def test_units_of_the_record_have_their_people() -> None:
    """Whoever the case is handed to can be reached in the trial as well."""
    moved = Case(
        "T1",
        "丙科",
        "承办人乙",
        CASE.milestones,
        transfers=(Transfer(1, at("2026-09-18 09:00"), "丙科", "承办人乙", "乙科"),),
    )
    facts = ((at("2026-09-16 10:00"), CASE), (at("2026-09-18 09:00"), moved))
    rules = with_steps(step("today", "due 09:00", "handler", "first_handler"))
    sent = tuple(Expected(at("2026-10-08 09:00"), "today", to) for to in ("承办人乙", "承办人甲"))
    assert failed(trial(facts=facts, expects=sent), rules=rules) == []


def test_several_trials_are_told_apart() -> None:
    """Each failure leads to the trial it belongs to."""
    told = failed(trial(silent=True), trial(silent=True, name="第二个", index=1))
    assert [one.split(":")[0] for one in told] == ["xinfang.tests.0.expect", "xinfang.tests.1.expect"]
