"""`duban dark`: what would have been sent while nothing was, and which late cases would have been caught in time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from daemon.cli.output import config_option, json_option, no_traceback, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from daemon.cli.reading import Desk
    from daemon.store.values import Delivery, StoredObligation

PAGE = 1000


@dataclass
class Report:
    """The figures; `caught` tells for each late limit how many working days before its end the first warning came.

    A warning is a message under another light than green. -1 stands for: none before it was late.
    """

    messages: int = 0
    people: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    channels: Counter[str] = field(default_factory=Counter[str])
    lights: Counter[str] = field(default_factory=Counter[str])
    caught: Counter[int] = field(default_factory=Counter[int])


@click.command()
@click.option("--since", help="自何时起，如 2027-01-01；默认：全部 / from when; all by default")
@config_option
@json_option
@no_traceback
def dark(since: str | None, config_path: str, *, as_json: bool) -> None:
    """试运行（dark: true）期间本会发出什么：按人、通道、灯色；超期案件本可提前几个工作日提醒。

    What a dark launch would have sent: by person, channel and light; how early late cases would have been caught.
    """
    from daemon.cli.policy_diff import moment_of  # noqa: PLC0415 - keeps the start quick
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        from_at = None if since is None else moment_of(since, at_desk.configuration.zone)
        report = _report(at_desk, from_at, SystemClock().now())
        if as_json:
            click.echo(to_json(_as_json(report, from_at)))
        else:
            _show(at_desk, report)


def _report(at_desk: Desk, since: datetime | None, now: datetime) -> Report:
    report = Report()
    warned_at: dict[tuple[str, int], datetime | None] = {}  # by case and obligation
    for one in _dark_deliveries(at_desk):
        if since is not None and one.created_at < since:
            continue
        report.messages += 1
        report.people[one.notice.person, one.notice.channel] += 1
        report.channels[one.notice.channel] += 1
        light = str(one.notice.facts.get("light") or "—")
        report.lights[light] += 1
        if one.obligation_id is not None:
            limit = (one.notice.case_key, one.obligation_id)
            warned_at[limit] = warned_at.get(limit) or (one.notice.at if light in _WARNING else None)
    for stored, first in _late(at_desk, warned_at, now):
        report.caught[_days_before(at_desk, first, stored)] += 1
    return report


_WARNING = frozenset({"yellow", "orange", "red"})


def _dark_deliveries(at_desk: Desk) -> Iterator[Delivery]:
    from daemon.store.values import DeliveryState  # noqa: PLC0415 - loads the database library

    after = 0
    while page := at_desk.store.deliveries(states=[DeliveryState.DARK], limit=PAGE, after_id=after):
        yield from page
        after = page[-1].id


def _late(
    at_desk: Desk, warned_at: dict[tuple[str, int], datetime | None], now: datetime
) -> Iterator[tuple[StoredObligation, datetime | None]]:
    """The limits that passed, each with the first warning there would have been."""
    keys = list(dict.fromkeys(case for case, _ in warned_at))
    for start in range(0, len(keys), PAGE):
        for obligations in at_desk.store.obligations_of(keys[start : start + PAGE]).values():
            for stored in obligations:
                limit = (stored.obligation.case_key, stored.id)
                if limit in warned_at and _is_late(stored, now):
                    yield stored, warned_at[limit]


def _is_late(stored: StoredObligation, now: datetime) -> bool:
    one = stored.obligation
    return (one.done_at or now) > one.legal_due_at and one.state.value != "withdrawn"


def _days_before(at_desk: Desk, at: datetime | None, stored: StoredObligation) -> int:
    """Working days from a warning to the legal end; -1 when there was none before it."""
    configuration, one = at_desk.configuration, stored.obligation
    if at is None or at > one.legal_due_at:
        return -1
    calendar = configuration.calendars[configuration.settings.office.calendar]
    return calendar.workdays_between(calendar.local_day(at), calendar.local_day(one.legal_due_at))


def _as_json(report: Report, since: datetime | None) -> dict[str, object]:
    return {
        "since": since,
        "messages": report.messages,
        "people": [
            {"person": person, "channel": channel, "messages": count}
            for (person, channel), count in report.people.most_common()
        ],
        "channels": dict(report.channels),
        "lights": dict(report.lights),
        "late": sum(report.caught.values()),
        "caught": [
            {"workdays_before": days, "limits": count}
            for days, count in sorted(report.caught.items(), reverse=True)
            if days >= 0
        ],
        "not_caught": report.caught[-1],
    }


def _show(at_desk: Desk, report: Report) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    names, count = at_desk.names, speak("消息", "messages")
    click.echo(speak(f"本会发出 {report.messages} 条消息。", f"{report.messages} messages would have been sent"))
    show_table(
        speak("按人", "by person"),
        [speak("收件人", "to"), speak("通道", "channel"), count],
        [(names.person(who), names.channel(how), number) for (who, how), number in report.people.most_common()],
        right=(2,),
    )
    show_table(
        speak("按灯色", "by light"),
        [speak("灯色", "light"), count],
        [(_light(name), number) for name, number in report.lights.most_common()],
        right=(1,),
    )
    show_table(
        speak(
            "超期的时限，本可提前多少个工作日提醒",
            "late limits: how many working days before they would have been told",
        ),
        [speak("提前（工作日）", "workdays before"), speak("时限", "limits")],
        [
            (days if days >= 0 else speak("超期之后", "only after"), number)
            for days, number in sorted(report.caught.items(), reverse=True)
        ],
        right=(0, 1),
    )


def _light(name: str) -> str:
    from policies.evaluate import light_word  # noqa: PLC0415 - keeps the start quick
    from policies.model import Light  # noqa: PLC0415 - the same

    words = light_word(Light(name)) if name in set(Light) else None
    return name if words is None else speak(words.zh, words.en)
