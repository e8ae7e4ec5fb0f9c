"""What was met stays met when the shared database writes a later instant over the first one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.model import Case, History, ObligationState, Why
from policies.obligations import obligations_of
from support.invented_office import CALENDARS, at, case, decide, policies

ARRIVED, NOTIFIED, AGAIN = at("2026-09-16 10:00"), at("2026-09-20 10:00"), at("2026-10-12 10:00")


def told(*instants: str) -> Case:
    """The case with the notice given at these instants; the shared database keeps the last one beside them all."""
    given = tuple(at(one) for one in instants)
    milestones = {"arrived_at": ARRIVED, "notified_at": given[-1]}
    return case(milestones=milestones, series={"notified_at": given} if len(given) > 1 else {})


def test_a_later_notice_over_the_first_one_accuses_nobody() -> None:
    """Notified in time, then a second notice is written over it after the limit: still in time, and a finding."""
    met = obligations_of(policies(), told("2026-09-20 10:00"), CALENDARS, NOTIFIED).obligations
    counted = obligations_of(policies(), told("2026-10-12 10:00"), CALENDARS, AGAIN, before=met)
    (one,) = counted.obligations
    assert (one.state, one.done_at) == (ObligationState.DONE, NOTIFIED)
    assert [f.text.zh for f in counted.findings] == [
        "“书面告知”办理时间原为 2026-09-20 10:00，后被改为 2026-10-12 10:00，仍按原记载。"
    ]
    plan = decide(AGAIN, History(), the_case=told("2026-10-12 10:00"), one=one)
    assert Why.BREACH not in {reason.why for reason in plan.reasons}


def test_of_several_instants_on_record_the_first_one_counts() -> None:
    """A limit is met by the first notice since its start, however many followed."""
    several = told("2026-09-20 10:00", "2026-10-12 10:00")
    (one,) = obligations_of(policies(), several, CALENDARS, AGAIN).obligations
    assert one.done_at == NOTIFIED
    round_two = replace(several, milestones={**several.milestones, "arrived_at": at("2026-10-09 09:00")})
    (one,) = obligations_of(policies(), round_two, CALENDARS, AGAIN, before=(one,)).obligations
    assert one.done_at == AGAIN  # the notice of the round before is none of this one


@pytest.mark.parametrize(
    ("milestones", "done_at"),
    [({"notified_at": at("2026-09-18 10:00")}, at("2026-09-18 10:00")), ({}, None)],
    ids=["corrected to an earlier instant", "taken back"],
)
def test_a_correction_is_believed(milestones: dict[str, object], done_at: object) -> None:
    """An instant taken back, or corrected to an earlier one, is no overwriting."""
    met = obligations_of(policies(), told("2026-09-20 10:00"), CALENDARS, NOTIFIED).obligations
    corrected = case(milestones={"arrived_at": ARRIVED, **milestones})
    counted = obligations_of(policies(), corrected, CALENDARS, NOTIFIED, before=met)
    assert counted.obligations[0].done_at == done_at
    assert counted.findings == ()
