"""`duban check`: validate everything the configuration leads to and list every mistake at once."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon import media_check
from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, say, speak, to_json
from daemon.clock import SystemClock
from daemon.errors import SettingsError
from daemon.render import renderer_of
from daemon.second_look import failed_trials, remarks
from daemon.settings import load
from policies.duration import NO_LENGTH
from policies.explain import length_text
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from daemon.settings import Configuration
    from policies.model import Directory, Limit, Policy

OUR_PACKAGES = ("daemon", "channels", "policies")
OUR_DISTRIBUTION = "duban"
SHORT_VERSION = 12
KINDS = {
    "email": ("邮件", "email"),
    "sms": ("短信", "SMS"),
    "wecom": ("企业微信", "WeCom"),
    "dingtalk": ("钉钉", "DingTalk"),
    "feishu": ("飞书", "Feishu"),
}


@click.command()
@config_option
@json_option
@click.option("--people", is_flag=True, help="还核对人员：读共享数据库 / the people too: reads the shared database")
@click.option("--strict", is_flag=True, help="有提醒也算不通过 / remarks fail as well")
@no_traceback
def check(config_path: str, *, people: bool, strict: bool, as_json: bool) -> None:
    """检查全部配置，运行策略里的测试，一次列出所有错误和提醒。

    Check all configuration, run the tests written beside the policies, list every mistake and remark at once.
    Exit codes: 0 right (there may be remarks), 1 remarks with --strict, 78 mistakes.
    """
    problems = foreign_owners(packages_distributions())
    remarked: Sequence[Text] = ()
    configuration: Configuration | None = None
    try:
        configuration = load(Path(config_path))
    except SettingsError as error:
        problems += error.problems or (error.message,)
    if configuration is not None:
        renderer = renderer_of(configuration)
        problems += renderer.check(configuration.policies)
        problems += media_check.mistakes(configuration, renderer)
        problems += failed_trials(configuration)
        today = SystemClock().now().date()
        remarked = (
            *remarks(configuration, today, _people(configuration) if people else None),
            *media_check.remarks(configuration, renderer),
        )
    if as_json:
        click.echo(to_json(_report(configuration, problems, remarked)))
    elif problems or configuration is None:
        _print_problems(problems, remarked)
    else:
        _print_tables(configuration)
        _print_remarks(remarked)
    if problems:
        sys.exit(SettingsError.exit_code)
    if remarked and strict:
        sys.exit(EXIT_FOUND)


def _people(configuration: Configuration) -> Directory:
    """Everybody, as the shared database says now."""
    from daemon.source.database import DatabaseSource  # noqa: PLC0415 - loads the database library

    source = DatabaseSource(configuration.settings.source, configuration.zone, configuration.administrators)
    try:
        return source.read_directory()[0]
    finally:
        source.close()


def foreign_owners(owners: Mapping[str, Sequence[str]]) -> list[Text]:
    """A problem for each of our package names that another installed distribution claims too."""
    return [
        Text(
            f"Python 包名 {package} 也被 {other} 占用，会互相覆盖：请把 duban 装在单独的环境里",
            f"the package name {package} is also owned by {other}: install duban in an environment of its own",
        )
        for package in OUR_PACKAGES
        for other in sorted(set(owners.get(package, ())) - {OUR_DISTRIBUTION})
    ]


def _print_remarks(remarked: Sequence[Text]) -> None:
    """What will not do what its writer wants; on standard error, apart from the tables."""
    for remark in remarked:
        click.echo(speak("提醒：", "note: ") + say(remark), err=True)
    count = len(remarked)
    if count:
        click.echo(speak(f"以上 {count} 条提醒，不影响运行。", f"{count} remark{'s' if count != 1 else ''}"), err=True)


def _print_problems(problems: Sequence[Text], remarked: Sequence[Text]) -> None:
    for problem in problems:
        click.echo(say(problem), err=True)
    _print_remarks(remarked)
    count = len(problems)
    click.echo(speak(f"共 {count} 处错误。", f"{count} mistake{'s' if count != 1 else ''}"), err=True)


def _report(configuration: Configuration | None, problems: Sequence[Text], remarked: Sequence[Text]) -> dict[str, Any]:
    told, noted = ([{"zh": one.zh, "en": one.en} for one in texts] for texts in (problems, remarked))
    return {"ok": not problems, "problems": told, "remarks": noted} | (
        {} if configuration is None else _contents(configuration)
    )


def _contents(configuration: Configuration) -> dict[str, Any]:
    from daemon.sharing import SHARED  # noqa: PLC0415 - loads the schema library

    return {
        "version": configuration.version,
        "tests": len(configuration.policies.trials),
        "policies": [
            {
                "policy": policy.id,
                "title": policy.title,
                "limits": [limit.id for limit in policy.limits if limit.enabled],
                "off": [limit.id for limit in policy.limits if not limit.enabled],
                "ladders": {name: len(ladder.steps) for name, ladder in policy.ladders.items()},
            }
            for policy in configuration.policies.policies.values()
        ],
        "channels": [
            {"name": name, "type": each.name, "kind": configuration.kinds[name]}
            for name, each in configuration.channel_types.items()
        ]
        + [{"name": name, "type": SHARED, "kind": configuration.kinds[name]} for name in configuration.sharing],
        "calendars": [
            {"name": name, "known_until": calendar.known_until} for name, calendar in configuration.calendars.items()
        ],
    }


def _print_tables(configuration: Configuration) -> None:
    from rich.console import Console  # noqa: PLC0415 - mistakes and JSON are printed without it

    console = Console(highlight=False, markup=False)
    for policy in configuration.policies.policies.values():
        _print_policy(console, policy)
    contents = _contents(configuration)
    _print_table(
        console,
        speak("通道", "channels"),
        (("名称", "name"), ("类型", "type"), ("用途", "for")),
        [(each["name"], each["type"], _kind(each["kind"])) for each in contents["channels"]],
    )
    _print_table(
        console,
        speak("日历", "calendars"),
        (("名称", "name"), ("放假安排已知至", "holidays known until")),
        [(each["name"], each["known_until"] or "—") for each in contents["calendars"]],
    )
    tests = len(configuration.policies.trials)
    if tests:
        console.print(
            speak(f"策略测试 {tests} 个，全部通过。", f"{tests} policy test{'s' if tests > 1 else ''} passed.")
        )
    console.print(
        speak(
            f"配置正确。策略版本 {configuration.version[:SHORT_VERSION]}",
            f"the configuration is right; policy version {configuration.version[:SHORT_VERSION]}",
        )
    )


def _kind(kind: str) -> str:
    return speak(*KINDS[kind]) if kind in KINDS else kind


def _print_policy(console: Console, policy: Policy) -> None:
    """Its limits with what each counts and how it is enforced."""
    _print_table(
        console,
        speak(f"策略 {policy.id}  {policy.title}", f"policy {policy.id}  {policy.title}"),
        (
            ("时限", "limit"),
            ("名称", "title"),
            ("期限", "length"),
            ("阶梯（梯级数）", "ladder (steps)"),
            ("启用", "on"),
        ),
        [
            (
                limit.id,
                limit.title,
                _length(limit),
                _ladder(policy, limit),
                speak("是", "yes") if limit.enabled else speak("未启用", "off"),
            )
            for limit in policy.limits
        ],
    )


def _length(limit: Limit) -> str:
    return say(length_text(limit)) if limit.within != NO_LENGTH or limit.set_by else speak("未设", "not set")


def _ladder(policy: Policy, limit: Limit) -> str:
    return f"{limit.ladder} ({len(policy.ladders[limit.ladder].steps)})"


def _print_table(
    console: Console, title: str, headings: Sequence[tuple[str, str]], rows: Sequence[tuple[object, ...]]
) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - mistakes and JSON are printed without it
    from rich.table import Table  # noqa: PLC0415 - the same

    console.print(title, style="bold", soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for zh, en in headings:
        table.add_column(speak(zh, en), overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
    console.print()
