"""A small invented office on disk: a shared database, a configuration folder, and nothing running yet.

The database is somebody else's: duban only ever reads it through the mapping written here.
"""

from __future__ import annotations

import sqlite3
import textwrap
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLES = """
CREATE TABLE cases (no TEXT PRIMARY KEY, unit TEXT, handler TEXT, kind TEXT, arrived TEXT, accepted TEXT,
                    notified TEXT, finished TEXT, limit_at TEXT, signed TEXT, changed TEXT);
CREATE TABLE units (code TEXT PRIMARY KEY, name TEXT, parent TEXT);
CREATE TABLE people (code TEXT PRIMARY KEY, name TEXT, unit TEXT, mobile TEXT, mail TEXT);
CREATE TABLE posts (unit TEXT, role TEXT, person TEXT, since TEXT, until TEXT);
CREATE TABLE transfers (no TEXT, at TEXT, from_unit TEXT, to_unit TEXT, to_person TEXT);
CREATE TABLE extensions (no TEXT, decided TEXT, days INTEGER, approver TEXT, told TEXT);
CREATE INDEX cases_changed ON cases (changed, no);
"""

MAPPING = """
url: sqlite:///{database}
cases:
  table: cases
  key: "no"
  unit: unit
  handler: handler
  changed: changed
  columns: {{kind: kind}}
  milestones:
    arrived_at: arrived
    accepted_at: accepted
    notified_at: notified
    finished_at: finished
    limit_at: limit_at
    acknowledged_at: signed
officials: {{table: people, key: code, name: name, unit: unit, mobile: mobile, email: mail}}
units: {{table: units, key: code, name: name, parent: parent}}
transfers: {{table: transfers, case: "no", at: at, from_unit: from_unit, to_unit: to_unit, to_official: to_person}}
extensions:
  {{table: extensions, case: "no", decided_at: decided, days: days, approved_by: approver, petitioner_told_at: told}}
posts: {{table: posts, unit: unit, role: role, official: person, from: since, to: until}}
"""

POLICY = """
policy: office
title: 信访事项限时办结
chain: [first_handler, section_head, deputy_leader, principal]
via: [sms, email]
first_handler: {freeze_at: [arrived_at]}
limits:
  notify:
    title: 书面告知
    basis: 信访工作条例第二十三条
    start: arrived_at
    within: 15 日
    done: notified_at
    ladder: standard
ladders:
  standard:
    lights: {yellow: 3 工作日, orange: 1 工作日}
    steps:
      - {at: start, to: [first_handler], say: assigned}
      - {at: due - 3 工作日 09:00, to: [first_handler], say: remind}
      - {at: due 09:00, to: [first_handler, section_head], say: today}
      - {at: due + 1 工作日 09:00, to: [deputy_leader], cc: [section_head], say: urge}
"""

WEEKDAYS = "base: none\nzone: Asia/Shanghai\nhours: {mon-fri: 08:30-17:30}\n"

MAIN = """
office: {{name: 某市信访局, signature: 某市信访局, time_zone: Asia/Shanghai, calendar: {calendar}}}
store: {{url: "{store}"}}
source: source.yaml
policies: policies
calendars: calendars
templates: {templates}
channels:
  email:
    type: email
    host: 127.0.0.1
    port: {smtp_port}
    encryption: none
    connections: 4
    from: {{name: 督办系统, address: duban@example.com}}
  sms:
    type: http
    url: http://127.0.0.1:{sms_port}/sms
    body:
      format: json
      content: {{key: "{{key}}", to: "{{to}}", text: "{{text}}", possible_duplicate: "{{possible_duplicate}}"}}
    success: {{json: {{code: "0"}}}}
    reference: {{json: data.id}}
administrators:
  - {{name: 系统管理员, mobile: "13800000000", email: admin@example.com}}
schedule: {{sync: 1, full_sync: 3600, tick: 1, pump: 1, audit: 5, seal: 60}}
language: zh
"""

SECTIONS = 10
SHIPPED_TEMPLATES = Path(__file__).resolve().parents[2] / "config" / "templates"


@dataclass(frozen=True)
class Office:
    """Where everything lies."""

    folder: Path
    configuration: Path
    database: Path

    def execute(self, sql: str, *parameters: object) -> None:
        """Change the shared database, as its own system would."""
        connection = sqlite3.connect(self.database)
        with connection:
            connection.execute(sql, parameters)
        connection.close()

    def write(self, name: str, text: str) -> None:
        """Replace one file of the configuration."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def change(self, name: str, old: str, new: str) -> None:
        """Change what one file of the configuration says; fails if it does not say `old`."""
        text = (self.folder / name).read_text("utf-8")
        assert old in text, f"{name} does not say {old!r}"
        self.write(name, text.replace(old, new))

    def put_channel(self, name: str, settings: Mapping[str, Any]) -> None:
        """Configure one channel, instead of the one of that name if there is one."""
        channels = yaml.safe_load(self.configuration.read_text("utf-8"))["channels"]
        self.put("channels", channels | {name: dict(settings)})

    def put(self, section: str, settings: Mapping[str, Any]) -> None:
        """Write one section of the main configuration."""
        tree = yaml.safe_load(self.configuration.read_text("utf-8"))
        tree[section] = dict(settings)
        self.configuration.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), "utf-8")


def build_office(
    folder: Path,
    *,
    cases: int,
    arrived: datetime,
    smtp_port: int = 25,
    sms_port: int = 80,
    store_url: str = "",
    calendar: str = "china",
) -> Office:
    """Write the database with so many open cases that arrived at `arrived` (local time), and the configuration.

    With the real clock use `calendar="weekdays"`: the Chinese one asks for next year's holidays on some Mondays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "shared.db"
    _fill(database, cases, arrived)
    (folder / "policies").mkdir()
    (folder / "calendars").mkdir()
    (folder / "calendars" / "weekdays.yaml").write_text(WEEKDAYS, encoding="utf-8")
    (folder / "policies" / "office.yaml").write_text(textwrap.dedent(POLICY), encoding="utf-8")
    (folder / "source.yaml").write_text(MAPPING.format(database=database), encoding="utf-8")
    configuration = folder / "duban.yaml"
    configuration.write_text(
        MAIN.format(
            store=store_url or f"sqlite:///{folder / 'duban.db'}",
            templates=SHIPPED_TEMPLATES,
            smtp_port=smtp_port,
            sms_port=sms_port,
            calendar=calendar,
        ),
        encoding="utf-8",
    )
    return Office(folder, configuration, database)


def _fill(database: Path, cases: int, arrived: datetime) -> None:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(TABLES)
    units = [("bureau", "某市信访局", None)]
    people = [("p-leader", "分管领导", "bureau", "13800000001", "leader@example.com"),
              ("p-principal", "主要负责人", "bureau", "13800000002", "principal@example.com")]  # fmt: skip
    posts = [("bureau", "deputy_leader", "p-leader"), ("bureau", "principal", "p-principal")]
    for n in range(SECTIONS):
        units.append((f"s{n}", f"办信{n}科", "bureau"))
        people.append((f"h{n}", f"承办人{n}", f"s{n}", f"1380000{1000 + n}", f"handler{n}@example.com"))
        people.append((f"c{n}", f"科长{n}", f"s{n}", f"1380000{2000 + n}", f"head{n}@example.com"))
        posts.append((f"s{n}", "section_head", f"c{n}"))
    at = f"{arrived:%Y-%m-%d %H:%M:%S}"
    with connection:
        connection.executemany("INSERT INTO units VALUES (?, ?, ?)", units)
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", people)
        connection.executemany("INSERT INTO posts VALUES (?, ?, ?, '2020-01-01 00:00:00', NULL)", posts)
        connection.executemany(
            "INSERT INTO cases VALUES (?, ?, ?, '求决', ?, ?, NULL, NULL, NULL, NULL, ?)",
            (
                (f"XF{n:08d}", f"s{n % SECTIONS}", f"h{n % SECTIONS}", at, at, _changed(arrived, n))
                for n in range(cases)
            ),
        )
    connection.close()


def _changed(arrived: datetime, n: int) -> str:
    """Each row has a change time of its own, in the minute before `arrived`."""
    return f"{arrived - timedelta(minutes=1) + timedelta(microseconds=n):%Y-%m-%d %H:%M:%S.%f}"
