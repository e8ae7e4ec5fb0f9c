"""A shared database that rewrites its record of movements every night starts no clock anew and repeats no message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.beforehand.foresight import foresee
from policies.model import Case, Movement, ObligationState, Transfer
from support.invented_office import CALENDARS, KINDS, at, case, directory, end_of, limit, policies, policy

RULES = policies(policy(limit(per_holder=True)))
THERE = Transfer(1, at("2026-09-20 10:00"), "C", None, "B")
BACK = Transfer(2, at("2026-09-24 15:00"), "B", None, "C", kind=Movement.RETURN)


def on(day: str, move: Transfer) -> Transfer:
    """The movement with its day only."""
    return replace(move, at=at(f"{day} 00:00"))


@pytest.mark.parametrize(
    "rewritten",
    [(BACK,), (), (replace(THERE, seq=101), replace(BACK, seq=102)), (on("2026-09-20", THERE), on("2026-09-24", BACK))],
    ids=["its beginning lost", "all of it lost", "renumbered", "days without hours"],
)
def test_a_case_that_went_there_and_back_keeps_its_third_clock(rewritten: tuple[Transfer, ...]) -> None:
    """乙科 has it again since the 24th; the record of it changes at night and is whole again the night after."""
    facts: list[tuple[str, Case]] = [
        ("2026-09-16 10:00", case()),
        ("2026-09-20 10:30", case(unit="C", handler="clerk2", transfers=(THERE,))),
        ("2026-09-24 15:30", case(transfers=(THERE, BACK))),
        ("2026-09-25 02:00", case(transfers=rewritten)),
        ("2026-09-26 02:00", case(transfers=(THERE, BACK))),
    ]
    told = [(at(moment), seen) for moment, seen in facts]
    seen = foresee(RULES, told, directory(), CALENDARS, KINDS, told[0][0], at("2026-09-28 10:00"))
    (running,) = [one for one in seen.obligations if one.state is ObligationState.OPEN]
    assert (running.instance, running.deadline_version) == ("3", 1)
    assert (running.start_at, running.legal_due_at) == (at("2026-09-24 15:00"), end_of("2026-10-09"))
    assert [one.notice.instance for one in seen.told if one.notice.step == "assigned"] == ["", "2", "3"]
