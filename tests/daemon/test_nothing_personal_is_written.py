"""A sweep: an office works with faults; all it wrote or prints is searched for numbers, mailboxes and names."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import TYPE_CHECKING

import structlog
from click.testing import CliRunner

from daemon.cli import main
from daemon.telemetry import set_up
from support.running_office import CASE, Running, running_office

if TYPE_CHECKING:
    from pathlib import Path

    from support.office import Office

PETITIONER = ("欧阳某某甲", "110105194912310021", "13912345678", "幸福路九号院")
MOBILES = ("13800001000", "13800002000", "13800000001", "13800000000")  # of handler, head, leader, administrator
MAILBOXES = ("handler0@example.com", "head0@example.com", "leader@example.com", "admin@example.com")
OURS = ("shared.db", "shared.db-wal", "shared.db-shm", "source.yaml", "duban.yaml")  # what is there before duban runs

COMMANDS = (
    ("status",),
    ("explain", CASE),
    ("outbox", "list"),
    ("outbox", "list", "--case", CASE),
    ("ledger", CASE),
    ("ledger", "--person", "h0"),
    ("who", CASE),
    ("reach",),
    ("reach", "--all"),
    ("simulate", "--all"),
    ("forecast",),
    ("forecast", "--by", "hour"),
    ("dark",),
    ("stops", "list"),
    ("channels",),
    ("policy", "status"),
    ("check",),
    ("check", "--people"),
    ("source", "check"),
    ("preview", "--case", CASE),
)


def personal(office: Office) -> None:
    """Two personal columns, a template that would show the handler's own key, and texts on a small budget."""
    office.execute("ALTER TABLE cases ADD COLUMN petitioner TEXT")
    office.execute("ALTER TABLE cases ADD COLUMN identity TEXT")
    office.execute("UPDATE cases SET petitioner = ?, identity = ?", f"{PETITIONER[0]}、{PETITIONER[3]}", PETITIONER[1])
    office.execute("UPDATE cases SET handler = ? WHERE no = 'XF00000001'", PETITIONER[0])  # a mistake at its desk
    office.execute("UPDATE cases SET handler = ? WHERE no = 'XF00000002'", PETITIONER[2])
    office.change(
        "source.yaml",
        "columns: {kind: kind}",
        "columns: {kind: kind, petitioner: {column: petitioner, personal: true}, "
        "identity: {column: identity, personal: true}}",
    )
    office.change("duban.yaml", "    type: http\n", "    type: http\n    budget: {per_person: 2}\n")


def said(world: Running) -> str:
    """Everything the reporting commands print, in both languages, as tables and as JSON."""
    printed: list[str] = []
    for command in COMMANDS:
        for language in ("zh", "en"):
            for more in ((), ("--json",)):
                arguments = [*command, *more, "-c", str(world.office.configuration)]
                result = CliRunner(env={"DUBAN_LANG": language, "COLUMNS": "200"}).invoke(main, arguments)
                assert result.exit_code in {0, 1}, f"{arguments}: {result.output}"
                printed.append(result.output)
    return "\n".join(printed)


def in_files(folder: Path) -> list[str]:
    """Where a petitioner's data stand in what duban wrote."""
    return [
        f"{value} in {path.name}"
        for path in folder.rglob("*")
        if path.is_file() and path.name not in OURS
        for value in (PETITIONER[1], PETITIONER[3])
        if value.encode() in path.read_bytes()
    ]


async def test_no_number_no_mailbox_and_no_petitioner_is_written_or_printed(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """Logs, errors, ledger, every report in both languages and as JSON; the store holds nothing of a petitioner."""
    handlers, logged = logging.root.handlers[:], io.StringIO()
    async with running_office(tmp_path, sqlite_store_url, cases=12, prepare=personal) as world:
        set_up(logged, {})
        try:
            world.texts.fail("503", "400", "drop")
            world.mails.fail("RCPT", "550 5.1.1 <handler0@example.com> no such user, call 13800001000")
            await world.live_until("2026-10-12 12:00")
            await world.node.audit()
            bring_back = world.hide_source()
            await world.work("2026-10-12 13:00")
            bring_back()
            await world.node.seal()
        finally:
            structlog.reset_defaults()
            logging.root.handlers[:] = handlers
        ledger = "\n".join(str(row) for key in ("", CASE, "XF00000001") for row in world.store.ledger(key))
        everything = {"log": logged.getvalue(), "ledger": ledger, "reports": await asyncio.to_thread(said, world)}
        received = [one.text for one in world.received if one.channel == "sms"]
    assert len(received) > 10
    assert not [text for text in received if any(value in text for value in PETITIONER)]
    assert all(CASE in text for text in everything.values())
    for where, text in everything.items():
        assert not [value for value in (*MOBILES, *MAILBOXES, PETITIONER[1], PETITIONER[3]) if value in text], where
    assert in_files(tmp_path) == []
