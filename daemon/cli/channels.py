"""`duban channels`: which kinds of channel there are, what each takes and can do, and how ours are set up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.output import EXIT_FOUND, fail, json_option, no_traceback, say, speak, to_json
from policies.spelling import did_you_mean
from policies.text import Text

if TYPE_CHECKING:
    from daemon.catalogue import Abilities, Setting, Sheet
    from daemon.catalogue.configured import Configured

KINDS = {"sms": Text("手机号", "mobile number"), "email": Text("邮箱", "mail address")}


@click.command("channels")
@click.argument("channel_type", required=False, metavar="[TYPE]")
@click.option(
    "--config",
    "-c",
    "config_path",
    type=click.Path(),
    envvar="DUBAN_CONFIG",
    help="主配置文件：同时列出已配置的通道 / main configuration file: lists the configured channels as well",
)
@json_option
@no_traceback
def channels_command(channel_type: str | None, config_path: str | None, *, as_json: bool) -> None:
    """有哪些通道类型：要写什么、能做什么、从哪里来；写上类型看全部设置，加 -c 看已配置的通道。密码从不显示。

    The types of channels: what each takes, what it can do, where it comes from; name a type for all its settings,
    add -c for the channels that are configured. Secrets are never shown.
    """
    from daemon.catalogue import sheets  # noqa: PLC0415 - loads the settings of every channel
    from daemon.catalogue.configured import configured  # noqa: PLC0415 - the same
    from daemon.settings import load  # noqa: PLC0415 - the same

    found = sheets()
    if channel_type is not None:
        found = [_named(channel_type, found)]
    ours = [] if config_path is None else configured(load(Path(config_path)))
    if channel_type is not None:
        ours = [one for one in ours if one.type == channel_type]
    if as_json:
        types = [_sheet_as_json(sheet) for sheet in found]
        click.echo(
            to_json({"types": types} | ({} if config_path is None else {"channels": [one.as_json for one in ours]}))
        )
    elif channel_type is not None:
        _show_sheet(found[0], ours)
    else:
        _show_types(found)
        if config_path is not None:
            _show_configured(ours)


def _named(name: str, found: list[Sheet]) -> Sheet:
    sheet = next((one for one in found if one.name == name), None)
    if sheet is None:
        known = [one.name for one in found]
        meant = did_you_mean(name, known)
        hint = Text(f"，是不是想写“{meant}”", f"; did you mean “{meant}”") if meant else Text("", "")
        listed = Text(
            f"没有通道类型“{name}”；现有：{'、'.join(known)}", f"no type “{name}”; there are: {', '.join(known)}"
        )
        fail(listed + hint, EXIT_FOUND)
        raise AssertionError("unreachable")
    return sheet


# --- all types ----------------------------------------------------------------------------------------------------


def _show_types(found: list[Sheet]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    headings = (
        ("类型", "type"),
        ("地址", "address"),
        ("可查询", "asked"),
        ("告知送达", "delivery"),
        ("回执", "receipts"),
        ("可回复", "replies"),
        ("来源", "from"),
    )
    show_table(
        speak("通道类型", "types of channels"),
        [speak(zh, en) for zh, en in headings],
        [
            (
                one.name,
                kind_word(one.kind),
                _mark(yes=one.can.asked),
                _mark(yes=one.can.delivery),
                _receipts(one.can),
                _mark(yes=one.can.replies),
                one.origin,
            )
            for one in found
        ],
        whole=(0, 1),
    )
    click.echo(
        speak(
            "\n可查询：结果不明时能问服务商；告知送达：能说明已到本人。全部设置：duban channels 类型",
            "\nasked: the provider can be asked when in doubt; delivery: it can say that a message arrived. "
            "All settings: duban channels TYPE",
        )
    )


def kind_word(kind: str) -> str:
    """Which address it needs, in words."""
    if not kind:
        return speak("随服务商", "as those behind")
    return say(KINDS.get(kind, Text(f"{kind} 账号", f"{kind} id")))


def _mark(*, yes: bool) -> str:
    return speak("是", "yes") if yes else "—"


def _receipts(can: Abilities) -> str:
    ways = [speak("对方推送", "called")] if can.called else []
    ways += [speak("我方收取", "fetched")] if can.collected else []
    return speak("、", ", ").join(ways) or "—"


# --- one type -----------------------------------------------------------------------------------------------------


def _show_sheet(sheet: Sheet, ours: list[Configured]) -> None:
    from daemon.catalogue import settings_of  # noqa: PLC0415 - loads the settings of every channel
    from daemon.cli.reading import show_pairs  # noqa: PLC0415 - loads the database library
    from daemon.medium import Medium  # noqa: PLC0415 - the same

    show_pairs(
        [
            (speak("类型", "type"), sheet.name),
            (speak("说明", "about"), say(sheet.about)),
            (speak("地址", "address"), kind_word(sheet.kind)),
            (speak("可查询", "can be asked"), _mark(yes=sheet.can.asked)),
            (speak("告知送达", "tells delivery"), _mark(yes=sheet.can.delivery)),
            (speak("回执", "receipts"), _receipts(sheet.can)),
            (speak("可回复", "replies"), _mark(yes=sheet.can.replies)),
            (speak("链接", "links"), say(_links(sheet.kind))),
            (speak("来源", "from"), sheet.origin),
        ]
    )
    click.echo()
    _settings_table(speak("设置", "settings"), list(sheet.settings))
    click.echo()
    _settings_table(speak("各通道通用", "of every channel"), list(settings_of(Medium)))
    if ours:
        click.echo()
        _show_configured(ours)


def _links(kind: str) -> Text:
    from daemon.medium import Medium  # noqa: PLC0415 - loads pydantic

    if Medium().takes_links(kind):
        return Text("可带链接", "may hold links")
    return Text("默认不带链接（links: true 才带）", "no links unless links: true")


def _settings_table(title: str, settings: list[Setting]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    show_table(
        title,
        [speak("键", "key"), speak("写什么", "takes"), speak("默认", "default"), speak("含义", "meaning")],
        [
            (
                "  " * (len(one.path) - 1) + one.path[-1],
                say(one.takes),
                speak("必写", "required") if one.default is None else one.default or "—",
                say(one.meaning),
            )
            for one in settings
        ],
        whole=(0,),
    )


def _sheet_as_json(sheet: Sheet) -> dict[str, Any]:
    return {
        "type": sheet.name,
        "kind": sheet.kind,
        "from": sheet.origin,
        "about": {"zh": sheet.about.zh, "en": sheet.about.en},
        "can": {
            "asked": sheet.can.asked,
            "delivery": sheet.can.delivery,
            "called": sheet.can.called,
            "collected": sheet.can.collected,
            "replies": sheet.can.replies,
        },
        "settings": [
            {
                "key": one.name,
                "takes": {"zh": one.takes.zh, "en": one.takes.en},
                "required": one.default is None,
                "default": one.default or None,
                "secret": one.secret,
                "meaning": {"zh": one.meaning.zh, "en": one.meaning.en},
            }
            for one in sheet.settings
        ],
    }


# --- ours ---------------------------------------------------------------------------------------------------------


def _show_configured(ours: list[Configured]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    click.echo()
    headings = (
        ("通道", "channel"),
        ("类型", "type"),
        ("地址", "address"),
        ("情况", "state"),
        ("告知送达", "delivery"),
        ("链接", "links"),
        ("回复", "replies"),
    )
    show_table(
        speak("已配置的通道", "configured channels"),
        [speak(zh, en) for zh, en in headings],
        [
            (
                one.name,
                one.type,
                kind_word(one.kind),
                _state(one),
                _mark(yes=one.tells_delivery),
                _mark(yes=one.links),
                _mark(yes=one.replies),
            )
            for one in ours
        ],
        whole=(0, 1),
    )
    for one in ours:  # outside of the table: an address broken into lines cannot be copied
        if one.callback:
            click.echo(
                speak(f"{one.name} 的回执和回复送到  ", f"receipts and replies of {one.name} go to  ") + one.callback
            )


def _state(one: Configured) -> str:
    """Whether it opens; of a shared one, whose shares it has."""
    shares = [f"{provider} {weight}" for provider, weight in one.weights.items()]
    return say(one.state) + (f"\n{speak('、', ', ').join(shares)}" if shares else "")
