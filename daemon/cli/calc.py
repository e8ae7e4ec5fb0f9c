"""`duban calc`: count one period, or many from standard input, exactly as the daemon counts them."""

from __future__ import annotations

import json
import os
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from daemon.calendars import CHINA, calendar_from, china, read_calendar
from daemon.cli.output import EXIT_FOUND, EXIT_USAGE, json_option, no_traceback, say, speak, to_json
from daemon.errors import SettingsError
from policies.calendar import WEEKDAYS, CountError
from policies.counting import Count, count
from policies.duration import DurationError, format_duration, parse_duration
from policies.errors import PolicyError
from policies.model import Cutoff, ExtensionBase, Roll
from policies.spelling import did_you_mean, dotted
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import StrEnum

    from policies.calendar import Calendar
    from policies.duration import Duration

Choice = TypeVar("Choice", bound="StrEnum")

_WORDS = ("start", "within", "calendar", "roll", "extension", "extension_from", "cutoff", "excluded", "between")
_SECOND = timedelta(seconds=1)
_REMEMBERED = 200  # calendars kept while lines are read: a stream of ever new inline ones must not grow for ever


class _Mistake(Exception):
    """The question cannot be answered; `message` says why."""

    def __init__(self, message: Text) -> None:
        super().__init__(message.en)
        self.message = message


class _UsageError(click.UsageError):
    exit_code = EXIT_USAGE


class _UsageCommand(click.Command):
    """Leaves with 64 (sysexits.h EX_USAGE) where click would leave with 2."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:  # noqa: ANN401 - click's own signature
        """Read the command line."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise _UsageError(error.format_message(), error.ctx) from None


@click.command(
    cls=_UsageCommand,
    help="按法律规则计算期限，逐步说明 / count a period as the law does, and say how.\n\n"
    '例 / e.g.: duban calc --start "2026-09-16 10:00" --within "15 日"',
)
@click.option("--start", help="起算时刻 / start: 2026-09-16, 2026-09-16 10:00, 2026-03-10T16:30Z")
@click.option("--within", help="期限 / length: 15 日, 5 工作日, 3 月, 24 小时, 4 workhours; 负数倒推 / negative: back")
@click.option(
    "--calendar", default=CHINA, show_default=True, help="日历：名称或 YAML 文件 / calendar: name or YAML file"
)
@click.option("--roll", help=f"顺延 / roll: {' | '.join(Roll)}")
@click.option("--cutoff", help=f"截止 / cut-off: {' | '.join(Cutoff)}")
@click.option("--extension", help="延期 / extension: 30 日")
@click.option("--extension-from", help=f"延期起点 / counted from: {' | '.join(ExtensionBase)}")
@click.option("--excluded", multiple=True, help="不计入的时段，可多次 / does not count, repeatable: A/B")
@click.option("--between", nargs=2, help="两个时刻之间的工作秒数 / working seconds between two instants: A B")
@click.option("--stdin", "from_stdin", is_flag=True, help="逐行读 JSON / one JSON object per line")
@json_option
@no_traceback
def calc(as_json: bool, from_stdin: bool, **options: Any) -> None:  # noqa: ANN401 - click hands them over
    """Answer one question from the options, or one per line of standard input."""
    if from_stdin:
        sys.exit(_answer_lines(sys.stdin.buffer))
    words = {key: _listed(value) for key, value in options.items() if value}
    try:
        _answer_options(words, as_json=as_json)
    except _Mistake as mistake:
        if as_json:
            click.echo(to_json({"error": say(mistake.message)}))
        else:
            click.echo(say(mistake.message), err=True)
        sys.exit(EXIT_USAGE)


def _listed(value: object) -> object:
    """Options that click hands over as a tuple are lists in JSON."""
    return list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value


def _answer_options(words: Mapping[str, object], *, as_json: bool) -> None:
    calendar = _Calendars().named(words.get("calendar", CHINA))
    if "between" in words:
        answer = _between(words, calendar)
        click.echo(to_json(answer) if as_json else _between_words(answer))
        return
    question = _Question(words, calendar)
    counted = question.count()
    click.echo(to_json(_as_json(question, counted)) if as_json else _as_text(question, counted))


def _answer_lines(lines: Iterable[bytes]) -> int:
    """Answer each line in order, at once; the exit code."""
    calendars = _Calendars()
    code = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            answer = _answer_line(line, calendars)
        except _Mistake as mistake:
            answer = {"error": say(mistake.message), "line": number}
            code = EXIT_FOUND
        try:
            sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_FOUND
    return code


def _answer_line(line: bytes, calendars: _Calendars) -> dict[str, object]:
    try:
        words: object = json.loads(line)
    except (ValueError, RecursionError):
        raise _Mistake(Text("不是 JSON", "not JSON")) from None
    if not isinstance(words, dict):
        raise _Mistake(Text("应为 JSON 对象 {…}", "expected a JSON object {…}"))
    asked = cast("dict[str, object]", words)
    try:
        calendar = calendars.named(asked.get("calendar", CHINA))
    except SettingsError as error:
        raise _Mistake(_joined(error.problems or (error.message,))) from None
    if "between" in asked:
        return _between(asked, calendar)
    question = _Question(asked, calendar)
    return _as_json(question, question.count())


# --- the question -------------------------------------------------------------------------------------------


class _Question:
    """One period to be counted, read from words; every reading may raise `_Mistake`."""

    def __init__(self, words: Mapping[str, object], calendar: Calendar) -> None:
        _only(words, _WORDS)
        self.calendar = calendar
        self.start_at = _instant(_needed(words, "start"), calendar, "start")
        self.within = _length(_needed(words, "within"))
        self.roll = _choice(words, "roll", Roll, Roll.NEXT_WORKDAY)
        self.cutoff = _choice(words, "cutoff", Cutoff, Cutoff.MIDNIGHT)
        self.extension = _length(words["extension"]) if words.get("extension") is not None else None
        self.extension_from = _choice(words, "extension_from", ExtensionBase, ExtensionBase.NOMINAL)
        self.excluded = _intervals(words.get("excluded"), calendar)

    def count(self) -> Count:
        """The two ends of the period."""
        try:
            return count(
                self.start_at,
                self.within,
                self.calendar,
                roll=self.roll,
                cutoff=self.cutoff,
                extension=self.extension,
                extension_from=self.extension_from,
                excluded=self.excluded,
            )
        except CountError as error:
            raise _Mistake(error.message) from None


class _Calendars:
    """Finds calendars by name, path or description, and keeps those it has read."""

    def __init__(self) -> None:
        self._read: dict[str, Calendar] = {}

    def named(self, wanted: object) -> Calendar:
        """The calendar; raises `_Mistake` if there is none, SettingsError if its file is wrong."""
        key = json.dumps(wanted, sort_keys=True)
        if key not in self._read:
            if len(self._read) >= _REMEMBERED:
                self._read.clear()
            self._read[key] = _calendar(wanted)
        return self._read[key]


def _calendar(wanted: object) -> Calendar:
    if isinstance(wanted, dict):
        try:
            return calendar_from("inline", cast("dict[str, object]", wanted))
        except PolicyError as error:
            raise _Mistake(
                _joined(
                    Text(f"calendar.{dotted(p.path)}：{p.message.zh}", f"calendar.{dotted(p.path)}: {p.message.en}")
                    + (Text(f"，{p.hint.zh}", f"; {p.hint.en}") if p.hint else Text("", ""))
                    for p in error.problems
                )
            ) from None
    if not isinstance(wanted, str) or not wanted:
        raise _Mistake(Text("calendar 应为名称、文件或对象", "calendar must be a name, a file or an object"))
    if wanted.endswith((".yaml", ".yml")) or os.sep in wanted:
        return read_calendar(Path(wanted))
    folder = Path(os.environ.get("DUBAN_CONFIG", "config/duban.yaml")).parent / "calendars"
    path = folder / f"{wanted}.yaml"
    if path.is_file():
        return read_calendar(path)
    if wanted == CHINA:
        return china()
    known = sorted({CHINA, *(file.stem for file in folder.glob("*.yaml"))})
    raise _Mistake(
        Text(f"没有日历“{wanted}”，现有：{'、'.join(known)}", f"no calendar '{wanted}', there is: {', '.join(known)}")
        + _meant(wanted, known)
    )


def _only(words: Mapping[str, object], known: tuple[str, ...]) -> None:
    for word in words:
        if word not in known:
            raise _Mistake(
                Text(f"不认识“{word}”，可用：{'、'.join(known)}", f"unknown '{word}', expected: {', '.join(known)}")
                + _meant(word, known)
            )


def _needed(words: Mapping[str, object], word: str) -> object:
    if words.get(word) is None:
        raise _Mistake(Text(f"缺少 {word}", f"{word} is missing"))
    return words[word]


def _length(value: object) -> Duration:
    try:
        return parse_duration(str(value))
    except DurationError as error:
        raise _Mistake(error.message) from None


def _choice(words: Mapping[str, object], word: str, kind: type[Choice], otherwise: Choice) -> Choice:
    value = words.get(word)
    if value is None:
        return otherwise
    try:
        return kind(str(value))
    except ValueError:
        known = [str(member) for member in kind]
        raise _Mistake(
            Text(
                f"{word} 应为 {'、'.join(known)} 之一，实为“{value}”",
                f"{word} must be one of {', '.join(known)}, found '{value}'",
            )
            + _meant(str(value), known)
        ) from None


def _instant(value: object, calendar: Calendar, word: str) -> datetime:
    """An ISO 8601 instant; without an offset it is the calendar's wall clock, a date its midnight."""
    try:
        at = datetime.fromisoformat(str(value).strip())
        return calendar.instant(at.date(), at.time()) if at.tzinfo is None else at
    except CountError as error:
        raise _Mistake(error.message) from None
    except ValueError:
        raise _Mistake(
            Text(
                f"{word} 应为日期或时刻，如 2026-09-16、2026-09-16 10:00、2026-03-10T16:30Z，实为“{value}”",
                f"{word} must be a date or an instant such as 2026-09-16, 2026-09-16 10:00 or 2026-03-10T16:30Z, "
                f"found '{value}'",
            )
        ) from None


def _intervals(value: object, calendar: Calendar) -> list[tuple[datetime, datetime]]:
    if value is None:
        return []
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    return [_interval(item, calendar) for item in items]


def _interval(item: object, calendar: Calendar) -> tuple[datetime, datetime]:
    ends = cast("list[object]", item) if isinstance(item, list) else str(item).split("/")
    if len(ends) != 2:  # noqa: PLR2004 - two ends
        raise _Mistake(
            Text(
                f"excluded 应为“起/止”，如 2026-03-10/2026-03-20，实为“{item}”",
                f"excluded must be 'from/to' such as 2026-03-10/2026-03-20, found '{item}'",
            )
        )
    low, high = ends
    return _instant(low, calendar, "excluded"), _instant(high, calendar, "excluded")


def _between(words: Mapping[str, object], calendar: Calendar) -> dict[str, object]:
    _only(words, ("between", "calendar"))
    ends = words["between"]
    if not isinstance(ends, list) or len(cast("list[object]", ends)) != 2:  # noqa: PLR2004 - two ends
        raise _Mistake(Text("between 应为两个时刻 [A, B]", "between must be two instants [A, B]"))
    first, last = (_instant(end, calendar, "between") for end in cast("list[object]", ends))
    try:
        seconds = calendar.worktime_between(first, last) / _SECOND
        provisional = any(calendar.is_provisional(calendar.local_day(at)) for at in (first, last))
    except CountError as error:
        raise _Mistake(error.message) from None
    return {"seconds": int(seconds) if seconds.is_integer() else seconds, "provisional": provisional}


def _meant(word: str, known: Iterable[str]) -> Text:
    meant = did_you_mean(word, known)
    return Text(f"，是不是“{meant}”？", f"; did you mean '{meant}'?") if meant else Text("", "")


def _joined(texts: Iterable[Text]) -> Text:
    texts = tuple(texts)
    return Text("；".join(text.zh for text in texts), "; ".join(text.en for text in texts))


# --- the answer ---------------------------------------------------------------------------------------------


def _as_json(question: _Question, counted: Count) -> dict[str, object]:
    def local(at: datetime) -> str:
        return at.astimezone(question.calendar.zone).isoformat()

    def due(day: date | None, at: datetime) -> str:
        return local(at) if day is None else day.isoformat()

    return {
        "nominal_due": due(counted.nominal_day, counted.nominal_due_at),
        "legal_due": due(counted.legal_day, counted.legal_due_at),
        "nominal_due_at": local(counted.nominal_due_at),
        "legal_due_at": local(counted.legal_due_at),
        "provisional": counted.provisional,
        "steps": [{"zh": step.text.zh, "en": step.text.en, "at": local(step.at)} for step in counted.steps],
    }


def _as_text(question: _Question, counted: Count) -> str:
    calendar = question.calendar
    length = format_duration(question.within, "zh"), format_duration(question.within, "en")
    rows = [
        (speak("起算", "start"), _shown(question.start_at, calendar)),
        (speak("期限", "length"), speak(*length)),
        (speak("日历", "calendar"), f"{calendar.name} {calendar.zone.key}"),
        (speak("名义届满", "nominal due"), _shown(counted.nominal_due_at, calendar, counted.nominal_day)),
        (speak("法定届满", "legal due"), _shown(counted.legal_due_at, calendar, counted.legal_day)),
        (
            speak("暂定", "provisional"),
            speak("是，放假安排尚未公布", "yes, no holiday notice yet") if counted.provisional else speak("否", "no"),
        ),
    ]
    separator = speak("：", ": ")
    lines = [f"{name}{separator}{value}" for name, value in rows]
    lines.append(speak("计算过程：", "step by step:"))
    lines += [f"  {number}. {say(step.text)}" for number, step in enumerate(counted.steps, 1)]
    return "\n".join(lines)


def _shown(at: datetime, calendar: Calendar, day: date | None = None) -> str:
    local = at.astimezone(calendar.zone)
    clock = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    shown = local.date()
    if day is not None and at == calendar.end_of(day):
        clock, shown = "24:00", day
    return f"{shown}{speak('（', ' (')}{say(WEEKDAYS[shown.weekday()])}{speak('）', ') ')}{clock}"


def _between_words(answer: Mapping[str, object]) -> str:
    seconds = cast("float", answer["seconds"])
    sign, size = ("-" if seconds < 0 else ""), abs(seconds)
    hours, rest = divmod(size, 3600)
    minutes, left = divmod(rest, 60)
    return speak(
        f"工作时间：{sign}{hours:.0f} 小时 {minutes:.0f} 分 {left:g} 秒（{seconds:g} 秒）",
        f"working time: {sign}{hours:.0f} h {minutes:.0f} min {left:g} s ({seconds:g} s)",
    )
