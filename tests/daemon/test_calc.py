"""`duban calc` as a person and as a program use it: the real command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str, stdin: str = "", language: str = "zh") -> subprocess.CompletedProcess[str]:
    """The command's exit code and output."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", "from daemon.cli import main; main()", "calc", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "DUBAN_LANG": language, "PYTHONUTF8": "1"},
    )


def answer(*arguments: str) -> dict[str, object]:
    """The JSON answer to one question."""
    done = run("--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def lines(*questions: object) -> tuple[int, list[dict[str, object]]]:
    """Exit code and answers of `--stdin`."""
    text = "".join((q if isinstance(q, str) else json.dumps(q, ensure_ascii=False)) + "\n" for q in questions)
    done = run("--stdin", stdin=text)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_person_reads_both_dates_and_every_step() -> None:
    """The plain answer shows both ends with weekday, whether it is provisional, and how it came about."""
    done = run("--start", "2026-09-16 10:00", "--within", "15 日")
    assert done.returncode == 0
    for words in ("2026-10-01（周四）24:00", "2026-10-08（周四）24:00", "暂定：否", "不计入", "国庆节", "顺延至"):
        assert words in done.stdout
    english = run("--start", "2026-09-16 10:00", "--within", "15 days", language="en")
    assert "rolled on to Thu 2026-10-08" in english.stdout


def test_a_program_reads_json() -> None:
    """Dates for day units, instants for hours, both always as full instants too."""
    found = answer("--start", "2026-09-16 10:00", "--within", "15 日")
    assert found["nominal_due"] == "2026-10-01"
    assert found["legal_due"] == "2026-10-08"
    assert found["legal_due_at"] == "2026-10-08T23:59:59.999999+08:00"
    assert found["provisional"] is False
    assert isinstance(found["steps"], list)
    hours = answer("--start", "2026-09-30 17:30", "--within", "24 小时")
    assert hours["legal_due"] == hours["legal_due_at"] == "2026-10-01T17:30:00+08:00"


@pytest.mark.parametrize(
    ("options", "legal"),
    [
        (["--start", "2026-03-10T16:30Z", "--within", "15 日"], "2026-03-26"),
        (["--start", "2026-03-10T16:30:00+00:00", "--within", "15 日"], "2026-03-26"),
        (["--start", "2026-09-16", "--within", "15 日", "--roll", "none"], "2026-10-01"),
        (["--start", "2026-08-03", "--within", "60 日", "--extension", "30 日"], "2026-11-02"),
        (
            ["--start", "2026-08-03", "--within", "60 日", "--extension", "30 日", "--extension-from", "rolled"],
            "2026-11-09",
        ),
        (["--start", "2026-03-02", "--within", "30 日", "--excluded", "2026-03-10/2026-03-20"], "2026-04-13"),
        (["--start", "2026-10-08", "--within", "-3 工作日"], "2026-09-28"),
        (["--start", "2026-11-02", "--within", "60 日"], "2027-01-04"),
        (["--start", "2026-04-16", "--within", "2 工作日", "--calendar", "china-2026-example"], "2026-04-21"),
        (
            ["--start", "2026-11-25", "--within", "1 日", "--calendar", "config/calendars/new-york-example.yaml"],
            "2026-11-27",
        ),
    ],
)
def test_every_option_is_used(options: list[str], legal: str) -> None:
    """Zones, roll, extension, exclusion, direction and calendar all reach the count."""
    assert answer(*options)["legal_due"] == legal


def test_cut_off_with_the_office() -> None:
    """`--cutoff office` ends the last day when the office closes."""
    found = answer("--start", "2026-09-16", "--within", "15 日", "--cutoff", "office")
    assert found["legal_due_at"] == "2026-10-08T17:30:00+08:00"


def test_working_seconds_between_two_instants() -> None:
    """`--between` measures working time, with its sign."""
    assert answer("--between", "2026-09-30 16:30", "2026-10-08 09:30")["seconds"] == 7200
    assert answer("--between", "2026-10-08 09:30", "2026-09-30 16:30")["seconds"] == -7200
    assert "2 小时" in run("--between", "2026-09-30 16:30", "2026-10-08 09:30").stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--start", "2026-09-16", "--within", "15"], "没有写单位"),
        (["--within", "15 日"], "缺少 start"),
        (["--start", "2026-09-16"], "缺少 within"),
        (["--start", "2026-02-30", "--within", "15 日"], "应为日期或时刻"),
        (["--start", "2026-09-16", "--within", "15 日", "--roll", "next_workdays"], "是不是“next_workday”"),
        (["--start", "2026-09-16", "--within", "15 日", "--calendar", "chian"], "是不是“china”"),
        (["--start", "2026-09-16", "--within", "15 日", "--excluded", "2026-09-17"], "起/止"),
        (["--start", "2026-09-16", "--within", "0 日"], "不能为 0"),
        (["--start", "9999-12-31", "--within", "15 日"], "超出可计算的年份"),
        (["--start", "0001-01-01", "--within", "-15 日"], "超出可计算的年份"),
        (["--start", "2026-09-16", "--within", "99999999 日"], "太长"),
        (["--strat", "2026-09-16"], "--start"),
    ],
)
def test_wrong_questions_leave_with_64_and_a_sentence(options: list[str], words: str) -> None:
    """A usage mistake is exit 64, told in words, never a traceback."""
    done = run(*options)
    assert done.returncode == 64
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_calendar_file_leaves_with_78(tmp_path: Path) -> None:
    """A calendar that cannot be used is a mistake of the configuration, shown with its place."""
    path = tmp_path / "broken.yaml"
    path.write_text("base: none\nhours: {mon: 9-5}\n", "utf-8")
    done = run("--start", "2026-09-16", "--within", "15 日", "--calendar", str(path))
    assert done.returncode == 78
    assert f"{path}:2:" in done.stderr


def test_lines_are_answered_in_order_and_errors_do_not_stop_them() -> None:
    """Each line has its answer; a wrong one becomes an error with its number and the exit code is 1."""
    office = {"base": "none", "zone": "America/New_York", "hours": {"mon-fri": "09:00-17:00"}}
    code, answers = lines(
        {"start": "2026-09-16", "within": "15 日"},
        "not json",
        {"start": "2026-09-16", "within": "15"},
        "[1]",
        {"between": ["2026-03-06 16:00", "2026-03-09 10:00"], "calendar": office},
        {"start": "2026-03-06 16:00", "within": "2 workhours", "calendar": office},
        {"start": "2026-09-16", "within": "15 日", "calendar": {"bsae": "none"}},
        {"start": "2026-09-16", "within": "15 日", "rol": "none"},
        {"start": "2026-03-02", "within": "30 日", "excluded": [["2026-03-10", "2026-03-20"]]},
        {"start": "2026-09-16", "within": "15 日", "extension": None, "roll": None},
        {"start": "2026-09-16", "within": "15 日", "calendar": "no/such.yaml"},
        {"start": "0001-01-01", "within": "-15 日", "excluded": ["0001-01-01/9999-12-31"]},
        "[" * 100_000,
    )
    assert code == 1
    assert [number for number, found in enumerate(answers, 1) if "error" in found] == [2, 3, 4, 7, 8, 11, 12, 13]
    assert all(found["line"] == number for number, found in enumerate(answers, 1) if "error" in found)
    assert answers[0]["legal_due"] == "2026-10-08"
    assert answers[4]["seconds"] == 7200
    assert answers[5]["legal_due"] == "2026-03-09T10:00:00-04:00"
    assert answers[8]["legal_due"] == "2026-04-13"


def test_lines_without_mistakes_leave_with_0() -> None:
    """Blank lines are no questions; all answered is exit 0."""
    code, answers = lines({"start": "2026-09-16", "within": "15 日"}, "", {"start": "2026-09-17", "within": "15 日"})
    assert code == 0
    assert [found["legal_due"] for found in answers] == ["2026-10-08", "2026-10-08"]


def test_an_answer_comes_before_the_next_question() -> None:
    """Output is flushed line by line, so that a program may ask and wait."""
    command = [sys.executable, "-c", "from daemon.cli import main; main()", "calc", "--stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as asked:  # noqa: S603
        assert asked.stdin is not None
        assert asked.stdout is not None
        for start in ("2026-09-16", "2026-09-17"):
            asked.stdin.write(json.dumps({"start": start, "within": "15 日"}) + "\n")
            asked.stdin.flush()
            assert json.loads(asked.stdout.readline())["legal_due"] == "2026-10-08"
        asked.stdin.close()
        assert asked.wait(30) == 0


def test_it_starts_light() -> None:
    """A count in a year whose notice is out loads neither SQLAlchemy nor the holidays library, and is quick."""
    program = (
        "import sys; from click.testing import CliRunner; from daemon.cli import main; "
        "done = CliRunner().invoke(main, ['calc', '--start', '2026-09-16', '--within', '15 日']); "
        "assert done.exit_code == 0, done.output; "
        "print([m for m in ('sqlalchemy', 'holidays', 'pydantic', 'rich', 'yaml', 'aiohttp') if m in sys.modules])"
    )
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603
    assert done.stdout.strip() == "[]"
    assert time.perf_counter() - begun < 5  # a busy machine; 0.12 s on a quiet one
