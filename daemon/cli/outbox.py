"""`duban outbox`: list what is to be sent or was, send again, cancel, release, refuse; who did stands in the ledger."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING
from urllib.parse import unquote

import click

from daemon.cli.output import EXIT_FOUND, LARGEST, config_option, json_option, no_traceback, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from daemon.cli.reading import Desk
    from daemon.names import Names
    from daemon.store import Store
    from daemon.store.values import Delivery

STATE_NAMES = (
    "pending", "sending", "retrying", "in_doubt", "accepted", "delivered", "failed", "cancelled", "held", "dark",
)  # fmt: skip


def _said(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Refuse a blank: the ledger would name nobody, or no reason."""
    if not value.strip():
        raise click.BadParameter(speak("不能为空", "must not be blank"))
    return value


reason_option = click.option("--reason", required=True, callback=_said, help="理由，记入责任台账 / why, for the ledger")
by_option = click.option(
    "--by", required=True, callback=_said, help="核发人，记入责任台账 / who decides, for the ledger"
)
keys_argument = click.argument("notices", nargs=-1, required=True, metavar="NUMBER…")


@click.group()
def outbox() -> None:
    """待发箱：列出、重发、取消、核发 / the outbox: list, send again, cancel, release."""


@outbox.command("list")
@config_option
@json_option
@click.option("--state", "states", multiple=True, type=click.Choice(STATE_NAMES), help="只看这些状态 / only these")
@click.option("--case", "case_key", help="只看这个案件 / only this case")
@click.option("--woken", is_flag=True, help="只看不受免打扰限制发出的 / only what passed quiet hours")
@click.option("--keys", "with_keys", is_flag=True, help="只列编号和通知全名 / numbers and notice keys only")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="最多 / at most")
@no_traceback
def list_deliveries(
    config_path: str,
    states: tuple[str, ...],
    case_key: str | None,
    limit: int,
    *,
    woken: bool,
    with_keys: bool,
    as_json: bool,
) -> None:
    """列出投递；编号可用于 retry、cancel / list deliveries; retry and cancel take the numbers."""
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same
    from daemon.store.values import DeliveryState  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        wanted = [DeliveryState(state) for state in states] or None
        found = at_desk.store.deliveries(states=wanted, case_key=case_key, limit=limit, woken=woken)
        if as_json:
            click.echo(to_json([_as_json(delivery) for delivery in found]))
            return
        if with_keys:
            for delivery in found:
                click.echo(f"{delivery.id}\t{delivery.notice.key}")
            return
        _show(at_desk, found, SystemClock().now())
        if len(found) == limit:
            click.echo(speak(f"只列前 {limit} 条，--limit 可改。", f"the first {limit} only; see --limit"))


def _show(at_desk: Desk, found: Sequence[Delivery], now: datetime) -> None:
    """A line or two for each: what, to whom, how it stands."""
    from daemon.cli.reading import show_table, state_word  # noqa: PLC0415 - loads the database library

    names = at_desk.names
    headings = (
        ("编号", "no"), ("时间", "decided"), ("案件与梯级", "case and step"), ("收件人", "to"), ("状态", "state"),
        ("次数", "tries"),
    )  # fmt: skip
    show_table(
        speak("待发箱", "outbox"),
        [speak(zh, en) for zh, en in headings],
        [
            (
                delivery.id,
                at_desk.local(delivery.created_at),
                f"{delivery.notice.case_key}\n{_what(names, delivery)}",
                f"{names.person(delivery.notice.person)}\n{names.over(delivery)}",
                _standing(names, delivery, state_word(delivery.state), now),
                delivery.attempts,
            )
            for delivery in found
        ],
        whole=(0, 1),
        right=(0, 5),
    )


def _standing(names: Names, delivery: Delivery, state: str, now: datetime) -> str:
    """The state, the error in words, and its code, each on a line of its own."""
    code = delivery.error
    words = names.problem(delivery)
    told = words.removesuffix(f"（{code}）").removesuffix(f" ({code})") if code else ""
    return "\n".join(filter(None, (state, told, code if told != words else "", *_manner(names, delivery, now))))


def _manner(names: Names, delivery: Delivery, now: datetime) -> Iterator[str]:
    """What is out of the ordinary about how it goes out, and what came back."""
    notice, state = delivery.notice, delivery.state.value
    if delivery.held_too_long(now):
        yield speak("不再发出（下一梯级已接替）", "will not go out any more (the next step took over)")
        return
    if notice.hold_until is not None and state in {"pending", "held"} and not delivery.attempts:
        until = names.instant(notice.hold_until)
        why = speak("待汇总", "for the digest") if notice.digest else speak("免打扰", "quiet hours")
        yield speak(f"{until} 以后发（{why}）", f"held until {until} ({why})")
    if notice.may_wake:
        yield speak(f"不受免打扰限制：{notice.may_wake}", f"passes quiet hours: {notice.may_wake}")
    for at, zh, en in (
        (delivery.receipt_due_at, "等回执至", "waits for a receipt until"),
        (delivery.delivered_at, "送达", "delivered"),
        (delivery.read_at, "已读", "read"),
        (delivery.acknowledged_at, "签收", "acknowledged"),
    ):
        if at is not None:
            yield speak(f"{zh} {names.instant(at)}", f"{en} {names.instant(at)}")


def _what(names: Names, delivery: Delivery) -> str:
    notice = delivery.notice
    title, copied = names.limit(notice.policy, notice.limit), speak("（抄送）", " (copy)") if notice.copy else ""
    return f"{title} {names.step_of(notice)}{copied}"


@outbox.command()
@keys_argument
@reason_option
@config_option
@json_option
@no_traceback
def retry(notices: tuple[str, ...], reason: str, config_path: str, *, as_json: bool) -> None:
    """重发失败、取消或存疑的投递，可能已送达的会注明。编号（NUMBER）见 outbox list，也可写通知全名（--keys）。

    Send failed, cancelled or doubtful deliveries again. NUMBER: as `outbox list` shows it, or the whole key (--keys).
    """

    def act(store: Store, found: Sequence[str], now: datetime) -> int:
        return store.retry(found, now)

    _order(config_path, notices, reason, "retry_ordered", act, as_json=as_json)


@outbox.command()
@keys_argument
@reason_option
@config_option
@json_option
@no_traceback
def cancel(notices: tuple[str, ...], reason: str, config_path: str, *, as_json: bool) -> None:
    """取消还没有发出的投递。编号（NUMBER）见 outbox list，也可写通知全名（--keys）。

    Cancel deliveries that have not gone out. NUMBER: as `outbox list` shows it, or the whole key (--keys).
    """

    def act(store: Store, found: Sequence[str], now: datetime) -> int:
        return store.cancel(found, reason, now)

    _order(config_path, notices, reason, "cancel_ordered", act, as_json=as_json)


@outbox.command()
@keys_argument
@by_option
@reason_option
@config_option
@json_option
@no_traceback
def release(notices: tuple[str, ...], by: str, reason: str, config_path: str, *, as_json: bool) -> None:
    """核发：放行须经人工核发的投递，发出前再核对一次。编号（NUMBER）见 outbox list --state held。

    Let notices go out that wait for a release; they are checked once more before that. NUMBER: see `outbox list`.
    Exit code 1 when one cannot be released, with the reason: it does not wait, or the next step has taken over.
    """

    def act(store: Store, found: Sequence[str], now: datetime) -> int:
        return store.release(found, by, reason, now)

    _order(config_path, notices, reason, "", act, _not_to_release, as_json=as_json)


@outbox.command()
@keys_argument
@by_option
@reason_option
@config_option
@json_option
@no_traceback
def refuse(notices: tuple[str, ...], by: str, reason: str, config_path: str, *, as_json: bool) -> None:
    """不予核发：取消须经人工核发的投递。编号（NUMBER）见 outbox list --state held。

    Cancel notices that wait for a release. NUMBER: see `outbox list --state held`.
    """

    def act(store: Store, found: Sequence[str], now: datetime) -> int:
        return store.refuse(found, by, reason, now)

    _order(config_path, notices, reason, "", act, as_json=as_json)


def _not_to_release(names: Names, delivery: Delivery, now: datetime) -> str | None:
    """Why it cannot be released."""
    from daemon.cli.reading import state_word  # noqa: PLC0415 - loads the database library

    expires_at = delivery.notice.expires_at
    if expires_at is not None and delivery.held_too_long(now):
        at = names.instant(expires_at)
        return speak(
            f"下一梯级已于 {at} 接替，不再发出", f"the next step took over at {at}: it will not go out any more"
        )
    if delivery.state.value != "held":
        state = state_word(delivery.state)
        return speak(f"不在待核发（{state}）", f"does not wait for a release ({state})")
    return None


def _order(
    config_path: str,
    notices: tuple[str, ...],
    reason: str,
    kind: str,
    act: Callable[[Store, Sequence[str], datetime], int],
    obstacle: Callable[[Names, Delivery, datetime], str | None] = lambda _names, _delivery, _now: None,
    *,
    as_json: bool,
) -> None:
    """Write the order into the ledger, then carry it out: an order without its effect can be seen, not the reverse.

    Without a `kind` the act writes its own line. What an `obstacle` is told for is left alone.
    """
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same
    from daemon.store.values import Event  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        now, actor = SystemClock().now(), getpass.getuser()
        asked = {name: _find(at_desk, name) for name in notices}
        there = {name: one for name, one in asked.items() if one is not None}
        told = ((name, obstacle(at_desk.names, one, now)) for name, one in there.items())
        left_alone = {name: why for name, why in told if why is not None}
        found = {one.notice.key: one.notice.case_key for name, one in there.items() if name not in left_alone}
        unknown = [name for name, one in asked.items() if one is None]
        if found and kind:
            at_desk.store.append(
                [Event(case, kind, now, {"notice": key, "reason": reason}, actor) for key, case in found.items()]
            )
        done = act(at_desk.store, list(found), now) if found else 0
    if as_json:
        click.echo(
            to_json(
                {
                    "done": done,
                    "asked": len(notices),
                    "unknown": unknown,
                    **({"left_alone": left_alone} if left_alone else {}),
                }
            )
        )
    else:
        for name in unknown:
            click.echo(speak(f"待发箱里没有：{name}", f"not in the outbox: {name}"), err=True)
        for name, why in left_alone.items():
            click.echo(f"{name}: {why}", err=True)
        click.echo(speak(f"已处理 {done} 条，共 {len(notices)} 条。", f"done: {done} of {len(notices)}"))
    if done < len(notices):
        sys.exit(EXIT_FOUND)


def _find(at_desk: Desk, name: str) -> Delivery | None:
    """The delivery of that number or key, or None. A key begins with its case, escaped."""
    if name.isascii() and name.isdigit() and int(name) > LARGEST:
        return None
    if name.isascii() and name.isdigit():
        after = at_desk.store.deliveries(limit=1, after_id=int(name) - 1)
        return next((delivery for delivery in after if delivery.id == int(name)), None)
    mine = at_desk.deliveries(unquote(name.partition("/")[0]))
    return next((delivery for delivery in mine if delivery.notice.key == name), None)


def _as_json(delivery: Delivery) -> dict[str, object]:
    notice = delivery.notice
    return {
        "id": delivery.id,
        "key": notice.key,
        "case": notice.case_key,
        "limit": notice.limit,
        "step": notice.step,
        "person": notice.person,
        "role": notice.role,
        "channel": notice.channel,
        "provider": delivery.provider,
        "say": notice.say,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "created_at": delivery.created_at,
        "not_before_at": delivery.not_before_at,
        "error": delivery.error,
        "reference": delivery.reference,
        "possible_duplicate": delivery.possible_duplicate,
        "hold_until": notice.hold_until,
        "may_wake": notice.may_wake,
        "digest": notice.digest,
        "receipt_due_at": delivery.receipt_due_at,
        "delivered_at": delivery.delivered_at,
        "read_at": delivery.read_at,
        "acknowledged_at": delivery.acknowledged_at,
        "policy_version": delivery.policy_version,
    }
