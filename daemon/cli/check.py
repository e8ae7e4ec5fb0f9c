"""`duban check`: validate everything the configuration leads to and list every mistake at once."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.output import config_option, json_option, language, no_traceback, say, speak, to_json
from daemon.errors import SettingsError
from daemon.settings import load
from policies.duration import format_duration
from policies.language import UNSET
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.settings import Configuration
    from policies.model import Limit

OUR_PACKAGES = ("daemon", "channels", "policies")
OUR_DISTRIBUTION = "duban"
SHORT_VERSION = 12


@click.command()
@config_option
@json_option
@no_traceback
def check(config_path: str, *, as_json: bool) -> None:
    """检查全部配置，一次列出所有错误 / check all configuration, every mistake at once."""
    problems = foreign_owners(packages_distributions())
    configuration: Configuration | None = None
    try:
        configuration = load(Path(config_path))
    except SettingsError as error:
        problems += error.problems or (error.message,)
    if configuration is not None:
        problems += _template_problems(configuration)
    if as_json:
        click.echo(to_json(_report(configuration, problems)))
    elif problems or configuration is None:
        _print_problems(problems)
    else:
        _print_tables(configuration)
    if problems:
        sys.exit(SettingsError.exit_code)


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


def _template_problems(configuration: Configuration) -> list[Text]:
    from daemon.render import Renderer  # noqa: PLC0415 - templates matter only once the rest is right

    office = configuration.settings.office
    renderer = Renderer(
        configuration.templates, office.name, office.signature, configuration.zone, configuration.settings.language
    )
    return renderer.check(configuration.policies)


def _print_problems(problems: Sequence[Text]) -> None:
    for problem in problems:
        click.echo(say(problem), err=True)
    count = len(problems)
    click.echo(speak(f"共 {count} 处错误。", f"{count} mistake{'s' if count != 1 else ''}"), err=True)


def _report(configuration: Configuration | None, problems: Sequence[Text]) -> dict[str, Any]:
    told = [{"zh": problem.zh, "en": problem.en} for problem in problems]
    return {"ok": not problems, "problems": told} | ({} if configuration is None else _contents(configuration))


def _contents(configuration: Configuration) -> dict[str, Any]:
    return {
        "version": configuration.version,
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
        ],
        "calendars": [
            {"name": name, "known_until": calendar.known_until} for name, calendar in configuration.calendars.items()
        ],
    }


def _print_tables(configuration: Configuration) -> None:
    from rich.console import Console  # noqa: PLC0415 - mistakes and JSON are printed without it
    from rich.table import Table  # noqa: PLC0415

    contents = _contents(configuration)
    rows: list[tuple[str, str]] = []
    for policy in configuration.policies.policies.values():
        ladders = ", ".join(f"{name} ({len(ladder.steps)})" for name, ladder in policy.ladders.items())
        rows.append((speak("策略", "policy"), f"{policy.id}  {policy.title}"))
        rows += [(speak("  时限", "  limit"), _limit_line(limit)) for limit in policy.limits]
        rows.append((speak("  阶梯（梯级数）", "  ladders (steps)"), ladders))
    rows += [
        (speak("渠道", "channel"), f"{each['name']}  ({each['type']}, {each['kind']})") for each in contents["channels"]
    ]
    rows += [(speak("日历", "calendar"), _calendar_line(each)) for each in contents["calendars"]]
    rows.append((speak("策略版本", "policy version"), configuration.version[:SHORT_VERSION]))
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    console = Console(highlight=False, markup=False)
    console.print(table)
    good = "配置正确。" if language() == "zh" else "the configuration is right"
    console.print(good)


def _limit_line(limit: Limit) -> str:
    within = format_duration(limit.within, language()) if limit.within.amount else UNSET
    off = "" if limit.enabled else speak("  （未启用）", "  (off)")
    return f"{limit.id}  {limit.title}  {within}{off}"


def _calendar_line(calendar: Mapping[str, Any]) -> str:
    until = calendar["known_until"]
    known = "" if until is None else speak(f"  放假安排已知至 {until}", f"  holidays known until {until}")
    return f"{calendar['name']}{known}"
