"""What is looked at once more after a configuration could be read: its trials, and what is worth a second look.

A trial that fails is a mistake and keeps a policy from coming into force. A remark does not: it says what will happen.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon.yamlfile import located, parse_yaml
from policies.beforehand.lint import Setting, lint
from policies.beforehand.trials import run_trials
from policies.errors import Problem
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from daemon.settings import Configuration
    from daemon.yamlfile import YamlFile
    from policies.model import Directory


def failed_trials(configuration: Configuration) -> tuple[Text, ...]:
    """What the trials written in the policy files expected and did not get, with file, line and column."""
    office = configuration.settings.office
    found = run_trials(configuration.policies, configuration.calendars, configuration.kinds, office.calendar)
    return _in_files(configuration, found)


def remarks(configuration: Configuration, today: date, people: Directory | None) -> tuple[Text, ...]:
    """What is worth a second look, with file, line and column; without `people` no role is looked up."""
    columns = configuration.settings.source.cases.columns
    codes = {name: column.values for name, column in columns.items() if column.values}
    setting = Setting(configuration.calendars, configuration.settings.office.calendar, people, codes)
    return (
        *_in_files(configuration, lint(configuration.policies, setting, today)),
        *_heard_by_nobody(configuration),
        *_read_on_the_way(configuration),
    )


def _read_on_the_way(configuration: Configuration) -> tuple[Text, ...]:
    """Links, and the secrets in the addresses providers call, would cross the network for everybody to read."""
    console = configuration.settings.console
    if console is None or not console.public_url.startswith("http://"):
        return ()
    return (
        Text(
            "console.public_url：以 http:// 开头，签收链接和回调地址里的密串在网上谁都能看到；公网请用 https://",
            "console.public_url: begins with http://, so anybody on the way reads links and the secrets of callback "
            "addresses; use https:// on the internet",
        ),
    )


def _heard_by_nobody(configuration: Configuration) -> tuple[Text, ...]:
    """Channels whose providers could call us, did the settings not lack the secret they prove themselves with.

    Without a console nobody calls; then those are named that tell their gateway an address there is not.
    """
    if configuration.settings.console is None:
        return tuple(
            Text(
                f"channels.{name}：请求里用了 {{callback}}，但没有 console 一节，回执没有地方可送",
                f"channels.{name}: its requests hold {{callback}}, and without a section console there is no address",
            )
            for name, settings in configuration.channel_settings.items()
            if getattr(settings, "tells_where_we_are", False)
        )
    missing = {
        name: str(getattr(settings, "missing_proof", "")) for name, settings in configuration.channel_settings.items()
    }
    return tuple(
        Text(
            f"channels.{name}：没有 {key}，服务商打来的回执和上行一律拒收（403）；"
            "见 docs/channels.zh-CN.md“平台怎样找到我们”",
            f"channels.{name}: without {key} every receipt and reply of the provider is refused (403);"
            " see docs/channels.md, “How providers reach us”",
        )
        for name, key in missing.items()
        if key
    )


def _in_files(configuration: Configuration, problems: Sequence[Problem]) -> tuple[Text, ...]:
    """Each problem at its place; its path begins with the name of a policy, a file's place with its own keys."""
    if not problems:
        return ()
    files = _files_by_policy(configuration)
    return tuple(
        located(Problem(one.path[1:], one.message, one.hint), files[str(one.path[0])])
        for one in sorted(problems, key=lambda one: (str(one.path[0]), files[str(one.path[0])].mark(one.path[1:])))
    )


def _files_by_policy(configuration: Configuration) -> dict[str, YamlFile]:
    paths = configuration.policy_paths
    read = (parse_yaml(text, paths.get(name, Path(name))) for name, text in configuration.policy_files.items())
    return {str(file.tree.get("policy")): file for file in read}
