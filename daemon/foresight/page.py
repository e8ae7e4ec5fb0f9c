"""Foretold messages as one self-contained page: a lane per case or per person, days across, readable on a phone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from daemon.foresight.lines import DUE
from daemon.foresight.words import Said, said

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from daemon.foresight.lines import Line
    from daemon.names import Names
    from policies.calendar import Calendar

MOST_LANES = 400
LIGHTS = ("green", "yellow", "orange", "red")
MONDAY = 0
FEW = 10  # so few columns that every one of them is labelled
MANY_DAYS = 45  # beyond, a column is a week: its word must still be readable
WEEK = 7
SHORT_WEEK = 4  # a week with fewer working days is shaded


class Column(NamedTuple):
    """One day; one week if there are many days."""

    label: str
    title: str
    off: bool
    major: bool


class Dot(NamedTuple):
    """The messages of one column in one lane: the most urgent light, and how many."""

    column: int
    light: str
    label: str
    title: str


@dataclass
class Lane:
    """One case, or one person."""

    title: str
    subtitle: str
    messages: list[Said] = field(default_factory=list[Said])
    dots: list[Dot] = field(default_factory=list[Dot])
    ends: list[tuple[int, str]] = field(default_factory=list["tuple[int, str]"])
    spoken: str = ""


def write_page(
    file: TextIO,
    lines: Iterable[Line],
    names: Names,
    calendar: Calendar,
    since: datetime,
    until: datetime,
    *,
    by_person: bool,
) -> int:
    """Write the page; returns how many lanes did not find room (the first to hear something are shown)."""
    lanes, left_out = _lanes(lines, names, by_person=by_person)
    first = calendar.local_day(since)
    span = (calendar.local_day(until) - first).days + 1
    width = WEEK if span > MANY_DAYS else 1
    starts = [first + timedelta(days=n) for n in range(0, span, width)]
    for lane in lanes:
        _draw(lane, names, calendar, first, width)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("page.html")
    stream = page.stream(
        lang=names.say("zh-CN", "en"),
        title=names.say("督办预告", "duban foresight"),
        heading=_heading(names, lanes, since, until),
        note=names.say(
            "按现有案情推演，假定每条消息都送达、案情不再变化。点开一行看明细。",
            "Played on the facts as they are: every message arrives, no case changes. Open a line for details.",
        ),
        columns=[_column(day, calendar, names, width, few=len(starts) <= FEW) for day in starts],
        lanes=lanes,
        lights=[(light, names.light(light)) for light in LIGHTS],
        words=_words(names),
        left_out=_left_out(names, left_out),
    )
    file.writelines(stream)
    return left_out


def _lanes(lines: Iterable[Line], names: Names, *, by_person: bool) -> tuple[list[Lane], int]:
    lanes: dict[str, Lane] = {}
    without: set[str] = set()
    for one in said(names, (line for line in lines if not (by_person and line.kind == DUE))):
        key = one.person if by_person else one.case
        if key not in lanes:
            if len(lanes) >= MOST_LANES:
                without.add(key)
                continue
            lanes[key] = Lane(one.name, one.role) if by_person else Lane(one.case, one.unit)
        lanes[key].messages.append(one)
    return list(lanes.values()), len(without)


def _draw(lane: Lane, names: Names, calendar: Calendar, first: date, width: int) -> None:
    """One mark per column in the colour and the word of the most urgent light, and a stroke where a limit ends."""
    columns: dict[int, list[Said]] = {}
    for one in lane.messages:
        column = (calendar.local_day(one.at) - first).days // width + 1
        if one.person:
            columns.setdefault(column, []).append(one)
        else:
            lane.ends.append((column, f"{one.when} {one.limit}"))
    for column, messages in columns.items():
        light, word = max(((one.light, one.light_word) for one in messages), key=lambda each: LIGHTS.index(each[0]))
        told = [f"{one.when} {one.light_word} {one.case} {one.step} → {one.name}" for one in messages]
        lane.dots.append(Dot(column, light, f"{word[0]}{len(messages)}", "\n".join(told)))
    figures = Counter(one.light_word for one in lane.messages if one.person)
    lane.spoken = names.say("、", ", ").join(f"{word} {number}" for word, number in figures.items())
    if lane.spoken:
        lane.subtitle = " · ".join(part for part in (lane.subtitle, lane.spoken) if part)


def _column(start: date, calendar: Calendar, names: Names, width: int, *, few: bool) -> Column:
    if width == WEEK:
        working = sum(calendar.is_workday(start + timedelta(days=n)) for n in range(WEEK))
        said_days = names.say(f"工作日 {working} 天", f"{working} working days")
        return Column(
            f"{start.month}/{start.day}", f"{start.isoformat()} {said_days}", working < SHORT_WEEK, major=True
        )
    off = not calendar.is_workday(start)
    named = calendar.day_off_name(start) if off else calendar.make_up_name(start)
    why = "" if named is None else named.say(names.language)
    major = few or _is_marked(start)
    label = f"{start.month}/{start.day}" if major else str(start.day)
    if not few and _is_marked(start - timedelta(days=1)):
        label = ""  # the one before needs the room
    return Column(label, f"{start.isoformat()} {why}".strip(), off, major)


def _is_marked(day: date) -> bool:
    """The first of a month, and every Monday that is not right before one."""
    return day.day == 1 or (day.weekday() == MONDAY and (day + timedelta(days=1)).day != 1)


def _heading(names: Names, lanes: Sequence[Lane], since: datetime, until: datetime) -> str:
    messages = sum(1 for lane in lanes for one in lane.messages if one.person)
    span = f"{names.instant(since)} – {names.instant(until)}"
    return names.say(f"{span}，{len(lanes)} 行，{messages} 条消息", f"{span}: {len(lanes)} lanes, {messages} messages")


def _left_out(names: Names, number: int) -> str:
    if not number:
        return ""
    return names.say(
        f"另有 {number} 行未列出，请按单位或人员缩小范围，或用 --csv。",
        f"{number} more lanes are left out: ask for a unit or a person, or use --csv.",
    )


def _words(names: Names) -> dict[str, object]:
    columns = (("时间", "at"), ("灯", "light"), ("案件", "case"), ("时限", "limit"), ("梯级", "step"), ("收件人", "to"),
               ("通道", "channel"), ("备注", "remark"))  # fmt: skip
    return {
        "filter": names.say("筛选：案件号、姓名、梯级、灯…", "Filter: case, name, step, light…"),
        "off": names.say("休息日", "day off"),
        "due": names.say("期限到", "limit ends"),
        "cc": names.say("抄送", "copy to "),
        "comma": names.say("、", ", "),
        "columns": [names.say(zh, en) for zh, en in columns],
    }
