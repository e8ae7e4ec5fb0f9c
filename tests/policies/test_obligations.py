"""Which limits run, when they end, and what happens to the ladder when the end moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from policies.duration import parse_duration
from policies.limits.revision import revise
from policies.model import (
    Bound,
    Case,
    Condition,
    Extension,
    ExtensionBase,
    ExtensionRule,
    FirstHandlerRule,
    History,
    Light,
    ObligationState,
    Pause,
    Roll,
    Transfer,
    Why,
)
from policies.obligations import obligations_of
from policies.people.first_handler import first_handler_of
from policies.text import Text
from support.invented_office import (
    CALENDARS,
    CHINA,
    LADDER,
    at,
    case,
    counted,
    end_of,
    finish,
    limit,
    obligation,
    policies,
    policy,
)

ACCEPTED = {"accepted_at": at("2026-08-03 10:00")}
GRANTED = Extension(
    1,
    parse_duration("30 日"),
    decided_at=at("2026-09-20 10:00"),
    approved_by="principal",
    petitioner_told_at=at("2026-09-21 10:00"),
)
NOW = at("2026-09-22 10:00")


def extended(**changes: Any) -> Case:
    """A case accepted on 2026-08-03 that was extended, lawfully unless changed."""
    return case(milestones=ACCEPTED, extensions=(replace(GRANTED, **changes),))


def texts(the_case: Case, rules: Any = None) -> str:
    """All findings of a case in one string."""
    return " ".join(reason.text.en for reason in counted(the_case, NOW, rules or policy(finish())).findings)


# --- counting ---------------------------------------------------------------------------------------------------


def test_a_limit_is_counted_with_all_its_dates() -> None:
    """Statement 2: fifteen days from 2026-09-16 end on 10-01 by name and on 10-08 by law."""
    one = obligation()
    assert one.nominal_due_at == end_of("2026-10-01")
    assert one.legal_due_at == one.due_at == end_of("2026-10-08")
    assert (one.state, one.start_assumed, one.extended, one.provisional) == (ObligationState.OPEN, False, False, False)


def test_roll_none_ends_by_name() -> None:
    """Statement 26: a rule without roll ends on the nominal day."""
    assert obligation(rules=policy(limit(roll=Roll.NONE))).legal_due_at == end_of("2026-10-01")


def test_petitioners_own_limit_rolls_too() -> None:
    """Statement 20: thirty days from 2026-09-04 end on 10-08, so nothing is over on 10-05."""
    rules = policy(limit(within=parse_duration("30 日")))
    one = obligation(case(milestones={"arrived_at": at("2026-09-04 10:00")}), rules=rules)
    assert (one.nominal_due_at, one.legal_due_at) == (end_of("2026-10-04"), end_of("2026-10-08"))


def test_hours_run_through_the_holiday() -> None:
    """Statement 21: twenty-four hours from the eve of National Day end at the same time next day."""
    rules = policy(limit(within=parse_duration("24 小时")))
    one = obligation(case(milestones={"arrived_at": at("2026-09-30 17:30")}), rules=rules)
    assert one.legal_due_at == at("2026-10-01 17:30")


def test_start_day_is_the_offices_day() -> None:
    """Statement 22: 16:30 UTC on 03-10 is 03-11 in Shanghai, so fifteen days end on 03-26."""
    start = datetime.fromisoformat("2026-03-10T16:30+00:00")
    assert obligation(case(milestones={"arrived_at": start})).legal_due_at == end_of("2026-03-26")


def test_unknown_year_is_provisional() -> None:
    """Statement 24: a year without a holiday notice is counted and marked, never an error."""
    one = counted(case(milestones={"accepted_at": at("2026-11-02 10:00")}), NOW, policy(finish())).obligations[0]
    assert one.legal_due_at == end_of("2027-01-04")
    assert one.provisional


def test_fallback_start_is_marked_as_assumed() -> None:
    """Without the acceptance date the arrival counts, and everybody can see that it was assumed."""
    one = counted(case(), NOW, policy(finish())).obligations[0]
    assert one.start_assumed
    assert one.start_at == at("2026-09-16 10:00")


def test_only_what_applies_is_counted() -> None:
    """A policy for other cases, a limit for other cases and a disabled limit count nothing."""
    other = (Condition("kind", ("检举",)),)
    rules = policy(limit(), limit(id="b", applies_to=other), limit(id="c", enabled=False))
    assert [one.limit for one in counted(case(), NOW, rules).obligations] == ["notify"]
    nothing = counted(case(), NOW, policy(applies_to=other))
    assert nothing.obligations == ()
    assert [reason.why for reason in nothing.findings] == [Why.FINDING]


def test_missing_start_is_a_finding() -> None:
    """Statement of the design: a case without anything to count from is not passed over in silence."""
    found = counted(case(milestones={}), NOW)
    assert found.obligations == ()
    assert [reason.step for reason in found.findings] == ["xinfang/notify"]


# --- states -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "state", "findings"),
    [
        ({}, ObligationState.OPEN, 0),
        ({"done": "2026-09-20 10:00"}, ObligationState.DONE, 0),
        ({"done": "2026-09-10 10:00"}, ObligationState.DONE, 1),
        ({"done": "2026-09-16 00:00"}, ObligationState.DONE, 0),
        ({"done": "2026-12-01 10:00"}, ObligationState.OPEN, 1),
        ({"open": False}, ObligationState.WITHDRAWN, 1),
        ({"open": False, "done": "2026-09-20 10:00"}, ObligationState.DONE, 0),
        ({"pauses": (Pause(1, at("2026-09-18 10:00")),)}, ObligationState.PAUSED, 0),
        ({"pauses": (Pause(1, at("2026-09-30 10:00")),)}, ObligationState.OPEN, 0),
        ({"pauses": (Pause(1, at("2026-09-18 10:00"), limit="finish"),)}, ObligationState.OPEN, 0),
        ({"pauses": (Pause(1, at("2026-09-20 10:00"), at("2026-09-18 10:00")),)}, ObligationState.OPEN, 1),
    ],
)
def test_where_an_obligation_stands(changes: dict[str, Any], state: ObligationState, findings: int) -> None:
    """Done, paused, closed and absurd facts each have their state, and what is odd is told."""
    milestones = {"arrived_at": at("2026-09-16 10:00")}
    if done := changes.pop("done", None):
        milestones["notified_at"] = at(done)
    found = counted(case(milestones=milestones, **changes), NOW)
    assert [one.state for one in found.obligations] == [state]
    assert len(found.findings) == findings


def test_hearing_days_do_not_count_for_the_limit_that_excludes_them() -> None:
    """Statement 19: ten hearing days move the recheck from 04-01 to 04-13, and leave the notice where it was."""
    hearing = Pause(1, at("2026-03-10 00:00"), at("2026-03-20 00:00"), basis="听证")
    rules = policy(limit(), limit(id="recheck", within=parse_duration("30 日"), excludes=("听证",)))
    plain = case(milestones={"arrived_at": at("2026-03-02 10:00")})
    before = {one.limit: one.legal_due_at for one in counted(plain, NOW, rules).obligations}
    after = {one.limit: one.legal_due_at for one in counted(replace(plain, pauses=(hearing,)), NOW, rules).obligations}
    assert before["recheck"] == end_of("2026-04-01")
    assert after["recheck"] == end_of("2026-04-13")
    assert after["notify"] == before["notify"]


def test_other_pauses_stop_every_limit() -> None:
    """A pause of a kind that no limit names stops them all."""
    stop = Pause(1, at("2026-09-18 00:00"), at("2026-09-20 00:00"), basis="中止")
    assert obligation(case(pauses=(stop,))).nominal_due_at == end_of("2026-10-03")


# --- platform against law -----------------------------------------------------------------------------------------


def test_platform_and_legal_limit_are_both_kept() -> None:
    """Statement 27: lights work to the platform's earlier limit, the legal one stays, and the difference is told."""
    milestones = {"arrived_at": at("2026-09-17 10:00"), "limit_at": at("2026-10-02 10:00")}
    found = counted(case(milestones=milestones), NOW)
    one = found.obligations[0]
    assert one.due_at == one.platform_due_at == at("2026-10-02 10:00")
    assert one.legal_due_at == end_of("2026-10-08")
    assert len(found.findings) == 1


def test_platform_limit_on_the_legal_day_is_no_disagreement() -> None:
    """The platform's hour on the legal day is no reason to alarm anybody."""
    milestones = {"arrived_at": at("2026-09-17 10:00"), "limit_at": at("2026-10-08 10:00")}
    assert counted(case(milestones=milestones), NOW).findings == ()


def test_a_later_length_of_the_platforms_own_is_no_disagreement() -> None:
    """Thirty days from registration is another rule than fifteen from arrival: told only when it ends first."""
    rules = policy(limit(platform_due=(Bound("registered_at", parse_duration("30 日")),)))
    same_day = {"registered_at": at("2026-09-17 09:00"), "arrived_at": at("2026-09-17 10:00")}
    assert counted(case(milestones=same_day), NOW, rules).findings == ()
    a_month_before = {**same_day, "registered_at": at("2026-08-28 09:00")}
    assert len(counted(case(milestones=a_month_before), NOW, rules).findings) == 1


def test_transfer_example_warns_the_second_unit_against_the_platform_limit() -> None:
    """Statement 39: B received on 05-28; the platform says 06-05, B's own fifteen days end on 06-12."""
    milestones = {"arrived_at": at("2026-05-28 10:00"), "limit_at": end_of("2026-06-05")}
    one = obligation(case(milestones=milestones))
    assert one.due_at == end_of("2026-06-05")
    assert one.legal_due_at == end_of("2026-06-12")


def test_hand_back_without_approval_leaves_the_clock() -> None:
    """Statement 40: five working days from 05-20 end on 05-27 whatever was sent back meanwhile."""
    rules = policy(limit(within=parse_duration("5 工作日")))
    handed = case(
        milestones={"arrived_at": at("2026-05-20 10:00")},
        transfers=(Transfer(1, at("2026-05-26 10:00"), "B", from_unit="B", reason="退回"),),
    )
    assert obligation(handed, rules=rules).legal_due_at == end_of("2026-05-27")


def test_absurd_platform_limit_is_not_used() -> None:
    """A platform limit before the start would turn every light red: it is told and left aside."""
    milestones = {"arrived_at": at("2026-09-16 10:00"), "limit_at": at("1970-01-01 08:00")}
    found = counted(case(milestones=milestones), NOW)
    assert found.obligations[0].platform_due_at is None
    assert len(found.findings) == 1


# --- extensions ---------------------------------------------------------------------------------------------------


def test_extension_counts_from_the_nominal_end() -> None:
    """Statement 15: sixty and thirty days from 08-03 end nominally on 11-01, legally on Mon 11-02."""
    one = counted(extended(), NOW, policy(finish())).obligations[0]
    assert one.extended
    assert (one.nominal_due_at, one.legal_due_at) == (end_of("2026-11-01"), end_of("2026-11-02"))


def test_extension_from_the_rolled_end_needs_an_explicit_rule() -> None:
    """Statement 15: counted from the rolled 10-08 it is Mon 11-09, only if the policy says so."""
    rule = ExtensionRule(parse_duration("30 日"), ("principal",), ExtensionBase.ROLLED)
    one = counted(extended(), NOW, policy(finish(extension=rule))).obligations[0]
    assert one.legal_due_at == end_of("2026-11-09")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"length": parse_duration("31 日")}, "longer than 30 days"),
        ({"length": parse_duration("2 月")}, "longer than 30 days"),
        ({"decided_at": at("2026-10-09 00:00")}, "after the original limit"),
        ({"approved_by": None}, "nobody entitled"),
        ({"approved_by": "clerk"}, "nobody entitled"),
        ({"petitioner_told_at": None}, "petitioner was told"),
        ({"length": None}, "how long"),
        ({"length": None, "until_at": at("2026-12-30 12:00")}, "longer than 30 days"),
        ({"length": None, "until_at": at("2026-09-30 12:00")}, "how long"),
        ({"length": parse_duration("3 工作小时")}, ""),
    ],
)
def test_extension_that_is_not_effective(changes: dict[str, Any], word: str) -> None:
    """Statement 16: too long, too late, unapproved or untold: the old limit stays and a supervisor is told why."""
    found = counted(extended(**changes), NOW, policy(finish()))
    assert found.obligations[0].legal_due_at == end_of("2026-10-08") or not word
    assert found.obligations[0].extended is not bool(word)
    assert word in texts(extended(**changes))


def test_extension_told_by_its_last_day() -> None:
    """A record that only names the new last day is measured from the nominal end."""
    one = counted(extended(length=None, until_at=at("2026-10-22 12:00")), NOW, policy(finish())).obligations[0]
    assert one.nominal_due_at == end_of("2026-10-22")


def test_extension_to_the_rolled_last_day_is_effective() -> None:
    """Thirty days end on Sun 11-01, so the office writes 11-02: that is the longest extension, not a day too long."""
    one = counted(extended(length=None, until_at=at("2026-11-02 12:00")), NOW, policy(finish())).obligations[0]
    assert (one.extended, one.nominal_due_at, one.legal_due_at) == (True, end_of("2026-11-01"), end_of("2026-11-02"))
    assert "longer" in texts(extended(length=None, until_at=at("2026-11-03 12:00")))


def test_a_second_extension_told_by_its_last_day_ends_on_that_day() -> None:
    """Ten days, then until 10-22: the second is measured from where the first ended, not added to itself."""
    first = replace(GRANTED, length=parse_duration("10 日"))
    second = replace(GRANTED, seq=2, length=None, until_at=at("2026-10-22 12:00"))
    both = case(milestones=ACCEPTED, extensions=(first, second))
    one = counted(both, NOW, policy(finish())).obligations[0]
    assert one.nominal_due_at == end_of("2026-10-22")


def test_extension_decided_in_the_last_instant_is_effective() -> None:
    """The original limit's last instant is still in time."""
    assert counted(extended(decided_at=end_of("2026-10-08")), NOW, policy(finish())).obligations[0].extended


def test_extensions_add_up_to_the_most_that_is_allowed() -> None:
    """Two effective extensions count together; the one that would go beyond the cap is refused alone."""
    first, second = (
        replace(GRANTED, length=parse_duration("20 日")),
        replace(GRANTED, seq=2, length=parse_duration("10 日")),
    )
    whole = case(milestones=ACCEPTED, extensions=(first, second))
    assert counted(whole, NOW, policy(finish())).obligations[0].nominal_due_at == end_of("2026-11-01")
    beyond = case(milestones=ACCEPTED, extensions=(first, replace(second, length=parse_duration("11 日"))))
    assert counted(beyond, NOW, policy(finish())).obligations[0].nominal_due_at == end_of("2026-10-22")
    mixed = case(milestones=ACCEPTED, extensions=(first, replace(second, length=parse_duration("1 工作日"))))
    assert "unit differs" in texts(mixed)


def test_limit_that_allows_no_extension() -> None:
    """An extension meant for a limit that allows none is a finding; one for the whole case passes it by."""
    meant = case(extensions=(replace(GRANTED, limit="notify"),))
    assert "cannot be extended" in texts(meant, policy())
    assert texts(case(extensions=(GRANTED,)), policy()) == ""


# --- first handler ------------------------------------------------------------------------------------------------

FREEZING = policy(first_handler=FirstHandlerRule(("accepted_at",)))
MOVE = Transfer(1, at("2026-08-20 10:00"), "C", "clerk2", from_unit="B")


def frozen(**changes: Any) -> Any:
    """The first handler of a case accepted on 2026-08-03."""
    return first_handler_of(policies(FREEZING), case(milestones=ACCEPTED, **changes))


def test_first_handler_is_frozen_at_the_milestone() -> None:
    """Before acceptance there is none; then it is whoever has the case, with the milestone that froze him."""
    assert first_handler_of(policies(FREEZING), case()) is None
    first = frozen()
    assert (first.unit, first.official, first.milestone) == ("B", "clerk", "accepted_at")
    assert first.frozen_at == ACCEPTED["accepted_at"]


def test_later_transfer_does_not_change_the_first_handler() -> None:
    """Statement 38: the unit before the transfer stays first; its clerk is not guessed from the present handler."""
    first = frozen(unit="C", handler="clerk2", transfers=(MOVE,))
    assert (first.unit, first.official) == ("B", None)


def test_a_freeze_told_by_its_day_counts_the_hand_over_of_that_day() -> None:
    """Accepted "on 08-03", handed over that morning: who received it accepted it, not who sent it."""
    that_day = replace(MOVE, at=at("2026-08-03 09:00"))
    one = case(milestones={"accepted_at": at("2026-08-03 00:00")}, unit="C", handler="clerk2", transfers=(that_day,))
    first = first_handler_of(policies(FREEZING), one, CALENDARS)
    assert first is not None
    assert (first.unit, first.official) == ("C", "clerk2")


def test_transfer_before_the_freeze_counts() -> None:
    """Whoever had received the case last when it was accepted is the first handler."""
    early = replace(MOVE, at=at("2026-08-01 10:00"))
    first = frozen(unit="C", handler="clerk2", transfers=(early,))
    assert (first.unit, first.official) == ("C", "clerk2")
    first = frozen(unit="B", handler="clerk", transfers=(replace(MOVE, seq=2, to_unit="B"), early))
    assert (first.unit, first.official) == ("C", "clerk2")


# --- the limit moves ----------------------------------------------------------------------------------------------

OLD = obligation()
CURSORS = {"start": at("2026-09-16 15:00"), "due": at("2026-09-28 09:00")}
HISTORY = History(CURSORS, Light.YELLOW)


def revised(new: Any, now: datetime = NOW, old: Any = OLD, history: History = HISTORY) -> Any:
    """The new version, the cursors left, and the reasons."""
    one, after, reasons = revise(old, history, new, LADDER, CHINA, now)
    return one.deadline_version, set(after.decided_until), [reason.why for reason in reasons]


def test_first_count_is_version_one() -> None:
    """A limit seen for the first time starts with version 1."""
    assert revised(OLD, old=None, history=History()) == (1, set(), [])


def test_same_facts_keep_version_and_cursors() -> None:
    """A recount that comes to the same changes nothing and says nothing."""
    old = replace(OLD, deadline_version=4)
    assert revised(OLD, old=old) == (4, {"start", "due"}, [])


def test_extension_begins_the_due_steps_anew_and_not_the_start() -> None:
    """After an extension the new limit is reminded of afresh; the assignment is not repeated."""
    later = replace(OLD, extended=True, nominal_due_at=end_of("2026-10-31"), legal_due_at=end_of("2026-11-02"))
    assert revised(later) == (2, {"start"}, [Why.MOVED])
    more = replace(later, nominal_due_at=end_of("2026-11-05"), legal_due_at=end_of("2026-11-05"))
    assert revised(more, old=later) == (2, {"start"}, [Why.MOVED])


def test_corrected_start_begins_everything_anew() -> None:
    """A corrected start is a new ladder from its first step."""
    moved = obligation(case(milestones={"arrived_at": at("2026-09-18 10:00")}))
    assert revised(moved) == (2, set(), [Why.MOVED])


def test_true_start_in_place_of_an_assumed_one_is_no_second_assignment() -> None:
    """The limit ran from a fallback start and the handler was told; the true start moves it without telling twice."""
    moved = obligation(case(milestones={"arrived_at": at("2026-09-18 10:00")}))
    assumed = replace(OLD, start_assumed=True)
    assert revised(moved, old=assumed) == (2, {"start"}, [Why.MOVED])
    assert revised(moved, old=assumed, history=History({}, Light.GREEN)) == (2, set(), [Why.MOVED])


def test_platform_limit_begins_the_due_steps_anew() -> None:
    """A limit set or changed on the platform is a change of facts."""
    assert revised(replace(OLD, platform_due_at=at("2026-10-02 10:00"))) == (2, {"start"}, [Why.MOVED])
    later = replace(OLD, platform_due_at=at("2026-12-02 10:00"))
    assert revised(later) == (1, {"start", "due"}, [])


def test_resumed_after_a_pause_with_a_later_limit() -> None:
    """The days of a pause move the limit: its steps are begun anew."""
    resumed = replace(OLD, nominal_due_at=end_of("2026-10-20"), legal_due_at=end_of("2026-10-20"))
    assert revised(resumed, old=replace(OLD, state=ObligationState.PAUSED)) == (2, {"start"}, [Why.MOVED])
    assert revised(replace(OLD, state=ObligationState.PAUSED)) == (1, {"start", "due"}, [])


def test_reopened_begins_everything_anew() -> None:
    """Done and open again: one message will say where it stands."""
    done = replace(OLD, state=ObligationState.DONE, done_at=at("2026-09-20 10:00"))
    assert revised(OLD, old=done) == (2, set(), [Why.MOVED])


def test_recount_with_the_same_light_repeats_nothing() -> None:
    """Statement 25: the year's notice moves the date; the light is the same, so version and cursors stay."""
    recounted = replace(OLD, legal_due_at=end_of("2026-10-09"))
    assert revised(recounted) == (1, {"start", "due"}, [Why.MOVED])


def test_recount_with_another_light_begins_the_due_steps_anew() -> None:
    """Statement 25, the other half: a light that changes is worth a new ladder."""
    recounted = replace(OLD, legal_due_at=end_of("2026-10-20"))
    assert revised(recounted, now=at("2026-09-29 10:00")) == (2, {"start"}, [Why.MOVED])


def test_new_year_loaded_recounts_without_a_resend() -> None:
    """Statement 25 with calendars: a provisional end is recounted when the notice is there; old and new are told."""
    the_case, rules = case(milestones={"accepted_at": at("2026-11-02 10:00")}), policy(finish())
    off = {date(2027, 1, day): Text("元旦", "New Year") for day in range(1, 5)}
    announced = replace(CHINA, known_until=date(2027, 12, 31), days_off=off)
    old = obligations_of(policies(rules), the_case, CALENDARS, NOW).obligations[0]
    new = obligations_of(policies(rules), the_case, {"china": announced}, NOW).obligations[0]
    assert (old.provisional, new.provisional) == (True, False)
    one, _, reasons = revise(old, HISTORY, new, LADDER, announced, at("2026-11-10 10:00"))
    assert one.deadline_version == 1
    assert one.legal_due_at == end_of("2027-01-05")
    assert "2027-01-04 24:00" in reasons[0].text.zh
    assert "2027-01-05 24:00" in reasons[0].text.zh


def test_breach_of_the_old_limit_is_forgotten_when_the_new_one_is_not_passed() -> None:
    """A corrected limit that is not passed yet can be breached again; one that is passed stays breached."""
    history = replace(HISTORY, breached_at=end_of("2026-10-08"))
    later = replace(OLD, extended=True, legal_due_at=end_of("2026-11-02"))
    _, after, _ = revise(OLD, history, later, LADDER, CHINA, at("2026-10-10 10:00"))
    assert after.breached_at is None
    _, after, _ = revise(OLD, history, later, LADDER, CHINA, end_of("2026-11-02") + timedelta(days=1))
    assert after.breached_at == end_of("2026-10-08")


def test_count_that_cannot_be_made_is_a_finding() -> None:
    """A limit that runs out of the calendar is told, and the case's other limits go on."""
    far = case(milestones={"arrived_at": at("9999-12-20 10:00")})
    found = counted(far, NOW)
    assert found.obligations == ()
    assert len(found.findings) == 1
