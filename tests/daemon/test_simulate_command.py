"""`duban simulate`: tables, totals and files from real data; nothing is sent and nothing of ours is changed."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from icalendar import Calendar

from daemon.cli import main
from daemon.clock import SystemClock
from daemon.engine import Engine
from daemon.foresight.lines import Line, packed, unpacked
from daemon.foresight.playing import Wanted, play
from daemon.foresight.readings import open_reading
from daemon.settings import load
from daemon.store import Store
from daemon.wiring import open_source, rules_of
from support.office import Office, build_office
from support.running_office import SHANGHAI

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

CASE = "XF00000000"
CASES = 12


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Twelve cases that arrived this minute, in an office whose calendar asks for no announced holidays."""
    arrived = datetime.now(SHANGHAI).replace(tzinfo=None, microsecond=0)
    return build_office(tmp_path / "office", cases=CASES, arrived=arrived, calendar="weekdays")


def take_over(office: Office) -> None:
    """Let the daemon's engine read and decide once."""
    configuration, now = load(office.configuration), SystemClock().now()
    Store.migrate(configuration.settings.store.url)
    store, source = Store(configuration.settings.store.url), open_source(configuration, SystemClock())
    engine = Engine(store, source, rules_of(configuration), store.open_worker("test", 1, now))
    engine.intake.sync(now)
    while engine.tick(now):
        pass
    source.close()
    store.close()


def duban(office: Office, *arguments: str, language: str = "zh") -> Result:
    """Run the command."""
    environment = {"DUBAN_LANG": language, "COLUMNS": "200"}
    return CliRunner(env=environment).invoke(main, ["simulate", *arguments, "-c", str(office.configuration)])


def told(result: Result) -> Any:
    """The JSON it printed."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_before_the_first_start_it_reads_the_shared_database(office: Office) -> None:
    """Nothing of ours exists: the first day is foretold from the shared database, and still nothing of ours exists."""
    seen = told(duban(office, CASE, "--json"))
    steps = [one["step"] for one in seen["messages"] if one["channel"] == "sms"]
    assert steps == ["start", "due-3wd", "due", "due", "due+1wd", "due+1wd"]
    assert seen["totals"]["messages"] == len(seen["messages"]) == 12
    assert not (office.folder / "duban.db").exists()


def test_what_was_decided_is_not_foretold_again(office: Office) -> None:
    """With a store, the assignment is out already; `--fresh` foretells it all the same."""
    take_over(office)
    assert told(duban(office, CASE, "--json"))["messages"][0]["step"] == "due-3wd"
    assert told(duban(office, CASE, "--fresh", "--json"))["messages"][0]["step"] == "start"


def test_nothing_is_changed(office: Office) -> None:
    """The content of the store is byte for byte what it was, and no message went into the outbox."""
    take_over(office)

    def content() -> str:
        connection = sqlite3.connect(office.folder / "duban.db")
        dump = "\n".join(connection.iterdump())
        connection.close()
        return hashlib.sha256(dump.encode()).hexdigest()

    before = content()
    assert duban(office, "--all").exit_code == 0
    assert content() == before


def test_the_table_names_people_and_adds_up(office: Office) -> None:
    """Names, steps and lights in words, totals per day and per person; no code and no mobile number."""
    take_over(office)
    shown = duban(office, "--all").stdout
    for piece in ("承办人0", "到期提醒", "黄灯", "红灯", "每天", "每人", "短信条数", "书面告知"):
        assert piece in shown
    assert not re.search(r"1380000|first_handler|due-3wd", shown)


def test_one_unit_and_one_person(office: Office) -> None:
    """A unit means its cases and those below it; a person the messages he gets, by key or by name."""
    take_over(office)
    section = told(duban(office, "--unit", "办信1科", "--json"))
    assert {one["case"] for one in section["messages"]} == {"XF00000001", "XF00000011"}
    assert told(duban(office, "--unit", "bureau", "--json"))["totals"]["cases"] == CASES
    head = told(duban(office, "--person", "科长1", "--json"))
    assert {one["person"] for one in head["messages"]} == {"c1"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "请指定案件号"),
        (("--unit", "办信l科"), "是不是想写"),
        (("--person", "nobody-at-all"), "没有 nobody-at-all"),
        (("--all", "--from", "2020-01-01"), "在过去"),
        (("--all", "--to", "2020-01-01"), "早于开始时间"),
        (("--all", "--to", "9999-12-31"), "--to 太远"),
        (("--all", "--from", "9999-12-31"), "--from 太远"),
        (("--all", "--csv", "/nowhere/at/all.csv"), "无法写入"),
    ],
)
def test_a_wrong_question_is_told(office: Office, arguments: tuple[str, ...], said: str) -> None:
    """Exit code 64 and one sentence in plain words."""
    shown = duban(office, *arguments)
    assert (shown.exit_code, said in shown.stderr) == (64, True), shown.output


def test_a_case_that_is_not_there(office: Office) -> None:
    """Exit code 1, as every command that looked and did not find."""
    assert duban(office, "XF404").exit_code == 1


def test_days_and_ends(office: Office) -> None:
    """`--days` and `--to` cut the same list; a date as the end includes its day."""
    take_over(office)
    everything = told(duban(office, CASE, "--json"))["messages"]
    third = datetime.fromisoformat(everything[0]["at"]).astimezone(SHANGHAI).date().isoformat()
    until = told(duban(office, CASE, "--to", third, "--json"))
    assert until["messages"] == everything[:2]
    assert told(duban(office, CASE, "--days", "1", "--json"))["messages"] == []


def test_other_policies(office: Office) -> None:
    """With another folder of policies the same cases get other messages; the office's own are left alone."""
    take_over(office)
    other = office.folder / "draft"
    other.mkdir()
    text = (office.folder / "policies" / "office.yaml").read_text("utf-8")
    (other / "office.yaml").write_text(text.replace("within: 15 日", "within: 5 日"), encoding="utf-8")
    days = {
        arguments: told(duban(office, CASE, "--json", *arguments))["messages"][-1]["at"][:10]
        for arguments in ((), ("--policies", str(other)))
    }
    assert days["--policies", str(other)] < days[()]


def test_a_case_nobody_may_hear_of_is_named(office: Office) -> None:
    """A restricted case whose policy lists nobody: no message, and the totals say so instead of keeping quiet."""
    assert told(duban(office, "--all", "--json"))["totals"]["nobody_can_be_told"] == {"number": 0, "some": []}
    secret = "cases:\n  restricted: {column: kind, values: {检举: true, 求决: false}}\n"
    office.change("source.yaml", "cases:\n", secret)
    office.execute('UPDATE cases SET kind = ? WHERE "no" = ?', "检举", CASE)
    seen = told(duban(office, "--all", "--json"))["totals"]
    assert seen["nobody_can_be_told"] == {"number": 1, "some": [CASE]}
    assert "无人可发的案件  1（XF00000000）" in duban(office, CASE).stdout


def test_cases_without_a_limit_are_counted(office: Office) -> None:
    """Cases no policy speaks of are counted apart: an office sees that a condition is too narrow."""
    policy = office.folder / "policies" / "office.yaml"
    policy.write_text(policy.read_text("utf-8") + "applies_to: {unit: 没有这个单位}\n", "utf-8")
    seen = told(duban(office, "--all", "--json"))["totals"]
    assert (seen["cases"], seen["without_a_limit"]) == (CASES, CASES)


# --- files --------------------------------------------------------------------------------------------------


def test_the_csv_file(office: Office) -> None:
    """UTF-8 without a byte order mark, one row per message and person, channels together."""
    take_over(office)
    path = office.folder / "all.csv"
    assert duban(office, "--all", "--csv", str(path)).exit_code == 0
    raw = path.read_bytes()
    assert not raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8").splitlines()))
    assert len(rows) == CASES * 5
    assert rows == sorted(rows, key=lambda row: row["时间"])
    assert {row["通道"] for row in rows} == {"邮件、短信"}


def test_the_calendar_file_is_valid(office: Office) -> None:
    """RFC 5545: folded CRLF lines, UTC times, identifiers that stay the same when it is written again."""
    take_over(office)
    path = office.folder / "all.ics"
    seen: list[set[str]] = []
    for _ in range(2):
        assert duban(office, "--all", "--ics", str(path)).exit_code == 0
        raw = path.read_bytes()
        assert max(map(len, raw.split(b"\r\n"))) <= 75
        assert b"\n" not in raw.replace(b"\r\n", b"")
        calendar = Calendar.from_ical(raw)
        assert not calendar.errors
        events = list(calendar.walk("VEVENT"))
        assert all(not event.errors and event.decoded("dtstart").tzinfo is not None for event in events)
        assert len(events) == CASES * 6  # five messages and one end each
        seen.append({str(event["uid"]) for event in events})
    assert seen[0] == seen[1]
    assert len(seen[0]) == CASES * 6


@pytest.mark.parametrize("by", ["case", "person"])
@pytest.mark.parametrize("days", ["30", "90"])
def test_the_page_stands_alone(office: Office, by: str, days: str) -> None:
    """Nothing is loaded from elsewhere, lights are said in words too, and what it shows cannot be markup."""
    take_over(office)
    office.execute("UPDATE people SET name = '<b>&甲' WHERE code = 'h0'")
    path = office.folder / "page.html"
    assert duban(office, "--all", "--fresh", "--by", by, "--days", days, "--html", str(path)).exit_code == 0
    page = path.read_text("utf-8")
    assert not re.search(r"""(?:src|href)\s*=|url\(|@import""", page)
    for piece in ("黄灯", "红灯", "休息日", 'type="search"', "&lt;b&gt;&amp;甲"):
        assert piece in page
    assert "<b>&甲" not in page
    assert "built-in" not in page


@pytest.mark.parametrize("name", ["=1+1", "＝1+1", "@sum"])
def test_a_cell_is_never_a_formula(office: Office, name: str) -> None:
    """A name a spreadsheet would compute is written as text."""
    office.execute("UPDATE people SET name = ? WHERE code = 'h0'", name)
    path = office.folder / "all.csv"
    assert duban(office, CASE, "--csv", str(path)).exit_code == 0
    names = [row["收件人"] for row in csv.DictReader(path.read_text("utf-8").splitlines())]
    assert f"'{name}" in names


# --- many ---------------------------------------------------------------------------------------------------


def test_processes_and_files_change_nothing(office: Office, tmp_path: Path) -> None:
    """Two processes with pages of a few cases give the same lines in the same order, and the same totals, as one."""
    take_over(office)
    configuration, now = load(office.configuration), SystemClock().now()
    wanted = Wanted(office.configuration, now, now, now + timedelta(days=30))
    with open_reading(configuration, fresh=False) as reading:
        keys = list(reading.keys())
        played = []
        for processes in (1, 2):
            folder = tmp_path / f"runs{processes}"
            folder.mkdir()
            played.append(play(wanted, configuration, reading, keys, folder, processes=processes, page=5))
    one, two = played
    assert list(one.lines()) == list(two.lines())
    assert one.totals == two.totals
    assert len(one.files) == 3


def test_a_line_survives_its_file() -> None:
    """What is packed is unpacked the same, and the bytes sort as the instants do."""
    lines = [
        Line(at, f"案{at}", "message", "p", "l", "", "red", person="甲\n乙", copy=True) for at in (5, 1, 70, -3 + 10)
    ]
    assert [unpacked(packed(line)) for line in lines] == lines
    assert [unpacked(one).at for one in sorted(map(packed, lines))] == [1, 5, 7, 70]
    assert Line(0, "x", "due", "p", "l", "", "").instant == datetime(1970, 1, 1, tzinfo=UTC)
