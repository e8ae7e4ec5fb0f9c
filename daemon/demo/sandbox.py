"""A small office to practise in: a configuration, an SQLite shared database with thirty cases, and spooled messages.

`duban init --sandbox` makes it. Its folder has no policy yet: the one who practises writes it. Nothing leaves the
machine: `sandbox: true` allows only spool channels, which write each message into a file.
"""

from __future__ import annotations

import shutil
from datetime import date, datetime, time, timedelta
from random import Random
from typing import TYPE_CHECKING

import chinese_calendar

from daemon.demo.configuration import shipped_configuration
from daemon.demo.database import SharedDatabase
from daemon.demo.life import ZONE, Change, shifted, stamp
from daemon.demo.town import DEPUTY, HANDLER, INSPECTOR, PRINCIPAL, SECTION_HEAD, Pace, Person, Unit
from daemon.errors import DaemonError
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from policies.text import Language

CENTRE = "T00"
UNITS = (
    Unit(CENTRE, "某区投诉受理中心"),
    Unit("T10", "受理一科", CENTRE),
    Unit("T20", "受理二科", CENTRE),
)
PEOPLE = (
    Person("T10-1", "承办人甲一", "T10", HANDLER, "13800000001", "t10-1@example.com"),
    Person("T10-2", "承办人甲二", "T10", HANDLER, "13800000002", "t10-2@example.com", Pace.SLOW),
    Person("T10-K", "科长甲", "T10", SECTION_HEAD, "13800000003", "t10-k@example.com"),
    Person("T20-1", "承办人乙一", "T20", HANDLER, "13800000004", "t20-1@example.com"),
    Person("T20-2", "承办人乙二", "T20", HANDLER, "13800000005", "t20-2@example.com", Pace.NEVER),
    Person("T20-K", "科长乙", "T20", SECTION_HEAD, None, "t20-k@example.com"),
    Person("T00-F", "副主任子", CENTRE, DEPUTY, "13800000006", "t00-f@example.com"),
    Person("T00-Z", "主任子", CENTRE, PRINCIPAL, "13800000007", "t00-z@example.com"),
    Person("T00-D", "督查一", CENTRE, INSPECTOR, "13800000008", "t00-d@example.com"),
)
HANDLERS = tuple(person for person in PEOPLE if person.post == HANDLER)

DRAWN_ON = date(2026, 11, 23)  # a Monday; life is written for the week it begins and moved by whole weeks
FIRST_ARRIVAL = date(2026, 8, 24)
WEEK = timedelta(weeks=1)
MANY_SINCE = date(2026, 11, 9)
LONG_AGO, LATELY = 18, 12  # cases
KINDS = "111223"  # 投诉, 咨询, 建议 as codes, as often as they come
RESTRICTED = 29  # the one that is kept to a few
URGENT = frozenset({4, 12, 19, 28})
DAYS_TO_ANSWER = {Pace.DILIGENT: (3, 9), Pace.SLOW: (8, 15), Pace.NEVER: (14, 24)}  # working days

MAIN = """\
# 练习环境：虚构的单位。消息只写成文件，什么也不真发。/ A sandbox: an invented office; messages only become files.
sandbox: true
office: {{name: 某区投诉受理中心, signature: 投诉受理中心, time_zone: Asia/Shanghai, calendar: china}}
store: {{url: "sqlite:///duban.db"}}         # duban 自己的台账 / duban's own records
source: source.yaml                        # 共享数据库怎么读 / how the shared database is read
policies: policies                         # 您的策略放这里 / your policies go here
templates: templates
channels:
  sms: {{type: spool, kind: sms, directory: messages/sms}}
  email: {{type: spool, kind: email, directory: messages/email}}
administrators:
  - {{name: 系统管理员, mobile: "13800009999", email: admin@example.com}}
schedule: {{sync: 5, tick: 1, pump: 1}}      # 秒；练习时快些 / seconds; quicker than in earnest
language: {language}
"""
MAPPING = """\
# 共享数据库怎么读：左边是策略里用的名字，右边是表和列。/ Left: the words of policies; right: tables and columns.
url: sqlite:///shared.db
cases:
  table: xfjxx
  key: xfjbh
  unit: qxjgdm
  handler: blr
  changed: sjc
  open: {column: bjbz, not_in: ['1']}
  restricted: {column: issecret, values: {'1': true, '0': false}}
  columns:
    kind: {column: xfmdlb, values: {'1': 投诉, '2': 咨询, '3': 建议}}
    urgent: {column: jjbz, type: bool}      # 紧急 / urgent
  milestones:
    registered_at: djsj           # 登记 / registered
    arrived_at: ddzrdwsj          # 到达承办科室 / arrived at the section
    acknowledged_at: qssj         # 签收 / acknowledged
    accepted_at: zrdwslsj         # 受理 / accepted
    notified_at: gzsj             # 书面答复 / answered in writing
    finished_at: bjsj             # 办结 / finished
units: {table: jgxx, key: jgdm, name: jgmc, parent: sjjgdm}
officials:
  table: ryxx
  key: rydm
  name: xm
  unit: jgdm
  mobile: sjh
  email: yx
  active: {column: zt, values: {'1': true, '0': false}}
posts:
  table: gwxx
  unit: jgdm
  role: {column: zw, values: {承办人: handler, 科室负责人: section_head, 分管领导: deputy_leader,
                              主要负责人: principal, 督查专员: inspector}}
  official: rydm
  from: qssj
  to: jssj
"""


def create_sandbox(folder: Path, now: datetime, language: Language) -> int:
    """Make the folder, with everything that has happened until `now`; returns how many cases there are.

    Raises:
        DaemonError: there is something already, or the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DaemonError(
            Text(f"文件夹 {folder} 不是空的，请另取一个名字。", f"the folder {folder} is not empty; take another name")
        )
    try:
        return _create(folder, now, language)
    except OSError as error:
        raise DaemonError(
            Text(f"无法写入 {folder}：{error.strerror}", f"cannot write {folder}: {error.strerror}")
        ) from error


def _create(folder: Path, now: datetime, language: Language) -> int:
    shipped = shipped_configuration()
    (folder / "policies").mkdir(parents=True)
    shutil.copytree(shipped / "templates", folder / "templates")
    shutil.copyfile(shipped / "policy.schema.json", folder / "policy.schema.json")
    (folder / "source.yaml").write_text(MAPPING, "utf-8")
    (folder / "duban.yaml").write_text(MAIN.format(language=language), "utf-8")
    changes = shifted(_life(), _whole_weeks_to(now))
    with SharedDatabase(folder / "shared.db", changes, UNITS, PEOPLE) as database:
        database.apply_until(now)
        return database.counts()[0]


def _whole_weeks_to(now: datetime) -> timedelta:
    return (now.astimezone(ZONE).date() - DRAWN_ON) // WEEK * WEEK


def _life() -> tuple[Change, ...]:
    """Every change of the thirty cases, in order of time. Always the same."""
    random = Random(7)
    days = [FIRST_ARRIVAL + timedelta(days=count) for count in range((DRAWN_ON - FIRST_ARRIVAL).days)]
    days = [day for day in days if chinese_calendar.is_workday(day)]
    drawn = [random.choice(days) for _ in range(LONG_AGO)]
    drawn += [random.choice([day for day in days if day >= MANY_SINCE]) for _ in range(LATELY)]
    arrivals = sorted(datetime.combine(day, _minute(random), ZONE) for day in drawn)
    changes = [change for number, at in enumerate(arrivals, 1) for change in _story(number, at, random)]
    return tuple(sorted(changes, key=lambda change: change.at))


def _story(number: int, registered: datetime, random: Random) -> Iterator[Change]:
    handler = HANDLERS[(number * 7) % len(HANDLERS)]
    key = f"TS{number:03}"
    arrived = registered + timedelta(minutes=20)
    yield Change(
        registered,
        "xfjxx",
        {
            "xfjbh": key, "xfrq": f"{registered:%Y-%m-%d}", "djsj": stamp(registered), "bjbz": "0",
            "xfmdlb": random.choice(KINDS), "jjbz": "1" if number in URGENT else "0",
            "issecret": "1" if number == RESTRICTED else "0",
            "qxjgdm": handler.unit, "xfrxm": f"投诉人{number:03}", "sjc": stamp(registered),
        },
    )  # fmt: skip
    yield Change(arrived, "xfjxx", {"ddzrdwsj": stamp(arrived), "blr": handler.code}, key)
    signed = arrived + timedelta(minutes=random.randint(10, 90))
    if handler.pace is Pace.NEVER:
        signed = _working_days_after(signed, 3)
    yield Change(signed, "xfjxx", {"qssj": stamp(signed), "zrdwslsj": stamp(signed)}, key)
    answered = _working_days_after(signed, random.randint(*DAYS_TO_ANSWER[handler.pace]))
    yield Change(answered, "xfjxx", {"gzsj": stamp(answered)}, key)
    finished = answered + timedelta(minutes=30)
    yield Change(finished, "xfjxx", {"bjsj": stamp(finished), "bjbz": "1"}, key)


def _minute(random: Random) -> time:
    return time(9 + random.randint(0, 5), random.randint(0, 59))


def _working_days_after(at: datetime, number: int) -> datetime:
    while number:
        at += timedelta(days=1)
        number -= chinese_calendar.is_workday(at.date())
    return at
