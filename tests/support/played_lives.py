"""Random ladders, people and lives for the daemon without wires, and what its store and ledger say afterwards."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from policies.duration import parse_duration, parse_moment
from policies.model import (
    CatchUp,
    ExtensionRule,
    FirstHandlerRule,
    Ladder,
    Lights,
    Limit,
    Policy,
    PolicySet,
    Repeat,
    Step,
)
from support.running_office import CASE, SHANGHAI
from support.succeeding_daemon import succeeding_daemon

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from daemon.settings import Configuration
    from daemon.store import Store
    from support.office import Office
    from support.succeeding_daemon import Change, SucceedingDaemon

BEGIN = datetime(2026, 9, 16, 10, tzinfo=SHANGHAI).astimezone(UTC)
ROLES = ("first_handler", "handler", "section_head", "deputy_leader", "principal", "inspector")
MOMENTS = (
    "start", "start + 4 小时", "start + 2 工作日", "due - 3 工作日 09:00", "due - 1 日 22:30", "due 09:00", "due",
    "due + 1 工作日 09:00", "due + 5 工作日 09:00",
)  # fmt: skip


class World(NamedTuple):
    """What every example is copied from: an office with two cases, its configuration, an empty store."""

    office: Office
    configuration: Configuration
    store: Path

    def __repr__(self) -> str:
        """Short: it is shown with every failing example."""
        return "World(…)"


@contextmanager
def playing(world: World, rules: PolicySet, now: datetime = BEGIN) -> Generator[SucceedingDaemon]:
    """The daemon without wires over a copy of that world, by these rules."""
    with (
        tempfile.TemporaryDirectory(prefix="duban-played-") as folder,
        succeeding_daemon(Path(folder), world.office, world.configuration, world.store, rules, now) as daemon,
    ):
        yield daemon


# --- rules --------------------------------------------------------------------------------------------------------


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    """One to five steps to anybody at any time."""
    steps = tuple(
        Step(
            f"step{number}",
            draw(st.sampled_from(MOMENTS).map(parse_moment)),
            tuple(draw(st.lists(st.sampled_from(ROLES), min_size=1, max_size=2, unique=True))),
            "remind",
            cc=tuple(draw(st.lists(st.sampled_from(ROLES), max_size=1))),
            repeat=draw(st.none() | st.builds(Repeat, st.just(parse_duration("5 工作日")), st.integers(1, 3))),
            catch_up=draw(st.sampled_from(CatchUp)),
        )
        for number in range(draw(st.integers(1, 5)))
    )
    return Ladder("standard", Lights(parse_duration("3 工作日"), parse_duration("1 工作日")), steps)


@st.composite
def rules(draw: st.DrawFn, ladder: st.SearchStrategy[Ladder] = ladders()) -> PolicySet:  # noqa: B008 - a recipe, no value
    """One limit of some length on a random ladder; it may be extended."""
    limit = Limit(
        "notify",
        "书面告知",
        ("accepted_at", "arrived_at"),
        draw(st.sampled_from(["5 工作日", "15 日", "24 小时"]).map(parse_duration)),
        ("notified_at",),
        "standard",
        extension=ExtensionRule(parse_duration("30 日"), ("principal",)),
    )
    rule = FirstHandlerRule(("arrived_at",), draw(st.sampled_from([None, "yellow"])))
    policy = Policy("office", "信访事项", (limit,), {"standard": draw(ladder)}, first_handler=rule, release_above=None)
    return PolicySet("v1", {"office": policy})


def folding(one: Ladder) -> Ladder:
    """The same ladder, every missed step of which folds into the latest."""
    return replace(one, steps=tuple(replace(step, catch_up=CatchUp.LATEST) for step in one.steps))


# --- what the shared database's own system writes ------------------------------------------------------------------


def local(at: datetime) -> str:
    """An instant as the platform writes it."""
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


@st.composite
def writings(draw: st.DrawFn, at: datetime) -> list[tuple[str, tuple[Any, ...]]]:
    """One change of the case at that instant: done, reopened, moved, extended, corrected, handed over, removed."""
    what = draw(st.sampled_from(["notified", "accepted", "arrived", "limit_at", "handler", "unit", "extend", "gone"]))
    if what == "extend":
        row = (CASE, local(at), draw(st.sampled_from([10, 30, 45])), "principal", local(at))
        return [("INSERT INTO extensions VALUES (?, ?, ?, ?, ?)", row)]
    if what == "gone":
        return [("DELETE FROM cases WHERE no = ?", (CASE,))]
    if what == "handler":
        return [("UPDATE cases SET handler = ? WHERE no = ?", (draw(st.sampled_from(["h1", "h2", "c0", None])), CASE))]
    if what == "unit":
        number = draw(st.integers(1, 4))
        return [("UPDATE cases SET unit = ?, handler = ? WHERE no = ?", (f"s{number}", f"h{number}", CASE))]
    off = draw(st.sampled_from([timedelta(0), timedelta(days=-2), timedelta(hours=-5), None]))
    value = None if off is None else local(at + off)
    return [(f"UPDATE cases SET {what} = ? WHERE no = ?", (value, CASE))]  # noqa: S608 - a column of ours


@st.composite
def lives(draw: st.DrawFn, days: int = 30, changes: int = 5) -> list[Change]:
    """Up to so many changes within so many days, at any minutes."""
    minutes = sorted(draw(st.lists(st.integers(1, 60 * 24 * days), max_size=changes, unique=True)))
    return [(at, draw(writings(at))) for at in (BEGIN + timedelta(minutes=minute) for minute in minutes)]


# --- what is on record ----------------------------------------------------------------------------------------------


def told(store: Store, kind: str) -> list[Mapping[str, Any]]:
    """The bodies of the ledger's lines of one kind about the case."""
    return [row.body for row in store.ledger(CASE) if row.kind == kind]
