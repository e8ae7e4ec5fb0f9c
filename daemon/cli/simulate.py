"""`duban simulate`: what will be sent in the days ahead, from real data; nothing is sent, nothing but files written."""

from __future__ import annotations

import itertools
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, language, no_traceback, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from daemon.foresight.lines import Line
    from daemon.foresight.playing import Played, Wanted
    from daemon.foresight.totals import Totals
    from daemon.names import Names
    from daemon.settings import Configuration
    from policies.model import Directory

SHOWN = 200  # rows of a table that a reader can take in
PERSONS_SHOWN = 20
PROGRESS_FROM = 2000  # cases; fewer are done before a bar is drawn
LAST_MICROSECOND = timedelta(microseconds=1)
FARTHEST = 3660  # days: who asks for more has mistyped a year
PATH = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class Asked:
    """The command line."""

    cases: tuple[str, ...]
    unit: str | None
    person: str | None
    everything: bool
    begin: datetime | None
    end: datetime | None
    days: int
    by: str


@dataclass(frozen=True)
class Outcome:
    """What was played, and how to say it."""

    played: Played
    names: Names
    configuration: Configuration
    wanted: Wanted
    by: str

    def messages(self) -> Iterable[Line]:
        """The lines that are messages."""
        return (line for line in self.played.lines() if line.kind == "message")


@click.command()
@click.argument("cases", nargs=-1, metavar="[CASE]...")
@click.option("--unit", help="某单位及其下级的案件：代码或名称 / cases of a unit and those below it: key or name")
@click.option("--person", help="发给某人的消息：代码或姓名 / messages to one person: key or name")
@click.option("--all", "everything", is_flag=True, help="全部在办案件 / all open cases")
@click.option("--from", "begin", type=click.DateTime(), help="从何时起，默认现在 / from when on, otherwise from now on")
@click.option(
    "--to", "end", type=click.DateTime(), help="到何时止（只写日期则含当日） / until when (a date: that day included)"
)
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(1, FARTHEST), help="看多少天 / how many days"
)
@click.option("--policies", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="改用这个文件夹里的策略 / the policies of this folder instead")  # fmt: skip
@click.option(
    "--fresh",
    is_flag=True,
    help="直接读共享数据库，不管已发过什么 / straight from the shared database, whatever was sent",
)
@click.option("--by", type=click.Choice(["case", "person"]), default="case", show_default=True,
              help="网页按案件还是按人分行 / lanes of the page: cases or persons")  # fmt: skip
@click.option("--table", "as_table", is_flag=True, help="打印表格（默认） / print the table (the default)")
@click.option("--csv", "csv_path", type=PATH, help="写 CSV 文件（UTF-8） / write a CSV file (UTF-8)")
@click.option("--ics", "ics_path", type=PATH, help="写日历文件 / write an iCalendar file")
@click.option("--html", "html_path", type=PATH, help="写一个网页 / write one page")
@config_option
@json_option
@no_traceback
def simulate(
    cases: tuple[str, ...],
    unit: str | None,
    person: str | None,
    everything: bool,
    begin: datetime | None,
    end: datetime | None,
    days: int,
    policies: Path | None,
    fresh: bool,
    by: str,
    as_table: bool,
    csv_path: Path | None,
    ics_path: Path | None,
    html_path: Path | None,
    config_path: str,
    as_json: bool,
) -> None:
    """预演：今后一段时间会发什么、发给谁。用真实数据，什么也不发。

    What will be sent in the days ahead, and to whom. From real data; nothing is sent, and the store is not changed.
    """
    if not (cases or unit or person or everything):
        what = speak("请指定案件号、--unit、--person 或 --all", "name cases, --unit, --person or --all")
        raise click.UsageError(what)
    asked = Asked(cases, unit, person, everything, begin, end, days, by)
    files = {"csv": csv_path, "ics": ics_path, "html": html_path}
    chosen = {kind: path for kind, path in files.items() if path is not None}
    with tempfile.TemporaryDirectory(prefix="duban-simulate-") as folder:
        outcome = _play(asked, Path(config_path), policies, Path(folder), fresh=fresh)
        for kind, path in chosen.items():
            _write(kind, path, outcome)
        if as_json:
            _print_json(outcome, sys.stdout)
        else:
            if as_table or not chosen:
                _print_table(outcome)
            _print_totals(outcome)
            for path in chosen.values():
                click.echo(speak(f"已写入 {path}", f"written to {path}"))
    if outcome.played.totals.failed:
        sys.exit(EXIT_FOUND)


# --- what is asked --------------------------------------------------------------------------------------------


def _play(asked: Asked, config: Path, policies: Path | None, folder: Path, *, fresh: bool) -> Outcome:
    from daemon.clock import SystemClock  # noqa: PLC0415 - keeps `--help` quick
    from daemon.foresight.playing import Wanted, play  # noqa: PLC0415 - the same
    from daemon.foresight.readings import open_reading  # noqa: PLC0415 - the same
    from daemon.names import Names  # noqa: PLC0415 - the same
    from daemon.settings import load  # noqa: PLC0415 - the same

    configuration = load(config, policies=policies)
    since = SystemClock().now()
    shown_from, until = span(asked, since, configuration)
    fresh = fresh or nothing_known(configuration)
    with open_reading(configuration, fresh=fresh) as reading:
        directory = reading.directory()
        units = _units(asked.unit, directory)
        person = _person(asked.person, directory)
        wanted = Wanted(config, since, shown_from, until, policies, fresh, units, person)
        keys = list(dict.fromkeys(asked.cases)) or list(reading.keys())
        with progress(len(keys)) as tell:
            played = play(wanted, configuration, reading, keys, folder, tell)
    if asked.cases and not played.totals.cases:
        listed = speak("、", ", ").join(asked.cases)
        click.echo(speak(f"没有在办案件 {listed}", f"no open case {listed}"), err=True)
        sys.exit(EXIT_FOUND)
    return Outcome(played, Names(configuration, directory, language()), configuration, wanted, asked.by)


def span(asked: Asked, now: datetime, configuration: Configuration) -> tuple[datetime, datetime]:
    """The time shown, in UTC."""
    zone = configuration.zone
    ahead = now.astimezone(zone).replace(tzinfo=None) + timedelta(days=FARTHEST)
    for option, moment in (("--from", asked.begin), ("--to", asked.end)):
        if moment is not None and moment > ahead:
            what = speak(f"{option} 太远：最多看 {FARTHEST} 天", f"{option} is too far: {FARTHEST} days at most")
            raise click.UsageError(what)
    begin = now if asked.begin is None else asked.begin.replace(tzinfo=zone).astimezone(UTC)
    if begin.astimezone(zone).date() < now.astimezone(zone).date():
        raise click.UsageError(
            speak("--from 在过去：预演只看今后", "--from is in the past: a simulation looks ahead only")
        )
    begin = max(begin, now)
    if asked.end is None:
        return begin, begin + timedelta(days=asked.days)
    end = asked.end.replace(tzinfo=zone)
    if end.time() == time():
        end = (end.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
        end = (end.astimezone(UTC) - LAST_MICROSECOND).astimezone(zone)
    if end < begin:
        raise click.UsageError(speak("--to 早于开始时间", "--to is before the beginning"))
    return begin, end.astimezone(UTC)


def nothing_known(configuration: Configuration) -> bool:
    """Whether the daemon has not taken over a case yet; a store that was never made must not be made by asking."""
    from daemon.errors import SchemaMismatch  # noqa: PLC0415 - keeps `--help` quick
    from daemon.foresight.readings import store_is_empty  # noqa: PLC0415 - the same

    url = configuration.settings.store.url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///").partition("?")[0]).exists():
        return True
    try:
        return store_is_empty(configuration)
    except SchemaMismatch:
        return True


def _units(asked: str | None, directory: Directory) -> frozenset[str]:
    """The unit that is meant and all below it; nothing if none is."""
    if asked is None:
        return frozenset()
    names = {key: unit.name for key, unit in directory.units.items()}
    found = {_one_of(asked, names, "--unit")}
    while more := {key for key, unit in directory.units.items() if unit.parent in found} - found:
        found |= more
    return frozenset(found)


def _person(asked: str | None, directory: Directory) -> str | None:
    if asked is None:
        return None
    return _one_of(asked, {key: official.name for key, official in directory.officials.items()}, "--person")


def _one_of(asked: str, names: dict[str, str], option: str) -> str:
    """The key that is meant, by key or by name; complains if there is none or more than one."""
    from policies.spelling import did_you_mean  # noqa: PLC0415 - keeps `--help` quick

    if asked in names:
        return asked
    found = [key for key, name in names.items() if name == asked]
    if len(found) == 1:
        return found[0]
    if found:
        listed = "、".join(sorted(found))
        raise click.UsageError(
            speak(f"{option} {asked} 不止一个，请用代码：{listed}", f"{option} {asked} is not the only one: {listed}")
        )
    meant = did_you_mean(asked, [*names, *names.values()])
    hint = speak(f"，是不是想写 {meant}？", f"; did you mean {meant}?") if meant else ""
    raise click.UsageError(speak(f"{option}：没有 {asked}", f"{option}: there is no {asked}") + hint)


@contextmanager
def progress(number: int) -> Generator[Callable[[int], None]]:
    """A bar on standard error, where somebody looks at it."""
    if number < PROGRESS_FROM or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for large numbers
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(speak("预演案件", "cases played"), total=number)
        yield lambda done: bar.advance(task, done)


# --- files ----------------------------------------------------------------------------------------------------


def _write(kind: str, path: Path, outcome: Outcome) -> None:
    """Write one file whole or not at all. Complains if it cannot be written."""
    part = path.with_name(f".{path.name}.part")
    try:
        with ExitStack() as undo:
            with part.open("w", encoding="utf-8", newline="") as file:
                undo.callback(part.unlink, missing_ok=True)
                _fill(kind, file, outcome)
            part.replace(path)
    except OSError as error:
        raise click.UsageError(
            speak(f"无法写入 {path}：{error.strerror}", f"{path} cannot be written: {error.strerror}")
        ) from None


def _fill(kind: str, file: TextIO, outcome: Outcome) -> None:
    from daemon.foresight.files import write_calendar, write_csv  # noqa: PLC0415 - only where it is wanted
    from daemon.foresight.page import write_page  # noqa: PLC0415 - the same

    wanted, lines = outcome.wanted, outcome.played.lines()
    if kind == "csv":
        write_csv(file, lines, outcome.names)
    elif kind == "ics":
        write_calendar(file, lines, outcome.names, wanted.since)
    else:
        calendar = outcome.configuration.calendars[outcome.configuration.settings.office.calendar]
        by_person = outcome.by == "person"
        write_page(file, lines, outcome.names, calendar, wanted.shown_from, wanted.until, by_person=by_person)


# --- on the screen --------------------------------------------------------------------------------------------


def _print_table(outcome: Outcome) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library
    from daemon.foresight.words import said  # noqa: PLC0415 - the same

    names = outcome.names
    messages = said(names, outcome.messages())
    rows: list[tuple[str, ...]] = [
        (one.when, one.case, one.limit, one.step, _addressee(names, one.role, one.name, copy=one.copy),
         speak("、", ", ").join(one.channels), one.light_word, one.remark)
        for one in itertools.islice(messages, SHOWN)
    ]  # fmt: skip
    headings = [("时间", "at"), ("案件", "case"), ("时限", "limit"), ("梯级", "step"), ("收件人", "to"),
                ("通道", "channel"), ("灯", "light"), ("备注", "remark")]  # fmt: skip
    if not any(row[-1] for row in rows):  # most have none, and the width is wanted
        headings, rows = headings[:-1], [row[:-1] for row in rows]
    span = f"{names.instant(outcome.wanted.shown_from)} – {names.instant(outcome.wanted.until)}"
    show_table(
        speak(f"预演 {span}", f"foresight {span}"),
        [speak(zh, en) for zh, en in headings],
        rows,
        speak("没有要发的消息", "nothing to send"),
        whole=(0, 1),
    )
    left = sum(1 for _ in messages)
    if left:
        click.echo(speak(f"另有 {left} 条未列出，用 --csv 看全部", f"{left} more; --csv writes all of them"))


def _addressee(names: Names, role: str, name: str, *, copy: bool) -> str:
    whom = role if role == name else f"{role} {name}"
    return names.say("抄送", "copy to ") + whom if copy else whom


def _print_totals(outcome: Outcome) -> None:
    from daemon.cli.reading import console, show_pairs, show_table  # noqa: PLC0415 - loads the database library

    totals, names = outcome.played.totals, outcome.names
    console().print()
    show_pairs(_figures(totals, names))
    channels = sorted({channel for _, channel in totals.by_day})
    headings = [names.channel(channel) for channel in channels]
    days = sorted({day for day, _ in totals.by_day})
    rows = [(day, *(totals.by_day[day, channel] or "" for channel in channels)) for day in days]
    show_table(speak("每天", "per day"), [speak("日期", "day"), *headings], rows, whole=(0,), right=range(1, 9))
    persons = sorted(
        {person for person, _ in totals.by_person},
        key=lambda one: (-sum(totals.by_person[one, channel] for channel in channels), one),
    )
    rows = [
        (names.person(person), *(totals.by_person[person, channel] or "" for channel in channels))
        for person in persons[:PERSONS_SHOWN]
    ]
    show_table(speak("每人", "per person"), [speak("姓名", "name"), *headings], rows, right=range(1, 9))
    if len(persons) > PERSONS_SHOWN:
        left = len(persons) - PERSONS_SHOWN
        click.echo(speak(f"另有 {left} 人，--json 有全部", f"{left} more; --json has all of them"))
    for case, problem in totals.uncountable:
        click.echo(speak(f"案件 {case} 无法计算：{problem}", f"case {case} cannot be counted: {problem}"), err=True)


def _figures(totals: Totals, names: Names) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = [
        (speak("案件", "cases"), totals.cases),
        (speak("到期的时限", "limits that end"), totals.dues),
        (speak("消息", "messages"), totals.messages),
        (speak("短信条数", "SMS parts"), totals.parts),
    ]
    lights = [f"{names.light(light)} {number}" for light, number in sorted(totals.by_light.items())]
    if lights:
        pairs.append((speak("按灯", "by light"), speak("，", ", ").join(lights)))
    if totals.waiting_for_release:
        pairs.append((speak("其中待核发", "of which await release"), totals.waiting_for_release))
    if totals.dark:
        pairs.append((speak("试运行（不发）", "dark (not sent)"), totals.dark))
    if totals.unlimited:
        pairs.append((speak("没有时限可算的案件", "cases without a limit that counts"), totals.unlimited))
    if totals.unheard:
        some = speak("、", ", ").join(totals.some_unheard)
        more = speak(" 等", ", …") if totals.unheard > len(totals.some_unheard) else ""
        nobody = speak(f"{totals.unheard}（{some}{more}）", f"{totals.unheard} ({some}{more})")
        pairs.append((speak("该发而无人可发的案件", "cases nobody can be told of"), nobody))
    if totals.failed:
        pairs.append((speak("无法计算的案件", "cases that cannot be counted"), totals.failed))
    return pairs


def _print_json(outcome: Outcome, file: TextIO) -> None:
    """One JSON object, its messages written as they come."""
    wanted, totals = outcome.wanted, outcome.played.totals
    head = to_json({"from": wanted.shown_from, "until": wanted.until, "fresh": wanted.fresh})
    file.write(head.removesuffix("\n}") + ',\n  "messages": [')
    between = "\n"
    for line in outcome.messages():
        file.write(between + _compact(_message(line)))
        between = ",\n"
    file.write('\n  ],\n  "totals": ' + _compact(_totals(totals)) + "\n}\n")


def _compact(value: object) -> str:
    import orjson  # noqa: PLC0415 - only where it is wanted

    return orjson.dumps(value).decode()


def _message(line: Line) -> dict[str, Any]:
    told = line._asdict()
    for name in ("kind", "at", "urgent", "merges", "words", "expires"):  # the last four are for budgets
        del told[name]
    return {"at": line.instant, **told}


def _totals(totals: Totals) -> dict[str, object]:
    return {
        "cases": totals.cases,
        "limits_that_end": totals.dues,
        "messages": totals.messages,
        "sms_parts": totals.parts,
        "await_release": totals.waiting_for_release,
        "dark": totals.dark,
        "by_light": dict(totals.by_light),
        "by_day": _nested(totals.by_day.items()),
        "by_person": _nested(totals.by_person.items()),
        "without_a_limit": totals.unlimited,
        "nobody_can_be_told": {"number": totals.unheard, "some": totals.some_unheard},
        "uncountable": {"number": totals.failed, "some": dict(totals.uncountable)},
    }


def _nested(figures: Iterable[tuple[tuple[str, str], int]]) -> dict[str, dict[str, int]]:
    told: dict[str, dict[str, int]] = {}
    for (first, second), number in sorted(figures):
        told.setdefault(first, {})[second] = number
    return told
