"""`duban acknowledge`: take down that an official acknowledged a case (签收), by telephone, on paper or here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from policies.model import Official

HOW = ("console", "phone", "paper")
ANSWERS: Mapping[str, tuple[str, str]] = {
    "acknowledged": ("已记录签收。", "recorded"),
    "late": ("已记录签收；此前已因未按时签收告知他人。", "recorded; others had been told that it was wanting"),
    "already": ("此前已经签收，未作改动。", "was acknowledged before; nothing changed"),
    "not_sent": (
        "该案件的消息还没有发到此人，不算签收；已记录其知悉案件。",
        "nothing about this case has reached him yet: not acknowledged; taken down that he knows of the case",
    ),
    "not_yours": ("没有就该案件给此人发过消息，未作记录。", "nothing about this case was sent to him; not recorded"),
    "closed": ("该案件没有在办时限，未作记录。", "nothing of this case is running; not recorded"),
}
TAKEN = frozenset({"acknowledged", "late", "already"})  # signed for


@click.command()
@click.argument("case_key", metavar="CASE")
@click.option("--by", "official", required=True, help="签收人的编号或姓名 / who acknowledged: key or name")
@click.option(
    "--at",
    "moment",
    type=click.DateTime(("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S")),
    help="签收时间（本单位时区），默认现在 / when, on the office's clock; now if left out",
)
@click.option("--how", type=click.Choice(HOW), default="console", show_default=True, help="方式 / how")
@config_option
@json_option
@no_traceback
def acknowledge(
    case_key: str, official: str, moment: datetime | None, how: str, config_path: str, *, as_json: bool
) -> None:
    """代录签收（电话、纸质或当面）；有关时限马上重新判断。不算签收时退出码为 1。

    Take down an acknowledgement; the case's limits are looked at again at once. Exit code 1 when it does not count.
    """
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        now = SystemClock().now()
        at = now if moment is None else moment.replace(tzinfo=at_desk.configuration.zone)
        if at > now:
            raise click.BadParameter(speak("签收时间还没有到", "that moment is still to come"), param_hint="--at")
        key = key_of(at_desk.directory.officials, official, "--by")
        answer = at_desk.store.acknowledge(case_key, key, at, how, now).value
        if as_json:
            click.echo(to_json({"case": case_key, "official": key, "at": at, "how": how, "answer": answer}))
        else:
            click.echo(speak(*ANSWERS[answer]))
    if answer not in TAKEN:
        sys.exit(EXIT_FOUND)


def key_of(officials: Mapping[str, Official], asked: str, hint: str) -> str:
    """The official of that key, or the only one of that name."""
    if asked in officials:
        return asked
    named = [one.key for one in officials.values() if one.name == asked]
    if len(named) == 1:
        return named[0]
    keys = "、".join(named)
    if named:
        raise click.BadParameter(
            speak(f"有几位“{asked}”，请写编号：{keys}", f"several are called {asked!r}, write the key: {keys}"),
            param_hint=hint,
        )
    raise click.BadParameter(
        speak(f"人员名录里没有“{asked}”", f"nobody in the directory is called {asked!r}"), param_hint=hint
    )
