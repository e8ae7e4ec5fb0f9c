"""Statements 1 to 28 of the domain rules: how periods are counted, extended, rolled and recounted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from daemon.calendars import china
from daemon.settings import load
from policies.beforehand.metrics import Outcome, outcome
from policies.counting import count
from policies.duration import DurationError, parse_duration, parse_moment
from policies.language import parse_policies
from policies.limits.revision import revise
from policies.model import (
    Case,
    Cutoff,
    Extension,
    ExtensionBase,
    FirstHandlerRule,
    Ladder,
    Light,
    Lights,
    ObligationState,
    Pause,
    Recurrence,
    Roll,
    Step,
    Why,
)
from policies.text import Text
from support.invented_office import (
    CHINA,
    LADDER,
    at,
    case,
    counted,
    decide,
    end_of,
    finish,
    limit,
    obligation,
    policies,
    policy,
)
from support.office import build_office
from support.running_office import CASE
from support.succeeding_daemon import succeeding_daemon

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.store import Store
    from policies.counting import Count
    from policies.model import Obligation

SHANGHAI = ZoneInfo("Asia/Shanghai")
CLOCKS = ("00:00", "10:00", "23:59:59")

# Per statement: start, length, nominal end, legal end.
PERIODS = {
    1: [("2026-06-25", "15 日", "2026-07-10", "2026-07-10")],
    2: [("2026-09-16", "15 日", "2026-10-01", "2026-10-08"), ("2026-09-17", "15 日", "2026-10-02", "2026-10-08")],
    3: [("2026-09-25", "15 日", "2026-10-10", "2026-10-10")],
    4: [("2026-09-20", "15 日", "2026-10-05", "2026-10-08")],
    5: [("2026-01-30", "15 日", "2026-02-14", "2026-02-14"), ("2026-01-31", "15 日", "2026-02-15", "2026-02-24")],
    6: [
        ("2026-03-20", "15 日", "2026-04-04", "2026-04-07"),  # 清明
        ("2026-04-16", "15 日", "2026-05-01", "2026-05-06"),  # 劳动节
        ("2026-06-04", "15 日", "2026-06-19", "2026-06-22"),  # 端午
        ("2026-07-24", "15 日", "2026-08-08", "2026-08-10"),  # a plain weekend
    ],
    7: [("2025-09-16", "15 日", "2025-10-01", "2025-10-09"), ("2024-12-17", "15 日", "2025-01-01", "2025-01-02")],
    8: [("2026-09-28", "5 工作日", "2026-10-10", "2026-10-10")],
    9: [("2026-09-25", "5 工作日", "2026-10-09", "2026-10-09")],
    10: [("2026-02-12", "5 工作日", "2026-02-26", "2026-02-26")],
    11: [("2025-09-26", "5 工作日", "2025-10-10", "2025-10-10")],
    12: [("2026-09-22", "15 工作日", "2026-10-20", "2026-10-20")],
    13: [
        ("2026-04-29", "5 工作日", "2026-05-09", "2026-05-09"),
        ("2026-04-30", "5 工作日", "2026-05-11", "2026-05-11"),
        ("2026-04-30", "2 工作日", "2026-05-07", "2026-05-07"),
        ("2026-05-11", "10 工作日", "2026-05-25", "2026-05-25"),
    ],
    14: [("2026-08-03", "60 日", "2026-10-02", "2026-10-08"), ("2026-07-06", "60 日", "2026-09-04", "2026-09-04")],
    17: [
        ("2026-01-31", "1 月", "2026-02-28", "2026-02-28"),
        ("2025-11-30", "3 月", "2026-02-28", "2026-02-28"),
        ("2026-07-01", "3 月", "2026-10-01", "2026-10-08"),
        ("2026-08-31", "6 月", "2027-02-28", "2027-03-01"),
    ],
    18: [
        ("2025-11-30", "3 月", "2026-02-28", "2026-02-28"),
        ("2025-11-30", "4 月", "2026-03-30", "2026-03-30"),
        ("2025-11-30", "5 月", "2026-04-30", "2026-04-30"),
        ("2025-11-30", "6 月", "2026-05-30", "2026-06-01"),
    ],
    20: [("2026-09-04", "30 日", "2026-10-04", "2026-10-08")],
    23: [("2026-09-25", "7 日", "2026-10-02", "2026-10-08"), ("2026-09-25", "7 工作日", "2026-10-12", "2026-10-12")],
    24: [("2026-11-02", "60 日", "2027-01-01", "2027-01-04"), ("2026-11-16", "60 日", "2027-01-15", "2027-01-15")],
}


def day_of(text: str, clock: str = "10:00") -> datetime:
    """That time on that day in Shanghai."""
    return datetime.combine(date.fromisoformat(text), time.fromisoformat(clock), SHANGHAI)


def day_end(text: str) -> datetime:
    """24:00 of that day in Shanghai: the last microsecond."""
    return day_of(text, "00:00") + timedelta(days=1, microseconds=-1)


def days(one: Count) -> tuple[str, str]:
    """Nominal and legal day."""
    return str(one.nominal_day), str(one.legal_day)


def check_periods(number: int) -> None:
    """Every worked period of a statement, at whatever time its first day starts."""
    for start, within, nominal, legal in PERIODS[number]:
        for clock in CLOCKS:
            found = count(day_of(start, clock), parse_duration(within), china())
            assert days(found) == (nominal, legal), (start, within, clock)
            assert (found.nominal_due_at, found.legal_due_at) == (day_end(nominal), day_end(legal))
            assert found.provisional is (legal >= "2027")


def test_statement_01_the_start_day_is_not_counted() -> None:
    """Received on 25 June, fifteen natural days end on 10 July."""
    check_periods(1)


def test_statement_02_a_limit_in_the_national_day_holidays_rolls_to_the_day_after() -> None:
    """Fifteen days from 16 and 17 September end on 1 and 2 October by name, on 8 October by law."""
    check_periods(2)
    one = obligation()
    assert (one.nominal_due_at, one.legal_due_at) == (end_of("2026-10-01"), end_of("2026-10-08"))


def test_statement_03_a_make_up_saturday_is_a_last_day() -> None:
    """From 25 September, itself a holiday, to Saturday 10 October: a working day, no roll to Monday."""
    check_periods(3)


def test_statement_04_a_make_up_sunday_is_a_start_day() -> None:
    """Received on Sunday 20 September, a working day, it starts as on any other."""
    check_periods(4)


def test_statement_05_one_day_later_in_ten_days_later_out() -> None:
    """30 January ends on make-up Saturday 14 February, 31 January after the Spring Festival."""
    check_periods(5)


def test_statement_06_festivals_and_weekends_roll_to_the_next_working_day() -> None:
    """清明, 劳动节, 端午 and a plain weekend."""
    check_periods(6)


def test_statement_07_earlier_years_have_their_own_notices() -> None:
    """The eight days of October 2025, and a New Year of one day."""
    check_periods(7)


def test_statement_08_working_days_count_a_make_up_saturday() -> None:
    """Five working days from 28 September 2026 end on Saturday 10 October."""
    check_periods(8)


def test_statement_09_working_days_may_start_on_a_holiday() -> None:
    """Five working days from 25 September 2026, a holiday, end on 9 October."""
    check_periods(9)


def test_statement_10_working_days_over_spring_festival() -> None:
    """Five working days from 12 February 2026 end on 26 February."""
    check_periods(10)


def test_statement_11_working_days_count_a_make_up_sunday() -> None:
    """Five working days from 26 September 2025 end on 10 October."""
    check_periods(11)


def test_statement_12_fifteen_working_days() -> None:
    """The notice of the disciplinary branch: from 22 September to 20 October 2026."""
    check_periods(12)


def test_statement_13_the_hotline_and_its_extension() -> None:
    """Five and two working days around 1 May; ten more from the end of the first five."""
    check_periods(13)
    extended = count(day_of("2026-04-30"), parse_duration("5 工作日"), china(), extension=parse_duration("10 工作日"))
    assert days(extended) == ("2026-05-25", "2026-05-25")


def test_statement_14_sixty_days() -> None:
    """Accepted on 3 August, finished by 8 October; accepted on 6 July, by 4 September."""
    check_periods(14)


@pytest.mark.parametrize(
    ("start", "base", "nominal", "legal"),
    [
        ("2026-08-03", ExtensionBase.NOMINAL, "2026-11-01", "2026-11-02"),
        ("2026-08-03", ExtensionBase.ROLLED, "2026-11-07", "2026-11-09"),
        ("2026-07-06", ExtensionBase.NOMINAL, "2026-10-04", "2026-10-08"),
    ],
)
def test_statement_15_an_extension_counts_from_the_nominal_end(
    start: str, base: ExtensionBase, nominal: str, legal: str
) -> None:
    """Thirty days more run from the end by name; from the rolled one only if the policy says so."""
    sixty, thirty = parse_duration("60 日"), parse_duration("30 日")
    assert days(count(day_of(start), sixty, china(), extension=thirty, extension_from=base)) == (nominal, legal)
    rule = finish().extension
    assert rule is not None
    rules = policy(finish(extension=replace(rule, counted_from=base)))
    granted = extended(start, decided_at=at("2026-08-20 10:00"))
    (one,) = counted(granted, at("2026-08-21 10:00"), rules).obligations
    assert (one.nominal_due_at, one.legal_due_at, one.extended) == (end_of(nominal), end_of(legal), True)


def extended(start: str, **changes: object) -> Case:
    """A case accepted on that day, extended by thirty days, lawfully unless changed."""
    granted = Extension(1, parse_duration("30 日"), at("2026-09-20 10:00"), "principal", at("2026-09-21 10:00"))
    granted = replace(granted, **changes)  # type: ignore[arg-type]
    return case(milestones={"accepted_at": day_of(start).astimezone(UTC)}, extensions=(granted,))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"length": parse_duration("31 日")}, "longer than 30 days"),
        ({"decided_at": end_of("2026-10-08") + timedelta(microseconds=1)}, "after the original limit"),
        ({"approved_by": None}, "nobody entitled"),
        ({"petitioner_told_at": None}, "petitioner was told"),
    ],
    ids=["too long", "too late", "not approved", "petitioner not told"],
)
def test_statement_16_an_extension_with_a_fault_changes_nothing_and_is_told(
    fault: dict[str, object], told: str
) -> None:
    """Too long, too late, without approver or without telling the petitioner: the old limit stays, one finding."""
    now, rules = at("2026-10-09 10:00"), policy(finish())
    sound = counted(extended("2026-08-03"), now, rules)
    assert (sound.obligations[0].extended, sound.findings) == (True, ())
    found = counted(extended("2026-08-03", **fault), now, rules)
    assert (found.obligations[0].extended, found.obligations[0].legal_due_at) == (False, end_of("2026-10-08"))
    (finding,) = found.findings
    assert finding.why is Why.FINDING
    assert told in finding.text.en


def test_statement_17_months_end_on_the_same_day_or_the_last() -> None:
    """A month from 31 January is 28 February; six from 31 August end in 2027, provisionally."""
    check_periods(17)


def test_statement_18_a_monthly_series_keeps_its_anchor_day() -> None:
    """The reply after three months, then monthly: 28 February, and 30 March, not 28 March."""
    check_periods(18)
    reply = limit(
        id="reply",
        within=parse_duration("3 月"),
        done=("replied_at",),
        recur=Recurrence(parse_duration("1 月"), ("finished_at",)),
        platform_due=(),
    )
    letter = case(milestones={"arrived_at": at("2025-11-30 10:00")})
    found = counted(letter, at("2026-05-02 10:00"), policy(reply)).obligations
    assert [one.nominal_due_at for one in found] == [
        end_of(day) for day in ("2026-02-28", "2026-03-30", "2026-04-30", "2026-05-30")
    ]


def test_statement_19_hearing_days_are_not_counted() -> None:
    """Thirty days from 2 March end on 1 April; with ten days of hearing on Monday 13 April."""
    hearing = (day_of("2026-03-10", "00:00"), day_of("2026-03-20", "00:00"))
    thirty = parse_duration("30 日")
    assert days(count(day_of("2026-03-02"), thirty, china())) == ("2026-04-01", "2026-04-01")
    assert days(count(day_of("2026-03-02"), thirty, china(), excluded=[hearing])) == ("2026-04-11", "2026-04-13")
    heard = Pause(1, at("2026-03-10 00:00"), at("2026-03-20 00:00"), basis="听证")
    plain = case(milestones={"arrived_at": at("2026-03-02 10:00")})
    rules = policy(limit(within=thirty, excludes=("听证",)))
    assert obligation(plain, rules=rules).legal_due_at == end_of("2026-04-01")
    assert obligation(replace(plain, pauses=(heard,)), rules=rules).legal_due_at == end_of("2026-04-13")


def test_statement_20_the_petitioners_own_limit_rolls_and_closes_nothing() -> None:
    """Reply received on 4 September: he may ask until 8 October; neither on the 5th nor later does it end a case."""
    check_periods(20)
    ask = limit(
        id="ask",
        title="申请复查",
        start=("replied_at",),
        within=parse_duration("30 日"),
        done=("asked_at",),
        platform_due=(),
    )
    answered = case(milestones={"replied_at": at("2026-09-04 10:00"), "accepted_at": at("2026-08-20 10:00")})
    for moment in ("2026-10-05 00:00", "2026-10-08 23:59", "2026-12-31 10:00"):
        states = {one.limit: one.state for one in counted(answered, at(moment), policy(ask, finish())).obligations}
        assert states == {"ask": ObligationState.OPEN, "finish": ObligationState.OPEN}
    (mine, _) = counted(answered, at("2026-10-05 10:00"), policy(ask, finish())).obligations
    assert mine.legal_due_at == end_of("2026-10-08")


@pytest.mark.parametrize(("within", "due"), [("24 小时", "2026-10-01 17:30"), ("2 小时", "2026-09-30 19:30")])
def test_statement_21_hours_run_through_holidays_and_do_not_roll(within: str, due: str) -> None:
    """Dispatched on the eve of National Day: no roll, no office hours."""
    found = count(day_of("2026-09-30", "17:30"), parse_duration(within), china())
    assert found.nominal_due_at == found.legal_due_at == at(due)
    assert (found.nominal_day, found.provisional) == (None, False)


def test_statement_22_the_day_is_the_offices() -> None:
    """16:30 UTC is the next day in Shanghai, and that day is the one that does not count."""
    start = datetime(2026, 3, 10, 16, 30, tzinfo=UTC)
    assert str(count(start, parse_duration("15 日"), china()).legal_day) == "2026-03-26"
    assert obligation(case(milestones={"arrived_at": start})).legal_due_at == end_of("2026-03-26")


def test_statement_23_units_are_explicit() -> None:
    """Seven days and seven working days differ; a rule without a unit is refused when it is loaded."""
    check_periods(23)
    with pytest.raises(DurationError):
        parse_duration("7")
    limits = {"reply": {"title": "答复", "start": "arrived_at", "within": 7, "done": "replied_at", "ladder": "one"}}
    ladder = {
        "lights": {"yellow": "3 工作日", "orange": "1 工作日"},
        "steps": [{"at": "due", "to": "handler", "say": "today"}],
    }
    written = {"policy": "office", "title": "限时", "limits": limits, "ladders": {"one": ladder}}
    with pytest.raises(Exception, match="unit"):
        parse_policies({"office.yaml": written})
    limits["reply"]["within"] = "7 工作日"
    assert parse_policies({"office.yaml": written}).policies["office"].limits


def test_statement_24_an_unknown_year_is_counted_and_marked() -> None:
    """Sixty days into 2027 are counted without the notice, and marked wherever they are told."""
    check_periods(24)
    assert "暂定" in count(day_of("2026-11-02"), parse_duration("60 日"), china()).steps[-1].text.zh
    late = case(milestones={"accepted_at": at("2026-11-02 10:00"), "arrived_at": at("2026-11-02 10:00")})
    (one,) = counted(late, at("2026-11-02 10:00"), policy(finish())).obligations
    assert one.provisional
    assert {
        n.facts["provisional"] for n in decide(at("2026-12-31 10:00"), the_case=late, rules=policy(finish())).notices
    } == {True}


EARLY = Ladder(
    "standard",
    Lights(parse_duration("35 工作日"), parse_duration("1 工作日")),
    (
        Step("assigned", parse_moment("start"), ("handler",), "assigned"),
        Step("remind", parse_moment("due - 30 工作日 09:00"), ("handler",), "remind"),
    ),
)


def test_statement_25_the_new_year_is_taken_in_and_nothing_is_sent_again(tmp_path: Path, migrated_sqlite: Path) -> None:
    """The calendar learns 2027: the limit moves, old and new stand in the ledger, no reminder is repeated."""
    arrived = datetime(2026, 11, 2, 10)  # noqa: DTZ001 - the platform writes local time
    office = build_office(tmp_path / "office", cases=1, arrived=arrived)
    rules = policies(
        policy(
            limit(within=parse_duration("60 日")),
            ladders={"standard": EARLY},
            first_handler=FirstHandlerRule(("arrived_at",)),
        )
    )
    (tmp_path / "copy").mkdir()
    with succeeding_daemon(
        tmp_path / "copy", office, load(office.configuration), migrated_sqlite, rules, at("2026-11-02 10:00")
    ) as daemon:
        daemon.live([], at("2026-12-01 10:00"))
        before, sent = standing(daemon.store), dict(daemon.sent)
        assert (before.provisional, before.legal_due_at, len(sent)) == (True, end_of("2027-01-04"), 2)
        off = {date(2027, 1, day): Text("元旦", "New Year") for day in range(1, 5)}
        known = replace(daemon.rules.calendars["china"], known_until=date(2027, 12, 31), days_off=off)
        learnt = replace(daemon.rules, calendars={**daemon.rules.calendars, "china": known})
        assert learnt.mark(daemon.clock.now()) != daemon.rules.mark(daemon.clock.now())
        daemon.engine.intake.rules = learnt
        daemon.work()
        after = standing(daemon.store)
        assert (after.provisional, after.legal_due_at) == (False, end_of("2027-01-05"))
        assert after.deadline_version == before.deadline_version
        daemon.live([], at("2027-01-04 10:00"))
        assert daemon.sent == sent
        (moved,) = [str(dict(row.body)) for row in daemon.store.ledger(CASE) if row.kind == "moved"]
        assert "由 2027-01-04 24:00 改为 2027-01-05 24:00" in moved


def standing(store: Store) -> Obligation:
    """The only obligation of the only case."""
    (one,) = store.obligations_of([CASE])[CASE]
    return one.obligation


def test_statement_25_a_light_that_changes_is_worth_a_new_ladder() -> None:
    """A recount without a change of light keeps version and history; one that changes it begins the due steps anew."""
    sent, now = decide(at("2026-09-28 09:00")), at("2026-09-29 10:00")
    same, history, reasons = revise(
        obligation(), sent.history, replace(obligation(), legal_due_at=end_of("2026-10-09")), LADDER, CHINA, now
    )
    assert (same.deadline_version, history, [one.why for one in reasons]) == (1, sent.history, [Why.MOVED])
    assert {n.key for n in decide(now, history, one=same).notices} <= {n.key for n in sent.notices}
    other, _, _ = revise(
        obligation(), sent.history, replace(obligation(), legal_due_at=end_of("2026-10-20")), LADDER, CHINA, now
    )
    assert other.deadline_version == 2


@pytest.mark.parametrize(
    ("start", "roll", "legal"),
    [
        ("2026-09-16", Roll.NONE, "2026-10-01"),
        ("2026-09-17", Roll.NONE, "2026-10-02"),
        ("2026-09-16", Roll.NEXT_WORKDAY, "2026-10-08"),
        ("2026-09-17", Roll.NEXT_WORKDAY, "2026-10-08"),
        # the Mid-Autumn days 25 to 27 September lie inside: three days more, then off the National Day
        ("2026-09-16", Roll.NEXT_WORKDAY_AND_LONG_HOLIDAYS, "2026-10-08"),
        # 1 to 7 October lie inside, 14 October + 7
        ("2026-09-29", Roll.NEXT_WORKDAY_AND_LONG_HOLIDAYS, "2026-10-21"),
        ("2026-06-25", Roll.NEXT_WORKDAY_AND_LONG_HOLIDAYS, "2026-07-10"),
    ],
)
def test_statement_26_the_roll_is_chosen_by_the_rule(start: str, roll: Roll, legal: str) -> None:
    """Not at all, to the next working day, or with long holidays added."""
    assert str(count(day_of(start), parse_duration("15 日"), china(), roll=roll).legal_day) == legal
    arrived = case(milestones={"arrived_at": day_of(start).astimezone(UTC)})
    assert obligation(arrived, rules=policy(limit(roll=roll))).legal_due_at == end_of(legal)


def test_statement_27_lights_follow_the_platform_and_overdue_the_law() -> None:
    """Red from the platform's instant on; legally overdue only after 8 October 24:00; both dates are in the message."""
    the_case = case(milestones={"arrived_at": at("2026-09-17 10:00"), "limit_at": at("2026-10-02 10:00")})
    assert decide(at("2026-10-02 10:00"), the_case=the_case).light is Light.ORANGE
    red = decide(at("2026-10-02 10:01"), the_case=the_case)
    assert (red.light, red.history.breached_at) == (Light.RED, None)
    assert red.notices[0].facts["platform_due"] == "2026-10-02T10:00:00+08:00"
    assert red.notices[0].facts["legal_due"] == "2026-10-08T23:59:59.999999+08:00"
    assert {one.facts["overdue_days"] for one in red.notices} == {0}
    assert decide(end_of("2026-10-08"), the_case=the_case).history.breached_at is None
    late = decide(end_of("2026-10-08") + timedelta(microseconds=1), the_case=the_case)
    assert late.history.breached_at == at("2026-10-09 00:00")


@pytest.mark.parametrize(("cutoff", "verdict"), [(Cutoff.MIDNIGHT, Outcome.ON_TIME), (Cutoff.OFFICE, Outcome.LATE)])
def test_statement_28_a_reply_after_hours_is_late_only_where_the_office_closes_the_day(
    cutoff: Cutoff, verdict: Outcome
) -> None:
    """The office closes at 17:30; a reply at 17:45 of the last day is late by the office's cut-off only."""
    one = obligation(rules=policy(limit(cutoff=cutoff)))
    now = at("2026-10-09 10:00")
    assert outcome(one.legal_due_at, at("2026-10-08 17:45"), now) is verdict
    assert outcome(one.legal_due_at, at("2026-10-08 17:30"), now) is Outcome.ON_TIME
