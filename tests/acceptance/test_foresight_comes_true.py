"""Design invariant 7: what the simulation foretells is what the daemon then writes, to the instant."""

from __future__ import annotations

import dataclasses
import tempfile
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.settings import load
from policies.beforehand.foresight import foresee
from policies.duration import parse_duration, parse_moment
from policies.model import (
    Acknowledge,
    ActRule,
    CatchUp,
    Condition,
    ExtensionRule,
    FirstHandlerRule,
    Ladder,
    Lights,
    Limit,
    Policy,
    PolicySet,
    QuietHours,
    Recurrence,
    Repeat,
    Step,
    Via,
)
from support.office import Office, build_office
from support.running_office import CASE, SHANGHAI
from support.succeeding_daemon import SucceedingDaemon, succeeding_daemon

if TYPE_CHECKING:
    from daemon.settings import Configuration
    from policies.beforehand.foresight import Foresight
    from support.succeeding_daemon import Change

EXAMPLES = settings().max_examples
BEGIN = datetime(2026, 9, 16, 10, tzinfo=SHANGHAI)
ROLES = ("first_handler", "section_head", "deputy_leader", "principal", "inspector")


class World(NamedTuple):
    """What every example is copied from."""

    office: Office
    configuration: Configuration
    store: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> World:
    """The invented office with one case, and an empty store."""
    folder = tmp_path_factory.mktemp("foresight") / "office"
    office = build_office(folder, cases=1, arrived=BEGIN.replace(tzinfo=None))
    return World(office, load(office.configuration), migrated_sqlite)


# --- random policies ------------------------------------------------------------------------------------------

lengths = st.sampled_from(["5 工作日", "15 日", "1 月", "24 小时", "16 工作小时", "40 日"]).map(parse_duration)
moments = st.sampled_from(
    ["start", "due", "due 09:00", "due - 3 工作日 09:00", "due - 1 日 22:30", "due + 1 工作日 09:00",
     "due + 5 工作日 09:00", "start + 2 工作日", "start + 4 小时", "start + 30 分钟"]
).map(parse_moment)  # fmt: skip
roles = st.lists(st.sampled_from(ROLES), min_size=1, max_size=2, unique=True).map(tuple)
acting = st.none() | st.just(ActRule(parse_duration("2 工作日"), ("deputy_leader",)))
acknowledges = st.none() | st.builds(
    Acknowledge, st.sampled_from(["4 工作小时", "1 日"]).map(parse_duration), st.just(("section_head",)), then=acting
)
repeats = st.none() | st.builds(
    Repeat, st.sampled_from(["5 工作日", "2 日", "12 小时"]).map(parse_duration), st.integers(1, 3)
)
conditions = st.just(()) | st.sampled_from(
    [
        (Condition("light", ("red",)),),
        (Condition("acknowledged", (True,)),),
        (Condition("delivered", (True,)),),
        (Condition("handbacks", at_least=1),),
        (Condition("transfers", at_least=1),),
        (Condition("extended", (True,), negate=True),),
    ]
)
quiet = st.none() | st.just(QuietHours(time(22), time(7, 30)))


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    """One to five steps, each anywhere."""
    steps = tuple(
        Step(
            f"step{number}",
            draw(moments),
            draw(roles),
            "remind",
            repeat=draw(repeats),
            acknowledge=draw(acknowledges),
            via=draw(st.none() | st.just(Via(("sms",)))),
            when=draw(conditions),
            unless=draw(conditions),
            catch_up=draw(st.sampled_from(CatchUp)),
            may_wake=draw(st.sampled_from(["", "", "防汛"])),
        )
        for number in range(draw(st.integers(1, 5)))
    )
    return Ladder("standard", Lights(parse_duration("3 工作日"), parse_duration("1 工作日")), steps)


recurrences = st.none() | st.just(Recurrence(parse_duration("10 日"), ("finished_at",), 3))


@st.composite
def policies(draw: st.DrawFn) -> PolicySet:
    """One or two limits on one random ladder."""
    notify = Limit("notify", "书面告知", ("accepted_at", "arrived_at"), draw(lengths), ("notified_at",), "standard")
    finish = Limit("finish", "办结", ("accepted_at",), draw(lengths), ("finished_at",), "standard")
    finish = dataclasses.replace(finish, extension=ExtensionRule(parse_duration("30 日"), ("principal",)))
    notify = dataclasses.replace(notify, per_holder=draw(st.booleans()), recur=draw(recurrences))
    rule = FirstHandlerRule(("accepted_at", "arrived_at"), draw(st.sampled_from([None, "yellow", "red"])))
    chosen = draw(st.sampled_from([(notify,), (finish,), (notify, finish)]))
    ladder = {"standard": draw(ladders())}
    policy = Policy(
        "office",
        "信访事项",
        chosen,
        ladder,
        first_handler=rule,
        quiet=draw(quiet),
        release_above=draw(st.sampled_from([None, "section_head", "principal"])),
        dark=draw(st.sampled_from([False, False, False, True])),
    )
    return PolicySet("v1", {"office": policy})


# --- random lives ---------------------------------------------------------------------------------------------


def _local(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


@st.composite
def one_change(draw: st.DrawFn, at: datetime) -> list[tuple[str, tuple[Any, ...]]]:
    """What the shared database's own system may write about the case at that instant."""
    column = draw(
        st.sampled_from(["accepted", "notified", "finished", "signed", "limit_at", "handler", "extend", "move"])
    )
    if column == "handler":
        return [("UPDATE cases SET handler = ? WHERE no = ?", (draw(st.sampled_from(["h1", "h2", None])), CASE))]
    if column == "extend":
        row = (CASE, _local(at), draw(st.sampled_from([10, 30, 45])), "principal", _local(at))
        return [("INSERT INTO extensions VALUES (?, ?, ?, ?, ?)", row)]
    if column == "move":
        return [
            ("INSERT INTO transfers VALUES (?, ?, 's0', 's3', 'h3')", (CASE, _local(at))),
            ("UPDATE cases SET unit = 's3', handler = 'h3' WHERE no = ?", (CASE,)),
        ]
    off = draw(st.sampled_from([timedelta(0), timedelta(days=-2), timedelta(hours=7), timedelta(days=6), None]))
    value = None if off is None else _local(at + off)
    return [(f"UPDATE cases SET {column} = ? WHERE no = ?", (value, CASE))]  # noqa: S608 - a column of ours


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[Change], datetime]:
    """Up to five changes at any minutes, and when we stop looking."""
    minutes = sorted(draw(st.lists(st.integers(1, 60 * 24 * 45), max_size=5, unique=True)))
    instants = [BEGIN.astimezone(UTC) + timedelta(minutes=minute) for minute in minutes]
    changes = [(at, draw(one_change(at))) for at in instants]
    return changes, BEGIN.astimezone(UTC) + timedelta(days=draw(st.integers(1, 75)))


def _play(daemon: SucceedingDaemon, since: datetime, until: datetime, **more: Any) -> Foresight:
    rules = daemon.rules
    return foresee(
        rules.policies,
        daemon.facts,
        daemon.engine.directory,
        rules.calendars,
        rules.kinds,
        since,
        until,
        default_calendar=rules.default_calendar,
        **more,
    )


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # a failing policy is long
# Few enough for every run (a quarter of what the profile asks for); `make explore` looks for new ones.
@settings(max_examples=max(EXAMPLES // 4, 20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=policies(), life=lives())
def test_foretells_exactly_what_the_daemon_writes(
    world: World, rules: PolicySet, life: tuple[list[Change], datetime]
) -> None:
    """Every notice, the instant it is decided, the instant it goes out, what is dropped, and where all stands then."""
    changes, until = life
    since = BEGIN.astimezone(UTC)
    changes = [one for one in changes if one[0] <= until]
    with (
        tempfile.TemporaryDirectory(prefix="duban-foresight-") as folder,
        succeeding_daemon(Path(folder), world.office, world.configuration, world.store, rules, since) as daemon,
    ):
        daemon.live(changes, until)
        written = {one.notice.key: one.created_at for one in daemon.store.deliveries(case_key=CASE, limit=5000)}
        stands = {
            (one.obligation.limit, one.obligation.instance): (one.obligation, one.history)
            for one in daemon.store.obligations_of([CASE]).get(CASE, ())
        }
        foretold = _play(daemon, since, until)
        decided = {told.notice.key: told.decided_at for told in (*foretold.told, *foretold.waiting)}
        dropped = {one.notice.key for one in foretold.dropped}
        assert decided.keys() | dropped == written.keys()
        assert {key: at for key, at in written.items() if key in decided} == decided
        sent = (told for told in foretold.told if not (told.notice.release or told.notice.dark))
        assert {told.notice.key: told.at for told in sent} == daemon.sent
        assert {(one.limit, one.instance): (one, history) for one, history in foretold.standing} == stands
