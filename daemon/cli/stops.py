"""`duban stops`: who wants no more messages over a channel (退订); lift a stop, with name and reason in the ledger."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, speak, to_json

if TYPE_CHECKING:
    from daemon.cli.reading import Desk
    from daemon.store.values import Stop

HOW = {"reply": ("本人回复", "his own reply"), "carrier": ("运营商通知", "the carrier"), "console": ("人工", "by hand")}


def _said(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Refuse a blank: the ledger would name nobody, or no reason."""
    if not value.strip():
        raise click.BadParameter(speak("不能为空", "must not be blank"))
    return value


@click.group()
def stops() -> None:
    """退订：列出、解除 / who stopped a channel: list, lift."""


@stops.command("list")
@config_option
@json_option
@no_traceback
def list_stops(config_path: str, *, as_json: bool) -> None:
    """列出谁退订了哪个通道、何时、怎样退订；他的消息改走其他通道，或转报上级。

    Who stopped which channel, when and how. His messages go over his other channels, or to the next person up.
    """
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library

    with desk(config_path) as at_desk:
        found = at_desk.store.stops()
        if as_json:
            click.echo(to_json([_as_json(one) for one in found]))
        else:
            _show(at_desk, found)


@stops.command()
@click.argument("person", metavar="PERSON")
@click.argument("channel", metavar="CHANNEL")
@click.option("--by", required=True, callback=_said, help="经办人，记入责任台账 / who lifts it, for the ledger")
@click.option("--reason", required=True, callback=_said, help="理由，记入责任台账 / why, for the ledger")
@config_option
@json_option
@no_traceback
def lift(person: str, channel: str, by: str, reason: str, config_path: str, *, as_json: bool) -> None:
    """解除退订：须经本人同意；运营商登记的退订还要本人回复“恢复”（START）。没有退订的，退出码为 1。

    Let messages go out to that person over that channel again, which needs his consent; what his carrier keeps he has
    to end himself by replying START. Exit code 1 when nothing was stopped.
    """
    from daemon.cli.acknowledge import key_of  # noqa: PLC0415 - loads the database library
    from daemon.cli.reading import desk  # noqa: PLC0415 - the same
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        stopped_by = {one.person for one in at_desk.store.stops()}
        key = person if person in stopped_by else key_of(at_desk.directory.officials, person, "PERSON")
        lifted = at_desk.store.lift_stop(channel, key, "console", SystemClock().now(), by=by, reason=reason)
    if as_json:
        click.echo(to_json({"person": key, "channel": channel, "lifted": lifted}))
    elif lifted:
        click.echo(speak("已解除退订，消息重新发送。", "lifted; messages go out again"))
    else:
        click.echo(speak("此人没有退订这个通道。", "this person did not stop that channel"), err=True)
    if not lifted:
        sys.exit(EXIT_FOUND)


def _as_json(one: Stop) -> dict[str, object]:
    return {"person": one.person, "channel": one.channel, "since_at": one.since_at, "how": one.how}


def _show(at_desk: Desk, found: list[Stop]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    headings = (("人员", "who"), ("通道", "channel"), ("自", "since"), ("方式", "how"))
    show_table(
        speak("退订", "stopped"),
        [speak(zh, en) for zh, en in headings],
        [
            (
                at_desk.names.person(one.person),
                at_desk.names.channel(one.channel),
                at_desk.local(one.since_at),
                speak(*HOW.get(one.how, (one.how, one.how))),
            )
            for one in found
        ],
    )
