"""`duban drill`: a fire drill, a marked test through the real path to everybody, and what became of it."""

from __future__ import annotations

import csv
import getpass
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from daemon.cli.output import EXIT_FOUND, config_option, fail, json_option, no_traceback, speak, to_json
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from daemon.cli.reading import Desk
    from daemon.drill import Drill, NoDrill, OfUnit, Result
    from policies.model import Notice, Official

by_option = click.option("--by", help="谁组织的，记入台账；默认：登录名 / who, for the ledger; by default the login")
id_argument = click.argument("drill_id", required=False, metavar="[ID]")


@click.group("drill")
def drill() -> None:
    """通道演练：向所有人各发一条注明“演练”的消息，看谁收得到 / a marked test to everybody, and who got it."""


@drill.command()
@click.option("--to", multiple=True, default=("all",), show_default=True,
              help="发给谁：all、unit:单位、person:人员、role:角色，可多次 / to whom, may be repeated")  # fmt: skip
@click.option("--channels", help="哪些通道，逗号分开；默认每种地址一个 / which channels, separated by commas")
@by_option
@click.option("--reason", required=True, help="事由，记入台账 / why, for the ledger")
@click.option("--now", "at_once", is_flag=True, help="不等免打扰结束 / do not wait for the end of the quiet hours")
@click.option("--yes", is_flag=True, help="不再询问 / do not ask")
@config_option
@json_option
@no_traceback
def start(
    to: tuple[str, ...],
    channels: str | None,
    by: str | None,
    reason: str,
    config_path: str,
    *,
    at_once: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """开始一次演练：先列出要发多少条、给多少人，确认后进待发箱；守护进程照常发送。

    Start one: shows how many messages go to how many people, asks, and writes them into the outbox; the daemon sends.
    """
    from daemon import drill as drills  # noqa: PLC0415 - loads the database library
    from daemon.cli.reading import desk  # noqa: PLC0415 - the same
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same
    from daemon.policy_release import rules_in_force  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        now = SystemClock().now()
        try:
            people = drills.people_meant(to, at_desk.directory, now)
            chosen = drills.channels_meant(_split(channels), at_desk.configuration.kinds)
        except drills.NoDrill as nothing:
            _refuse(nothing)
        rules = rules_in_force(at_desk.store, at_desk.configuration, now)
        held = None if at_once else drills.quiet_until(rules, now)
        drill_id = drills.id_of(now, at_desk.configuration.zone)
        notices = drills.notices_of(drill_id, people, chosen, now, held)
        _require_words(at_desk, notices)
        reached = {one.person for one in notices}
        ordered = drills.Drill(
            drill_id, now, by or getpass.getuser(), reason, to, tuple(chosen), len(reached), len(notices), held
        )
        if not as_json:
            _announce(at_desk, ordered, notices, [one for one in people if one.key not in reached])
        if not notices:
            fail(Text("没有一个人有可用的地址。", "nobody has an address for these channels"), EXIT_FOUND)
        if not yes:
            click.confirm(speak("现在开始演练吗？", "start the drill now?"), abort=True, err=as_json)
        try:
            drills.start(at_desk.store, ordered, notices, at_desk.configuration.version)
        except drills.NoDrill as nothing:
            _refuse(nothing)
        if as_json:
            click.echo(to_json(ordered.body()))
        else:
            click.echo(speak(f"演练 {drill_id} 已开始；看结果：duban drill report {drill_id}",
                             f"drill {drill_id} has begun; see duban drill report {drill_id}"))  # fmt: skip


def _split(channels: str | None) -> list[str]:
    return [name.strip() for name in (channels or "").split(",") if name.strip()]


def _refuse(nothing: NoDrill) -> NoReturn:
    fail(nothing.text, EXIT_FOUND)
    raise AssertionError("unreachable")


def _require_words(at_desk: Desk, notices: Sequence[Notice]) -> None:
    """Leave with what is wrong with the templates, before anything is written."""
    from dataclasses import replace  # noqa: PLC0415 - only here

    from daemon.render import RenderError, renderer_of  # noqa: PLC0415 - loads the template library
    from daemon.samples import SAMPLE_OFFICIAL  # noqa: PLC0415 - loads templates

    renderer, kinds = renderer_of(at_desk.configuration), at_desk.configuration.kinds
    for channel, notice in {one.channel: one for one in notices}.items():
        kind = kinds[channel]
        try:
            renderer.render(notice, replace(SAMPLE_OFFICIAL, addresses={kind: "-"}), kind)
        except RenderError as error:
            fail(error.message, EXIT_FOUND)


def _announce(at_desk: Desk, ordered: Drill, notices: Sequence[Notice], left_out: Sequence[Official]) -> None:
    """How many messages go to how many people, and who gets none."""
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    rows = [
        (at_desk.names.channel(channel), sum(1 for one in notices if one.channel == channel))
        for channel in ordered.channels
    ]
    title = speak(f"将向 {ordered.people} 人发 {ordered.messages} 条演练消息",
                  f"{ordered.messages} messages to {ordered.people} people")  # fmt: skip
    show_table(title, [speak("通道", "channel"), speak("条数", "messages")], rows, right=(1,))
    if left_out:
        names = speak("、", ", ").join(one.name for one in left_out[:20]) + ("…" if left_out[20:] else "")
        click.echo(speak(f"没有地址、收不到的 {len(left_out)} 人：{names}",
                         f"{len(left_out)} have no address: {names}"))  # fmt: skip
    if ordered.hold_until is not None:
        until = at_desk.local(ordered.hold_until)
        click.echo(speak(f"现在是免打扰时间，{until} 起发；要立即发请加 --now",
                         f"quiet hours: they go out from {until} on; --now sends at once"))  # fmt: skip


# --- afterwards ---------------------------------------------------------------------------------------------------


@drill.command()
@id_argument
@click.option("--csv", "csv_path", type=click.Path(dir_okay=False), help="逐条写入 CSV 文件 / write a CSV file")
@config_option
@json_option
@no_traceback
def report(drill_id: str | None, csv_path: str | None, config_path: str, *, as_json: bool) -> None:
    """演练的结果：各单位多少人收到，谁没有收到、为什么；不写编号看最近一次。有人没有收到时退出码为 1。

    What became of a drill: shares by unit, who got nothing and why; the last one if no ID is given. Exit code 1 while
    somebody was not reached.
    """
    from daemon import drill as drills  # noqa: PLC0415 - loads the database library
    from daemon.cli.reading import desk  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        try:
            found = drills.find(at_desk.store, drill_id)
        except drills.NoDrill as nothing:
            _refuse(nothing)
        results = drills.results(at_desk.store.deliveries_keyed(f"{found.name}/"), at_desk.directory)
        if csv_path is not None:
            Path(csv_path).write_text(_csv(at_desk, results), encoding="utf-8-sig")
        if as_json:
            click.echo(to_json(drills.as_json(found, results)))
        else:
            _show(at_desk, found, results)
        total = drills.in_all(results)
    if total.handed_over < total.people:
        sys.exit(EXIT_FOUND)


def _show(at_desk: Desk, found: Drill, results: Sequence[Result]) -> None:
    from daemon.cli.reading import show_pairs, show_table  # noqa: PLC0415 - loads the database library
    from daemon.drill import EVERYBODY, by_unit, in_all  # noqa: PLC0415 - the same

    told = [speak("全体", "everybody") if one == EVERYBODY else one for one in found.to]
    show_pairs(
        [
            (speak("演练", "drill"), found.id),
            (speak("组织", "by"), speak(f"{found.by}：{found.reason}", f"{found.by}: {found.reason}")),
            (speak("范围", "to"), speak("、", ", ").join(told)),
            (speak("共", "in all"), _share(in_all(results))),
            *([(speak("停止", "stopped"), f"{at_desk.local(found.stopped_at)} {found.stopped_by}")]
              if found.stopped_at else []),
        ]
    )  # fmt: skip
    click.echo()
    headings = (
        ("单位", "unit"), ("人数", "people"), ("已交付", "handed over"), ("确认送达", "arrived"),
        ("已签收", "acknowledged"), ("送达率", "share"),
    )  # fmt: skip
    show_table(
        speak("按单位", "by unit"),
        [speak(zh, en) for zh, en in headings],
        [
            (
                at_desk.names.unit(one.unit) if one.unit else speak("（无单位）", "(no unit)"),
                one.people,
                one.handed_over,
                one.arrived,
                one.acknowledged,
                f"{100 * one.arrived // max(one.people, 1)}%",
            )
            for one in by_unit(results)
        ],
        right=(1, 2, 3, 4, 5),
    )
    if any(one.handed_over and not one.arrived for one in results):
        click.echo(
            speak(
                "已交付而未确认的：通道没有回执，或本人还没有签收。",
                "handed over and not known to have arrived: the channel tells nothing, or nobody has signed yet",
            )
        )
    click.echo()
    missing = [one for one in results if not one.handed_over]
    show_table(
        speak("没有发到的", "not delivered"),
        [speak(zh, en) for zh, en in (("人员", "who"), ("单位", "unit"), ("通道", "channel"), ("情况", "state"))],
        [
            (
                at_desk.names.person(one.person),
                at_desk.names.unit(one.unit),
                at_desk.names.channel(one.channel),
                _state(at_desk, one),
            )
            for one in missing
        ],
    )
    times = sorted(one.took for one in results if one.took is not None)
    if times:
        middle, longest = _length(times[len(times) // 2]), _length(times[-1])
        click.echo(
            speak(f"\n用时：一半在 {middle} 内，最长 {longest}。", f"\nhalf within {middle}, the last {longest}")
        )


def _share(total: OfUnit) -> str:
    return speak(
        f"{total.people} 人，已交付 {total.handed_over}，确认送达 {total.arrived}，已签收 {total.acknowledged}",
        f"{total.people} people: {total.handed_over} handed over, {total.arrived} arrived, "
        f"{total.acknowledged} acknowledged",
    )


def _state(at_desk: Desk, one: Result) -> str:
    from daemon.cli.reading import state_word  # noqa: PLC0415 - loads the database library

    word = state_word(one.state)
    return f"{word} {at_desk.names.error(one.error)}" if one.error else word


def _length(took: timedelta) -> str:
    minutes, seconds = divmod(round(took.total_seconds()), 60)
    return speak(f"{minutes} 分 {seconds} 秒", f"{minutes} min {seconds} s") if minutes else speak(
        f"{seconds} 秒", f"{seconds} s"
    )  # fmt: skip


def _csv(at_desk: Desk, results: Sequence[Result]) -> str:
    """One line a message, for a spreadsheet; no address."""
    buffer = io.StringIO(newline="")
    rows = csv.writer(buffer)
    headings = (
        ("人员编号", "person"), ("姓名", "name"), ("单位", "unit"), ("通道", "channel"), ("状态", "state"),
        ("原因", "why"), ("送达", "delivered"), ("已读", "read"), ("签收", "acknowledged"), ("用时（秒）", "seconds"),
    )  # fmt: skip
    rows.writerow([speak(zh, en) for zh, en in headings])
    for one in results:
        rows.writerow(
            [
                one.person,
                at_desk.names.person(one.person),
                at_desk.names.unit(one.unit),
                one.channel,
                one.state.value,
                one.error,
                *(_instant(at_desk, at) for at in (one.delivered_at, one.read_at, one.acknowledged_at)),
                "" if one.took is None else round(one.took.total_seconds()),
            ]
        )
    return buffer.getvalue()


def _instant(at_desk: Desk, at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(at_desk.configuration.zone):%Y-%m-%d %H:%M:%S}"


@drill.command("list")
@config_option
@json_option
@no_traceback
def list_(config_path: str, *, as_json: bool) -> None:
    """列出各次演练 / all drills."""
    from daemon.cli.reading import desk, show_table  # noqa: PLC0415 - loads the database library
    from daemon.drill import every  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        found = every(at_desk.store)
        if as_json:
            click.echo(to_json([one.body() for one in found]))
            return
        headings = (
            ("编号", "id"), ("时间", "at"), ("组织", "by"), ("事由", "why"), ("人数", "people"), ("条数", "messages"),
            ("停止", "stopped"),
        )  # fmt: skip
        show_table(
            speak("演练", "drills"),
            [speak(zh, en) for zh, en in headings],
            [
                (
                    one.id,
                    at_desk.local(one.at),
                    one.by,
                    one.reason,
                    one.people,
                    one.messages,
                    at_desk.local(one.stopped_at),
                )
                for one in found
            ],
            speak("还没有演练过", "none so far"),
            whole=(0, 1),
            right=(4, 5),
        )


@drill.command()
@click.argument("drill_id", metavar="ID")
@by_option
@config_option
@json_option
@no_traceback
def stop(drill_id: str, by: str | None, config_path: str, *, as_json: bool) -> None:
    """停止一次演练：还没有发出的取消 / cancel what has not gone out."""
    from daemon import drill as drills  # noqa: PLC0415 - loads the database library
    from daemon.cli.reading import desk  # noqa: PLC0415 - the same
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        try:
            found = drills.find(at_desk.store, drill_id)
        except drills.NoDrill as nothing:
            _refuse(nothing)
        cancelled = drills.stop(at_desk.store, found, by or getpass.getuser(), SystemClock().now())
        if as_json:
            click.echo(to_json({"id": drill_id, "cancelled": cancelled}))
        else:
            click.echo(speak(f"已停止，取消 {cancelled} 条。", f"stopped; {cancelled} cancelled"))
