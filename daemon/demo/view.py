"""What the demo shows: a live picture on a terminal, one line per simulated day elsewhere."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import chinese_calendar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text as Line

from daemon.demo.life import ENDS_AT, STARTS_AT, ZONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from types import TracebackType
    from typing import Self

    from policies.text import Language

LIGHTS = ("green", "yellow", "orange", "red")
LIGHT_STYLES = {"green": "green", "yellow": "yellow", "orange": "dark_orange", "red": "bold red"}
LIGHT_NAMES = {"green": ("绿", "green"), "yellow": ("黄", "yellow"), "orange": ("橙", "orange"), "red": ("红", "red")}
VIA = {"sms": "SMS"}
WEEKDAYS = ("一二三四五六日", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))
SATURDAY = 5
LAST_MESSAGES = 12
FRAMES_PER_SECOND = 12
FRAME_LINES = 15  # of heading, titles, headers and borders


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One message as the live picture shows it; the address is masked."""

    at: datetime
    channel: str
    role: str
    to: str
    text: str


@dataclass(slots=True)
class Picture:
    """What is known at the simulated instant `now`: lights per unit, the last messages, the counts."""

    now: datetime = STARTS_AT
    lights: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, dict[str, int]])
    messages: deque[SentMessage] = field(default_factory=lambda: deque[SentMessage](maxlen=LAST_MESSAGES))
    sent: Counter[str] = field(default_factory=Counter[str])
    cases: int = 0
    finished: int = 0
    syncs: int = 0


def masked(address: str) -> str:
    """`138****0001`, `j***@example.com`: enough to tell two people apart, not enough to call one."""
    if "@" in address:
        name, _, domain = address.partition("@")
        return f"{name[:3]}***@{domain}"
    national = address.removeprefix("+86")
    return f"{national[:3]}****{national[-4:]}"


def kind_of_day(day: date, language: Language) -> Line:
    """Whether people work on that day, and whether that is unusual for its weekday."""
    works, weekend = chinese_calendar.is_workday(day), day.weekday() >= SATURDAY
    if works and weekend:
        return Line("调休上班" if language == "zh" else "make-up working day", "bold cyan")
    if works:
        return Line("工作日" if language == "zh" else "working day", "green")
    if weekend:
        return Line("休息日" if language == "zh" else "day off", "dim")
    return Line("放假" if language == "zh" else "holiday", "magenta")


class View:
    """Shows the picture: live on a terminal, as a line per day where nobody watches."""

    def __init__(self, picture: Picture, language: Language, console: Console | None = None) -> None:
        self.picture = picture
        self.console = console or Console(highlight=False)
        self._language: Language = language
        self._day = picture.now.date()
        self._live = (
            Live(self, console=self.console, refresh_per_second=FRAMES_PER_SECOND, transient=True)
            if self.console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.__exit__(kind, error, trace)

    def __rich__(self) -> RenderableType:
        return Group(self._heading(), self._lights(), self._messages())

    def moved(self) -> None:
        """The simulated time moved; without a terminal, print a line for every day that ended."""
        today = self.picture.now.astimezone(ZONE).date()
        while self._day < today:
            if self._live is None:
                self.console.print(self._line(self._day), soft_wrap=True)
            self._day += timedelta(days=1)

    def _say(self, chinese: str, english: str) -> str:
        return chinese if self._language == "zh" else english

    def _date(self, day: date) -> str:
        if self._language == "zh":
            return f"{day.month:2}月{day.day:2}日 周{WEEKDAYS[0][day.weekday()]}"
        return f"{day:%d %b} {WEEKDAYS[1][day.weekday()]}"

    def _counts(self) -> str:
        picture = self.picture
        mails, texts = picture.sent["email"], picture.sent["sms"]
        return self._say(
            f"案件 {picture.cases}（办结 {picture.finished}）  邮件 {mails}  短信 {texts}",
            f"cases {picture.cases} ({picture.finished} done) mails {mails} texts {texts}",
        )

    def _line(self, day: date) -> Line:
        totals = {light: sum(unit.get(light, 0) for unit in self.picture.lights.values()) for light in LIGHTS}
        line = Line.assemble(self._date(day), " ", kind_of_day(day, self._language), "  ", self._counts(), " ")
        for light in LIGHTS:
            line.append(f" {self._light(light)}{totals[light]}", LIGHT_STYLES[light])
        return line

    def _light(self, light: str) -> str:
        return self._say(*LIGHT_NAMES[light])

    def _heading(self) -> Panel:
        now = self.picture.now.astimezone(ZONE)
        share = (now - STARTS_AT) / (ENDS_AT - STARTS_AT)
        when = Line.assemble(
            (f"{now.year} " if self._language == "en" else f"{now.year}年", "bold"),
            (f"{self._date(now.date())} {now:%H:%M}", "bold"),
            "  ",
            kind_of_day(now.date(), self._language),
            "  ",
            self._counts(),
        )
        bar = ProgressBar(total=1.0, completed=min(share, 1.0), width=None)
        title = self._say("督办 · 某市四周（快进）", "duban · four weeks of an invented city, fast-forward")
        return Panel(Group(when, bar), title=title, border_style="blue")

    def _lights(self) -> Table:
        table = Table(expand=True, border_style="dim", title=self._say("在办时限", "open limits"), title_style="bold")
        table.add_column(self._say("单位", "unit"), ratio=3, no_wrap=True)
        for light in LIGHTS:
            table.add_column(self._light(light), justify="right", style=LIGHT_STYLES[light], no_wrap=True)
        table.add_column(ratio=4)
        for unit, counts in _reddest_first(self.picture.lights):
            table.add_row(unit, *(str(counts.get(light, 0) or "·") for light in LIGHTS), _bar(counts))
        return table

    def _messages(self) -> Table:
        title = self._say("最近发出", "last sent")
        table = Table(expand=True, border_style="dim", title=title, title_style="bold")
        for chinese, english, width in (
            ("时间", "time", 11),
            ("通道", "via", 5),
            ("角色", "role", 13),
            ("收件", "to", 18),
        ):
            table.add_column(self._say(chinese, english), width=width, no_wrap=True)
        table.add_column(self._say("内容", "text"), ratio=1, no_wrap=True, overflow="ellipsis")
        latest = list(reversed(self.picture.messages))[: self._room()]
        for message in latest:
            at = message.at.astimezone(ZONE)
            channel = self._say(
                {"sms": "短信", "email": "邮件"}.get(message.channel, message.channel),
                VIA.get(message.channel, message.channel),
            )
            table.add_row(f"{at:%m-%d %H:%M}", channel, message.role, message.to, Line(message.text))
        for _ in range(self._room() - len(latest)):
            table.add_row("", "", "", "", "")
        return table

    def _room(self) -> int:
        """How many messages fit below the heading and the lights."""
        return min(LAST_MESSAGES, max(1, self.console.size.height - len(self.picture.lights) - FRAME_LINES))


def _reddest_first(lights: Mapping[str, Mapping[str, int]]) -> Sequence[tuple[str, Mapping[str, int]]]:
    return sorted(lights.items(), key=lambda each: [each[1].get(light, 0) for light in reversed(LIGHTS)], reverse=True)


def _bar(counts: Mapping[str, int]) -> Line:
    """A small coloured bar, one block per open limit."""
    bar = Line(no_wrap=True, overflow="crop")
    for light in reversed(LIGHTS):
        bar.append("▇" * counts.get(light, 0), LIGHT_STYLES[light])
    return bar
