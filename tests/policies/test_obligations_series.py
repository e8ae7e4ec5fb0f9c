"""Limits that come again, limits that begin where another ends, and limits with several ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from policies.duration import parse_duration
from policies.model import (
    Bound,
    Case,
    Condition,
    Extension,
    ExtensionRule,
    Limit,
    Obligation,
    ObligationState,
    Pause,
    Recurrence,
    Transfer,
)
from policies.obligations import Counted, obligations_of
from support.invented_office import CALENDARS, at, case, end_of, finish, limit, policies, policy

MONTHLY = Recurrence(parse_duration("1 月"), ("finished_at",))
REPLY = limit(
    id="reply", title="答复", within=parse_duration("3 月"), done=("replied_at",), recur=MONTHLY, platform_due=()
)
ARRIVED = at("2025-11-30 10:00")


def letter(**milestones: str) -> Case:
    """A letter of 2025-11-30."""
    return case(milestones={"arrived_at": ARRIVED, **{name: at(moment) for name, moment in milestones.items()}})


def looked(the_case: Case, now: str, *limits: Limit, before: Any = ()) -> Counted:
    """Everything counted at that minute."""
    rules = policies(policy(*(limits or (REPLY,))))
    return obligations_of(rules, the_case, CALENDARS, at(now), before=before)


def seen(the_case: Case, now: str, *limits: Limit, before: Any = ()) -> list[Obligation]:
    """The obligations at that minute."""
    return list(looked(the_case, now, *limits, before=before).obligations)


def states(found: list[Obligation]) -> list[tuple[str, str]]:
    """Instance and state of each."""
    return [(one.instance, one.state.value) for one in found]


# --- coming again -----------------------------------------------------------------------------------------------


def test_monthly_series_keeps_the_anchor_day() -> None:
    """Statement 18: 02-28, then the 30th of every month, then rolled; each begins where the one before is due."""
    found = seen(letter(), "2026-06-02 10:00")
    assert [one.instance for one in found] == ["", "2", "3", "4", "5"]
    assert [one.nominal_due_at for one in found] == [
        end_of(day) for day in ("2026-02-28", "2026-03-30", "2026-04-30", "2026-05-30", "2026-06-30")
    ]
    assert found[3].legal_due_at == end_of("2026-06-01"), "05-30 is a Saturday"
    assert [one.start_at for one in found] == [ARRIVED, *(one.legal_due_at for one in found[:-1])]


def test_next_occurrence_begins_when_the_one_before_is_due_or_done() -> None:
    """One is open; when it is due the next is counted, at the instant the open one named; and when it is done."""
    (only,) = seen(letter(), "2026-02-28 23:00")
    assert only.recount_at == end_of("2026-02-28") + timedelta(microseconds=1)
    rules = policies(policy(REPLY))
    assert len(obligations_of(rules, letter(), CALENDARS, only.legal_due_at).obligations) == 1
    late = obligations_of(rules, letter(), CALENDARS, only.recount_at).obligations
    assert [(one.instance, one.recount_at is None) for one in late] == [("", True), ("2", False)]
    early = seen(letter(replied_at="2026-02-10 10:00"), "2026-02-10 12:00")
    assert states(early) == [("", "done"), ("2", "open")]
    assert early[1].start_at == end_of("2026-02-28")


def test_one_overwritten_milestone_leaves_what_was_met() -> None:
    """The database keeps the last reply only: February's stays met by February's, March's by March's."""
    first = seen(letter(replied_at="2026-02-20 10:00"), "2026-02-21 10:00")
    second = seen(letter(replied_at="2026-03-20 10:00"), "2026-03-21 10:00", before=first)
    assert [(o.instance, o.done_at) for o in second] == [
        ("", at("2026-02-20 10:00")),
        ("2", at("2026-03-20 10:00")),
        ("3", None),
    ]
    series = (at("2026-02-20 10:00"), at("2026-03-20 10:00"))
    whole = replace(letter(replied_at="2026-03-20 10:00"), series={"replied_at": series})
    assert [one.done_at for one in seen(whole, "2026-03-21 10:00")] == [one.done_at for one in second]
    corrected = seen(letter(replied_at="2026-02-20 10:00"), "2026-03-22 10:00", before=second)
    assert states(corrected) == [("", "done"), ("2", "open")], "a reply taken back is believed"


def test_late_reply_meets_what_was_open_before_it() -> None:
    """A reply of 04-10 is late for March and in time for April."""
    found = seen(letter(replied_at="2026-04-10 10:00"), "2026-04-11 10:00")
    assert [(o.instance, o.done_at) for o in found[1:3]] == [
        ("2", at("2026-04-10 10:00")),
        ("3", at("2026-04-10 10:00")),
    ]
    assert states(found)[3:] == [("4", "open")]


def test_series_ends_with_its_milestone() -> None:
    """Finished in April: what was not due by then lapses without a word, what was overdue is told, nothing recurs."""
    found = looked(letter(finished_at="2026-04-10 10:00", replied_at="2026-02-20 10:00"), "2026-07-01 10:00")
    assert states(list(found.obligations)) == [("", "done"), ("2", "withdrawn"), ("3", "withdrawn")]
    assert len(found.findings) == 1, "only March's was missed"
    assert all(one.recount_at is None for one in found.obligations)


def test_series_comes_again_at_most_so_often() -> None:
    """At most twice means: the first, and two returns."""
    rule = replace(REPLY, recur=Recurrence(parse_duration("1 月"), at_most=2))
    found = seen(letter(), "2027-01-01 10:00", rule)
    assert [one.instance for one in found] == ["", "2", "3"]
    assert found[-1].recount_at is None


def test_closed_case_begins_no_further_occurrence() -> None:
    """Closed without a reply: told once, and time brings no more."""
    found = looked(replace(letter(), open=False), "2026-12-01 10:00")
    assert states(list(found.obligations)) == [("", "withdrawn")]
    assert len(found.findings) == 1


def test_paused_series_stands_still() -> None:
    """While the clock stands no further occurrence begins; those begun before stay."""
    stopped = replace(letter(), pauses=(Pause(1, at("2026-03-10 10:00")),))
    assert states(seen(stopped, "2026-12-01 10:00")) == [("", "paused"), ("2", "paused")]


def test_days_and_working_days_recur_from_the_first_end() -> None:
    """Seven days, then every month: the day of the first end is kept; working days go on from one another."""
    (*_, third) = seen(letter(), "2026-02-01 10:00", replace(REPLY, within=parse_duration("7 日")))
    assert third.nominal_due_at == end_of("2026-02-07")
    weekly = replace(REPLY, within=parse_duration("5 工作日"), recur=Recurrence(parse_duration("5 工作日")))
    assert [one.nominal_due_at for one in seen(letter(), "2025-12-10 10:00", weekly)] == [
        end_of("2025-12-05"),
        end_of("2025-12-12"),
    ]


def test_extension_moves_the_whole_series() -> None:
    """Three months and three more: then every month after that (P2)."""
    rule = ExtensionRule(parse_duration("3 月"), ("principal",), petitioner_told=False)
    granted = Extension(1, parse_duration("3 月"), at("2026-02-10 10:00"), "principal")
    found = seen(replace(letter(), extensions=(granted,)), "2026-06-02 10:00", replace(REPLY, extension=rule))
    assert [one.nominal_due_at for one in found] == [end_of("2026-05-30"), end_of("2026-06-30")]


def test_series_per_holder_has_names_of_its_own() -> None:
    """Each holder's monthly replies are told apart, and the first holder's end with his time."""
    rule = replace(REPLY, within=parse_duration("1 月"), per_holder=True)
    moved = replace(letter(), unit="C", transfers=(Transfer(1, at("2026-02-10 10:00"), "C", from_unit="B"),))
    assert states(seen(moved, "2026-03-20 10:00", rule)) == [
        ("", "withdrawn"),
        ("1.2", "withdrawn"),
        ("1.3", "withdrawn"),
        ("2", "open"),
        ("2.2", "open"),
    ]


# --- beginning where another ends -------------------------------------------------------------------------------

DONE_FIRST = limit(
    id="feedback", title="反馈", start=("finish.done",), within=parse_duration("15 工作日"), done=("fed_at",)
)
DUE_FIRST = limit(id="check", title="核查", start=("finish.due",), within=parse_duration("10 日"), done=("checked_at",))


def test_linked_limit_begins_where_the_other_is_done() -> None:
    """Nothing runs and nothing is missing before; then it runs from the end of the other."""
    accepted = case(milestones={"accepted_at": at("2026-08-03 10:00")})
    waiting = looked(accepted, "2026-09-01 10:00", DONE_FIRST, finish(platform_due=()))
    assert ([one.limit for one in waiting.obligations], waiting.findings) == (["finish"], ())
    done = replace(accepted, milestones={**accepted.milestones, "finished_at": at("2026-09-22 10:00")})
    found = seen(done, "2026-09-22 12:00", DONE_FIRST, finish(platform_due=()))
    assert [one.limit for one in found] == ["feedback", "finish"], "in the order of the policy"
    assert (found[0].start_at, found[0].legal_due_at) == (at("2026-09-22 10:00"), end_of("2026-10-20"))


def test_linked_limit_begins_where_the_other_is_due_and_moves_with_it() -> None:
    """Ten days after the legal end of 10-08; provisional as long as that end is."""
    accepted = case(milestones={"accepted_at": at("2026-08-03 10:00")})
    _, check = seen(accepted, "2026-09-01 10:00", finish(), DUE_FIRST)
    assert (check.start_at, check.nominal_due_at) == (end_of("2026-10-08"), end_of("2026-10-18"))
    late = case(milestones={"accepted_at": at("2026-11-02 10:00")})
    short = replace(DUE_FIRST, within=parse_duration("1 小时"))
    assert [one.provisional for one in seen(late, "2026-11-03 10:00", finish(), short)] == [True, True]


def test_links_go_on_over_several_limits_and_prefer_what_is_written_first() -> None:
    """The check follows feedback, which follows finish; a milestone written behind is the fallback."""
    last = limit(id="last", start=("check.due", "accepted_at"), done=("x_at",), platform_due=())
    accepted = case(milestones={"accepted_at": at("2026-08-03 10:00")})
    found = {one.limit: one for one in seen(accepted, "2026-09-01 10:00", last, DUE_FIRST, finish(platform_due=()))}
    assert found["last"].start_at == found["check"].legal_due_at
    assert not found["last"].start_assumed
    (alone,) = seen(accepted, "2026-09-01 10:00", last)
    assert (alone.start_at, alone.start_assumed) == (at("2026-08-03 10:00"), True)


def test_limits_in_a_circle_are_told() -> None:
    """Two limits that begin from one another are a finding, and the others are counted."""
    one = limit(id="one", title="甲", start=("two.due",))
    two = limit(id="two", title="乙", start=("one.due",))
    found = looked(case(), "2026-09-20 10:00", one, two, limit())
    assert [o.limit for o in found.obligations] == ["notify"]
    assert [reason.text.en for reason in found.findings] == ["one, two begin from one another: they cannot be counted."]


def test_limit_linked_to_clocks_of_holders_follows_the_present_one() -> None:
    """After a hand-over, what follows B's limit begins where B's is due."""
    moved = case(unit="C", transfers=(Transfer(1, at("2026-09-18 10:00"), "C", from_unit="B"),))
    rules = limit(per_holder=True, platform_due=()), replace(DUE_FIRST, start=("notify.due",))
    *clocks, check = seen(moved, "2026-09-20 10:00", *rules)
    assert [one.instance for one in clocks] == ["", "2"]
    assert check.start_at == clocks[1].legal_due_at


SIXTY = finish(start=("notify.done",), platform_due=())
PER_HOLDER = limit(per_holder=True, platform_due=())
TO_C = Transfer(1, at("2026-09-25 10:00"), "C", from_unit="B")


def held(**milestones: str) -> Case:
    """A case B has; with `TO_C` it has gone on to C."""
    return case(milestones={"arrived_at": at("2026-09-16 10:00"), **{k: at(v) for k, v in milestones.items()}})


def test_change_of_hands_changes_nothing_in_the_sixty_days() -> None:
    """§2.3: they run from the first acceptance; C's own acceptance, or none, moves neither start nor end."""
    rules, accepted = (PER_HOLDER, SIXTY), "2026-09-18 10:00"
    before = seen(held(notified_at=accepted), "2026-09-20 10:00", *rules)
    with_c = replace(held(notified_at=accepted), unit="C", transfers=(TO_C,))
    again = replace(held(notified_at="2026-09-29 10:00"), unit="C", transfers=(TO_C,))
    blotted_out = replace(held(), unit="C", transfers=(TO_C,))
    for the_case in (with_c, again, blotted_out):
        known: Any = before
        for _ in range(2):  # the answer stays, whatever is read again
            *clocks, sixty = known = seen(the_case, "2026-09-30 10:00", *rules, before=known)
            assert [one.instance for one in clocks] == ["", "2"]
            assert (sixty.start_at, sixty.legal_due_at) == (at(accepted), before[-1].legal_due_at)


def test_acceptance_taken_back_by_the_one_who_has_the_case_is_believed() -> None:
    """A correction is no change of hands: the sixty days wait for the true acceptance."""
    before = seen(held(notified_at="2026-09-18 10:00"), "2026-09-20 10:00", PER_HOLDER, SIXTY)
    assert [one.limit for one in seen(held(), "2026-09-21 10:00", PER_HOLDER, SIXTY, before=before)] == ["notify"]


def test_start_that_was_due_stays_when_the_case_is_handed_on_afterwards() -> None:
    """What began where B was due goes on from there, also if the hand-over is written down late."""
    rules, now = (PER_HOLDER, replace(DUE_FIRST, start=("notify.due",))), "2026-10-10 10:00"
    before = seen(held(), now, *rules)
    for moment in ("2026-10-09 09:00", "2026-09-25 10:00"):
        moved = replace(held(), unit="C", transfers=(replace(TO_C, at=at(moment)),))
        *_, check = seen(moved, now, *rules, before=before)
        assert check.start_at == before[0].legal_due_at == end_of("2026-10-08")


def test_follower_keeps_its_start_when_the_other_limit_stops_applying() -> None:
    """Neither lost nor begun anew from a fallback; a supervisor is told. One not known before does not begin."""
    rules = (
        limit(applies_to=(Condition("kind", ("求决",)),), platform_due=()),
        replace(SIXTY, start=("notify.done", "arrived_at")),
    )
    asked = replace(held(notified_at="2026-09-18 10:00"), fields={"kind": "求决"})
    before = seen(asked, "2026-09-20 10:00", *rules)
    other = replace(asked, fields={"kind": "检举"})
    found = looked(other, "2026-09-21 10:00", *rules, before=before)
    (sixty,) = found.obligations
    assert (sixty.start_at, sixty.start_assumed) == (at("2026-09-18 10:00"), False)
    assert [reason.text.zh for reason in found.findings] == [
        "“办结”从 notify.done 起算，后者已不适用或已转出，起算时间仍为 2026-09-18 10:00。"
    ]
    (fresh,) = looked(other, "2026-09-21 10:00", *rules).obligations
    assert (fresh.start_at, fresh.start_assumed) == (at("2026-09-16 10:00"), True)


# --- several ends -----------------------------------------------------------------------------------------------


def test_of_several_lengths_the_earliest_counts_and_is_named() -> None:
    """Seven days or five working days: over National Day the days are earlier by name, the working days by no means."""
    both = limit(within=parse_duration("5 工作日"), or_within=(parse_duration("7 日"),), platform_due=())
    quiet_week = case(milestones={"arrived_at": at("2026-07-06 10:00")})
    rules = policies(policy(both))
    found = obligations_of(rules, quiet_week, CALENDARS, at("2026-07-06 12:00"), words=True)
    assert found.obligations[0].legal_due_at == end_of("2026-07-13")
    holidays = obligations_of(
        rules, case(milestones={"arrived_at": at("2026-09-25 10:00")}), CALENDARS, at("2026-09-26 12:00"), words=True
    )
    assert holidays.obligations[0].legal_due_at == end_of("2026-10-08")
    assert holidays.counts[0].steps[-1].text.zh == "5 个工作日、7 日中以最先届满的 7 日 为准。".replace(
        "个工作日", "工作日"
    )


def test_earliest_platform_bound_counts_without_roll_to_the_second() -> None:
    """Registration and thirty days, added as the platforms do, against their own date: the earlier counts."""
    month = Bound("registered_at", parse_duration("30 日"))
    rule = limit(within=parse_duration("60 日"), platform_due=(Bound("limit_at"), month))
    milestones = {"arrived_at": at("2026-09-10 10:00"), "registered_at": at("2026-09-04 09:08")}
    (one,) = seen(case(milestones=milestones), "2026-09-11 10:00", rule)
    assert one.due_at == one.platform_due_at == at("2026-10-04 09:08"), "a Sunday in the holidays"
    (one,) = seen(case(milestones={**milestones, "limit_at": at("2026-10-01 00:00")}), "2026-09-11 10:00", rule)
    assert one.due_at == at("2026-10-01 00:00")


def test_one_absurd_bound_does_not_take_the_other_with_it() -> None:
    """A platform date of 1970 is told and left aside; the bound counted from the registration stays."""
    rule = limit(platform_due=(Bound("limit_at"), Bound("registered_at", parse_duration("20 日"))))
    milestones = {
        "arrived_at": at("2026-09-16 10:00"),
        "registered_at": at("2026-09-10 09:00"),
        "limit_at": at("1970-01-01 08:00"),
    }
    found = looked(case(milestones=milestones), "2026-09-17 10:00", rule)
    assert found.obligations[0].platform_due_at == at("2026-09-30 09:00")
    assert any("1970" in reason.text.zh for reason in found.findings)
    far = replace(case(milestones=milestones), milestones={**milestones, "registered_at": at("9999-12-30 10:00")})
    assert looked(far, "2026-09-17 10:00", rule).obligations[0].platform_due_at is None


@pytest.mark.parametrize("name", ["finish.done", "finish.due"])
def test_unknown_link_runs_nothing_and_throws_nothing(name: str) -> None:
    """A limit linked to one that is off does not run."""
    off = finish(enabled=False)
    assert seen(case(), "2026-09-20 10:00", off, replace(DONE_FIRST, start=(name,))) == []


def test_states_of_a_done_occurrence_are_kept_apart_from_the_open_one() -> None:
    """Done is the state of one occurrence, not of the limit."""
    found = seen(letter(replied_at="2026-02-20 10:00"), "2026-02-21 10:00")
    assert [one.state for one in found] == [ObligationState.DONE, ObligationState.OPEN]
