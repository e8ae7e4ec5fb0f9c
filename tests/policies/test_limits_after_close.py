"""Limits that run on when the shared database has closed the case (反馈、回访): `after_close`."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from policies.beforehand.lint import Setting, lint
from policies.duration import parse_duration
from policies.model import Case, Limit, ObligationState, Recurrence, Why
from support.invented_office import CALENDARS, at, case, counted, decide, finish, limit, policies, policy

FINISHED = at("2026-07-06 10:00")
LATE = at("2026-07-28 09:00")


def feedback(**more: Any) -> Limit:
    """Fifteen working days from the end of the case."""
    usual = {"id": "feedback", "title": "反馈", "within": parse_duration("15 工作日"), "platform_due": ()}
    usual |= {"start": ("finished_at",), "done": ("fed_back_at",), "after_close": True}
    return limit(**{**usual, **more})


def closed(**milestones: Any) -> Case:
    """A case that was finished and closed on 6 July."""
    arrived = {"arrived_at": at("2026-06-01 10:00"), "finished_at": FINISHED}
    return case(milestones={**arrived, **milestones}, open=False)


def state(the_case: Case, *limits: Limit) -> list[tuple[str, ObligationState]]:
    """Each obligation and where it stands."""
    return [(one.limit, one.state) for one in counted(the_case, LATE, policy(*limits)).obligations]


def test_it_runs_until_its_own_end_and_the_others_are_over() -> None:
    """Only what asks for it outlives the case; what was not met by then is over as before."""
    limits = (finish(), limit(), feedback(), feedback(id="plain", after_close=False))
    assert state(closed(), *limits) == [
        ("finish", ObligationState.DONE),
        ("notify", ObligationState.WITHDRAWN),
        ("feedback", ObligationState.OPEN),
        ("plain", ObligationState.WITHDRAWN),
    ]
    assert state(closed(fed_back_at=LATE), feedback()) == [("feedback", ObligationState.DONE)]


def test_it_may_follow_another_limit_and_come_again() -> None:
    """`finish.done` is a start as good as the milestone; each return is there after the close too."""
    assert state(closed(), finish(), feedback(start=("finish.done",)))[-1] == ("feedback", ObligationState.OPEN)
    again = feedback(within=parse_duration("10 日"), recur=Recurrence(parse_duration("10 日")))
    assert [one for _, one in state(closed(), again)] == [ObligationState.OPEN] * 3


@pytest.mark.parametrize("the_case", [case(), replace(case(), open=False)])
def test_as_long_as_the_case_is_not_finished_nothing_is_missing(the_case: Case) -> None:
    """That it has no start yet is no finding: neither while the case runs nor if it was closed otherwise."""
    found = counted(the_case, LATE, policy(feedback()))
    assert (found.obligations, found.findings) == ((), ())


def test_people_are_told_of_a_closed_case() -> None:
    """The day after its end the ladder urges; a limit without `after_close` says nothing and why."""
    urged = decide(LATE, the_case=closed(), rules=policy(feedback()))
    assert {notice.step for notice in urged.notices} == {"urge"}
    assert urged.history.breached_at is not None
    rules = policy(feedback(after_close=False))
    silent = decide(LATE, the_case=closed(), rules=rules)
    assert (silent.notices, silent.reasons[0].why) == ((), Why.WITHDRAWN)


@pytest.mark.parametrize(
    ("limits", "remarked"),
    [
        ((finish(), feedback(after_close=False)), True),
        ((finish(), feedback(after_close=False, start=("finish.done",))), True),
        ((finish(), feedback()), False),
        ((finish(), feedback(after_close=False, enabled=False)), False),
        ((limit(), limit(id="next", start=("notified_at",), done=("accepted_at",))), False),
    ],
)
def test_a_limit_that_would_be_over_before_it_begins_is_a_remark(limits: tuple[Limit, ...], remarked: bool) -> None:
    """One that begins when the case is finished, and would end with it."""
    told = lint(policies(policy(*limits)), Setting(CALENDARS), date(2026, 11, 1))
    assert any("after_close" in problem.message.zh for problem in told) is remarked
