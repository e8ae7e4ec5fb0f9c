"""`duban policy diff` and `duban policy migrate`: what a version says otherwise, and what it would change for cases."""

from __future__ import annotations

import getpass
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.moments import read_instant
from daemon.cli.output import config_option, json_option, no_traceback, say, speak, to_json
from daemon.errors import ReleaseRefused, SettingsError
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from daemon.cli.reading import Desk
    from policies.beforehand.migration import CaseDifference
    from policies.model import PolicySet

PAGE = 500
SHOWN_CASES = 20
MIN_PREFIX = 4
ACTIVE, FILES = "active", "files"

days_option = click.option(
    "--days", type=click.IntRange(1, 366), default=90, show_default=True, help="往后看多少天 / how many days ahead"
)


def moment_of(written: str, zone: ZoneInfo) -> datetime:
    """A date or an instant on the office's clock. Raises SettingsError."""
    try:
        return read_instant(written, zone)
    except ValueError:
        zh = f"应为日期或时刻，如 2027-01-01 或 2027-01-01 08:30，实为“{written}”"
        en = f"expected a date or an instant such as 2027-01-01 or 2027-01-01 08:30, found '{written}'"
        raise SettingsError(Text(zh, en)) from None


def version_named(at_desk: Desk, name: str) -> str:
    """The whole version for its first digits, for `active` or for `files`. Raises ReleaseRefused."""
    from daemon.clock import SystemClock  # noqa: PLC0415 - keeps the start quick
    from daemon.store.versions import in_force  # noqa: PLC0415 - loads the database library

    if name == FILES:
        return at_desk.configuration.version
    versions = at_desk.store.policy_versions()
    current = in_force(versions, SystemClock().now())
    if name == ACTIVE and current is not None:
        return current.version
    found = [one.version for one in versions if len(name) >= MIN_PREFIX and one.version.startswith(name.lower())]
    if len(found) == 1:
        return found[0]
    zh = f"没有策略版本“{name}”" if not found else f"“{name}”不止一个版本，请多写几位"
    en = (
        f"there is no policy version '{name}'" if not found else f"'{name}' is more than one version: write more digits"
    )
    raise ReleaseRefused(Text(f"{zh}；见 duban policy status。", f"{en}; see duban policy status"))


def policies_named(at_desk: Desk, name: str) -> PolicySet:
    """The policies of a version, of `active`, `files`, or of a folder. Raises ReleaseRefused or SettingsError."""
    from daemon.policy_release import shelf_of  # noqa: PLC0415 - loads templates
    from daemon.settings import load  # noqa: PLC0415 - the same

    if Path(name).is_dir():
        return load(at_desk.configuration.path, policies=Path(name)).policies
    version = version_named(at_desk, name)
    found = shelf_of(at_desk.store, at_desk.configuration).get(version)
    if found is None:
        raise ReleaseRefused(Text(f"读不了策略版本 {version[:12]}。", f"policy version {version[:12]} cannot be read"))
    return found


# --- diff ---------------------------------------------------------------------------------------------------


@click.command()
@click.argument("old", default=ACTIVE)
@click.argument("new", default=FILES)
@click.option("--cases", "with_cases", is_flag=True, help="连同在办案件的变化 / what changes for running cases too")
@days_option
@config_option
@json_option
@no_traceback
def diff(old: str, new: str, config_path: str, days: int, *, with_cases: bool, as_json: bool) -> None:
    """比较两个版本（版本号前几位、文件夹、active、files）；默认：生效的与文件 / what NEW says otherwise than OLD."""
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from policies.beforehand.difference import difference  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        before, after = policies_named(at_desk, old), policies_named(at_desk, new)
        found = difference(before, after)
        if as_json:
            told: dict[str, object] = {"old": before.version, "new": after.version}
            told["differences"] = [
                {"policy": one.policy, "about": one.about, "name": one.name, "kind": one.kind.value,
                 "zh": one.text.zh, "en": one.text.en}
                for one in found
            ]  # fmt: skip
            if with_cases:
                told["cases"] = _cases_json(_compared(at_desk, after, _running(at_desk), days))
            click.echo(to_json(told))
            return
        for one in found:
            click.echo(say(one.text))
        if not found:
            click.echo(speak("内容相同。", "they say the same"))
        if with_cases:
            _show_cases(at_desk, list(_compared(at_desk, after, _running(at_desk), days)))


# --- migrate ------------------------------------------------------------------------------------------------


@click.command()
@click.argument("cases", nargs=-1)
@click.option("--policy", "policy_id", help="这一策略下的全部在办案件 / all running cases of this policy")
@click.option("--all", "everybody", is_flag=True, help="全部在办案件 / all running cases")
@click.option("--to", "to", default=ACTIVE, show_default=True, help="迁移到的版本 / to which version")
@click.option("--yes", is_flag=True, help="不再询问 / do not ask")
@click.option("--by", help="办理人姓名，记入台账；默认：登录名 / who, for the ledger; by default the login")
@click.option("--note", default="", help="说明，记入台账 / a note, for the ledger")
@days_option
@config_option
@json_option
@no_traceback
def migrate(
    cases: tuple[str, ...],
    policy_id: str | None,
    to: str,
    by: str | None,
    note: str,
    days: int,
    config_path: str,
    *,
    everybody: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """让在办案件改按另一版本办理：先列出变化，再询问 / let running cases go by another version.

    例 / e.g.: duban policy migrate XF2026001 --by 科长乙    duban policy migrate --all --yes
    """
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    if sum(map(bool, (cases, policy_id, everybody))) != 1:
        raise click.UsageError(
            speak("请写案件编号、--policy 或 --all 之一。", "give case numbers, --policy or --all, one of them")
        )
    with desk(config_path) as at_desk:
        version = version_named(at_desk, to)
        target = policies_named(at_desk, to)
        keys = _known(at_desk, cases) if cases else list(_running(at_desk, other_than=version, policy=policy_id))
        compared = list(_compared(at_desk, target, keys, days))
        if not as_json:
            _show_cases(at_desk, compared)
        if not yes and keys and not as_json:
            question = f"把 {len(keys)} 个案件迁移到版本 {version[:12]}？"
            click.confirm(speak(question, f"move {len(keys)} cases to version {version[:12]}?"), abort=True)
        moved = 0
        if yes or not as_json:
            now, who = SystemClock().now(), by or getpass.getuser()
            for start in range(0, len(keys), PAGE):
                moved += at_desk.store.bind(keys[start : start + PAGE], version, who, now, note)
    if as_json:
        click.echo(to_json({"to": version, "asked": len(keys), "moved": moved, "cases": _cases_json(compared)}))
    else:
        told = f"已迁移 {moved} 个案件；守护进程随即重新计算。"
        click.echo(speak(told, f"moved {moved} cases; the daemon counts them again at once"))


def _known(at_desk: Desk, cases: Sequence[str]) -> list[str]:
    known = at_desk.store.fingerprints_of(cases)
    missing = [key for key in cases if key not in known]
    if missing:
        raise ReleaseRefused(Text(f"没有案件 {'、'.join(missing)}。", f"there is no case {', '.join(missing)}"))
    return list(dict.fromkeys(cases))


def _running(at_desk: Desk, *, other_than: str | None = None, policy: str | None = None) -> Iterator[str]:
    after = ""
    while keys := at_desk.store.running_cases(after=after, limit=PAGE, other_than=other_than, policy=policy):
        yield from keys
        after = keys[-1]


# --- cases under two versions -------------------------------------------------------------------------------


def _compared(at_desk: Desk, target: PolicySet, keys: Iterable[str], days: int) -> Iterator[CaseDifference]:
    """Those cases for which the target changes anything, each against the version it is bound to."""
    from daemon.clock import SystemClock  # noqa: PLC0415 - loads the database library
    from daemon.policy_release import rules_in_force  # noqa: PLC0415 - the same
    from policies.beforehand.migration import case_difference  # noqa: PLC0415 - the same

    store, now = at_desk.store, SystemClock().now()
    rules = rules_in_force(store, at_desk.configuration, now)
    listed = list(keys)
    for start in range(0, len(listed), PAGE):
        page = listed[start : start + PAGE]
        known, obligations = store.cases(page), store.obligations_of(page)
        for key in page:
            stored = known[key]
            found = case_difference(
                rules.policies_for(stored.policy_version),
                target,
                stored.case,
                [(one.obligation, one.history) for one in obligations.get(key, ())],
                at_desk.directory,
                rules.calendars,
                rules.kinds,
                now,
                now + timedelta(days=days),
                default_calendar=rules.default_calendar,
                first_handler=stored.first_handler,
            )
            if found:
                yield found


def _cases_json(compared: Iterable[CaseDifference]) -> list[dict[str, object]]:
    return [
        {
            "case": one.case_key,
            "dues": [
                {"policy": due.policy, "limit": due.limit, "instance": due.instance, "old": due.old, "new": due.new}
                for due in one.dues
            ],
            "added": [_message_json(told) for told in one.added],
            "dropped": [_message_json(told) for told in one.dropped],
        }
        for one in compared
    ]


def _message_json(told: object) -> dict[str, object]:
    from policies.beforehand.foresight import Told  # noqa: PLC0415 - keeps the start quick

    assert isinstance(told, Told)  # noqa: S101 - its callers hand over nothing else
    one = told.notice
    return {"at": told.at, "limit": one.limit, "step": one.step, "person": one.person, "channel": one.channel}


def _show_cases(at_desk: Desk, compared: Sequence[CaseDifference]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    names = at_desk.names
    rows = [
        (
            one.case_key,
            "\n".join(
                f"{names.limit(due.policy, due.limit)} {names.instant(due.old)} → {names.instant(due.new)}"
                for due in one.dues
            ),
            f"+{len(one.added)} −{len(one.dropped)}",
        )
        for one in compared[:SHOWN_CASES]
    ]
    show_table(
        speak("有变化的案件", "cases that change"),
        [speak(zh, en) for zh, en in (("案件", "case"), ("期限", "limits"), ("消息", "messages"))],
        rows,
        whole=(0, 2),
    )
    if len(compared) > len(rows):
        click.echo(
            speak(f"共 {len(compared)} 个案件，只列前 {len(rows)} 个。", f"the first {len(rows)} of {len(compared)}")
        )
    people: Counter[tuple[str, str]] = Counter()
    gone: Counter[tuple[str, str]] = Counter()
    for one in compared:
        people.update((told.notice.person, told.notice.channel) for told in one.added)
        gone.update((told.notice.person, told.notice.channel) for told in one.dropped)
    show_table(
        speak("各人消息", "messages by person"),
        [speak(zh, en) for zh, en in (("收件人", "to"), ("通道", "channel"), ("增", "more"), ("减", "fewer"))],
        [
            (names.person(person), names.channel(channel), people[person, channel], gone[person, channel])
            for person, channel in sorted({*people, *gone})
        ],
        right=(2, 3),
    )
