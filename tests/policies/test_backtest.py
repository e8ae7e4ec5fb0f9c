"""What policies would have sent and caught over finished cases."""

from __future__ import annotations

from dataclasses import replace

from policies.beforehand.backtest import Score, judged_by, score_case
from policies.beforehand.metrics import Outcome
from policies.beforehand.replay import appointed_in
from policies.model import Case, PolicySet
from policies.obligations import obligations_of
from support.invented_office import CALENDARS, KINDS, at, directory, policies, policy, step, with_steps

SINCE, UNTIL = at("2026-09-01 00:00"), at("2026-12-01 00:00")
ARRIVED = at("2026-09-16 10:00")


def finished(key: str, on: str | None = None, **milestones: str) -> Case:
    """A case that arrived on 16 September (limit: 8 October), notified on that day, or not at all."""
    dated = {name: at(text) for name, text in milestones.items()}
    if on is not None:
        dated["notified_at"] = at(on)
    return Case(key, unit="B", handler="clerk", milestones={"arrived_at": ARRIVED, **dated}, open=on is None)


def scored(*cases: Case, rules: PolicySet | None = None, parts: int = 0) -> Score:
    """The score of these cases together."""
    several, total = rules or policies(), Score()
    for case in cases:
        total.add(
            score_case(
                several,
                case,
                directory(),
                CALENDARS,
                KINDS,
                SINCE,
                UNTIL,
                appointed=appointed_in(several),
                parts_of=(lambda _: parts) if parts else None,
            )
        )
    return total


ON_TIME, LATE, NEVER = finished("A", "2026-09-20 10:00"), finished("B", "2026-10-12 10:00"), finished("C")


def test_outcomes_are_what_really_happened() -> None:
    """On time, late, never: each once, and the rate is one of three."""
    score = scored(ON_TIME, LATE, NEVER)
    notify = score.outcome("xinfang", "notify")
    assert [notify[one] for one in Outcome] == [1, 1, 0, 1]
    assert str(score.tally().on_time_rate) == "33.33 %"
    assert score.cases == 3


def test_messages_end_with_the_facts_of_the_time() -> None:
    """The case notified early would have got its assignment and the reminder to sign only, the late one the ladder."""
    early, late = scored(ON_TIME), scored(LATE)
    assert set(early.steps) == {("xinfang", "notify", "assigned"), ("xinfang", "notify", "assigned.unacknowledged")}
    assert late.steps["xinfang", "notify", "urge"] == 3
    assert ("xinfang", "notify", "bulletin") not in late.steps
    assert sum(early.messages.values()) == 2
    assert late.by_channel() == {"sms": sum(late.messages.values())}


def test_a_late_limit_was_warned_about_or_not() -> None:
    """With a reminder three working days ahead it was caught; with a step after the limit only, it was not."""
    score = scored(LATE)
    assert (score.warned, score.unwarned) == (1, 0)
    assert score.days_ahead > 0
    blind = policies(with_steps(step("urge", "due + 1 工作日 09:00", "deputy_leader")))
    score = scored(LATE, rules=blind)
    assert (score.warned, score.unwarned, score.days_ahead) == (0, 1, 0)


def test_three_working_days_ahead() -> None:
    """The mean of how far ahead the first warning came, in working days."""
    remind = policies(with_steps(step("remind", "due - 3 工作日 09:00", "first_handler")))
    assert scored(LATE, rules=remind).days_ahead == 3


def test_only_what_ends_in_the_period_counts() -> None:
    """A limit that ends after the period is in neither part; nor are the messages before it."""
    early = replace(LATE, milestones={"arrived_at": at("2026-08-03 10:00"), "notified_at": at("2026-08-17 10:00")})
    score = scored(early)
    assert score.tally().due == 0
    assert not score.messages


def test_the_platform_date_judges() -> None:
    """Where the platform set a limit, officials are judged by that one."""
    case = finished("D", "2026-10-05 10:00", limit_at="2026-10-01 10:00")
    [one] = obligations_of(policies(), case, CALENDARS, UNTIL).obligations
    assert judged_by(one) == at("2026-10-01 10:00")
    assert scored(case).outcome("xinfang", "notify")[Outcome.LATE] == 1
    assert scored(finished("E", "2026-10-05 10:00")).outcome("xinfang", "notify")[Outcome.ON_TIME] == 1


def test_parts_are_added_up_by_channel() -> None:
    """Each notice adds what it takes."""
    score = scored(LATE, parts=2)
    assert score.parts == {"sms": 2 * sum(score.messages.values())}


def test_scores_add_up() -> None:
    """The score of two cases is the score of one and that of the other, whatever the policies."""
    both = policies(policy(), replace(policy(), id="other"))
    apart = scored(LATE, rules=both)
    apart.add(scored(NEVER, rules=both))
    assert apart == scored(LATE, NEVER, rules=both)
