"""Who led a case when, read off its record of movements."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.model import Case, Movement, Transfer
from policies.people.holding import handbacks, holder_at, holdings
from support.invented_office import at

if TYPE_CHECKING:
    from datetime import datetime

BUREAU = Transfer(1, at("2026-05-06 09:00"), "信访局", kind=Movement.RECEIVE)
TO_A = Transfer(2, at("2026-05-20 10:00"), "甲区", "承办人甲", "信访局", document="交办〔2026〕7号")
ASKED = Transfer(3, at("2026-05-26 15:00"), None, None, "甲区", "不属本单位职责", kind=Movement.HAND_BACK)
AGREED = replace(ASKED, approved_by="科长", decided_at=at("2026-05-28 09:00"))
TO_B = Transfer(4, at("2026-05-28 10:00"), "乙区", None, "信访局", document="交办〔2026〕9号")
STORY = Case(
    "XF1", "乙区", "承办人乙", {"registered_at": at("2026-05-06 09:00")}, transfers=(BUREAU, TO_A, AGREED, TO_B)
)


def told(case: Case) -> list[tuple[str | None, str | None, datetime, datetime | None]]:
    """Who led, from when to when."""
    return [(one.unit, one.official, one.from_at, one.to_at) for one in holdings(case) if one.lead]


def unit_at(case: Case, moment: str) -> str | None:
    """The unit that led at that moment."""
    held = holder_at(case, at(moment))
    return held.unit if held else None


def test_a_case_handed_over_objected_to_and_handed_over_again() -> None:
    """Domain 2.4: the bureau until 05-20, A until its objection is agreed, the bureau for an hour, then B."""
    agreed_at = AGREED.decided_at
    assert told(STORY) == [
        ("信访局", None, BUREAU.at, TO_A.at),
        ("甲区", "承办人甲", TO_A.at, agreed_at),
        ("信访局", None, agreed_at, TO_B.at),
        ("乙区", "承办人乙", TO_B.at, None),
    ]
    assert [one.document for one in holdings(STORY)] == [None, TO_A.document, None, TO_B.document]


def test_asking_to_hand_back_changes_nobody() -> None:
    """Statement 40: until the sender agrees the case stays with the unit that holds it; the request is counted."""
    waiting = replace(STORY, unit="甲区", handler="承办人甲", transfers=(BUREAU, TO_A, ASKED))
    assert unit_at(waiting, "2026-06-30 10:00") == "甲区"
    assert handbacks(waiting, at("2026-05-26 14:59")) == 0
    assert handbacks(waiting, at("2026-05-26 15:00")) == 1


def test_helping_does_not_take_the_lead() -> None:
    """北京 art. 14: the first unit leads, the co-handler stands after the leaders until his hand-back is agreed."""
    helped = Transfer(5, at("2026-06-01 10:00"), "丙区", kind=Movement.CO_HANDLE, document="协办〔2026〕1号")
    case = replace(STORY, transfers=(*STORY.transfers, helped))
    assert unit_at(case, "2026-06-02 10:00") == "乙区"
    (helper,) = (one for one in holdings(case) if not one.lead)
    assert (helper.number, helper.unit, helper.to_at) == (4, "丙区", None)
    let_off = replace(AGREED, seq=6, at=at("2026-06-03 10:00"), from_unit="丙区", decided_at=at("2026-06-05 10:00"))
    case = replace(case, transfers=(*case.transfers, let_off))
    assert unit_at(case, "2026-06-06 10:00") == "乙区"
    (helper,) = (one for one in holdings(case) if not one.lead)
    assert helper.to_at == at("2026-06-05 10:00")


def test_another_person_of_the_same_unit_is_a_holding_of_his_own() -> None:
    """A change of person inside the unit begins a new holding there."""
    inside = Transfer(5, at("2026-06-01 10:00"), None, "承办人丙", reason="人员变动")
    case = replace(STORY, handler="承办人丙", transfers=(*STORY.transfers, inside))
    assert [(unit, official) for unit, official, _, _ in told(case)][-2:] == [("乙区", None), ("乙区", "承办人丙")]


def test_a_return_goes_back_to_the_sender() -> None:
    """A return that names nobody goes to whoever had sent it."""
    back = Transfer(5, at("2026-06-01 10:00"), None, None, "乙区", kind=Movement.RETURN)
    case = replace(STORY, unit="信访局", handler=None, transfers=(*STORY.transfers, back))
    assert unit_at(case, "2026-06-02 10:00") == "信访局"


def test_signing_names_the_official() -> None:
    """Who signed for it at the unit is the one who had it, from its arrival there."""
    plain = replace(TO_A, to_official=None)
    signed = Transfer(3, at("2026-05-21 09:00"), "甲区", "承办人丁", kind=Movement.SIGN)
    case = Case("XF1", "甲区", None, STORY.milestones, transfers=(BUREAU, plain, signed))
    held = holder_at(case, at("2026-05-20 12:00"))
    assert held is not None
    assert (held.unit, held.official) == ("甲区", "承办人丁")


def test_without_movements_the_present_ones_had_it_all_the_time() -> None:
    """Before the first instant on record, and with none at all, the present unit and handler are the answer."""
    case = Case("XF1", "甲区", "承办人甲", {"arrived_at": at("2026-05-20 10:00")})
    for one in (case, replace(case, milestones={})):
        for moment in ("2026-05-01 10:00", "2026-05-21 10:00"):
            held = holder_at(one, at(moment))
            assert held is not None
            assert (held.unit, held.official) == ("甲区", "承办人甲")
    assert holder_at(Case("XF1"), at("2026-05-21 10:00")) is None
    assert holdings(Case("XF1", "甲区")) == ()


def test_a_case_elsewhere_without_a_record_is_there_now() -> None:
    """The last movement says A, the case says B: B has it after all that is known, and A keeps what was his."""
    case = replace(STORY, unit="丙区", handler=None, milestones={"accepted_at": at("2026-06-01 09:00")})
    assert unit_at(case, "2026-06-01 09:00") == "乙区"
    assert unit_at(case, "2026-06-01 09:01") == "丙区"


def test_nobody_is_made_up_for_the_time_before_an_unexplained_hand_over() -> None:
    """The first movement does not say where it came from: who had it before is not known."""
    late = replace(TO_A, from_unit=None)
    case = Case("XF1", "甲区", "承办人甲", {"registered_at": at("2026-05-06 09:00")}, transfers=(late,))
    assert unit_at(case, "2026-05-10 09:00") is None
    assert unit_at(case, "2026-05-20 10:00") == "甲区"


@pytest.mark.parametrize("who", ["信访局", "丙区"])
def test_a_hand_back_by_a_unit_that_no_longer_leads_changes_nobody(who: str) -> None:
    """Agreed after the case had gone on already: the present holder keeps it."""
    late = replace(AGREED, seq=9, from_unit=who, decided_at=at("2026-06-03 10:00"))
    assert unit_at(replace(STORY, transfers=(*STORY.transfers, late)), "2026-06-04 10:00") == "乙区"


# --- invariants ---------------------------------------------------------------------------------------------------

UNITS = st.sampled_from([None, "甲", "乙", "丙"])
START = at("2026-05-06 09:00")
INSTANTS = st.integers(0, 40).map(lambda hours: START + timedelta(hours=hours))
MOVES = st.builds(
    Transfer,
    seq=st.integers(1, 9),
    at=INSTANTS,
    to_unit=UNITS,
    to_official=st.sampled_from([None, "x", "y"]),
    from_unit=UNITS,
    approved_by=st.sampled_from([None, "科长"]),
    kind=st.sampled_from(list(Movement)),
    decided_at=st.none() | INSTANTS,
)
CASES = st.builds(
    Case,
    key=st.just("XF1"),
    unit=UNITS,
    handler=st.sampled_from([None, "x", "y"]),
    milestones=st.dictionaries(st.sampled_from(["registered_at", "accepted_at", "limit_at"]), INSTANTS, max_size=3),
    transfers=st.lists(MOVES, max_size=6).map(tuple),
)


@given(CASES, INSTANTS)
def test_at_most_one_leads_at_any_instant_and_no_time_is_left_out(case: Case, moment: datetime) -> None:
    """Leaders follow one another without gap or overlap from the first on, and are numbered in time."""
    leaders = [one for one in holdings(case) if one.lead]
    assert [one.number for one in holdings(case)] == list(range(len(holdings(case))))
    assert sum(one.covers(moment) for one in leaders) == (1 if leaders and leaders[0].from_at <= moment else 0)
    for earlier, later in pairwise(leaders):
        assert earlier.to_at == later.from_at
    assert not leaders or leaders[-1].to_at is None


@given(CASES, MOVES)
def test_a_hand_back_nobody_agreed_to_changes_no_holding(case: Case, move: Transfer) -> None:
    """Whatever is asked for: without approval the same people hold the case as before."""
    whole = replace(case, milestones={"registered_at": START, "closed_at": START + timedelta(days=9)})
    asked = replace(move, kind=Movement.HAND_BACK, approved_by=None)
    after = replace(whole, transfers=(*whole.transfers, asked))
    assert holdings(after) == holdings(whole)
