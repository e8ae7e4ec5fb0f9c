"""A clock for every unit that receives the case (条例第二十三条第三款), and the worked example of a transfer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.duration import parse_duration
from policies.model import (
    Bound,
    Case,
    Extension,
    ExtensionRule,
    Movement,
    Obligation,
    ObligationState,
    Policy,
    Transfer,
    Why,
)
from policies.obligations import Counted, obligations_of
from support.invented_office import CALENDARS, at, case, end_of, limit, policies, policy

FIVE = parse_duration("5 工作日")
MONTH = Bound("registered_at", parse_duration("30 日"))
SORT = limit(id="sort", title="转送", start=("registered_at",), done=("forwarded_at",), platform_due=())
OBJECT = limit(id="object", title="异议", within=FIVE, done=("objected_at",), per_holder=True, platform_due=())
NOTIFY = limit(per_holder=True, platform_due=(Bound("limit_at"), MONTH))
RULES = policy(SORT, OBJECT, NOTIFY)
NOW = at("2026-06-01 10:00")


def move(seq: int, moment: str, to: str, **changes: Any) -> Transfer:
    """One hand-over unless told otherwise."""
    return Transfer(seq, at(moment), to, **changes)


TO_A = move(1, "2026-05-20 10:00", "A", from_unit="信访局")
TO_B = move(2, "2026-05-28 10:00", "B", from_unit="A", approved_by="信访局", reason="异议成立")


def registered(*moves: Transfer, **changes: Any) -> Case:
    """A case the bureau registered on Wed 2026-05-06 and sent on."""
    milestones = {"registered_at": at("2026-05-06 10:00"), **changes.pop("also", {})}
    unit = changes.pop("unit", moves[-1].to_unit if moves else "信访局")
    return case(milestones=milestones, unit=unit, handler=None, transfers=moves, **changes)


def of(the_case: Case, name: str, now: Any = NOW, before: Any = (), rules: Policy = RULES) -> list[Obligation]:
    """The obligations of one limit."""
    found = obligations_of(policies(rules), the_case, CALENDARS, now, before=before).obligations
    return [one for one in found if one.limit == name]


def everything(the_case: Case, now: Any = NOW, before: Any = ()) -> Counted:
    """All obligations and findings."""
    return obligations_of(policies(RULES), the_case, CALENDARS, now, before=before)


def shape(found: list[Obligation]) -> list[tuple[str, str | None, str]]:
    """Instance, holder and state of each."""
    return [(one.instance, one.holder_unit, one.state.value) for one in found]


def test_transfer_example_end_to_end() -> None:
    """Statement 39, §2.4: A objects until 05-27, B has until 06-12 by law and is warned against 06-05."""
    with_a = registered(TO_A)
    (sorting,) = of(with_a, "sort", at("2026-05-20 12:00"))
    assert sorting.legal_due_at == end_of("2026-05-21")
    (objecting,) = of(with_a, "object", at("2026-05-20 12:00"))
    assert (objecting.holder_unit, objecting.legal_due_at) == ("A", end_of("2026-05-27"))
    before = everything(with_a, at("2026-05-20 12:00")).obligations

    with_b = registered(TO_A, TO_B, also={"objected_at": at("2026-05-26 15:00")})
    assert shape(of(with_b, "object", before=before)) == [("", "A", "done"), ("2", "B", "open")]
    first, second = of(with_b, "notify", before=before)
    assert (first.instance, first.holder_unit, first.state) == ("", "A", ObligationState.WITHDRAWN)
    assert (second.instance, second.holder_unit, second.start_at) == ("2", "B", TO_B.at)
    assert second.legal_due_at == end_of("2026-06-12")
    assert second.platform_due_at == second.due_at == at("2026-06-05 10:00")
    ended = [reason for reason in everything(with_b, before=before).findings if reason.why is Why.HANDED_OVER]
    assert [(reason.step, reason.at) for reason in ended] == [("xinfang/notify", TO_B.at)]
    assert "A 的时限终止" in ended[0].text.zh
    (sorting,) = of(with_b, "sort")
    assert sorting.start_at == at("2026-05-06 10:00"), "the bureau's clock does not restart"


def test_receipt_begins_the_clock_where_it_is_on_record() -> None:
    """B signed for the papers a day after the hand-over: its time runs from the receipt."""
    received = move(3, "2026-05-29 09:00", "B", kind=Movement.RECEIVE)
    (_, second) = of(registered(TO_A, TO_B, received), "notify")
    assert (second.start_at, second.start_assumed) == (received.at, False)
    (_, unsigned) = of(registered(TO_A, TO_B), "notify")
    assert (unsigned.start_at, unsigned.start_assumed) == (TO_B.at, True)


@pytest.mark.parametrize(
    "extra",
    [
        move(3, "2026-05-30 10:00", "B", to_official="clerk2"),
        move(3, "2026-05-30 10:00", "A", from_unit="B", kind=Movement.HAND_BACK),
        move(3, "2026-05-30 10:00", "A", from_unit="B", kind=Movement.HAND_BACK, decided_at=at("2026-05-31 10:00")),
        move(3, "2026-05-30 10:00", "C", from_unit="B", kind=Movement.CO_HANDLE),
    ],
)
def test_what_moves_no_lead_moves_no_clock(extra: Transfer) -> None:
    """Statement 40: another officer, a hand-back nobody agreed to, a co-handler: B's clock runs on as it did."""
    before = of(registered(TO_A, TO_B), "notify")
    after = of(registered(TO_A, TO_B, extra, unit="B"), "notify")
    assert [(o.instance, o.holder_unit, o.due_at, o.state) for o in after] == [
        (o.instance, o.holder_unit, o.due_at, o.state) for o in before
    ]


def test_hand_back_without_approval_leaves_the_objection_with_the_first() -> None:
    """Statement 40 in figures: receipt 05-20, five working days end on Wed 05-27, whatever was sent back meanwhile."""
    asked = move(2, "2026-05-26 10:00", "信访局", from_unit="A", kind=Movement.HAND_BACK)
    (one,) = of(registered(TO_A, asked, unit="A"), "object", at("2026-05-26 12:00"))
    assert (one.holder_unit, one.legal_due_at, one.state) == ("A", end_of("2026-05-27"), ObligationState.OPEN)


def test_agreed_hand_back_and_return_are_new_holders() -> None:
    """A again after B: a third clock from its own receipt, the first one stays ended."""
    back = move(3, "2026-05-30 10:00", "A", from_unit="B", kind=Movement.RETURN)
    assert shape(of(registered(TO_A, TO_B, back), "notify")) == [
        ("", "A", "withdrawn"),
        ("2", "B", "withdrawn"),
        ("3", "A", "open"),
    ]


def test_done_counts_for_whoever_held_it_then() -> None:
    """A notice of 05-22 is A's, one of 06-01 is B's, and A's stays met when the database overwrites it."""
    of_a = registered(TO_A, also={"notified_at": at("2026-05-22 10:00")})
    before = of(of_a, "notify", at("2026-05-25 10:00"))
    assert shape(before) == [("", "A", "done")]
    later = registered(TO_A, TO_B, also={"notified_at": at("2026-06-01 09:00")})
    assert shape(of(later, "notify")) == [("", "A", "withdrawn"), ("2", "B", "done")]
    assert shape(of(later, "notify", before=before)) == [("", "A", "done"), ("2", "B", "done")]
    both = replace(later, series={"notified_at": (at("2026-05-22 10:00"), at("2026-06-01 09:00"))})
    assert [one.done_at for one in of(both, "notify")] == [at("2026-05-22 10:00"), at("2026-06-01 09:00")]
    taken_back = registered(TO_A, TO_B)
    assert shape(of(taken_back, "notify", before=before)) == [("", "A", "withdrawn"), ("2", "B", "open")]


def test_bureau_that_only_registered_has_no_clock() -> None:
    """The arrival date of the database is the last unit's; the bureau's time has none, so A is the first holder."""
    found = of(registered(TO_A, TO_B, also={"arrived_at": TO_B.at}), "notify")
    assert shape(found) == [("", "A", "withdrawn"), ("2", "B", "open")]
    assert found[0].start_at == TO_A.at


def test_present_unit_alone_is_no_reason_to_renumber() -> None:
    """A database without movements shows B instead of A: A keeps its number, B's time runs from our knowing."""
    arrived = {"arrived_at": at("2026-05-20 10:00")}
    before = of(registered(unit="A", also=arrived), "notify", at("2026-05-21 10:00"))
    assert shape(before) == [("", "A", "open")]
    found = of(registered(unit="B", also=arrived), "notify", before=before)
    assert shape(found) == [("", "A", "withdrawn"), ("2", "B", "open")]
    assert found[1].start_at == NOW
    again = of(registered(unit="B", also=arrived), "notify", at("2026-06-03 10:00"), found)
    assert shape(again) == shape(found)
    assert again[1].start_at == NOW


def test_movements_filled_in_late_do_not_renumber() -> None:
    """A was known as the first holder; the bureau before it, told later, gets no number before A's."""
    before = of(registered(unit="A", also={"arrived_at": at("2026-05-20 11:00")}), "notify", at("2026-05-21 10:00"))
    late = registered(TO_A, TO_B, also={"arrived_at": at("2026-05-06 11:00")})
    assert shape(of(late, "notify", before=before)) == [("", "A", "withdrawn"), ("2", "B", "open")]


def test_hand_over_in_the_future_is_not_believed_before() -> None:
    """A hand-over dated tomorrow leaves A's clock open, is told, and asks for a recount at that instant."""
    now = at("2026-05-27 10:00")
    found = everything(registered(TO_A, TO_B), now)
    (one,) = [o for o in found.obligations if o.limit == "notify"]
    assert (one.holder_unit, one.state, one.recount_at) == ("A", ObligationState.OPEN, TO_B.at)
    assert any("future" in reason.text.en for reason in found.findings)


def test_extension_counts_for_the_holder_who_asked() -> None:
    """An extension decided in A's time does not lengthen B's."""
    rule = ExtensionRule(parse_duration("30 日"), ("principal",))
    rules = policy(replace(NOTIFY, extension=rule))
    granted = Extension(1, parse_duration("10 日"), at("2026-05-25 10:00"), "principal", at("2026-05-25 11:00"))
    found = of(registered(TO_A, TO_B, extensions=(granted,)), "notify", rules=rules)
    assert [one.extended for one in found] == [True, False]


def test_late_hand_over_says_that_it_was_late() -> None:
    """Who was late already when he handed it over is named late (条例第四十五条)."""
    late = replace(TO_B, at=at("2026-06-20 10:00"))
    told = everything(registered(TO_A, late), at("2026-06-22 10:00")).findings
    assert any("已超过 2026-06-04 24:00" in one.text.zh for one in told if one.why is Why.HANDED_OVER)


def test_closed_case_ends_the_last_holders_clock() -> None:
    """A case that is over leaves no clock running, and says that the notice was never given."""
    found = of(registered(TO_A, TO_B, open=False), "notify")
    assert [one.state for one in found] == [ObligationState.WITHDRAWN, ObligationState.WITHDRAWN]
