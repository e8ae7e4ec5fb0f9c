"""Whatever a shared database says: findings, never exceptions; one clock open at a time; nobody is renumbered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.duration import parse_duration
from policies.limits.revision import revise
from policies.model import (
    Bound,
    Case,
    Extension,
    ExtensionBase,
    ExtensionRule,
    History,
    Movement,
    Obligation,
    ObligationState,
    Pause,
    PauseRule,
    Recurrence,
    Transfer,
)
from policies.obligations import obligations_of
from policies.people.first_handler import first_handler_of
from support.invented_office import CALENDARS, CHINA, LADDER, at, case, finish, limit, policies, policy

UNITS = st.sampled_from(["A", "B", "C", None])
SANE = st.integers(0, 400).map(lambda hours: at("2026-08-01 00:00") + timedelta(hours=hours * 6))
INSANE = st.sampled_from(
    [datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)]
)
ANY_INSTANT = SANE | SANE | INSANE
LENGTHS = st.sampled_from(
    [parse_duration(text) for text in ("1 日", "30 日", "-3 日", "5 工作日", "1 月", "24 小时", "1 工作小时")]
)

PARKING = PauseRule(("principal",), basis=True, up_to=parse_duration("30 日"))
ALL_KINDS = policy(
    limit(pause=PARKING, platform_due=(Bound("limit_at"), Bound("registered_at", parse_duration("30 日")))),
    limit(id="held", per_holder=True, or_within=(parse_duration("5 工作日"),), excludes=("听证",)),
    limit(id="monthly", done=("replied_at",), recur=Recurrence(parse_duration("1 月"), ("finished_at",), 30)),
    limit(id="both", done=("replied_at",), per_holder=True, recur=Recurrence(parse_duration("10 工作日"), (), 30)),
    limit(id="after", start=("finish.due",), within=parse_duration("24 小时"), done=("x_at",)),
    limit(id="then", start=("held.done", "monthly.done"), done=("x_at",)),
    finish(
        extension=ExtensionRule(parse_duration("30 日"), ("principal",), ExtensionBase.ROLLED),
        recur=None,
        pause=PARKING,
    ),
)
NAMES = ("arrived_at", "accepted_at", "registered_at", "notified_at", "replied_at", "finished_at", "limit_at")


@st.composite
def absurd_cases(draw: st.DrawFn) -> Case:
    """A case that any faulty table could tell."""
    return Case(
        "XF001",
        draw(UNITS),
        draw(st.sampled_from(["clerk", None])),
        draw(st.dictionaries(st.sampled_from(NAMES), ANY_INSTANT)),
        transfers=tuple(
            Transfer(
                seq,
                draw(ANY_INSTANT),
                draw(UNITS),
                from_unit=draw(UNITS),
                approved_by=draw(st.sampled_from(["X", None])),
                kind=draw(st.sampled_from(Movement)),
                decided_at=draw(ANY_INSTANT | st.none()),
            )
            for seq in range(draw(st.integers(0, 5)))
        ),
        extensions=tuple(
            Extension(
                seq,
                draw(LENGTHS | st.none()),
                draw(ANY_INSTANT),
                draw(st.sampled_from(["principal", None])),
                draw(ANY_INSTANT | st.none()),
                draw(ANY_INSTANT | st.none()),
                draw(st.sampled_from(["finish", "notify", None])),
            )
            for seq in range(draw(st.integers(0, 2)))
        ),
        pauses=tuple(
            Pause(
                seq,
                draw(ANY_INSTANT),
                draw(ANY_INSTANT | st.none()),
                draw(st.sampled_from(["听证", "挂账", "", None])),
                draw(st.sampled_from(["principal", None])),
                review_at=draw(ANY_INSTANT | st.none()),
            )
            for seq in range(draw(st.integers(0, 3)))
        ),
        open=draw(st.booleans()),
        series=draw(st.dictionaries(st.sampled_from(NAMES), st.lists(ANY_INSTANT, max_size=4).map(tuple))),
        earlier=draw(st.sampled_from(["XF000", None])),
    )


def open_ones(found: tuple[Obligation, ...], name: str) -> list[Obligation]:
    """Those of a limit whose clock runs or stands."""
    return [o for o in found if o.limit == name and o.state in {ObligationState.OPEN, ObligationState.PAUSED}]


@given(absurd_cases(), SANE, SANE)
@settings(max_examples=120, deadline=None)
def test_absurd_facts_become_findings(the_case: Case, first: datetime, second: datetime) -> None:
    """Nothing is thrown, looked at twice in any order; each clock has its own name; at most one holder's runs."""
    rules, before = policies(ALL_KINDS), tuple[Obligation, ...]()
    for now in (first, second):
        found = obligations_of(rules, the_case, CALENDARS, now, before=before).obligations
        names = [(one.limit, one.instance) for one in found]
        assert len(set(names)) == len(names)
        assert len(open_ones(found, "held")) <= 1
        assert len({one.holder_unit for one in open_ones(found, "both")}) <= 1
        for one in found:
            bounds = [one.legal_due_at] + ([] if one.platform_due_at is None else [one.platform_due_at])
            assert one.due_at == min(bounds)
            assert one.platform_due_at is None or one.platform_due_at >= one.start_at
            assert (one.state is ObligationState.DONE) == (one.done_at is not None)
            assert one.recount_at is None or one.recount_at > now
        olds = {(one.limit, one.instance): one for one in before}
        for one in found:
            rule = next(rule for rule in ALL_KINDS.limits if rule.id == one.limit)
            revised, _, _ = revise(olds.get((one.limit, one.instance)), History(), one, LADDER, CHINA, now, rule)
            assert replace(revised, deadline_version=1) == one
        before = found
        first_handler_of(rules, the_case, CALENDARS)


@st.composite
def courses(draw: st.DrawFn) -> list[Case]:
    """A case handed on again and again, as the shared database shows it after each movement."""
    unit, now, moves = "B", at("2026-08-01 10:00"), list[Transfer]()
    first = case(milestones={"arrived_at": at("2026-08-01 10:00")}, unit=unit, handler=None)
    states = [first]
    for seq in range(1, draw(st.integers(1, 6)) + 1):
        now += timedelta(hours=draw(st.integers(1, 200)))
        kind = draw(st.sampled_from(Movement))
        to_unit = draw(st.sampled_from(["A", "B", "C"]))
        agreed = draw(st.booleans())
        moves.append(
            Transfer(
                seq,
                now,
                to_unit if kind not in {Movement.SIGN, Movement.RECEIVE, Movement.ACCEPT} else unit,
                from_unit=unit,
                kind=kind,
                approved_by="X" if agreed else None,
                decided_at=now if agreed else None,
            )
        )
        led = kind in {Movement.HAND_OVER, Movement.RETURN} or (kind is Movement.HAND_BACK and agreed)
        unit = to_unit if led else unit
        states.append(replace(first, unit=unit, transfers=tuple(moves)))
    return states


@given(courses())
@settings(max_examples=120, deadline=None)
def test_appended_movements_renumber_nobody(course: list[Case]) -> None:
    """Row by row: one clock is open, it is the present unit's, and every holder keeps his number, start and end."""
    rules = policies(policy(limit(per_holder=True, platform_due=())))
    remembered: tuple[Obligation, ...] = ()
    for state in course:
        now = max((move.at for move in state.transfers), default=at("2026-08-01 10:00"))
        found = obligations_of(rules, state, CALENDARS, now, before=remembered).obligations
        afresh = obligations_of(rules, state, CALENDARS, now).obligations
        assert [(o.instance, o.holder_unit) for o in afresh] == [(o.instance, o.holder_unit) for o in found]
        (running,) = open_ones(found, "notify")
        assert running.holder_unit == state.unit
        assert running is found[-1]
        for old, new in zip(remembered, found, strict=False):
            assert (old.instance, old.holder_unit) == (new.instance, new.holder_unit)
            assert old.start_at == new.start_at or new.state is ObligationState.OPEN
        assert len(found) >= len(remembered)
        remembered = found


@given(st.lists(st.integers(0, 300), max_size=6), st.integers(0, 300), st.sampled_from(["1 月", "10 日", "7 工作日"]))
@settings(max_examples=60, deadline=None)
def test_series_goes_on_without_gap(replies: list[int], today: int, every: str) -> None:
    """Each occurrence begins where the one before is due; all but the last are due or done; reply by reply, too."""
    rule = limit(done=("replied_at",), recur=Recurrence(parse_duration(every)), platform_due=())
    rules, start = policies(policy(rule)), at("2026-01-05 10:00")
    now = start + timedelta(days=today)
    instants = tuple(sorted(start + timedelta(days=day, hours=1) for day in replies if day <= today))
    milestones = {"arrived_at": start, **({"replied_at": instants[-1]} if instants else {})}
    whole = case(milestones=milestones, series={"replied_at": instants})
    found = obligations_of(rules, whole, CALENDARS, now).obligations
    assert [one.start_at for one in found[1:]] == [one.legal_due_at for one in found[:-1]]
    assert all(one.state is ObligationState.DONE or one.legal_due_at < now for one in found[:-1])
    assert found[-1].state is ObligationState.OPEN
    assert found[-1].legal_due_at >= now
    assert [one.instance for one in found] == ["", *(str(number) for number in range(2, len(found) + 1))]
    known: tuple[Obligation, ...] = ()
    for reply in instants:
        overwritten = case(milestones={"arrived_at": start, "replied_at": reply})
        known = obligations_of(rules, overwritten, CALENDARS, reply, before=known).obligations
    kept = case(milestones=milestones)
    step_by_step = obligations_of(rules, kept, CALENDARS, now, before=known).obligations
    assert [(o.instance, o.state) for o in step_by_step] == [(o.instance, o.state) for o in found]
