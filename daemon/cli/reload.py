"""`duban reload`: ask the running daemons, through the store, to read their configuration again; wait for answers."""

from __future__ import annotations

import getpass
import json
import sys
import time
from typing import TYPE_CHECKING, cast

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, language, no_traceback, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Collection

    from daemon.store import Store

LOOK_EVERY = 0.3  # seconds


@click.command()
@click.option("--timeout", type=click.FloatRange(1, 600), default=30, show_default=True, help="最多等几秒 / seconds")
@config_option
@json_option
@no_traceback
def reload(config_path: str, timeout: float, *, as_json: bool) -> None:
    """让运行中的守护进程重新读取配置，并等待结果 / let the running daemons read their configuration again.

    经自有数据库传达，不需要权限，对所有节点和容器有效。退出码 1：有节点拒绝或没有回答。

    Through the store: no privilege needed, reaches every node and container. Exit code 1: a node refused or is silent.
    """
    from daemon.cli.reading import desk_of_store  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same
    from daemon.process import RELOAD_WANTED  # noqa: PLC0415 - the same
    from daemon.wiring import SILENT_FOR  # noqa: PLC0415 - the same

    with desk_of_store(config_path) as store:
        now = SystemClock().now()
        alive = [pid for _, pid, beat in store.standing().workers if now - beat <= SILENT_FOR]
        epochs = [epoch for epoch, _, pid in store.workers_alive() if pid in alive]
        if not epochs:
            click.echo(speak("没有守护进程在运行。", "no daemon is running"), err=True)
            sys.exit(EXIT_FOUND)
        wish = json.dumps({"at": now.isoformat(), "by": getpass.getuser()})
        store.set_bookmark(RELOAD_WANTED, wish)
        answers = _answers(store, wish, epochs, timeout)
    silent = len(epochs) - len(answers)
    if as_json:
        click.echo(to_json({"ok": _fine(answers, silent), "silent": silent, "nodes": answers}))
    else:
        _show(answers, silent)
    if not _fine(answers, silent):
        sys.exit(EXIT_FOUND)


def _fine(answers: list[dict[str, object]], silent: int) -> bool:
    return not silent and not any(answer["refused"] for answer in answers)


def _answers(store: Store, wish: str, epochs: Collection[int], patience: float) -> list[dict[str, object]]:
    """What each worker answered to this wish, waiting for those that have not."""
    from daemon.process import RELOAD_ANSWER  # noqa: PLC0415 - loads the database library

    end = time.monotonic() + patience
    found: dict[int, dict[str, object]] = {}
    while len(found) < len(epochs):
        for epoch in epochs:
            written = store.bookmark(f"{RELOAD_ANSWER}{epoch}")
            answer = cast("dict[str, object]", json.loads(written)) if written else {}
            if answer.pop("wish", None) == wish:
                found[epoch] = answer
        if time.monotonic() >= end:
            break
        time.sleep(LOOK_EVERY if len(found) < len(epochs) else 0)
    for epoch in found:
        store.forget(f"{RELOAD_ANSWER}{epoch}")
    return list(found.values())


def _show(answers: list[dict[str, object]], silent: int) -> None:
    from daemon.policy_release import WORDS, Taken  # noqa: PLC0415 - loads templates

    for answer in answers:
        refused = cast("dict[str, str] | None", answer["refused"])
        if refused:
            told = speak(f"拒绝：{refused['zh']}", f"refused: {refused['en']}")
        else:
            words = WORDS[Taken(str(answer["policies"]))].say(language())
            told = speak(
                f"已载入；{words}（{str(answer['version'])[:12]}）", f"taken; {words} ({str(answer['version'])[:12]})"
            )
        click.echo(f"{answer['node']}{speak('：', ': ')}{told}")
    if silent:
        click.echo(speak(f"{silent} 个节点没有回答。", f"{silent} nodes did not answer"), err=True)
