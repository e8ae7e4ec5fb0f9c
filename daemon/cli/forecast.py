"""`duban forecast`: how much will be sent, over which channel, at what cost, and what exceeds its budget."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.output import config_option, json_option, language, no_traceback, speak, to_json
from daemon.cli.simulate import Asked, nothing_known, progress, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from daemon.budget import Spending
    from daemon.foresight.lines import Line
    from daemon.foresight.playing import Player
    from daemon.foresight.sending import Figures, Outlook
    from daemon.medium import Medium
    from daemon.names import Names
    from daemon.settings import Configuration
    from daemon.store import Store

PEOPLE_SHOWN = 10
MOST_DAYS = 366


@dataclass(frozen=True)
class Forecast:
    """What is said, and the words for it."""

    outlooks: Mapping[str, Outlook]
    configuration: Configuration
    names: Names
    now: datetime
    begin: datetime
    end: datetime

    def medium(self, channel: str) -> Medium:
        """What that channel lets through, and at what price."""
        from daemon.medium import Medium  # noqa: PLC0415 - keeps `--help` quick

        return self.configuration.media.get(channel, Medium())

    def cost(self, channel: str) -> float | None:
        """In yuan; None where no price is set."""
        price = self.medium(channel).price
        return None if price is None else round(self.outlooks[channel].total.parts * price, 2)


@click.command()
@click.option("--days", default=1, show_default=True, type=click.IntRange(1, MOST_DAYS), help="看几天 / how many days")
@click.option("--from", "begin", type=click.DateTime(), help="从何时起，默认现在 / from when on, otherwise from now on")
@click.option("--by", type=click.Choice(["channel", "hour"]), default="channel", show_default=True,
              help="每个通道一行，还是每小时一行 / a row for each channel, or for each hour")  # fmt: skip
@config_option
@json_option
@no_traceback
def forecast(days: int, begin: datetime | None, by: str, config_path: str, *, as_json: bool) -> None:
    """预测：今后一天（或几天）各通道要发多少条、多少钱、谁超预算、超出的怎么办。

    How much will be sent over each channel, at what cost, whose budget is exceeded and what becomes of what exceeds
    it. From real data and by the daemon's own decisions; nothing is sent.
    """
    found = _forecast(Asked((), None, None, everything=True, begin=begin, end=None, days=days, by="case"), config_path)
    if as_json:
        click.echo(to_json(_as_json(found, hours=by == "hour")))
        return
    for channel, outlook in found.outlooks.items():
        click.echo(_sentence(found, channel, outlook))
    click.echo()
    if by == "hour":
        _print_hours(found)
    else:
        _print_channels(found)
    _print_people(found)


def _forecast(asked: Asked, config_path: str) -> Forecast:
    from daemon.clock import SystemClock  # noqa: PLC0415 - keeps `--help` quick
    from daemon.settings import load  # noqa: PLC0415 - the same

    configuration, now = load(Path(config_path)), SystemClock().now()
    return forecast_of(configuration, Path(config_path), now, *span(asked, now, configuration))


def forecast_of(configuration: Configuration, path: Path, now: datetime, begin: datetime, end: datetime) -> Forecast:
    """What leaves between two instants, as things stand at `now`; `path` is where the configuration lies."""
    from daemon.foresight.playing import Player, Wanted, play  # noqa: PLC0415 - keeps `--help` quick
    from daemon.foresight.readings import open_reading  # noqa: PLC0415 - the same
    from daemon.foresight.sending import outlook  # noqa: PLC0415 - the same
    from daemon.names import Names  # noqa: PLC0415 - the same
    from daemon.store import Store  # noqa: PLC0415 - the same

    fresh = nothing_known(configuration)
    wanted = Wanted(path, now, now, end, fresh=fresh)
    with open_reading(configuration, fresh=fresh) as reading, tempfile.TemporaryDirectory() as folder:
        keys = list(reading.keys())
        with progress(len(keys)) as tell:
            played = play(wanted, configuration, reading, keys, Path(folder), tell)
        directory = reading.directory()
        waiting: list[Line] = []
        spent: Mapping[str, list[Spending]] = {}
        if not fresh:
            store = Store(configuration.settings.store.url)
            try:
                waiting = sorted(_waiting(store, Player(configuration, reading, wanted), now, end))
                spent = store.spendings(now)
            finally:
                store.close()
        messages = _merged(waiting, (line for line in played.lines() if line.kind == "message"))
        messages = _by_provider(messages, configuration)
        outlooks = outlook(messages, configuration.media, _at_least(configuration), spent, now, (begin, end))
    return Forecast(outlooks, configuration, Names(configuration, directory, language()), now, begin, end)


def _merged(first: list[Line], second: Iterator[Line]) -> Iterator[Line]:
    import heapq  # noqa: PLC0415 - keeps `--help` quick

    return heapq.merge(first, second)


def _by_provider(lines: Iterator[Line], configuration: Configuration) -> Iterator[Line]:
    """What goes over a channel that several providers share is each one's by its weight, and counts against his."""
    from daemon.sharing import bucket_of, ranges_of  # noqa: PLC0415 - keeps `--help` quick

    shares = {name: ranges_of(one.providers, one.providers) for name, one in configuration.sharing.items()}
    for line in lines:
        buckets = shares.get(line.channel)
        if buckets is None:
            yield line
        else:
            bucket = bucket_of(line.key)
            provider = next((name for name, some in buckets.items() if bucket in some), line.channel)
            yield line._replace(channel=provider)


def _waiting(store: Store, player: Player, now: datetime, end: datetime) -> Iterator[Line]:
    """What is decided already and has not left."""
    from daemon.store.values import DeliveryState  # noqa: PLC0415 - keeps `--help` quick
    from policies.beforehand.foresight import Told  # noqa: PLC0415 - the same
    from policies.model import Light  # noqa: PLC0415 - the same

    states, after, page = (DeliveryState.PENDING, DeliveryState.RETRYING, DeliveryState.IN_DOUBT), 0, 500
    while found := store.deliveries(states=states, limit=page, after_id=after):
        after = found[-1].id
        for one in found:
            if one.not_before_at <= end:
                light = Light(str(one.notice.facts.get("light") or Light.GREEN.value))
                told = Told(max(now, one.not_before_at), one.notice, light, one.created_at)
                yield player.line_for(told, None)


def _at_least(configuration: Configuration) -> Callable[[str], int]:
    """How many notices make a digest, by policy."""
    policies = configuration.policies.policies

    def least(policy: str) -> int:
        known = policies.get(policy)
        return known.digest.at_least if known is not None and known.digest is not None else 2

    return least


# --- for machines ---------------------------------------------------------------------------------------------


def _as_json(found: Forecast, *, hours: bool) -> dict[str, object]:
    return {
        "from": found.begin,
        "until": found.end,
        "channels": {
            channel: {
                **_figures(outlook.total),
                "cost": found.cost(channel),
                "merged": outlook.merged,
                "put_off": outlook.put_off,
                "refused": outlook.refused,
                "await_release": outlook.awaiting_release,
                "peak": None if (peak := outlook.peak) is None else {"at": peak[0], **_figures(peak[1])},
                "people_over": dict(outlook.people),
                "rules": {rule.value: number for rule, number in outlook.rules.items()},
            }
            | ({"hours": [{"at": at, **_figures(one)} for at, one in outlook.by_hour().items()]} if hours else {})
            for channel, outlook in found.outlooks.items()
        },
    }


def _figures(one: Figures) -> dict[str, int]:
    return {"notices": one.notices, "messages": one.messages, "parts": one.parts, "over_budget": one.over}


# --- for people -----------------------------------------------------------------------------------------------


def _sentence(found: Forecast, channel: str, outlook: Outlook) -> str:
    """`短信：明天09:00 需发 214 条，超预算 31 条：25 条合并发出，4 条推迟，2 条改走其他通道或上报`."""
    name, peak = found.names.channel(channel), outlook.peak
    if peak is None:
        return speak(f"{name}：没有要发的消息", f"{name}: nothing to send")
    at, figures = peak
    when = _when(found, at)
    said = speak(f"{name}：{when} 需发 {figures.notices} 条", f"{name}: {figures.notices} to send {when}")
    budget = found.medium(channel).budget
    if budget is None:
        return said + speak("（没有预算）", " (no budget)")
    if not outlook.total.over:
        return said + speak("，预算够用", ", within the budget")
    whole = "" if outlook.total.over == figures.over else speak(f"，全程 {outlook.total.over} 条", "")
    ends = [
        (outlook.merged, "条合并发出", "leave merged"),
        (outlook.put_off, "条推迟到有余额", "wait for room"),
        (outlook.refused, "条改走其他通道或上报", "go another way or upward"),
    ]
    zh = "，".join(f"{number} {text}" for number, text, _ in ends if number)
    en = ", ".join(f"{number} {text}" for number, _, text in ends if number)
    all_en = f"{figures.over} over the budget ({outlook.total.over} in all)"
    return said + speak(f"，超预算 {figures.over} 条{whole}：{zh}", f", {all_en}: {en}")


def _when(found: Forecast, at: datetime) -> str:
    local, today = at.astimezone(found.configuration.zone), found.now.astimezone(found.configuration.zone).date()
    near = {
        today: speak("今天", "today"),
        today + timedelta(days=1): speak("明天", "tomorrow"),
        today + timedelta(days=2): speak("后天", "the day after tomorrow"),
    }
    day = near.get(local.date(), f"{local:%Y-%m-%d}")
    return speak(f"{day}{local:%H:%M}", f"{day} at {local:%H:%M}")


def _print_channels(found: Forecast) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    names = found.names
    rows: list[tuple[object, ...]] = []
    for channel, outlook in found.outlooks.items():
        total, cost = outlook.total, found.cost(channel)
        price = "—" if cost is None else speak(f"{cost:.2f} 元", f"¥{cost:.2f}")
        rows.append((names.channel(channel), total.notices, total.messages, total.parts, price, total.over,
                     outlook.merged, outlook.put_off, outlook.refused))  # fmt: skip
    headings = [("通道", "channel"), ("通知", "notices"), ("消息", "messages"), ("计费条数", "parts"), ("费用", "cost"),
                ("超预算", "over"), ("合并", "merged"), ("推迟", "put off"), ("改道", "other way")]  # fmt: skip
    time = f"{names.instant(found.begin)} – {names.instant(found.end)}"
    show_table(
        speak(f"发送预测 {time}", f"forecast {time}"),
        [speak(zh, en) for zh, en in headings],
        rows,
        speak("没有要发的消息", "nothing to send"),
        right=range(1, len(headings)),
    )


def _print_hours(found: Forecast) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    hours: dict[datetime, list[tuple[object, ...]]] = {}
    for channel, outlook in found.outlooks.items():
        for at, one in outlook.by_hour().items():
            row = (found.names.channel(channel), one.notices, one.messages, one.parts, one.over)
            hours.setdefault(at, []).append(row)
    headings = [("小时", "hour"), ("通道", "channel"), ("通知", "notices"), ("消息", "messages"), ("计费条数", "parts"),
                ("超预算", "over")]  # fmt: skip
    show_table(
        speak("每小时", "hour by hour"),
        [speak(zh, en) for zh, en in headings],
        [(found.names.instant(at), *row) for at in sorted(hours) for row in hours[at]],
        speak("没有要发的消息", "nothing to send"),
        whole=(0,),
        right=range(2, len(headings)),
    )


def _print_people(found: Forecast) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    people = sorted(
        ((number, person, channel) for channel, outlook in found.outlooks.items()
         for person, number in outlook.people.items()),
        key=lambda one: (-one[0], one[1]),
    )  # fmt: skip
    if not people:
        return
    click.echo()
    show_table(
        speak(f"超预算的人（{len(people)}）", f"people over their budget ({len(people)})"),
        [speak("姓名", "name"), speak("通道", "channel"), speak("超出条数", "over")],
        [
            (found.names.person(person), found.names.channel(channel), number)
            for number, person, channel in people[:PEOPLE_SHOWN]
        ],
        right=(2,),
    )
    if len(people) > PEOPLE_SHOWN:
        left = len(people) - PEOPLE_SHOWN
        click.echo(speak(f"另有 {left} 人，--json 有全部", f"{left} more; --json has all of them"))
