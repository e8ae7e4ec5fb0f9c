"""Foretold messages as CSV (RFC 4180) and as a calendar file (RFC 5545), written as they come."""

from __future__ import annotations

import csv
import hashlib
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, TextIO

from icalendar import Calendar as CalendarFile
from icalendar import Event

from daemon.foresight.lines import DUE
from daemon.foresight.words import Said, said

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from daemon.foresight.lines import Line
    from daemon.names import Names

QUARTER = timedelta(minutes=15)  # how long a message looks in a calendar
COLUMNS = (
    ("时间", "at"), ("案件", "case"), ("承办单位", "unit"), ("时限", "limit"), ("梯级", "step"), ("角色", "role"),
    ("收件人", "to"), ("抄送", "copy"), ("通道", "channel"), ("灯", "light"), ("短信条数", "sms parts"),
    ("备注", "remark"),
)  # fmt: skip


def write_csv(file: TextIO, lines: Iterable[Line], names: Names) -> int:
    """One row per message and person, under a heading; returns how many. The file is to be opened with newline=""."""
    writer = csv.writer(file)
    writer.writerow([names.say(zh, en) for zh, en in COLUMNS])
    rows = 0
    for one in said(names, (line for line in lines if line.kind != DUE)):
        rows += 1
        channels = names.say("、", ", ").join(one.channels)
        copied = names.say("是", "yes") if one.copy else ""
        writer.writerow(
            [_harmless(cell) for cell in (
                one.when, one.case, one.unit, one.limit, one.step, one.role, one.name, copied, channels,
                one.light_word, str(one.parts or ""), one.remark,
            )]
        )  # fmt: skip
    return rows


_FORMULAS = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "＝",
    "＋",
    "－",
    "＠",
)  # wide ones too: Chinese spreadsheets read them


def _harmless(cell: str) -> str:
    """A cell that a spreadsheet would take for a formula is marked as text."""
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell


def write_calendar(file: TextIO, lines: Iterable[Line], names: Names, now: datetime) -> int:
    """One event per message and person, one for each end of a limit, in UTC; returns how many.

    The identifiers stay the same, so that a later file imported again moves the events and does not double them.
    """
    head = CalendarFile()
    head.add("prodid", "-//duban//simulate//ZH")
    head.add("version", "2.0")
    head.add("method", "PUBLISH")
    head.add("x-wr-calname", names.say("督办预告", "duban foresight"))
    beginning, _, end = head.to_ical().decode().partition("END:VCALENDAR")
    file.write(beginning)
    events = 0
    for one in said(names, lines):
        events += 1
        file.write(_event(one, names, now).to_ical().decode())
    file.write(f"END:VCALENDAR{end}")
    return events


def _event(one: Said, names: Names, now: datetime) -> Event:
    event = Event()
    event.add("uid", f"{hashlib.sha256(one.key.encode()).hexdigest()[:32]}@duban")
    event.add("dtstamp", now.astimezone(UTC).replace(microsecond=0))
    begins = one.at.astimezone(UTC).replace(microsecond=0)
    event.add("dtstart", begins)
    if not one.person:
        event.add("summary", names.say(f"{one.case} “{one.limit}”期限到", f"{one.case} {one.limit}: limit ends"))
        event.add("dtend", begins)
    else:
        event.add("dtend", begins + QUARTER)
        event.add("summary", f"{one.light_word} {one.case} {one.step} → {one.name}")
        channels = names.say("、", ", ").join(one.channels)
        told = [one.limit, f"{one.role} {one.name}", channels, one.unit, one.remark]
        event.add("description", "\n".join(part for part in told if part))
        event.add("categories", [one.light_word])
    event.add("transp", "TRANSPARENT")
    return event
