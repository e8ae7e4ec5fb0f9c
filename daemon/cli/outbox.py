"""`duban outbox`: list what is to be sent or was, send again, or cancel; who ordered it stands in the ledger."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING
from urllib.parse import unquote

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from daemon.store import Store
    from daemon.store.values import Delivery

STATE_NAMES = ("pending", "sending", "retrying", "in_doubt", "accepted", "delivered", "failed", "cancelled")
PAGE = 1000

reason_option = click.option("--reason", required=True, help="理由，记入责任台账 / why, for the ledger")
keys_argument = click.argument("keys", nargs=-1, required=True, metavar="KEY…")


@click.group()
def outbox() -> None:
    """待发箱：列出、重发、取消 / the outbox: list, send again, cancel."""


@outbox.command("list")
@config_option
@json_option
@click.option("--state", "states", multiple=True, type=click.Choice(STATE_NAMES), help="只看这些状态 / only these")
@click.option("--case", "case_key", help="只看这个案件 / only this case")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="最多 / at most")
@no_traceback
def list_deliveries(
    config_path: str, states: tuple[str, ...], case_key: str | None, limit: int, *, as_json: bool
) -> None:
    """列出投递 / list deliveries."""
    from daemon.cli.reading import desk, show_table, state_word  # noqa: PLC0415 - loads the database library
    from daemon.store.values import DeliveryState  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        wanted = [DeliveryState(state) for state in states] or None
        found = at_desk.store.deliveries(states=wanted, case_key=case_key, limit=limit)
        if as_json:
            click.echo(to_json([_as_json(delivery) for delivery in found]))
            return
        columns = ("通知编号", "状态", "次数", "收件人", "角色", "时间", "错误")
        english = ("key", "state", "attempts", "person", "role", "decided", "error")
        show_table(
            speak("待发箱", "outbox"),
            [speak(zh, en) for zh, en in zip(columns, english, strict=True)],
            [
                (
                    delivery.notice.key,
                    state_word(delivery.state),
                    delivery.attempts,
                    delivery.notice.person,
                    delivery.notice.role,
                    at_desk.local(delivery.created_at),
                    delivery.error or "—",
                )
                for delivery in found
            ],
        )


@outbox.command()
@keys_argument
@reason_option
@config_option
@json_option
@no_traceback
def retry(keys: tuple[str, ...], reason: str, config_path: str, *, as_json: bool) -> None:
    """重发失败、取消或存疑的投递；可能已送达的会注明 / send failed, cancelled or doubtful deliveries again."""

    def act(store: Store, found: Sequence[str], now: datetime) -> int:
        return store.retry(found, now)

    _order(config_path, keys, reason, "retry_ordered", act, as_json=as_json)


@outbox.command()
@keys_argument
@reason_option
@config_option
@json_option
@no_traceback
def cancel(keys: tuple[str, ...], reason: str, config_path: str, *, as_json: bool) -> None:
    """取消还没有发出的投递 / cancel deliveries that have not gone out."""

    def act(store: Store, found: Sequence[str], now: datetime) -> int:
        return store.cancel(found, reason, now)

    _order(config_path, keys, reason, "cancel_ordered", act, as_json=as_json)


def _order(
    config_path: str,
    keys: tuple[str, ...],
    reason: str,
    kind: str,
    act: Callable[[Store, Sequence[str], datetime], int],
    *,
    as_json: bool,
) -> None:
    """Write the order into the ledger, then carry it out: an order without its effect can be seen, not the reverse."""
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same
    from daemon.store.values import Event  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        now, actor = SystemClock().now(), getpass.getuser()
        found = {key: case for key in keys if (case := _case_of(at_desk.store, key)) is not None}
        unknown = [key for key in keys if key not in found]
        if found:
            at_desk.store.append(
                [Event(case, kind, now, {"notice": key, "reason": reason}, actor) for key, case in found.items()]
            )
        done = act(at_desk.store, list(found), now) if found else 0
    if as_json:
        click.echo(to_json({"done": done, "asked": len(keys), "unknown": unknown}))
    else:
        for key in unknown:
            click.echo(speak(f"没有这个通知编号：{key}", f"no such notice key: {key}"), err=True)
        click.echo(speak(f"已处理 {done} 条，共 {len(keys)} 条。", f"done: {done} of {len(keys)}"))
    if done < len(keys):
        sys.exit(EXIT_FOUND)


def _case_of(store: Store, key: str) -> str | None:
    """The case a notice belongs to, or None if there is no such notice. A key begins with its case, escaped."""
    case_key, after = unquote(key.partition("/")[0]), 0
    while page := store.deliveries(case_key=case_key, limit=PAGE, after_id=after):
        if any(delivery.notice.key == key for delivery in page):
            return case_key
        after = page[-1].id
    return None


def _as_json(delivery: Delivery) -> dict[str, object]:
    notice = delivery.notice
    return {
        "key": notice.key,
        "case": notice.case_key,
        "limit": notice.limit,
        "step": notice.step,
        "person": notice.person,
        "role": notice.role,
        "channel": notice.channel,
        "say": notice.say,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "created_at": delivery.created_at,
        "not_before_at": delivery.not_before_at,
        "error": delivery.error,
        "reference": delivery.reference,
        "possible_duplicate": delivery.possible_duplicate,
        "policy_version": delivery.policy_version,
    }
