"""`duban backtest`: what the policies would have sent, cost and caught over the real past. Nothing is sent."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from channels.wire.sms import sms_parts
from daemon.cli.moments import read_instant
from daemon.cli.output import config_option, json_option, no_traceback, speak, to_json
from daemon.clock import SystemClock
from daemon.errors import SettingsError
from daemon.settings import Configuration, load
from policies.beforehand.backtest import Score, score_case
from policies.beforehand.metrics import Outcome
from policies.beforehand.replay import appointed_in
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from daemon.render import Renderer
    from policies.model import Case, Directory, Notice

PAGE = 1_000
SHOWN_PEOPLE = 15
OUTCOMES = {
    Outcome.ON_TIME: ("按期", "on time"),
    Outcome.LATE: ("超期", "late"),
    Outcome.OPEN: ("未到期未办结", "open, not due yet"),
    Outcome.OPEN_LATE: ("超期未办结", "due and not closed"),
}


@click.command()
@config_option
@click.option("--since", help="自何时起（含）/ from: 2026-01-01；默认：全部 / all by default")
@click.option("--until", help="至何时止（不含）/ to before: 2026-07-01；默认：现在 / now by default")
@click.option(
    "--policies",
    "folder",
    type=click.Path(file_okay=False, exists=True),
    help="另一个策略文件夹 / another folder of policies",
)
@click.option(
    "--against",
    type=click.Path(file_okay=False, exists=True),
    help="与这个文件夹的策略比较 / compare with the policies of this folder",
)
@click.option(
    "--price", type=click.FloatRange(0, 1000), default=0.0, help="每条短信的价格（元）/ price of one SMS part"
)
@click.option("--parts", is_flag=True, help="逐条写出短信，数条数 / write every SMS to count its parts")
@json_option
@no_traceback
def backtest(
    config_path: str,
    since: str | None,
    until: str | None,
    folder: str | None,
    against: str | None,
    price: float,
    parts: bool,
    as_json: bool,
) -> None:
    """用真实的历史案件回放策略：会发什么、花多少、能抓住什么 / play the policies over the real past.

    逐案按当时已知的事实重放，不发送、不写入。/ Each case is played on the facts known then; nothing is sent or written.

    例 / e.g.: duban backtest --since 2026-01-01 --against config/policies-new --price 0.045
    """
    configuration = load(Path(config_path), policies=None if folder is None else Path(folder))
    other = None if against is None else load(Path(config_path), policies=Path(against))
    now = SystemClock().now()
    period = Period(
        _moment(since, configuration, "--since") if since else datetime.min.replace(tzinfo=UTC),
        _moment(until, configuration, "--until") if until else now,
    )
    if period.since > period.until:
        raise SettingsError(Text("--since 晚于 --until", "--since comes after --until"))
    several = [configuration] if other is None else [configuration, other]
    scores = _score(several, period, count_parts=parts or bool(price), quiet=as_json)
    if as_json:
        told = [_as_json(score, price) for score in scores]
        click.echo(
            to_json({"since": since, "until": period.until, **told[0], **({"against": told[1]} if other else {})})
        )
    else:
        _print(scores, price, configuration, other)


@dataclass(frozen=True)
class Period:
    """From `since` to before `until`."""

    since: datetime
    until: datetime


def _moment(text: str, configuration: Configuration, option: str) -> datetime:
    try:
        return read_instant(text, configuration.zone)
    except ValueError:
        zh = f"{option} 应为日期或时刻，如 2026-01-01 或 2026-01-01 09:00，实为“{text}”"
        en = f"{option} must be a date or an instant such as 2026-01-01 or 2026-01-01 09:00, found '{text}'"
        raise SettingsError(Text(zh, en)) from None


# --- playing ------------------------------------------------------------------------------------------------


def _score(several: Sequence[Configuration], period: Period, *, count_parts: bool, quiet: bool) -> list[Score]:
    """One score for each configuration, over all cases of the shared database."""
    from daemon.source.database import DatabaseSource  # noqa: PLC0415 - loads the database library

    first = several[0]
    source = DatabaseSource(first.settings.source, first.zone, first.administrators)
    try:
        source.require_read_only()
        directory, _ = source.read_directory()
        total = sum(1 for _ in source.all_keys())
        scores = [Score() for _ in several]
        plays = [_play_of(one, directory, period, count_parts=count_parts) for one in several]
        cases = (case for page in source.changed_since(None, PAGE) for case in page.cases)
        with _progress(total, quiet=quiet) as step:
            for case in step(cases):
                for score, play in zip(scores, plays, strict=True):
                    score.add(play(case))
        return scores
    finally:
        source.close()


def _play_of(
    configuration: Configuration, directory: Directory, period: Period, *, count_parts: bool
) -> Callable[[Case], Score]:
    appointed = appointed_in(configuration.policies)
    parts_of = _parts_of(configuration, directory) if count_parts else None

    def play(case: Case) -> Score:
        return score_case(
            configuration.policies,
            case,
            directory,
            configuration.calendars,
            configuration.kinds,
            period.since,
            period.until,
            appointed=appointed,
            default_calendar=configuration.settings.office.calendar,
            parts_of=parts_of,
        )

    return play


def _parts_of(configuration: Configuration, directory: Directory) -> Callable[[Notice], int]:
    """How many SMS parts a notice takes, written with the real templates; other channels cost nothing."""
    from daemon.render import RenderError, renderer_of  # noqa: PLC0415 - loads the template library

    renderer: Renderer = renderer_of(configuration)

    def parts(notice: Notice) -> int:
        official = directory.officials.get(notice.person)
        if configuration.kinds.get(notice.channel) != "sms" or official is None:
            return 0
        try:
            return sms_parts(renderer.render(notice, official, "sms").text)
        except RenderError:
            return 0

    return parts


@contextmanager
def _progress(total: int, *, quiet: bool) -> Generator[Callable[[Iterator[Case]], Iterator[Case]], None, None]:
    from rich.console import Console  # noqa: PLC0415 - not needed before there is something to show
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=quiet or not screen.is_terminal) as bar:
        task = bar.add_task(speak("回放案件", "playing cases"), total=total)

        def step(cases: Iterator[Case]) -> Iterator[Case]:
            for case in cases:
                yield case
                bar.advance(task)

        yield step


# --- what comes out -----------------------------------------------------------------------------------------


def _as_json(score: Score, price: float) -> dict[str, object]:
    tally = score.tally()
    return {
        "cases": score.cases,
        "due": tally.due,
        "outcomes": {one.value: tally[one] for one in Outcome},
        "on_time_percent": None if tally.on_time_rate.percent is None else float(tally.on_time_rate.percent),
        "limits": [
            {"policy": policy, "limit": limit, **{one.value: counts[one] for one in Outcome}}
            for (policy, limit), counts in sorted(score.outcomes.items())
        ],
        "messages": sum(score.messages.values()),
        "by_channel": dict(sorted(score.by_channel().items())),
        "by_person": [
            {"person": person, "channel": channel, "messages": number}
            for (person, channel), number in score.messages.most_common()
        ],
        "by_step": [
            {"policy": policy, "limit": limit, "step": step, "messages": number}
            for (policy, limit, step), number in sorted(score.steps.items())
        ],
        "sms_parts": dict(score.parts),
        "cost": float(_cost(score, price)),
        "late_warned": score.warned,
        "late_unwarned": score.unwarned,
        "mean_workdays_ahead": round(score.days_ahead / score.warned, 1) if score.warned else None,
    }


def _cost(score: Score, price: float) -> Decimal:
    return (Decimal(str(price)) * sum(score.parts.values())).quantize(Decimal("0.01"))


def _print(scores: Sequence[Score], price: float, configuration: Configuration, other: Configuration | None) -> None:
    from daemon.cli.reading import show_pairs  # noqa: PLC0415 - JSON is printed without it

    versions = [one.version[:12] for one in (configuration, other) if one is not None]
    names = [speak("策略", "policy")] if other is None else [speak("原策略", "these"), speak("比较的策略", "against")]
    show_pairs([(name, version) for name, version in zip(names, versions, strict=True)])
    click.echo(speak(f"回放 {scores[0].cases} 个案件。", f"{scores[0].cases} cases played."))
    _print_outcomes(scores)
    _print_messages(scores, price)
    _print_people(scores)
    _print_caught(scores)


def _columns(scores: Sequence[Score], *before: str) -> list[str]:
    if len(scores) == 1:
        return [*before, speak("数量", "number")]
    return [*before, speak("原策略", "these"), speak("比较", "against"), speak("增减", "change")]


def _numbers(values: Sequence[int]) -> list[str]:
    return [str(values[0])] if len(values) == 1 else [str(values[0]), str(values[1]), f"{values[1] - values[0]:+d}"]


def _print_outcomes(scores: Sequence[Score]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - JSON is printed without it

    rows: list[list[str]] = []
    for policy, limit in sorted({key for score in scores for key in score.outcomes}):
        for one in Outcome:
            found = [score.outcome(policy, limit)[one] for score in scores]
            if any(found):
                rows.append([f"{policy}/{limit}", speak(*OUTCOMES[one]), *_numbers(found)])
    rows += [
        [speak("合计", "all"), speak(*OUTCOMES[one]), *_numbers([score.tally()[one] for score in scores])]
        for one in Outcome
    ]
    columns = _columns(scores, speak("时限", "limit"), speak("结果", "outcome"))
    show_table(speak("\n期间到期的时限", "\nlimits that ended in the period"), columns, rows, right=range(2, 5))
    rates = " → ".join(str(score.tally().on_time_rate) for score in scores)
    click.echo(speak(f"按期率：{rates}", f"on time: {rates}"))


def _print_messages(scores: Sequence[Score], price: float) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - JSON is printed without it

    rows: list[list[str]] = [
        [f"{policy}/{limit}", step, *_numbers([score.steps[policy, limit, step] for score in scores])]
        for policy, limit, step in sorted({key for score in scores for key in score.steps})
    ]
    channels = [score.by_channel() for score in scores]
    rows += [
        [speak("通道", "channel"), channel, *_numbers([one[channel] for one in channels])]
        for channel in sorted({name for one in channels for name in one})
    ]
    if any(score.parts for score in scores):
        parts = [sum(score.parts.values()) for score in scores]
        rows.append([speak("短信", "SMS"), speak("计费条数", "parts"), *_numbers(parts)])
    columns = _columns(scores, speak("时限", "limit"), speak("梯级", "step"))
    show_table(speak("\n会发出的消息", "\nmessages that would have gone out"), columns, rows, right=range(2, 5))
    if price:
        costs = " → ".join(f"{_cost(score, price)}" for score in scores)
        click.echo(speak(f"短信费用：{costs} 元", f"cost of SMS: {costs}"))


def _print_people(scores: Sequence[Score]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - JSON is printed without it

    most: dict[str, int] = {}
    for score in scores:
        for (person, _), number in score.messages.items():
            most[person] = most.get(person, 0) + number
    people = sorted(most, key=lambda person: (-most[person], person))
    rows = [
        [person, *_numbers([sum(n for (who, _), n in score.messages.items() if who == person) for score in scores])]
        for person in people[:SHOWN_PEOPLE]
    ]
    title = speak(f"\n收到最多的人（共 {len(people)} 人）", f"\nwho would have got most (of {len(people)})")
    show_table(title, _columns(scores, speak("人员", "person")), rows, right=range(1, 4))


def _print_caught(scores: Sequence[Score]) -> None:
    for score in scores:
        ahead = f"{score.days_ahead / score.warned:.1f}" if score.warned else "—"
        click.echo(
            speak(
                f"\n超期 {score.warned + score.unwarned} 件次：{score.warned} 件在到期前有过预警"
                f"（平均提前 {ahead} 个工作日），{score.unwarned} 件没有。",
                f"\nof {score.warned + score.unwarned} limits that ended late, {score.warned} had a warning before"
                f" (on average {ahead} working days), {score.unwarned} had none.",
            )
        )
