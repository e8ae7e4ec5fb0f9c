"""Pauses that count and pauses that do not, parked cases, local calendars, and what an inspector is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.calendars import calendar_from
from policies.duration import parse_duration
from policies.model import (
    Case,
    Extension,
    ExtensionRule,
    FirstHandler,
    FirstHandlerRule,
    Obligation,
    ObligationState,
    Pause,
    PauseRule,
)
from policies.obligations import Counted, obligations_of
from policies.people.first_handler import first_handler_of
from support.invented_office import CALENDARS, at, case, counted, end_of, finish, limit, obligation, policies, policy

PARKING = PauseRule(("principal",), basis=True, up_to=parse_duration("90 日"))
RULES = policy(limit(pause=PARKING, platform_due=()))
PARKED = Pause(1, at("2026-09-18 00:00"), basis="历史遗留", approved_by="principal", review_at=at("2026-12-01 09:00"))
NOW = at("2026-09-22 10:00")


def looked(pause: Pause, now: Any = NOW) -> Counted:
    """A case with this pause on record."""
    return counted(case(pauses=(pause,)), now, RULES)


def only(found: Counted) -> Obligation:
    """The one obligation."""
    (one,) = found.obligations
    return one


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"approved_by": None}, "nobody entitled"),
        ({"approved_by": "clerk"}, "nobody entitled"),
        ({"basis": None}, "no basis"),
        ({"basis": " "}, "no basis"),
        ({"to_at": at("2026-09-17 00:00")}, "before it begins"),
    ],
)
def test_pause_against_the_rule_does_not_count(changes: dict[str, Any], word: str) -> None:
    """Unapproved, without a basis, or ending before it begins: the clock runs on and a supervisor is told why."""
    found = looked(replace(PARKED, **changes))
    assert (only(found).state, only(found).legal_due_at) == (ObligationState.OPEN, end_of("2026-10-08"))
    assert [word in reason.text.en for reason in found.findings] == [True]
    ended = looked(replace(PARKED, **{"to_at": at("2026-09-20 00:00"), **changes}))
    assert only(ended).nominal_due_at == end_of("2026-10-01")


def test_pause_by_the_rule_counts() -> None:
    """Approved and with a basis: two whole days do not count."""
    found = looked(replace(PARKED, to_at=at("2026-09-20 00:00")))
    assert (only(found).nominal_due_at, found.findings) == (end_of("2026-10-03"), ())


def test_parked_case_waits_for_its_review() -> None:
    """挂账: paused until somebody reviews it; past that day it stays paused, and the day stays."""
    for now in (NOW, at("2026-12-10 10:00")):
        one = only(looked(PARKED, now))
        assert (one.state, one.review_at) == (ObligationState.PAUSED, PARKED.review_at)
    assert only(looked(replace(PARKED, review_at=at("2026-01-01 09:00")))).review_at is None
    assert only(looked(replace(PARKED, approved_by=None))).review_at is None


def test_of_two_parkings_the_first_review_counts() -> None:
    """Two pauses stand at once: the earlier review comes first, the longest allowed ends with the earlier."""
    second = replace(PARKED, seq=2, review_at=at("2026-11-01 09:00"))
    one = only(counted(case(pauses=(PARKED, second)), NOW, RULES))
    assert one.review_at == second.review_at


def test_pause_longer_than_allowed_lets_the_clock_run_on() -> None:
    """Ninety days are allowed: the obligation asks for a recount then; what goes beyond does not count and is told."""
    until = at("2026-12-17 00:00")
    standing = only(looked(PARKED))
    assert standing.recount_at == until + timedelta(microseconds=1)
    assert only(looked(PARKED, until)).state is ObligationState.PAUSED
    over = looked(PARKED, standing.recount_at)
    assert only(over).state is ObligationState.OPEN
    assert only(over).nominal_due_at == end_of("2026-12-30"), "fifteen days and ninety"
    assert "longer than 90 days" in over.findings[0].text.en
    ended = looked(replace(PARKED, to_at=at("2027-02-01 00:00")), at("2027-02-02 10:00"))
    assert only(ended).nominal_due_at == end_of("2026-12-30")


def test_pause_rule_of_one_limit_is_not_the_others() -> None:
    """A rule stands with the limit it is written for: the other limit is stopped by any pause."""
    rules = policy(limit(pause=PARKING), limit(id="other"))
    unapproved = case(pauses=(replace(PARKED, approved_by=None),))
    assert [one.state.value for one in counted(unapproved, NOW, rules).obligations] == ["open", "paused"]


# --- extensions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["length", "decided_at", "approved_by", "petitioner_told_at"])
def test_each_of_the_four_faults_is_told(fault: str) -> None:
    """Statement 16, fault by fault and all together: a finding names each, and the old end stays."""
    good = Extension(1, parse_duration("30 日"), at("2026-09-20 10:00"), "principal", at("2026-09-21 10:00"))
    bad = replace(
        good,
        length=parse_duration("31 日"),
        decided_at=at("2026-10-09 10:00"),
        approved_by=None,
        petitioner_told_at=None,
    )
    words = {
        "length": "longer than 30 days",
        "decided_at": "after the original limit",
        "approved_by": "nobody entitled",
        "petitioner_told_at": "petitioner was told",
    }
    accepted = case(milestones={"accepted_at": at("2026-08-03 10:00")})
    one_fault = replace(accepted, extensions=(replace(good, **{fault: getattr(bad, fault)}),))
    found = counted(one_fault, NOW, policy(finish()))
    assert only(found).legal_due_at == end_of("2026-10-08")
    (told,) = [reason.text.en for reason in found.findings]
    assert [word for word in words.values() if word in told] == [words[fault]]
    (told,) = [r.text.en for r in counted(replace(accepted, extensions=(bad,)), NOW, policy(finish())).findings]
    assert all(word in told for word in words.values())


# --- calendars of one's own -------------------------------------------------------------------------------------

SHIFTS = calendar_from("shifts", {"base": "none", "hours": {"wed-sun": "08:00-20:00"}})
FESTIVAL = calendar_from("torch", {"days_off": {"2026-08-06..2026-08-08": "火把节"}})
WITH_OWN = {**CALENDARS, "shifts": SHIFTS, "torch": FESTIVAL}


def due_with(start: str, **changes: Any) -> Any:
    """The legal end of a limit counted with calendars of one's own."""
    rules = policies(policy(limit(platform_due=(), **changes)))
    the_case = case(milestones={"arrived_at": at(start)})
    (one,) = obligations_of(rules, the_case, WITH_OWN, at(start)).obligations
    return one.legal_due_at


def test_enterprise_with_shifts_rests_on_its_own_days() -> None:
    """Closed Mondays and Tuesdays, open at weekends and on holidays: working days and the roll follow its own days."""
    start, three = "2026-07-10 10:00", parse_duration("3 工作日")
    assert due_with(start, within=three) == end_of("2026-07-15")
    assert due_with(start, within=three, calendar="shifts") == end_of("2026-07-15")
    assert due_with("2026-07-09 10:00", within=three, calendar="shifts") == end_of("2026-07-12"), "a Sunday"
    assert due_with("2026-06-28 10:00", within=parse_duration("15 日"), calendar="shifts") == end_of("2026-07-15")


def test_ethnic_festival_rolls_where_it_is_kept() -> None:
    """The torch festival is a day off in the prefecture that keeps it, and nowhere else (办法第四条)."""
    start = "2026-07-22 10:00"
    assert due_with(start) == end_of("2026-08-06")
    assert due_with(start, calendar="torch") == end_of("2026-08-10"), "the weekend follows the festival"


# --- statement 20, and a repeated case ----------------------------------------------------------------------------


def test_petitioners_limit_closes_nothing() -> None:
    """Statement 20: asking for a review is the petitioner's limit; it rolls to 10-08, and stays open after that."""
    rules = policy(limit(within=parse_duration("30 日")))
    reply = case(milestones={"arrived_at": at("2026-09-04 10:00")})
    for now in ("2026-10-05 10:00", "2026-10-20 10:00"):
        one = obligation(reply, at(now), rules)
        assert (one.legal_due_at, one.state) == (end_of("2026-10-08"), ObligationState.OPEN)


EARLIER = FirstHandler("XF000", "C", "clerk2", at("2025-03-01 10:00"), "accepted_at")


def first(earlier: FirstHandler | None, /, *, inherit: bool = True, **changes: Any) -> FirstHandler | None:
    """The first handler of a case that repeats XF000."""
    rules = policy(first_handler=FirstHandlerRule(("accepted_at",), inherit=inherit))
    repeated: Case = case(**{"earlier": "XF000", **changes})
    return first_handler_of(policies(rules), repeated, CALENDARS, earlier=earlier)


def test_repeated_case_goes_back_to_its_first_handler() -> None:
    """重复信访回到首办: at once, as it was frozen then, under the new case's number."""
    assert first(EARLIER) == replace(EARLIER, case_key="XF001")


@pytest.mark.parametrize(
    ("earlier", "changes"),
    [(None, {}), (EARLIER, {"inherit": False}), (EARLIER, {"earlier": None}), (EARLIER, {"earlier": "XF999"})],
)
def test_nothing_is_inherited_without_rule_or_earlier_case(
    earlier: FirstHandler | None, changes: dict[str, Any]
) -> None:
    """Without the rule, without an earlier case, or with another one, the case's own acceptance decides."""
    assert first(earlier, **changes) is None
    own = first(earlier, milestones={"accepted_at": at("2026-09-17 10:00")}, **changes)
    assert own is not None
    assert (own.unit, own.official) == ("B", "clerk")


@pytest.mark.parametrize(
    ("since", "decided", "effective"),
    [
        ("2026-09-30 09:00", "2026-10-12 09:00", True),
        ("2026-10-09 09:00", "2026-10-12 09:00", False),
        ("2026-10-14 09:00", "2026-10-12 09:00", False),
    ],
    ids=["the clock stood still", "stopped after the end only", "decided before it stood still"],
)
def test_an_extension_decided_while_the_clock_stands_still_is_not_too_late(
    since: str, decided: str, effective: bool
) -> None:
    """A limit that stopped before its end has not passed, however many days ago that end was."""
    rules = policy(limit(extension=ExtensionRule(parse_duration("30 日"), ("principal",))))
    longer = Extension(1, parse_duration("15 日"), at(decided), "principal", at(decided))
    found = counted(case(pauses=(Pause(1, at(since)),), extensions=(longer,)), at("2026-10-15 10:00"), rules)
    assert only(found).extended is effective
    assert [f.text.zh for f in found.findings] == (
        [] if effective else ["第 1 次延期无效：决定时已超过原期限。原期限不变。"]
    )


@pytest.mark.parametrize(
    ("from_at", "to_at", "due"),
    [
        ("2026-10-07 09:00", "2026-10-20 09:00", "2026-10-20"),
        ("2026-10-08 14:00", "2026-10-20 09:00", "2026-10-20"),
        ("2026-10-08 14:00", "2026-10-16 20:00", "2026-10-16"),
        ("2026-10-08 14:00", "2026-10-17 09:00", "2026-10-19"),
        ("2026-10-08 14:00", "2026-10-08 17:00", "2026-10-08"),
        ("2026-10-09 09:00", "2026-10-20 09:00", "2026-10-08"),
    ],
    ids=["over the rolled end", "from the last afternoon", "till late", "till a Saturday", "over by then", "after it"],
)
def test_no_limit_passes_while_it_stands_still(from_at: str, to_at: str, due: str) -> None:
    """Fifteen days end on 1 October, by law on the 8th; stopped over that end they end where the clock runs again."""
    paused = case(pauses=(Pause(1, at(from_at), at(to_at)),))
    assert only(counted(paused, at("2026-10-21 09:00"))).legal_due_at == end_of(due)


def test_a_pause_whose_end_is_written_down_already_stands_still_until_then() -> None:
    """Parked until 20 December with a review in October: paused, with its review, and counted again at the end."""
    planned = replace(PARKED, to_at=at("2026-12-20 09:00"), review_at=at("2026-10-20 09:00"))
    rules = policy(limit(platform_due=()))
    one = only(counted(case(pauses=(planned,)), NOW, rules))
    assert (one.state, one.review_at) == (ObligationState.PAUSED, at("2026-10-20 09:00"))
    assert one.recount_at is not None
    assert one.recount_at - at("2026-12-20 09:00") < timedelta(seconds=1)
    later = only(counted(case(pauses=(planned,)), one.recount_at, rules))
    assert (later.state, later.legal_due_at) == (ObligationState.OPEN, one.legal_due_at)
