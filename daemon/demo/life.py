"""The script of life in the invented 某市: what happens to which case at which instant. Pure, and the same for a seed.

Cases come in before and during the four weeks 2026-09-14 to 2026-10-12, which hold a make-up Sunday (09-20),
中秋 (09-25 to 27), 国庆 (10-01 to 07) and a make-up Saturday (10-10). Some officials are diligent, some slow, and
two never do anything: they are why the ladder is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import chinese_calendar

from daemon.demo.town import REGISTRY, SECTIONS, Pace, Person, people

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ZONE = ZoneInfo("Asia/Shanghai")
STARTS_AT = datetime(2026, 9, 14, 8, tzinfo=ZONE)
ENDS_AT = datetime(2026, 10, 12, 10, tzinfo=ZONE)  # a Monday, after the morning's messages
FIRST_ARRIVAL = date(2026, 7, 15)

CASES_BEFORE = 110
CASES_DURING = 110

SHOWCASE = "XF202609140999"  # the case whose story is told at the end

KINDS = (("1", 62), ("2", 14), ("3", 14), ("4", 10))  # 求决, 申诉, 意见建议, 揭发控告, in per cent
LITIGATION, URGENT, RESTRICTED_REPORT = 0.04, 0.05, 0.3  # how often
HANDED_OVER, EXTENDED, EXTENDED_IN_ORDER = 0.25, 0.5, 0.75
WRITTEN_TIME = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?")
OPENS, CLOSES = time(8, 30), time(17, 30)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the shared database: a new row of `table` (`key` None), or new values in the row of case `key`."""

    at: datetime
    table: str
    values: Mapping[str, str | int | None]
    key: str | None = None


@dataclass(slots=True)
class _Story:
    """One case while its story is being written."""

    number: str
    random: Random
    handler: Person
    registered: datetime
    received: datetime
    changes: list[Change] = field(default_factory=list[Change])

    def then(self, at: datetime, **values: str | int | None) -> None:
        self.changes.append(Change(at, "xfjxx", values, self.number))

    def entry(self, at: datetime, table: str, **values: str | int | None) -> None:
        self.changes.append(Change(at, table, {"xfjbh": self.number, **values}))


def stamp(at: datetime) -> str:
    """An instant as the shared database writes it: local time, no zone."""
    return f"{at.astimezone(ZONE):%Y-%m-%d %H:%M:%S}"


def life(seed: int = 1) -> tuple[Change, ...]:
    """Every change from the first case to the end of the four weeks, in order of time."""
    random = Random(seed)
    handlers: dict[str, list[Person]] = {section: [] for section in SECTIONS}
    for person in people():
        if person.unit in handlers and person.post == "承办人":
            handlers[person.unit].append(person)
    stories = [
        *(_story(number, at, handlers, Random(random.random())) for number, at in enumerate(_arrivals(random), 1)),
        _showcase(handlers),
    ]
    changes = [change for story in stories for change in story if change.at < ENDS_AT]
    return tuple(sorted(changes, key=lambda change: change.at))


def weeks_until(now: datetime) -> timedelta:
    """By how many whole weeks life must be moved so that its tenth day is about now."""
    week = timedelta(weeks=1)
    return round((now - STARTS_AT - timedelta(days=10)) / week) * week


def shifted(changes: Sequence[Change], by: timedelta) -> tuple[Change, ...]:
    """The same life at another time: all instants moved, in the cases as well; case numbers stay."""
    return tuple(
        Change(change.at + by, change.table, {n: _moved(v, by) for n, v in change.values.items()}, change.key)
        for change in changes
    )


def _moved(value: str | int | None, by: timedelta) -> str | int | None:
    if not isinstance(value, str) or not WRITTEN_TIME.fullmatch(value):
        return value
    moved = datetime.fromisoformat(value) + by
    return moved.isoformat(" ")[: len(value)]


def _showcase(handlers: Mapping[str, list[Person]]) -> Iterator[Change]:
    """The same in every life: nobody signs, it is handed on, nobody answers, and it goes up to the principal.

    It is handed to a colleague of the same section: another unit would have a clock of its own (条例第二十三条第三款).
    """
    random = Random(0)
    idle = next(person for person in handlers["J11"] if person.pace is Pace.NEVER)
    colleagues = [person for person in handlers["J11"] if person is not idle]
    registered = datetime(2026, 9, 14, 9, 10, tzinfo=ZONE)
    story = _Story(SHOWCASE, random, idle, registered, datetime(2026, 9, 14, 10, 5, tzinfo=ZONE))
    _register(story, handlers[REGISTRY][0], 0, kind="1")
    _send_on(story, story.received, idle)
    _accept(story, datetime(2026, 9, 14, 15, 20, tzinfo=ZONE))
    _hand_over(story, datetime(2026, 9, 24, 10, 40, tzinfo=ZONE), dict.fromkeys(SECTIONS, colleagues))
    return iter(story.changes)


def _arrivals(random: Random) -> list[datetime]:
    before = _working_days(FIRST_ARRIVAL, STARTS_AT.date())
    during = _working_days(STARTS_AT.date(), ENDS_AT.date())
    days = [random.choice(before) for _ in range(CASES_BEFORE)] + [random.choice(during) for _ in range(CASES_DURING)]
    return sorted(_in_office_hours(day, random) for day in days)


def _story(number: int, at: datetime, handlers: Mapping[str, list[Person]], random: Random) -> Iterator[Change]:
    section = random.choice(SECTIONS)
    handler = random.choice(handlers[section])
    story = _Story(f"XF{at:%Y%m%d}{number:04}", random, handler, at, _later(at, random.randint(0, 2), random))
    _register(story, random.choice(handlers[REGISTRY]), number)
    _send_on(story, story.received, handler)
    match handler.pace:
        case Pace.DILIGENT:
            _diligent(story)
        case Pace.SLOW:
            _slow(story, handlers)
        case Pace.NEVER:
            _accept(story, _later(story.received, 1, random))
    return iter(story.changes)


def _register(story: _Story, clerk: Person, number: int, kind: str = "") -> None:
    random, at = story.random, story.registered
    kind = kind or random.choices([code for code, _ in KINDS], [share for _, share in KINDS])[0]
    values = {
        "xfjbh": story.number,
        "xfrq": f"{at:%Y-%m-%d}",
        "djsj": stamp(at),
        "lzjzsj": stamp(at + timedelta(days=15)),
        "bjbz": "0",
        "sfssbz": "1" if random.random() < LITIGATION else "0",
        "xfmdlb": kind,
        "jjbz": "1" if random.random() < URGENT else "0",
        "issecret": "1" if kind == "4" and random.random() < RESTRICTED_REPORT else "0",
        "qxjgdm": REGISTRY,
        "blr": clerk.code,
        "xfrxm": f"信访人{number:03}",
        "sjc": stamp(at),
    }
    story.changes.append(Change(at, "xfjxx", values))


def _send_on(story: _Story, at: datetime, handler: Person) -> None:
    story.then(at, ddzrdwsj=stamp(at), zjzrdwrq=stamp(at), qxjgdm=handler.unit, blr=handler.code)


def _accept(story: _Story, at: datetime) -> None:
    """Accepted: the sixty days run, and the platform writes its own limit, without rolling it over holidays."""
    story.then(at, zrdwslsj=stamp(at), xbjzsj=stamp(at + timedelta(days=60)))


def _diligent(story: _Story) -> None:
    random = story.random
    signed = _in_the_day(story.received, random)
    story.then(signed, qssj=stamp(signed))
    accepted = _later(signed, random.randint(0, 1), random)
    _accept(story, accepted)
    told = _later(accepted, random.randint(1, 6), random)
    story.then(told, gzsj=stamp(told))
    done = _later(told, random.randint(5, 30), random)
    story.then(done, bjbz="1", bjsj=stamp(done))


def _slow(story: _Story, handlers: Mapping[str, list[Person]]) -> None:
    random = story.random
    signed = _later(story.received, random.randint(1, 3), random)
    story.then(signed, qssj=stamp(signed))
    _accept(story, _later(signed, 1, random))
    if random.random() < HANDED_OVER:
        _hand_over(story, _later(signed, 3, random), handlers)
    told = _later(story.received, random.randint(8, 13), random)
    story.then(told, gzsj=stamp(told))
    if random.random() < EXTENDED:
        _extend(story, _later(signed, random.randint(30, 38), random))
    done = _later(signed, random.randint(38, 50), random)
    story.then(done, bjbz="1", bjsj=stamp(done))


def _hand_over(story: _Story, at: datetime, handlers: Mapping[str, list[Person]]) -> None:
    """The case goes to somebody else, mostly of another section; who had it first stays on record."""
    old = story.handler
    new = story.random.choice(handlers[story.random.choice([each for each in SECTIONS[1:] if each != old.unit])])
    story.entry(
        at,
        "zbjl",
        xh=1,
        blsj=stamp(at),
        cljgdm=old.unit,
        qxjgdm=new.unit,
        blr=new.code,
        yy="职责调整",
        pzr="主要负责人",
    )
    story.then(at, qxjgdm=new.unit, blr=new.code)
    story.handler = new


def _extend(story: _Story, at: datetime) -> None:
    """Thirty days more; one in four is approved by the wrong post and so has no effect (条例第三十四条)."""
    effective = story.random.random() < EXTENDED_IN_ORDER
    approver = "主要负责人" if effective else "分管领导"
    story.entry(at, "yqjl", xh=1, yqts=30, pzsj=stamp(at), pzr_zw=approver, gzxfrsj=stamp(at + timedelta(hours=1)))
    if effective:
        accepted = next(change for change in story.changes if "zrdwslsj" in change.values)
        story.then(at, xbjzsj=stamp(accepted.at + timedelta(days=90)))
    else:
        story.then(at)


def _working_days(first: date, end: date) -> list[date]:
    days = [first + timedelta(days=count) for count in range((end - first).days)]
    return [day for day in days if chinese_calendar.is_workday(day)]


def _in_office_hours(day: date, random: Random) -> datetime:
    minutes = (CLOSES.hour - OPENS.hour) * 60
    return datetime.combine(day, OPENS, ZONE) + timedelta(minutes=random.randrange(minutes))


def _in_the_day(at: datetime, random: Random) -> datetime:
    """A little later, the same day if the office is still open."""
    soon = at + timedelta(minutes=random.randint(10, 150))
    return soon if soon.time() < CLOSES else _later(at, 1, random)


def _later(at: datetime, working_days: int, random: Random) -> datetime:
    """That many working days later (0: within the day), at some time while the office is open."""
    if working_days == 0:
        return _in_the_day(at, random)
    day = at.date()
    while working_days:
        day += timedelta(days=1)
        working_days -= chinese_calendar.is_workday(day)
    return _in_office_hours(day, random)
