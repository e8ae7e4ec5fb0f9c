"""What the administrators are told about duban itself: once a day and kind of trouble, through the same outbox.

A trouble of the program is no case: its notices have no case key, its ledger lines stand in a chain of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.evaluate import first_of_each_kind
from policies.model import Notice, Why
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from policies.calendar import Calendar
    from policies.model import Directory
    from policies.text import Language

SAY = "alert"
ROLE = "administrator"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind of trouble: a short word for it, what is the matter, what to do."""

    kind: str
    title: Text
    text: Text


def notices_about(
    trouble: Trouble, directory: Directory, kinds: Mapping[str, str], today: date, now: datetime, language: Language
) -> tuple[Notice, ...]:
    """One notice per administrator and kind of address he has. Asked again on the same day it gives the same keys."""
    return tuple(
        Notice(
            key=f"duban/{SAY}/{trouble.kind}/{today.isoformat()}/{person}/{channel}",
            case_key="",
            policy="",
            limit="",
            deadline_version=0,
            step=trouble.kind,
            repeat=0,
            person=person,
            role=ROLE,
            channel=channel,
            say=SAY,
            why=Why.DUE,
            at=now,
            facts={"alert_title": trouble.title.say(language), "alert_text": trouble.text.say(language)},
        )
        for person in directory.administrators
        for kind, channel in first_of_each_kind(kinds).items()
        if directory.officials[person].addresses.get(kind)
    )


def source_away(since: str) -> Trouble:
    """The shared database does not answer."""
    return Trouble(
        "source_away",
        Text("共享数据库无法访问", "the shared database does not answer"),
        Text(
            f"自 {since} 起读不到共享数据库，提醒按最后一次读到的情况继续发出。请检查数据库和网络。",
            f"It has not answered since {since}. Reminders go on with what was last read. Check database and network.",
        ),
    )


def channel_at_rest(channel: str, code: str) -> Trouble:
    """A channel cannot send anything at all."""
    return Trouble(
        f"channel_{channel}",
        Text(f"通道 {channel} 发不出消息", f"channel {channel} cannot send"),
        Text(
            f"服务方拒绝了全部消息（{code}），消息已保留，每隔一段时间再试。请检查该通道的账号和设置。",
            f"The provider refuses everything ({code}). Messages are kept and tried again. Check account and settings.",
        ),
    )


def unaccounted(count: int) -> Trouble:
    """The audit's proof does not hold."""
    return Trouble(
        "unaccounted",
        Text("有时限失去监控", "limits are not being watched"),
        Text(
            f"{count} 项在办时限没有下一步，也没有说明原因。请运行 duban status 并报告。",
            f"{count} open limits have no next step and no stated reason. Run duban status and report it.",
        ),
    )


def year_unknown(calendar: Calendar, today: date) -> Trouble | None:
    """From November on: the coming year's holidays are not known yet, said once a week (on Mondays)."""
    known = calendar.known_until
    if known is None or known.year > today.year or today.month < 11 or today.weekday() != 0:  # noqa: PLR2004 - November
        return None
    year = known.year + 1
    return Trouble(
        f"calendar_{calendar.name}_{year}",
        Text(f"{year} 年放假安排尚未载入", f"the holidays of {year} are not loaded"),
        Text(
            f"日历 {calendar.name} 只知道到 {known.isoformat()}，此后的期限都标为暂定。国务院通知公布后请更新日历。",
            f"Calendar {calendar.name} is known until {known.isoformat()}; later dates are provisional. Update it.",
        ),
    )
