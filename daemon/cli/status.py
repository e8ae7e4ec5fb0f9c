"""`duban status`: how things stand, from the store alone."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from daemon.cli.reading import Desk
    from daemon.store.values import Audit, JobBeat, SetAside

GRACE = timedelta(minutes=5)
WORDS = {
    "open": ("在办", "open"),
    "paused": ("中止", "paused"),
    "done": ("办结", "done"),
    "withdrawn": ("撤销", "withdrawn"),
    "green": ("绿灯", "green"),
    "yellow": ("黄灯", "yellow"),
    "orange": ("橙灯", "orange"),
    "red": ("红灯", "red"),
}


TITLES = {
    "obligations": ("时限", "obligations"),
    "lights": ("在办时限的灯", "lights of open obligations"),
    "deliveries": ("投递状态", "deliveries by state"),
    "channels": ("投递通道", "deliveries by channel"),
}


@click.command()
@config_option
@json_option
@no_traceback
def status(config_path: str, *, as_json: bool) -> None:
    """看现在的情况；有在办时限没有下一步时，退出码为 1。

    How things stand; exit code 1 when an open obligation has no next step, or one that is long past.
    """
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        now = SystemClock().now()
        audit = at_desk.store.audit(now, GRACE)
        counts = at_desk.store.counts()
        beats, aside = at_desk.store.beats(), at_desk.store.rows_set_aside()
        remembered = at_desk.store.directory()
        read_at = remembered[1] if remembered else None
        whole = not (audit.unaccounted or audit.overdue_checks)
        if as_json:
            click.echo(to_json(_as_json(at_desk, audit, counts, beats, aside, read_at, whole=whole)))
        else:
            _show(at_desk, audit, counts, beats, aside, read_at, whole=whole)
    if not whole:
        sys.exit(EXIT_FOUND)


def _as_json(
    at_desk: Desk,
    audit: Audit,
    counts: Mapping[str, Mapping[str, int]],
    beats: list[JobBeat],
    aside: list[SetAside],
    read_at: datetime | None,
    *,
    whole: bool,
) -> dict[str, object]:
    return {
        "ok": whole,
        "policy_version": at_desk.configuration.version,
        "audit": {
            "open": audit.open,
            "unaccounted": audit.unaccounted,
            "overdue_checks": audit.overdue_checks,
            "oldest_check_at": audit.oldest_check_at,
            "pending": audit.pending,
            "in_doubt": audit.in_doubt,
            "oldest_pending_at": audit.oldest_pending_at,
        },
        "counts": {name: dict(numbers) for name, numbers in counts.items()},
        "source_read_at": read_at,
        "jobs": [
            {
                "job": beat.job,
                "node": beat.node,
                "last_ok_at": beat.last_ok_at,
                "last_error": beat.last_error,
                "last_error_at": beat.last_error_at,
            }
            for beat in beats
        ],
        "set_aside": [{"entity": row.entity, "row": row.row, "reason": row.reason} for row in aside],
    }


def _show(
    at_desk: Desk,
    audit: Audit,
    counts: Mapping[str, Mapping[str, int]],
    beats: list[JobBeat],
    aside: list[SetAside],
    read_at: datetime | None,
    *,
    whole: bool,
) -> None:
    from daemon.cli.reading import console, show_table  # noqa: PLC0415 - loads the database library

    screen = console()
    screen.print(_verdict(audit, whole=whole))
    screen.print(
        speak(
            f"策略版本 {at_desk.configuration.version[:12]}；共享数据库最近读取于 {at_desk.local(read_at)}",
            f"policy version {at_desk.configuration.version[:12]}; shared database last read {at_desk.local(read_at)}",
        )
    )
    show_table(
        speak("数量", "numbers"),
        (speak("什么", "what"), speak("多少", "how many")),
        [(speak(*title), _numbers(counts.get(name, {}))) for name, title in TITLES.items()],
    )
    show_table(
        speak("定时任务", "jobs"),
        (speak("任务", "job"), speak("节点", "node"), speak("最近成功", "last good run"), speak("现在的错误", "error")),
        [(beat.job, beat.node, at_desk.local(beat.last_ok_at), _present_error(beat) or "—") for beat in beats],
        speak("守护进程还没有运行过", "the daemon has not run yet"),
    )
    show_table(
        speak("未能使用的行", "rows set aside"),
        (speak("表", "entity"), speak("行", "row"), speak("原因", "reason")),
        [(row.entity, row.row, row.reason) for row in aside],
    )


def _verdict(audit: Audit, *, whole: bool) -> str:
    if whole:
        return speak(
            f"正常：{audit.open} 项在办时限都有下一步或写明了原因；待发 {audit.pending} 条，存疑 {audit.in_doubt} 条。",
            f"all well: each of {audit.open} open obligations has a next step or a stated reason;"
            f" {audit.pending} to send, {audit.in_doubt} in doubt",
        )
    return speak(
        f"异常：{audit.unaccounted} 项在办时限没有下一步也没有原因，{audit.overdue_checks} 项早该检查而未检查。"
        "请确认守护进程在运行。",
        f"not well: {audit.unaccounted} open obligations have neither next step nor reason, {audit.overdue_checks}"
        " should have been looked at long ago; is the daemon running?",
    )


def _present_error(beat: JobBeat) -> str:
    """The last error, unless a good run came after it."""
    over = beat.last_ok_at is not None and beat.last_error_at is not None and beat.last_ok_at > beat.last_error_at
    return "" if over else beat.last_error


def _numbers(counted: Mapping[str, int]) -> str:
    return speak("，", ", ").join(f"{_word(key)} {number}" for key, number in counted.items()) or "0"


def _word(key: str) -> str:
    from daemon.cli.reading import STATES  # noqa: PLC0415 - loads the database library

    states = {state.value: words for state, words in STATES.items()}
    found = WORDS.get(key) or states.get(key)
    return speak(*found) if found else key
