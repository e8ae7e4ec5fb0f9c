"""`duban backtest` on a public extract of finished and running service requests (NYC Open Data, one agency)."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from daemon.cli import main

EXTRACT = Path(__file__).resolve().parents[1] / "data" / "service_requests.csv.gz"
TEMPLATES = Path(__file__).resolve().parents[2] / "config" / "templates"

MAIN = """\
office: {name: service requests, time_zone: America/New_York, calendar: new-york}
store: {url: "sqlite:///duban.sqlite"}
source: source.yaml
templates: TEMPLATES
channels: {mail: {type: spool, directory: out, kind: email}}
administrators: [{name: administrator, email: administrator@example.com}]
"""
SOURCE = """\
url: sqlite:///requests.sqlite
time_zone: America/New_York
cases:
  table: requests
  key: unique_key
  unit: borough
  columns: {kind: complaint_type, status: status, channel: channel}
  milestones: {created_at: created_date, closed_at: closed_date, due_at: due_date}
  open: {column: status, not_in: [Closed]}
"""
CALENDAR = """\
base: none
zone: America/New_York
hours: {mon-fri: ["09:00-17:00"]}
"""
POLICY = """\
policy: requests
title: service requests
first_handler: {freeze_at: created_at}
via: email
limits:
  close:
    title: close the request
    start: created_at
    within: {set_by: due_at}
    done: closed_at
    ladder: standard
ladders:
  standard:
    lights: {yellow: 3 workdays, orange: 1 workday}
    steps:
      - {at: due - 3 workdays 09:00, to: first_handler, say: remind}
      - {at: due + 1 workday 09:00, to: deputy_leader, say: urge}
"""


def prepare(folder: Path, most: int) -> Path:
    """The first so many requests of the extract in a database, and a configuration for it."""
    with gzip.open(EXTRACT, "rt", encoding="utf-8") as lines:
        rows = list(islice(csv.DictReader(lines), most))
    database = sqlite3.connect(folder / "requests.sqlite")
    columns = list(rows[0])
    database.execute(f"CREATE TABLE requests ({', '.join(f'{name} TEXT' for name in columns)})")
    marks = ", ".join("?" * len(columns))
    database.executemany(
        f"INSERT INTO requests VALUES ({marks})",  # noqa: S608 - our own column names
        [[row[name] or None for name in columns] for row in rows],
    )
    database.commit()
    database.close()
    for name in ("policies", "later", "calendars"):
        (folder / name).mkdir()
    (folder / "duban.yaml").write_text(MAIN.replace("TEMPLATES", str(TEMPLATES)), "utf-8")
    (folder / "source.yaml").write_text(SOURCE.replace("requests.sqlite", str(folder / "requests.sqlite")), "utf-8")
    (folder / "calendars" / "new-york.yaml").write_text(CALENDAR, "utf-8")
    (folder / "policies" / "requests.yaml").write_text(POLICY, "utf-8")
    blind = "\n".join(line for line in POLICY.splitlines() if "say: remind" not in line)
    (folder / "later" / "requests.yaml").write_text(blind, "utf-8")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of it, read as it stands."""
    folder = prepare(tmp_path_factory.mktemp("whole"), 10_000)
    source = folder / "source.yaml"
    source.write_text("none_values: []\nplausible: {since: 1900}\n" + source.read_text("utf-8"), "utf-8")
    return folder


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first thousand."""
    return prepare(tmp_path_factory.mktemp("office"), 1_000)


def backtest(office: Path, *options: str, language: str = "zh") -> Result:
    """Run the command as a reader of that language."""
    runner = CliRunner(env={"DUBAN_LANG": language, "COLUMNS": "80"})
    return runner.invoke(main, ["backtest", "-c", str(office / "duban.yaml"), *options])


def test_the_extract_is_reproduced(whole: Path) -> None:
    """Read as it stands: 2,793 with a limit, 561 closed on time, 174 late, 2,058 due and not closed."""
    told = json.loads(backtest(whole, "--json").stdout)
    assert told["cases"] == 5_895
    assert told["due"] == 2_793
    assert told["outcomes"] == {"on_time": 561, "late": 174, "open": 0, "open_late": 2_058}
    assert told["on_time_percent"] == 20.09
    assert told["late_warned"] + told["late_unwarned"] == 174 + 2_058


def test_a_date_that_stands_for_none_closes_nothing(office: Path) -> None:
    """A request still assigned is closed on 1900-01-01 in the extract: by default that is no date."""
    with sqlite3.connect(office / "requests.sqlite") as database:
        late = "status <> 'Closed' AND due_date IS NOT NULL"
        [(unclosed,)] = database.execute(f"SELECT count(*) FROM requests WHERE {late}")  # noqa: S608 - our own words
        [(stamped,)] = database.execute(f"SELECT count(*) FROM requests WHERE {late} AND closed_date < '1901'")  # noqa: S608
    database.close()
    told = json.loads(backtest(office, "--json").stdout)
    assert stamped
    assert told["outcomes"]["open_late"] == unclosed


def test_it_reads_well_at_eighty_columns(office: Path) -> None:
    """The counts, the rate and what would have been caught, in both languages."""
    chinese = backtest(office).stdout
    for part in ("回放 1000 个案件", "超期未办结", "按期率：", "件在到期前有过预警", "administrator-1"):
        assert part in chinese
    assert max(map(cell_len, chinese.splitlines())) <= 80
    english = backtest(office, language="en").stdout
    for part in ("1000 cases played", "due and not closed", "on time: ", "had a warning before"):
        assert part in english


def test_two_policies_side_by_side(office: Path) -> None:
    """Without its reminder a policy sends less and catches nothing; the facts stay the same."""
    told = json.loads(backtest(office, "--against", str(office / "later"), "--json").stdout)
    other = told["against"]
    assert other["outcomes"] == told["outcomes"]
    assert other["messages"] < told["messages"]
    assert other["late_warned"] == 0
    assert other["late_unwarned"] == told["late_warned"] + told["late_unwarned"]
    assert "增减" in backtest(office, "--against", str(office / "later")).stdout


def test_the_price_of_the_texts(tmp_path: Path) -> None:
    """Over a channel for text messages every text is written and its parts are counted and paid for."""
    texts = prepare(tmp_path, 50)
    main_file = texts / "duban.yaml"
    written = main_file.read_text("utf-8").replace("kind: email}", "kind: sms}")
    written = written.replace("email: administrator@example.com", "mobile: '13800000001'")
    main_file.write_text(written, "utf-8")
    policy = texts / "policies" / "requests.yaml"
    policy.write_text(policy.read_text("utf-8").replace("via: email", "via: sms"), "utf-8")
    told = json.loads(backtest(texts, "--price", "0.05", "--json").stdout)
    parts = sum(told["sms_parts"].values())
    assert parts >= told["messages"] > 0
    assert told["cost"] == pytest.approx(parts * 0.05, abs=0.01)


def test_only_what_ended_in_the_period(office: Path) -> None:
    """Two halves of the time add up to the whole."""
    periods = ((), ("--until", "2011-01-01"), ("--since", "2011-01-01"))
    due, *halves = (json.loads(backtest(office, *options, "--json").stdout)["due"] for options in periods)
    assert sum(halves) == due
    assert all(halves)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "last year"), "--since 应为日期或时刻"),
        (("--since", "0001-01-01T00:00+14:00"), "--since 应为日期或时刻"),
        (("--since", "2027-01-01", "--until", "2026-01-01"), "--since 晚于 --until"),
        (("--price", "-1"), "--price"),
        (("--price", "inf"), "--price"),
    ],
)
def test_a_wrong_question_is_told(office: Path, arguments: tuple[str, ...], said: str) -> None:
    """One sentence says what is wrong with a date, a period or a price."""
    result = backtest(office, *arguments)
    assert result.exit_code in {64, 78}
    assert said in result.stderr
