"""Whatever the ladder, the conditions, the people and the instants: nothing twice, nothing lost, nothing early."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.conditions import HISTORY_WORDS, WordKind
from policies.duration import Duration, Unit, parse_duration, parse_moment
from policies.ladders.rungs import timeline
from policies.model import (
    Acknowledge,
    CatchUp,
    Condition,
    Delegation,
    DigestRule,
    FirstHandlerRule,
    History,
    Ladder,
    Light,
    Lights,
    Movement,
    ObligationState,
    QuietHours,
    Reception,
    Repeat,
    RestrictedRule,
    Step,
    Transfer,
    Via,
    Why,
)
from support.invented_office import CHINA, at, case, decide, directory, obligation, policy

if TYPE_CHECKING:
    from policies.model import Case, Obligation, Plan, Policy

START = at("2026-09-16 10:00")
ENDED = {
    Why.DUE,
    Why.CAUGHT_UP,
    Why.MISSED,
    Why.ACKNOWLEDGED,
    Why.NOT_WANTED,
    Why.SKIPPED,
    Why.REVIEW,
}

MOMENTS = st.sampled_from(
    (
        "start",
        "start + 1 工作日 09:00",
        "start + 50%",
        "due - 3 工作日 09:00",
        "due 09:00",
        "due 23:30",
        "due + 1 工作日 09:00",
        "acknowledged_at + 2 工作日 09:00",
        "heard_at - 1 日 22:30",
        "review - 1 工作日 09:00",
        "review",
    )
).map(parse_moment)
ROLES = st.sampled_from(
    ("first_handler", "handler", "section_head", "deputy_leader", "principal", "inspector", "mayor")
)


def asked(word: str) -> st.SearchStrategy[Condition]:
    """A condition on a word of the history."""
    kind = HISTORY_WORDS[word]
    if kind is WordKind.FIGURE:
        return st.integers(-3, 12).map(lambda figure: Condition(word, at_least=figure))
    values: st.SearchStrategy[bool | str] = st.booleans() if kind is WordKind.FLAG else st.sampled_from(Light)
    return st.builds(Condition, st.just(word), values.map(lambda value: (value,)), st.booleans())


CONDITIONS = st.lists(st.sampled_from(sorted(HISTORY_WORDS)).flatmap(asked), max_size=1).map(tuple)
VIAS = st.none() | st.builds(
    Via, st.sampled_from((("sms",), ("sms", "email"))), st.booleans(), st.just(parse_duration("30 分钟"))
)


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    """Up to five steps of any kind."""
    steps = [
        Step(
            f"s{number}",
            draw(MOMENTS),
            tuple(draw(st.lists(ROLES, min_size=1, max_size=2, unique=True))),
            "remind",
            cc=tuple(draw(st.lists(ROLES, max_size=1))),
            via=draw(VIAS),
            repeat=draw(st.none() | st.just(Repeat(Duration(Fraction(2), Unit.WORKDAY), 2))),
            acknowledge=draw(st.none() | st.just(Acknowledge(parse_duration("4 工作小时"), ("section_head",)))),
            when=draw(CONDITIONS),
            unless=draw(CONDITIONS),
            catch_up=draw(st.sampled_from(CatchUp)),
            may_wake=draw(st.sampled_from(("", "条例第四十条"))),
        )
        for number in range(draw(st.integers(1, 5)))
    ]
    return Ladder("standard", Lights(parse_duration("3 工作日"), parse_duration("1 工作日")), tuple(steps))


RULES = st.builds(
    lambda ladder, quiet, digest, listed, above: policy(
        ladders={"standard": ladder},
        quiet=quiet,
        digest=digest,
        restricted=RestrictedRule(listed),
        release_above=above,
        first_handler=FirstHandlerRule(("arrived_at",), stays_informed="yellow", handbacks_allowed=1),
    ),
    ladders(),
    st.sampled_from((None, QuietHours(time(22), time(7, 30)))),
    st.sampled_from((None, DigestRule())),
    st.sampled_from(((), ("watch",), ("watch", "boss"))),
    st.sampled_from((None, "section_head", "principal")),
)


def days(first: str, last: str) -> st.SearchStrategy[datetime]:
    """Instants of these days."""
    start = at(f"{first} 00:00")
    return st.timedeltas(timedelta(0), at(f"{last} 00:00") - start).map(lambda length: start + length)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A case with or without milestones, movements, an earlier one, a lock on it."""
    there = {"acknowledged_at": draw(st.none() | days("2026-09-14", "2026-10-01")),
             "heard_at": draw(st.none() | days("2026-09-20", "2026-10-20"))}  # fmt: skip
    milestones = {"arrived_at": START} | {name: value for name, value in there.items() if value is not None}
    kinds = draw(st.lists(st.sampled_from((Movement.HAND_BACK, Movement.SIGN, Movement.RETURN)), max_size=3))
    moves = tuple(
        Transfer(number, draw(days("2026-09-17", "2026-10-10")), "B", kind=kind) for number, kind in enumerate(kinds)
    )
    return case(
        milestones=milestones,
        transfers=moves,
        restricted=draw(st.booleans()),
        earlier=draw(st.sampled_from((None, "XF000"))),
        recused=draw(st.sampled_from(((), ("head",)))),
    )


PEOPLE = st.sampled_from(
    (directory(), directory(posts=()), directory(delegations=(Delegation("head", "deputy"), Delegation("boss", None))))
)
RECEPTIONS = st.sampled_from(({}, {"s0": Reception(START, START, START)}, {"s1": Reception(START)}))
NOWS = st.lists(days("2026-09-14", "2026-12-20"), min_size=1, max_size=7).map(sorted)


@st.composite
def obligations(draw: st.DrawFn, the_case: Case) -> Obligation:
    """The limit of that case: running or parked, of the present holder or of another, with a platform limit or not."""
    one = replace(
        obligation(the_case),
        platform_due_at=draw(st.none() | days("2026-09-25", "2026-11-01")),
        recount_at=draw(st.none() | days("2026-10-01", "2026-11-01")),
        holder_unit=draw(st.sampled_from((None, "B", "C"))),
    )
    if draw(st.booleans()):
        return one
    return replace(one, state=ObligationState.PAUSED, review_at=draw(days("2026-09-20", "2026-11-01")))


def check(plan: Plan, now: datetime, the_case: Case, rules: Policy) -> None:
    """What holds of every plan."""
    assert plan.next_check_at is None or plan.next_check_at > now
    assert plan.next_check_at is not None or plan.reasons[-1].why is Why.END_OF_LADDER
    for notice in plan.notices:
        assert notice.at <= now
        assert notice.hold_until is None or (notice.hold_until > now and not notice.may_wake)
        assert notice.expires_at is None or notice.expires_at > (notice.hold_until or now)
        assert notice.channel not in notice.instead
        assert not (notice.digest and (notice.release or notice.may_wake or the_case.restricted))
        assert notice.person not in the_case.recused
        if the_case.restricted:
            assert notice.person in rules.restricted.recipients
            assert (set(notice.facts), notice.missed) == ({"case", "due_at", "due_day", "light"}, ())


@given(st.data(), RULES, cases(), PEOPLE, RECEPTIONS, NOWS)
@settings(max_examples=300, deadline=None)
def test_nothing_twice_nothing_lost_nothing_early(
    data: st.DataObject,
    rules: Policy,
    the_case: Case,
    people: object,
    receptions: dict[str, Reception],
    nows: list[datetime],
) -> None:
    """Each (step, repeat, person, channel) at most once; every instant that came ends as a notice or a reason."""
    one = data.draw(obligations(the_case))
    history, told, ended = History(receptions=receptions), set[object](), set[object]()
    for now in nows:
        plan = decide(now, history, the_case=the_case, rules=rules, people=people, one=one)  # type: ignore[arg-type]
        check(plan, now, the_case, rules)
        again = decide(now, plan.history, the_case=the_case, rules=rules, people=people, one=one)  # type: ignore[arg-type]
        assert (again.notices, again.next_check_at) == ((), plan.next_check_at)
        fresh = [(n.step, n.repeat, n.person, n.channel) for n in plan.notices]
        assert len({n.key for n in plan.notices}) == len(set(fresh)) == len(fresh)
        assert not told & set(fresh)
        told |= set(fresh)
        ended |= {(r.step.partition("#")[0], r.at) for r in plan.reasons if r.why in ENDED}
        history = plan.history
        ladder = rules.ladders["standard"]
        came = {(r.id, r.at) for r in timeline(ladder, one, the_case.milestones, CHINA) if r.at <= now}
        assert came <= ended


@given(st.data(), RULES, cases(), days("2026-10-20", "2026-12-20"))
@settings(max_examples=150, deadline=None)
def test_one_message_a_person_after_an_outage(
    data: st.DataObject, rules: Policy, the_case: Case, now: datetime
) -> None:
    """Invariant 4: with steps that fold, nobody gets the ladder twice however many steps were missed."""
    steps = tuple(replace(one, catch_up=CatchUp.LATEST) for one in rules.ladders["standard"].steps)
    rules = replace(rules, ladders={"standard": replace(rules.ladders["standard"], steps=steps)})
    plan = decide(now, the_case=the_case, rules=rules, one=data.draw(obligations(the_case)))
    ladder_says = [n for n in plan.notices if n.say not in {"shirking", "release_wanted"}]
    if any(n.why is Why.CAUGHT_UP for n in ladder_says):
        reached = {(n.person, n.channel) for n in ladder_says}
        assert len(reached) == len(ladder_says)


@given(st.data(), RULES, cases(), cases(), NOWS)
@settings(max_examples=150, deadline=None)
def test_changed_facts_repeat_no_step_on_a_milestone(
    data: st.DataObject, rules: Policy, before: Case, after: Case, nows: list[datetime]
) -> None:
    """The same ladder under other facts of the case: what was decided before is not said again."""
    one = data.draw(obligations(before))
    history, told = History(), set[object]()
    for number, now in enumerate(nows):
        facts = before if number < len(nows) // 2 else replace(after, transfers=before.transfers)
        plan = decide(now, history, the_case=facts, rules=rules, one=one)
        fresh = {(n.step, n.repeat, n.person, n.channel) for n in plan.notices}
        assert not told & fresh
        told |= fresh
        history = plan.history
