"""`duban status`: how things stand, from the store alone."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.cli.reading import Desk
    from daemon.medium import Budget
    from daemon.names import Names
    from daemon.store import Store
    from daemon.store.values import Audit, JobBeat, SetAside, Standing

GRACE = timedelta(minutes=5)
WOKEN_WITHIN = timedelta(days=7)
SILENT_FOR = timedelta(seconds=30)  # a worker that has not been heard of for so long counts as dead
READINGS = frozenset({"sync", "full_sync"})
SHOWN_ROWS = 10
TOLD_WITHIN = timedelta(minutes=10)  # what a node said of its providers longer ago says nothing any more
PROVIDER_STATES = {
    "closed": ("正常", "works"),
    "open": ("暂停使用", "left alone"),
    "trial": ("试发一条", "being tried"),
}
OBLIGATIONS = {
    "open": ("在办", "open"),
    "paused": ("中止", "paused"),
    "done": ("办结", "done"),
    "withdrawn": ("撤销", "withdrawn"),
}
LIGHTS = ("green", "yellow", "orange", "red")
JOBS = {
    "heartbeat": ("心跳", "heartbeat"),
    "follow": ("跟随生效策略", "follow the policies in force"),
    "sync": ("读取变化", "read changes"),
    "full_sync": ("全部重读", "read everything"),
    "tick": ("判断到期", "decide"),
    "pump": ("发送", "send"),
    "collect": ("收取退信和回执", "fetch receipts"),
    "take_in": ("登记回执和回复", "take over what came back"),
    "audit": ("核查无遗漏", "audit"),
    "bury": ("清理失联进程", "bury dead workers"),
    "seal": ("封存台账", "seal the ledger"),
    "reach": ("夜间核对通知对象", "who can be reached"),
}
# What a delivery's states come to for a channel as a whole.
CHANNEL_COLUMNS = (
    ("等待", "waiting", ("pending", "sending", "retrying")),
    ("存疑", "in doubt", ("in_doubt",)),
    ("失败", "failed", ("failed",)),
    ("已发", "sent", ("accepted", "delivered")),
    ("取消", "cancelled", ("cancelled",)),
    ("待核发", "held", ("held",)),
    ("试运行", "dark", ("dark",)),
)


@dataclass(frozen=True)
class Found:
    """Everything one look at the store came to."""

    now: datetime
    audit: Audit
    counts: Mapping[str, Mapping[str, int]]
    standing: Standing
    beats: list[JobBeat]
    aside: list[SetAside]
    directory_read_at: datetime | None
    stops: int  # how often somebody stopped a channel
    woken: int  # messages of the last seven days that passed quiet hours on a basis
    spent: Mapping[str, tuple[int, int, int]]  # channel -> messages, parts, most to one person, of the last 24 hours
    policy_version: str  # in force; before the first start that of the files
    providers: list[dict[str, object]]  # behind shared channels, as each node that runs sees them

    @property
    def whole(self) -> bool:
        """Whether no open obligation is forgotten."""
        return not (self.audit.unaccounted or self.audit.overdue_checks)

    @property
    def running(self) -> list[tuple[str, int, datetime]]:
        """(node, pid, last heartbeat) of every worker that was heard of a moment ago."""
        return [worker for worker in self.standing.workers if self.now - worker[2] <= SILENT_FOR]

    @property
    def heard_at(self) -> datetime | None:
        """The last sign of life of any worker."""
        signs = [beat.last_ok_at for beat in self.beats if beat.last_ok_at is not None]
        return max(signs + [at for _, _, at in self.standing.workers], default=None)

    @property
    def source_read_at(self) -> datetime | None:
        """When the shared database was last read to the end; before any such job, when a case was last taken."""
        good = [beat.last_ok_at for beat in self.beats if beat.job in READINGS and beat.last_ok_at is not None]
        return max(good, default=self.standing.case_read_at)


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
        found = _look(at_desk, SystemClock().now())
        if as_json:
            click.echo(to_json(_as_json(found) | {"spending": _spending(at_desk, found)}))
        else:
            _show(at_desk, found, config_path)
    if not found.whole:
        sys.exit(EXIT_FOUND)


def _look(at_desk: Desk, now: datetime) -> Found:
    from daemon.store.versions import in_force  # noqa: PLC0415 - loads the database library

    store = at_desk.store
    remembered = store.directory()
    current = in_force(store.policy_versions(), now)
    return Found(
        now,
        store.audit(now, GRACE),
        store.counts(),
        store.standing(),
        store.beats(),
        store.rows_set_aside(),
        remembered[1] if remembered else None,
        len(store.stops()),
        store.woken_since(now - WOKEN_WITHIN),
        store.spent(now),
        current.version if current else at_desk.configuration.version,
        _providers(at_desk.store, now),
    )


def _providers(store: Store, now: datetime) -> list[dict[str, object]]:
    from daemon.providers import PROVIDERS  # noqa: PLC0415 - loads the database library

    return [
        {"node": name.removeprefix(PROVIDERS), "channel": channel, "provider": provider, **stands, "told_at": report.at}
        for name, report in store.reports_named(PROVIDERS).items()
        if now - report.at <= TOLD_WITHIN
        for channel, providers in report.body.items()
        for provider, stands in providers.items()
    ]


# --- for machines ------------------------------------------------------------------------------------------


def _as_json(found: Found) -> dict[str, object]:
    audit, standing = found.audit, found.standing
    return {
        "ok": found.whole,
        "policy_version": found.policy_version,
        "running": [{"node": node, "pid": pid, "heard_at": at} for node, pid, at in found.running],
        "audit": {
            "open": audit.open,
            "unaccounted": audit.unaccounted,
            "overdue_checks": audit.overdue_checks,
            "oldest_check_at": audit.oldest_check_at,
            "pending": audit.pending,
            "in_doubt": audit.in_doubt,
            "oldest_pending_at": audit.oldest_pending_at,
            "held": audit.held,
            "oldest_held_at": audit.oldest_held_at,
            "held_too_long": audit.held_too_long,
        },
        "counts": {name: dict(numbers) for name, numbers in found.counts.items()},
        "channels": {name: dict(states) for name, states in standing.channels.items()},
        "providers": found.providers,
        "inbox": standing.inbox,
        "provisional": standing.provisional,
        "stops": found.stops,
        "woken": found.woken,
        "source_read_at": found.source_read_at,
        "directory_read_at": found.directory_read_at,
        "ledger": {"sealed_at": standing.sealed_at, "unsealed": standing.unsealed},
        "jobs": [
            {
                "job": beat.job,
                "node": beat.node,
                "last_ok_at": beat.last_ok_at,
                "last_error": beat.last_error,
                "last_error_at": beat.last_error_at,
            }
            for beat in found.beats
        ],
        "set_aside": [{"entity": row.entity, "row": row.row, "reason": row.reason} for row in found.aside],
    }


# --- for people --------------------------------------------------------------------------------------------


def _show(at_desk: Desk, found: Found, config_path: str) -> None:
    from daemon.cli.reading import console, show_pairs, show_table  # noqa: PLC0415 - loads the database library

    console().print(_verdict(found), soft_wrap=True)
    show_pairs(_summary(at_desk, found))
    click.echo()
    show_table(
        speak("消息", "messages"),
        [speak("通道", "channel"), *(speak(zh, en) for zh, en, _ in CHANNEL_COLUMNS)],
        [
            (
                at_desk.names.channel(name),
                *(sum(states.get(state, 0) for state in own) for _, _, own in CHANNEL_COLUMNS),
            )
            for name, states in sorted(found.standing.channels.items())
        ],
        right=range(1, len(CHANNEL_COLUMNS) + 1),
    )
    _show_providers(at_desk, found.providers)
    _show_spent(at_desk, found)
    click.echo()
    nodes = len({beat.node for beat in found.beats})  # one alone need not be named
    show_table(
        speak("定时任务", "jobs"),
        (speak("任务", "job"), speak("最近成功", "last good run"), speak("现在的错误", "error")),
        [
            (
                _word(JOBS, beat.job) + (f"\n{beat.node}" if nodes > 1 else ""),
                _with_age(at_desk, beat.last_ok_at, found.now),
                _present_error(beat) or "—",
            )
            for beat in found.beats
        ],
        speak("守护进程还没有运行过", "the daemon has not run yet"),
        whole=(1,),
    )
    _show_rows_set_aside(at_desk, found.aside, config_path)


def _show_providers(at_desk: Desk, providers: Sequence[Mapping[str, object]]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    if not providers:
        return
    nodes = len({one["node"] for one in providers})
    click.echo()
    show_table(
        speak("分担的服务商", "providers that share a channel"),
        (
            speak("通道", "channel"), speak("服务商", "provider"), speak("权重", "weight"), speak("情况", "state"),
            speak("自", "since"), speak("原因", "why"),
        ),
        [
            (
                str(one["channel"]) + (f"\n{one['node']}" if nodes > 1 else ""),
                one["provider"],
                one["weight"],
                _word(PROVIDER_STATES, str(one["state"])),
                "—" if one["since"] is None else at_desk.local(datetime.fromisoformat(str(one["since"]))),
                one["why"] or "—",
            )
            for one in providers
        ],
        right=(2,),
    )  # fmt: skip


def _show_spent(at_desk: Desk, found: Found) -> None:
    """What the last 24 hours took of each budget."""
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    budgets = _budgets(at_desk)
    if not budgets:
        return
    rows: list[tuple[object, ...]] = []
    for channel, budget in budgets.items():
        messages, parts, most = found.spent.get(channel, (0, 0, 0))
        per_person = "" if budget.per_person is None else f" / {budget.per_person}"
        rows.append((at_desk.names.channel(channel), messages, f"{most}{per_person}",
                     parts if budget.total is None else f"{parts} / {budget.total}"))  # fmt: skip
    click.echo()
    show_table(
        speak("预算（最近 24 小时）", "budgets (the last 24 hours)"),
        (
            speak("通道", "channel"),
            speak("已发消息", "messages"),
            speak("一人最多", "most to one person"),
            speak("计费条数", "parts"),
        ),
        rows,
        right=(1, 2, 3),
    )


def _budgets(at_desk: Desk) -> dict[str, Budget]:
    """Of every channel a message really leaves over: what stands for others spends nothing of its own."""
    own = {name: at_desk.configuration.media[name].budget for name in sorted(at_desk.configuration.channel_settings)}
    return {name: budget for name, budget in own.items() if budget is not None}


def _spending(at_desk: Desk, found: Found) -> dict[str, object]:
    told: dict[str, object] = {}
    for channel, budget in _budgets(at_desk).items():
        messages, parts, most = found.spent.get(channel, (0, 0, 0))
        told[channel] = {"messages": messages, "parts": parts, "most_to_one_person": most,
                         "budget": budget.model_dump(exclude_none=True)}  # fmt: skip
    return told


def _summary(at_desk: Desk, found: Found) -> list[tuple[str, str]]:
    audit, standing, names = found.audit, found.standing, at_desk.names
    open_ones = _numbers(OBLIGATIONS, found.counts.get("obligations", {}))
    if standing.provisional:
        open_ones += speak(f"；暂定 {standing.provisional}", f"; provisional {standing.provisional}")
    waiting = speak(f"{audit.pending} 条，存疑 {audit.in_doubt} 条", f"{audit.pending}, in doubt {audit.in_doubt}")
    if audit.oldest_pending_at is not None:
        age = names.ago(audit.oldest_pending_at, found.now)
        waiting += speak(f"；最早一条在 {age}", f"; the oldest from {age}")
    held = str(audit.held)
    if audit.oldest_held_at is not None:
        since = _with_age(at_desk, audit.oldest_held_at, found.now)
        held = speak(f"{audit.held} 条；最早一条自 {since}", f"{audit.held}; the oldest since {since}")
    if audit.held_too_long:
        n = audit.held_too_long
        held += speak(f"；另有 {n} 条已由下一梯级接替，不再发出", f"; {n} more will not go out any more")
    inbox = speak(f"{standing.inbox} 件回执、上行待处理", f"{standing.inbox} receipts and replies wait")
    stopped = speak(f"{found.stops} 人次，见 duban stops list", f"{found.stops}, see duban stops list")
    woken = speak(
        f"最近七天 {found.woken} 条，见 duban outbox list --woken",
        f"{found.woken} in the last seven days, see duban outbox list --woken",
    )
    sealed = _with_age(at_desk, standing.sealed_at, found.now)
    if standing.unsealed:
        sealed += speak(f"；其后 {standing.unsealed} 行未封存", f"; {standing.unsealed} rows since")
    return [
        (speak("守护进程", "daemon"), _daemon(at_desk, found)),
        (speak("共享数据库", "shared database"), _read(at_desk, found)),
        (speak("时限", "limits"), open_ones),
        (speak("在办的灯", "lights"), _lights(at_desk.names, found.counts.get("lights", {}))),
        (speak("待发消息", "to be sent"), waiting),
        *([(speak("待核发", "await release"), held)] if audit.held or audit.held_too_long else []),
        *([(speak("收件箱", "inbox"), inbox)] if standing.inbox else []),
        *([(speak("退订", "stopped"), stopped)] if found.stops else []),
        *([(speak("免打扰时间仍发", "passed quiet hours"), woken)] if found.woken else []),
        (speak("台账封存", "ledger sealed"), sealed),
        (speak("策略版本", "policy version"), found.policy_version[:12]),
    ]


def _daemon(at_desk: Desk, found: Found) -> str:
    names = at_desk.names
    if found.running:
        heard = (
            speak(
                f"{node}（进程 {pid}，心跳 {names.ago(at, found.now)}）",
                f"{node} (process {pid}, heard of {names.ago(at, found.now)})",
            )
            for node, pid, at in found.running
        )
        return speak("在运行：", "running: ") + speak("、", ", ").join(heard)
    if found.heard_at is None:
        return speak("没有在运行", "not running")
    at = _with_age(at_desk, found.heard_at, found.now)
    return speak(f"没有在运行；最近一次活动 {at}", f"not running; last heard of {at}")


def _read(at_desk: Desk, found: Found) -> str:
    if found.source_read_at is None:
        return speak("还没有读取过", "not read yet")
    return speak("最近读取 ", "last read ") + _with_age(at_desk, found.source_read_at, found.now)


def _with_age(at_desk: Desk, at: datetime | None, now: datetime) -> str:
    if at is None:
        return "—"
    age = at_desk.names.ago(at, now)
    return speak(f"{at_desk.local(at)}（{age}）", f"{at_desk.local(at)} ({age})")


def _show_rows_set_aside(at_desk: Desk, aside: Sequence[SetAside], config_path: str) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    names = at_desk.names
    click.echo()
    by_entity = Counter(row.entity for row in aside)
    counted = speak("，", ", ").join(f"{names.entity(entity)} {number}" for entity, number in by_entity.items())
    total = speak(f"（{len(aside)} 行：{counted}）", f" ({len(aside)}: {counted})") if aside else ""
    show_table(
        speak("未能使用的行", "rows set aside") + total,
        (speak("表", "table"), speak("行", "row"), speak("原因", "reason")),
        [(names.entity(row.entity), row.row, row.reason) for row in aside[:SHOWN_ROWS]],
    )
    if aside:
        command = f"duban source check -c {config_path}"
        click.echo(speak(f"全部及各列情况：{command}", f"all of them, column by column: {command}"))


def _verdict(found: Found) -> str:
    audit = found.audit
    if found.whole:
        return speak(
            f"✓ 正常：{audit.open} 项在办时限都有下一步或写明了原因。",
            f"✓ all well: each of {audit.open} open obligations has a next step or a stated reason",
        )
    found_zh, found_en = list[str](), list[str]()
    if audit.unaccounted:
        found_zh.append(f"{audit.unaccounted} 项在办时限没有下一步也没有原因")
        found_en.append(f"{audit.unaccounted} open obligations have neither next step nor reason")
    if audit.overdue_checks:
        found_zh.append(f"{audit.overdue_checks} 项早该检查而未检查")
        found_en.append(f"{audit.overdue_checks} should have been looked at long ago")
    return speak(f"✗ 异常：{'，'.join(found_zh)}。", f"✗ not well: {'; '.join(found_en)}")


def _present_error(beat: JobBeat) -> str:
    """The last error, unless a good run came after it."""
    over = beat.last_ok_at is not None and beat.last_error_at is not None and beat.last_ok_at > beat.last_error_at
    return "" if over else beat.last_error


def _lights(names: Names, counted: Mapping[str, int]) -> str:
    """`绿灯 139，黄灯 8`, from green to red."""
    shown = [f"{names.light(light)} {counted[light]}" for light in LIGHTS if counted.get(light)]
    return speak("，", ", ").join(shown) or "0"


def _numbers(words: Mapping[str, tuple[str, str]], counted: Mapping[str, int]) -> str:
    """`绿灯 139，黄灯 8`, in the order of the table."""
    shown = [f"{speak(*word)} {counted[key]}" for key, word in words.items() if counted.get(key)]
    return speak("，", ", ").join(shown) or "0"


def _word(words: Mapping[str, tuple[str, str]], key: str) -> str:
    return speak(*words[key]) if key in words else key
