"""The story of domain section 2.4, lived by a node: registered, given to A, objected to, given to B, and B is late."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from daemon.cli import main
from support.running_office import CASE, running_office

if TYPE_CHECKING:
    from pathlib import Path

    from support.office import Office
    from support.running_office import Running

TRANSFERS = (
    "transfers: {table: transfers, case: 'no', at: at, from_unit: from_unit, to_unit: to_unit, to_official: to_person, "
    "kind: kind, reason: reason, approved_by: approver, document: document, decided_at: decided}"
)
POLICY = """
policy: office
title: 信访事项限时办结
chain: [first_handler, section_head, deputy_leader, principal]
via: [sms]
first_handler: {freeze_at: [arrived_at]}
limits:
  notify:
    title: 书面告知
    basis: 信访工作条例第二十三条
    start: arrived_at
    per: holder
    within: 15 日
    done: notified_at
    platform_due: limit_at
    ladder: standard
ladders:
  standard:
    lights: {yellow: 3 工作日, orange: 1 工作日}
    steps:
      - {at: due 09:00, to: first_handler, say: today}
"""


def prepare(office: Office) -> None:
    """The bureau has the case; the record of movements says what each movement was."""
    connection = sqlite3.connect(office.database)
    with connection:
        for column in ("kind", "reason", "approver", "document", "decided"):
            connection.execute(f"ALTER TABLE transfers ADD COLUMN {column} TEXT")
        connection.execute("ALTER TABLE cases ADD COLUMN registered TEXT")
        connection.execute(
            "UPDATE cases SET unit = 'bureau', handler = NULL, arrived = NULL, registered = '2026-05-06 09:00:00'"
        )
    connection.close()
    source = (office.folder / "source.yaml").read_text("utf-8").splitlines()
    lines = [TRANSFERS if line.startswith("transfers:") else line for line in source]
    text = "\n".join(lines).replace("    arrived_at: arrived", "    registered_at: registered\n    arrived_at: arrived")
    office.write("source.yaml", text + "\n")
    office.write("policies/office.yaml", POLICY)


def moves(world: Running, *values: str | None) -> None:
    """One more line of the record: at, from, to, to_person, kind, reason, approver, document, decided."""
    world.execute("INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", CASE, *values)


async def live(world: Running) -> None:
    """From the registration to the day after B's limit."""
    await world.work("2026-05-06 09:30")
    moves(world, "2026-05-20 10:00:00", "bureau", "s0", "h0", "转办", None, "科长", "交办〔2026〕7号", None)
    world.clock.move_to(world.clock.now())
    world.update("unit = 's0', handler = 'h0', arrived = '2026-05-20 10:00:00', limit_at = '2026-06-05 23:59:59'")
    await world.work("2026-05-20 10:30")
    moves(world, "2026-05-26 15:00:00", "s0", "bureau", None, "申请退回", "不属本科职责", None, None, None)
    world.update("kind = kind")
    await world.work("2026-05-26 15:30")
    world.execute("UPDATE transfers SET approver = '分管领导', decided = '2026-05-28 09:00:00' WHERE kind = '申请退回'")
    moves(world, "2026-05-28 10:00:00", "bureau", "s1", "h1", "转办", "异议成立", "分管领导", "交办〔2026〕9号", None)
    world.update("unit = 's1', handler = 'h1'")
    await world.work("2026-05-28 10:30")
    await world.live_until("2026-06-14 10:00")
    world.execute("UPDATE posts SET person = 'c9' WHERE unit = 's1' AND role = 'section_head'")
    await world.work("2026-06-15 10:00")


def duban(world: Running, *arguments: str, columns: int = 80) -> str:
    """What a command prints in Chinese."""
    result = CliRunner(env={"DUBAN_LANG": "zh", "COLUMNS": str(columns)}).invoke(
        main, [*arguments, "-c", str(world.office.configuration)]
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def who(world: Running, moment: str) -> dict[str, tuple[str | None, str | None, str | None]]:
    """Part or role -> unit, official and document."""
    told: dict[str, Any] = json.loads(duban(world, "who", CASE, "--at", moment, "--json"))
    return {one["role"] or one["part"]: (one["unit"], one["official"], one["document"]) for one in told["bearers"]}


@pytest.fixture
def in_sqlite(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A store of its own."""
    (tmp_path / "duban.sqlite").write_bytes(migrated_sqlite.read_bytes())
    return f"sqlite:///{tmp_path / 'duban.sqlite'}"


async def test_who_answered_at_four_instants_and_what_is_on_record(tmp_path: Path, in_sqlite: str) -> None:
    """The bureau, A, A again while its objection waits, then B under A's first-handler duty; B's lateness is B's."""
    async with running_office(
        tmp_path, in_sqlite, now="2026-05-06 09:30", arrived="2026-05-06 09:00", prepare=prepare
    ) as world:
        await live(world)
        first = ("s0", "h0", "交办〔2026〕7号")
        bureau = who(world, "2026-05-10 10:00")
        assert "first" not in bureau
        assert bureau["holder"] == ("bureau", None, None)
        for moment in ("2026-05-22 10:00", "2026-05-27 10:00"):
            at_a = who(world, moment)
            assert (at_a["first"], at_a["holder"], at_a["section_head"][1]) == (first, first, "c0")
        at_b = who(world, "2026-06-10 10:00")
        assert (at_b["first"], at_b["holder"]) == (first, ("s1", "h1", "交办〔2026〕9号"))
        assert (at_b["section_head"][1], at_b["deputy_leader"][1]) == ("c1", "p-leader")
        assert who(world, "2026-06-15 10:00")["section_head"][1] == "c9"

        of_a = json.loads(duban(world, "ledger", "--unit", "s0", "--json"))
        assert [(one["from_at"][:10], one["to_at"][:10], one["days"]) for one in of_a["holdings"]] == [
            ("2026-05-20", "2026-05-28", 8)
        ]
        assert of_a["breaches"] == []
        assert [one["reason"] for one in of_a["handbacks"]] == ["不属本科职责"]
        of_b = json.loads(duban(world, "ledger", "--person", "承办人1", "--json"))
        legal = [one for one in of_b["breaches"] if one["due"] == "legal"]
        assert [(one["at"][:10], one["unit"], one["first_unit"]) for one in legal] == [("2026-06-12", "s1", "s0")]
        assert {leader["official"] for leader in legal[0]["leaders"]} == {"c1", "p-leader", "p-principal"}
        platform = [one["at"][:10] for one in of_b["breaches"] if one["due"] == "platform"]
        assert platform == ["2026-06-05"]

        kinds = [row.kind for row in world.store.ledger(CASE)]
        told = [kind for kind in kinds if kind in {"handed_over", "handback_asked", "handback_agreed"}]
        assert told == ["handed_over", "handback_asked", "handback_agreed", "handed_over"]
        assert "conflict" not in kinds
        assert list(world.store.verify()) == []

        number = str(legal[0]["id"])
        duban(world, "correct", number, "--reason", "登记有误", "--approved-by", "主要负责人", "--by", "督查专员")
        shown = [
            duban(world, "who", CASE, "--at", "2026-06-10 10:00"),
            duban(world, "ledger", "--unit", "办信1科"),
            duban(world, "ledger", CASE),
        ]
        assert "已更正：登记有误" in shown[1].replace("\n", "").replace(" ", "")
        assert all(cell_len(line) <= 80 for text in shown for line in text.splitlines()), "\n".join(shown)


async def test_a_disputed_first_handler_is_told_to_the_administrators_once(tmp_path: Path, in_sqlite: str) -> None:
    """Statement 38: the original stays, the conflict is in the ledger, and the administrator hears of it once."""
    async with running_office(tmp_path, in_sqlite, now="2026-09-16 10:30") as world:
        await world.work()
        world.update("unit = 's1', handler = 'h1'")
        for moment in ("2026-09-16 11:00", "2026-09-16 12:00", "2026-09-17 11:00"):
            await world.work(moment)
            await world.node.audit()
            await world.work()
        alerts = [one for one in world.received if one.to == "admin@example.com" and "首办信息" in one.text]
        assert len(alerts) == 1
        assert CASE in alerts[0].text
        told = who(world, "2026-09-17 11:00")
        assert (told["first"][:2], told["holder"][:2]) == (("s0", "h0"), ("s1", "h1"))
        assert who(world, "2026-09-16 10:45")["holder"][:2] == ("s0", "h0")
        kinds = [row.kind for row in world.store.ledger(CASE)]
        assert (kinds.count("conflict"), kinds.count("holder_changed")) == (1, 1)


def with_repeats(office: Office) -> None:
    """The second case repeats the first; whoever had the first has the second."""
    connection = sqlite3.connect(office.database)
    with connection:
        connection.execute("ALTER TABLE cases ADD COLUMN repeats TEXT")
        connection.execute("UPDATE cases SET repeats = ? WHERE no = ?", ("XF00000001", CASE))
    connection.close()
    office.change("source.yaml", "  changed: changed", "  changed: changed\n  earlier: repeats")
    office.change("policies/office.yaml", "{freeze_at: [arrived_at]}", "{freeze_at: [arrived_at], inherit: true}")


async def test_a_repeat_finds_the_first_handler_of_the_earlier_case_back(tmp_path: Path, in_sqlite: str) -> None:
    """Both ledgers point to each other, though both cases are read together and the later one comes first."""
    async with running_office(tmp_path, in_sqlite, now="2026-09-16 10:30", cases=2, prepare=with_repeats) as world:
        await world.work()
        firsts = world.store.first_handlers([CASE, "XF00000001"])
        assert firsts[CASE].official == firsts["XF00000001"].official == "h1"
        for key in (CASE, "XF00000001"):
            (told,) = (row.body for row in world.store.ledger(key) if row.kind == "repeats")
            assert told == {"earlier": "XF00000001", "later": CASE}
