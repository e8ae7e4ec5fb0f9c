"""What the ledger is told when the record of movements of a case grows, changes or loses a line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from daemon.movements import KINDS, told_of_movements, told_of_repeat
from policies.model import Case, Movement, Transfer
from policies.people.noticed import with_noticed
from support.invented_office import at

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = at("2026-06-01 09:00")
TO_A = Transfer(1, at("2026-05-20 10:00"), "甲区", "承办人甲", "信访局", document="交办〔2026〕7号", approved_by="科长")
ASKED = Transfer(2, at("2026-05-26 15:00"), "信访局", None, "甲区", "不属职责", kind=Movement.HAND_BACK)
AGREED = replace(ASKED, approved_by="科长", decided_at=at("2026-05-28 09:00"))
TO_B = Transfer(3, at("2026-05-28 10:00"), "乙区", None, "信访局", kind=Movement.HAND_OVER)


def case(*moves: Transfer, unit: str = "甲区", handler: str | None = None, earlier: str | None = None) -> Case:
    """A case with these movements."""
    return Case("XF1", unit, handler, transfers=moves, earlier=earlier)


def kinds(now: Case, before: Case | None) -> list[str]:
    """The kinds of the lines."""
    return [event.kind for event in told_of_movements(now, before, NOW)]


def body(now: Case, before: Case) -> Mapping[str, object]:
    """What the only line says."""
    (event,) = told_of_movements(now, before, NOW)
    return event.body


def test_every_movement_is_told_once_in_the_order_it_took_effect() -> None:
    """A hand-back that was agreed is two lines, the request and the agreement; nothing is told again."""
    whole = case(TO_B, AGREED, TO_A)
    assert kinds(whole, None) == ["handed_over", "handback_asked", "handback_agreed", "handed_over"]
    assert kinds(whole, whole) == []
    assert kinds(case(TO_A, ASKED), case(TO_A)) == ["handback_asked"]


def test_reason_approver_and_document_are_told() -> None:
    """The line of a hand-over says all the record says."""
    told = body(case(TO_A), case())
    assert (told["document"], told["approved_by"], told["to_official"]) == ("交办〔2026〕7号", "科长", "承办人甲")


def test_an_agreement_that_comes_later_is_told_then() -> None:
    """The request stays one line; that the sender agreed is another."""
    assert kinds(case(TO_A, AGREED), case(TO_A, ASKED)) == ["handback_agreed"]


def test_a_rewritten_line_is_told_with_what_it_said() -> None:
    """Another unit in the same line: was and is."""
    told = body(case(replace(TO_A, to_unit="丙区")), case(TO_A))
    was, now = told["was"], told["is"]
    assert isinstance(was, dict)
    assert isinstance(now, dict)
    assert (was["to_unit"], now["to_unit"]) == ("甲区", "丙区")


def test_a_vanished_line_is_told() -> None:
    """A line taken out is told with what it said; the later lines' numbers moving up tells nothing."""
    rest = replace(TO_B, seq=1)
    assert kinds(case(rest), case(TO_A, replace(TO_B, seq=2))) == ["record_changed"]
    assert body(case(rest), case(TO_A, replace(TO_B, seq=2)))["is"] is None


def test_a_change_of_hands_without_a_record_is_noticed_once() -> None:
    """It is told as such and kept as a movement of our own, so that the one before keeps his time."""
    before = case(unit="甲区", handler="承办人甲")
    noticed = with_noticed(case(unit="乙区", handler="承办人乙"), before, NOW)
    assert kinds(noticed, before) == ["holder_changed"]
    again = with_noticed(case(unit="乙区", handler="承办人乙"), noticed, at("2026-06-02 09:00"))
    assert again == noticed
    assert kinds(again, noticed) == []


def test_a_recorded_change_of_hands_is_not_noticed_beside_its_record() -> None:
    """The line of the record explains it; and naming a handler for the first time is no change."""
    assert with_noticed(case(TO_A, unit="甲区"), case(unit="信访局"), NOW).transfers == (TO_A,)
    assert kinds(with_noticed(case(TO_A), case(unit="信访局", handler="科员"), NOW), case()) == ["handed_over"]
    assert with_noticed(case(unit="甲区", handler="承办人甲"), case(unit="甲区"), NOW).transfers == ()


def test_a_repeat_is_told_in_both_ledgers_once() -> None:
    """重复信访: the earlier case's ledger points to the later one, and the other way round."""
    later = case(earlier="XF0")
    told = told_of_repeat(later, None, NOW)
    assert [(event.case_key, event.kind, dict(event.body)) for event in told] == [
        (key, "repeats", {"earlier": "XF0", "later": "XF1"}) for key in ("XF1", "XF0")
    ]
    assert told_of_repeat(later, later, NOW) == []
    assert told_of_repeat(case(), None, NOW) == []


MOVES = st.lists(
    st.builds(
        Transfer,
        seq=st.integers(1, 9),
        at=st.sampled_from([TO_A.at, ASKED.at, TO_B.at]),
        to_unit=st.sampled_from(["甲区", "乙区"]),
        from_unit=st.sampled_from([None, "甲区"]),
        kind=st.sampled_from([Movement.HAND_OVER, Movement.RECEIVE, Movement.CLOSE]),
    ),
    max_size=6,
)


@given(MOVES, MOVES)
def test_no_line_is_told_twice_or_forgotten(first: list[Transfer], second: list[Transfer]) -> None:
    """Told of one reading after the other: as many lines appeared as stand there, less those told as gone."""
    one, two = case(*first), case(*second)
    events = told_of_movements(two, one, NOW)
    appeared = sum(event.kind in KINDS.values() for event in events)
    vanished = sum(event.kind == "record_changed" and event.body["is"] is None for event in events)
    assert len(first) + appeared - vanished == len(second)
    assert len(told_of_movements(one, None, NOW)) == len(first)
