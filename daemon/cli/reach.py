"""`duban reach`: who will be needed in the days ahead and could not be told, worked out now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, say, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.cli.reading import Desk
    from daemon.reach import Confirmed
    from policies.people.reachability import Reach, Reached


@click.command("reach")
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=30,
    show_default=True,
    help="看今后几天 / how many days ahead",
)
@click.option("--all", "everybody", is_flag=True, help="列出全部人，及各通道何时证实可用 / list everybody")
@config_option
@json_option
@no_traceback
def reach_command(days: int, config_path: str, *, everybody: bool, as_json: bool) -> None:
    """今后若干天在办案件要通知到的人：谁通知不到、为什么；号码邮箱只显示头尾。

    Everybody open cases may need in the days ahead: who could not be told, and why. Addresses are masked.
    Exit codes: 0 all can be reached (there may be remarks), 1 somebody cannot.
    """
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same
    from daemon.policy_release import rules_in_force  # noqa: PLC0415 - the same
    from daemon.reach import as_json as found_as_json  # noqa: PLC0415 - the same
    from daemon.reach import confirmed, reach_of  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        now = SystemClock().now()
        rules = rules_in_force(at_desk.store, at_desk.configuration, now)
        found = reach_of(at_desk.store, rules, at_desk.directory, now, days)
        known = confirmed(at_desk.store, found)
        if as_json:
            click.echo(to_json(found_as_json(found, known)))
        else:
            _show(at_desk, found, days, known, everybody=everybody)
    if found.unreachable:
        sys.exit(EXIT_FOUND)


def _show(at_desk: Desk, found: Reach, days: int, known: Confirmed, *, everybody: bool) -> None:
    remarks = [one for one in found.people if one.shortcomings and not one.grave]
    if found.unreachable:
        _table(at_desk, speak("通知不到", "cannot be told"), found.unreachable)
        click.echo()
    if remarks:
        _table(at_desk, speak("提示", "remarks"), remarks)
        click.echo()
    if everybody:
        _ways_table(at_desk, found, known)
        click.echo()
    click.echo(
        speak(
            f"今后 {days} 天，{found.cases} 个在办案件可能通知 {len(found.people)} 人（岗位）："
            f"{len(found.unreachable)} 个通知不到，{len(remarks)} 个有提示。",
            f"within {days} days {found.cases} open cases may need {len(found.people)} people or posts: "
            f"{len(found.unreachable)} cannot be told, {len(remarks)} with remarks",
        )
    )
    sure = len({person for person, _ in known})
    people = len({one.person for one in found.people if one.person is not None})
    click.echo(
        speak(
            f"其中 {sure} 人有消息确认送达或签收过，{people - sure} 人从未证实；可用 duban drill 演练核对。",
            f"messages to {sure} of them are known to have arrived, to {people - sure} never; see duban drill start",
        )
    )


def _ways_table(at_desk: Desk, found: Reach, known: Confirmed) -> None:
    """Everybody, and for each channel when a message to him last arrived or was signed for."""
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    channels = list(at_desk.configuration.kinds)
    people = [one for one in found.people if one.person is not None]
    show_table(
        speak("最近一次确认送达或签收", "last known to have arrived or signed for"),
        [speak("人员、单位", "who"), *map(at_desk.names.channel, channels)],
        [
            (
                _whom(at_desk, one),
                *(at_desk.local(known.get((one.person or "", channel))) for channel in channels),
            )
            for one in people
        ],
    )


def _table(at_desk: Desk, title: str, people: Sequence[Reached]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    headings = (("人员、单位", "who"), ("身份", "as"), ("案件", "cases"), ("联系方式", "addresses"), ("原因", "why"))
    show_table(
        title,
        [speak(zh, en) for zh, en in headings],
        [
            (
                _whom(at_desk, one),
                "\n".join(at_desk.names.role(role) for role in one.roles),
                one.cases,
                _addresses(at_desk, one),
                "\n".join(_why(at_desk, one)),
            )
            for one in people
        ],
        right=(2,),
    )


def _whom(at_desk: Desk, one: Reached) -> str:
    person = speak("（空缺）", "(vacant)") if one.person is None else at_desk.names.person(one.person)
    return "\n".join([person, *([at_desk.names.unit(one.unit)] if one.unit else [])])


def _addresses(at_desk: Desk, one: Reached) -> str:
    from daemon.telemetry import mask_text  # noqa: PLC0415 - loads the logging library

    official = at_desk.directory.officials.get(one.person or "")
    there = sorted(official.addresses.items(), reverse=True) if official else []
    lines = [mask_text(address) for _, address in there]
    if official is not None and official.prefers:
        chosen = at_desk.names.channels(official.prefers)
        lines.append(speak(f"选择：{chosen}", f"prefers {chosen}"))
    return "\n".join(lines) or "—"


def _why(at_desk: Desk, one: Reached) -> list[str]:
    return [
        say(lack.text)
        + ("" if lack.at is None else speak(f"（{at_desk.local(lack.at)} 起）", f" ({at_desk.local(lack.at)})"))
        for lack in one.shortcomings
    ]
