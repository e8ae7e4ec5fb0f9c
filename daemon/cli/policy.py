"""`duban policy`: the versions of the policies, from a proposal to being in force, and how many cases go by which."""

from __future__ import annotations

import getpass
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from daemon.cli.output import config_option, json_option, no_traceback, speak, to_json
from daemon.cli.policy_diff import diff, migrate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from daemon.cli.reading import Desk
    from daemon.store.versions import PolicyVersion

by_option = click.option("--by", help="办理人姓名，记入台账；默认：登录名 / who, for the ledger; by default the login")
from_option = click.option(
    "--from",
    "from_",
    help="自何时起生效，如 2027-01-01 或 2027-01-01 08:30；默认：立即 / from when; at once by default",
)
note_option = click.option("--note", default="", help="说明，记入台账 / a note, for the ledger")
version_argument = click.argument("version")


@click.group()
def policy() -> None:
    """策略的版本：状况、比较、提出、核准、启用、撤回、迁移案件 / versions of the policies."""


policy.add_command(diff)
policy.add_command(migrate)


@policy.command()
@no_traceback
def schema() -> None:
    """打印策略文件的 JSON Schema，供编辑器提示 / print the JSON Schema of policy files, for editors.

    例 / e.g.: duban policy schema > config/policy.schema.json
    """
    from policies.language import policy_schema  # noqa: PLC0415 - keeps the start quick

    click.echo(json.dumps(policy_schema(), ensure_ascii=False, indent=1))


@policy.command()
@config_option
@json_option
@no_traceback
def status(config_path: str, *, as_json: bool) -> None:
    """列出各版本：状态、何时生效、谁提出谁核准、有多少在办案件 / all versions and their running cases."""
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same
    from daemon.store.versions import in_force  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        versions = at_desk.store.policy_versions()
        current = in_force(versions, SystemClock().now())
        bound = at_desk.store.cases_by_version()
        files = at_desk.configuration.version
        if as_json:
            rows = [_as_json(one, current, bound.get(one.version, 0)) for one in versions]
            found = {"in_force": current.version if current else None, "files": files, "versions": rows}
            click.echo(to_json({**found, "unbound_cases": bound.get(None, 0)}))
        else:
            _show(at_desk, versions, current, bound)


def _as_json(one: PolicyVersion, current: PolicyVersion | None, cases: int) -> dict[str, object]:
    return {
        "version": one.version,
        "state": one.state.value,
        "in_force": current is not None and one.version == current.version,
        "running_cases": cases,
        "since_at": one.since_at,
        "active_from_at": one.active_from_at,
        "proposed_by": one.proposed_by,
        "approved_by": one.approved_by,
        "approved_at": one.approved_at,
        "note": one.note,
    }


def _show(
    at_desk: Desk, versions: Sequence[PolicyVersion], current: PolicyVersion | None, bound: Mapping[str | None, int]
) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library
    from daemon.store.versions import SHOWN  # noqa: PLC0415 - the same

    headings = (
        ("版本", "version"), ("状态", "state"), ("生效时间", "from"), ("在办案件", "running cases"),
        ("提出", "proposed by"), ("核准", "approved by"), ("说明", "note"),
    )  # fmt: skip
    show_table(
        speak("策略版本", "policy versions"),
        [speak(zh, en) for zh, en in headings],
        [
            (
                one.version[:SHOWN],
                _state(one, current),
                at_desk.local(one.active_from_at),
                bound.get(one.version, 0),
                one.proposed_by or "—",
                one.approved_by or "—",
                one.note,
            )
            for one in reversed(versions)
        ],
        whole=(0, 2),
        right=(3,),
    )
    files = at_desk.configuration.version
    if current is not None and files != current.version:
        told = f"策略文件现为版本 {files[:SHOWN]}，与生效版本不同。"
        click.echo(speak(told, f"the policy files are version {files[:SHOWN]}, not what is in force"))


def _state(one: PolicyVersion, current: PolicyVersion | None) -> str:
    from daemon.store.versions import VersionState  # noqa: PLC0415 - loads the database library

    if current is not None and one.version == current.version:
        return speak("生效中", "in force")
    words = {
        VersionState.PROPOSED: ("待核准", "proposed"),
        VersionState.APPROVED: ("待生效", "waits for its moment"),
        VersionState.ACTIVE: ("已被接替", "replaced"),
        VersionState.RETIRED: ("已撤回", "withdrawn"),
    }
    return speak(*words[one.state])


@policy.command()
@from_option
@by_option
@note_option
@config_option
@json_option
@no_traceback
def propose(from_: str | None, by: str | None, note: str, config_path: str, *, as_json: bool) -> None:
    """检查并提出现在的策略文件，由另一人核准 / check the policy files and put them forward for approval."""
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        configuration = at_desk.configuration
        _require_sound(at_desk, configuration.version)
        moment = _moment(at_desk, from_)
        now, who = SystemClock().now(), by or getpass.getuser()
        at_desk.store.propose_policy(
            configuration.version, configuration.policy_files, who, now, from_at=moment, note=note
        )
        _tell(at_desk, configuration.version, as_json=as_json)


def _require_sound(at_desk: Desk, version: str) -> None:
    """Raise ReleaseRefused when nobody can read a version here, SettingsError when its templates or trials fail.

    Asked again for a version that was proposed before: calendars, templates and this software may be others by now.
    """
    from daemon.cli.policy_diff import policies_named  # noqa: PLC0415 - loads the database library
    from daemon.errors import SettingsError  # noqa: PLC0415 - keeps the start quick
    from daemon.policy_release import mistakes_in  # noqa: PLC0415 - loads templates
    from daemon.render import renderer_of  # noqa: PLC0415 - the same
    from daemon.second_look import failed_trials  # noqa: PLC0415 - the same
    from policies.text import Text  # noqa: PLC0415 - the same

    configuration = at_desk.configuration
    if version != configuration.version:
        policies, files = policies_named(at_desk, version), at_desk.store.policy_files(version) or {}
        configuration = replace(configuration, policies=policies, policy_files=files, policy_paths={})
    mistakes = mistakes_in(configuration, renderer_of(configuration), failed_trials)
    if mistakes:
        count = len(mistakes)
        raise SettingsError(
            Text(f"策略没有通过检查（{count} 处）。", f"the policies fail their checks ({count})"), mistakes
        )


def _moment(at_desk: Desk, written: str | None) -> datetime | None:
    from daemon.cli.policy_diff import moment_of  # noqa: PLC0415 - keeps the start quick

    return None if written is None else moment_of(written, at_desk.configuration.zone)


def _tell(at_desk: Desk, version: str, *, as_json: bool) -> None:
    """Show where a version stands after a step."""
    from daemon.clock import SystemClock  # noqa: PLC0415 - loads the database library
    from daemon.store.versions import SHOWN, VersionState, in_force  # noqa: PLC0415 - the same

    versions = at_desk.store.policy_versions()
    current = in_force(versions, SystemClock().now())
    one = next(each for each in versions if each.version == version)
    if as_json:
        click.echo(to_json(_as_json(one, current, at_desk.store.cases_by_version().get(version, 0))))
        return
    moment = "" if one.active_from_at is None else speak("，自 ", ", from ") + at_desk.local(one.active_from_at)
    click.echo(f"{version[:SHOWN]}{speak('：', ': ')}{_state(one, current)}{moment}")
    if current is not None and current.version != version:
        click.echo(speak(f"生效版本：{current.version[:SHOWN]}", f"in force: {current.version[:SHOWN]}"))
    if one.state is VersionState.PROPOSED:
        click.echo(_what_next(one.version[:SHOWN], second=at_desk.configuration.settings.release.second_person))


def _what_next(version: str, *, second: bool) -> str:
    """The command that brings a proposed version into force."""
    approve = speak(
        f"另一人运行 duban policy approve {version} --by 姓名",
        f"somebody else: duban policy approve {version} --by NAME",
    )
    if second:
        return speak("下一步：", "next, ") + approve
    return speak(
        f"下一步：duban policy activate {version}；或{approve}",
        f"next: duban policy activate {version}, or {approve}",
    )


@policy.command()
@version_argument
@by_option
@config_option
@json_option
@no_traceback
def approve(version: str, by: str | None, config_path: str, *, as_json: bool) -> None:
    """核准别人提出的版本；到时即生效 / approve what somebody else proposed; it is in force from its moment on."""
    from daemon.cli.policy_diff import version_named  # noqa: PLC0415 - loads the database library
    from daemon.cli.reading import desk  # noqa: PLC0415 - the same
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        found = version_named(at_desk, version)
        _require_sound(at_desk, found)
        at_desk.store.approve_policy(found, by or getpass.getuser(), SystemClock().now())
        _tell(at_desk, found, as_json=as_json)


@policy.command()
@version_argument
@from_option
@by_option
@note_option
@config_option
@json_option
@no_traceback
def activate(version: str, from_: str | None, by: str | None, note: str, config_path: str, *, as_json: bool) -> None:
    """启用一个版本（VERSION：版本号前几位，或 files），可指定时间 / put a version in force, now or from a moment on."""
    from daemon.cli.policy_diff import version_named  # noqa: PLC0415 - loads the database library
    from daemon.cli.reading import desk  # noqa: PLC0415 - the same
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        now, who = SystemClock().now(), by or getpass.getuser()
        found = version_named(at_desk, version)
        known = next((one for one in at_desk.store.policy_versions() if one.version == found), None)
        _require_sound(at_desk, found)
        if known is None:
            at_desk.store.propose_policy(found, at_desk.configuration.policy_files, who, now, note=note)
        _require_second_person(at_desk, known)
        at_desk.store.activate_policy(found, who, now, from_at=_moment(at_desk, from_), note=note)
        _tell(at_desk, found, as_json=as_json)


def _require_second_person(at_desk: Desk, known: PolicyVersion | None) -> None:
    """Raise ReleaseRefused when the office wants four eyes and this version was never seen by two."""
    from daemon.errors import ReleaseRefused  # noqa: PLC0415 - keeps the start quick
    from daemon.store.versions import VersionState  # noqa: PLC0415 - loads the database library
    from policies.text import Text  # noqa: PLC0415 - the same

    if not at_desk.configuration.settings.release.second_person:
        return
    if known is None or (known.state is not VersionState.ACTIVE and known.approved_by is None):
        raise ReleaseRefused(
            Text(
                "本单位要求另一人核准：请由另一人运行 duban policy approve。",
                "this office wants a second person: somebody else runs duban policy approve",
            )
        )


@policy.command()
@version_argument
@by_option
@note_option
@config_option
@json_option
@no_traceback
def withdraw(version: str, by: str | None, note: str, config_path: str, *, as_json: bool) -> None:
    """撤回一个版本；如正生效，前一版本恢复生效 / withdraw a version; the one before is in force again."""
    from daemon.cli.policy_diff import version_named  # noqa: PLC0415 - loads the database library
    from daemon.cli.reading import desk  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        _withdraw(at_desk, version_named(at_desk, version), by, note, as_json=as_json)


@policy.command()
@by_option
@note_option
@config_option
@json_option
@no_traceback
def rollback(by: str | None, note: str, config_path: str, *, as_json: bool) -> None:
    """退回前一版本：撤回正生效的版本 / go back to the version before: withdraw the one in force."""
    from daemon.cli.policy_diff import version_named  # noqa: PLC0415 - loads the database library
    from daemon.cli.reading import desk  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        _withdraw(at_desk, version_named(at_desk, "active"), by, note, as_json=as_json)


def _withdraw(at_desk: Desk, version: str, by: str | None, note: str, *, as_json: bool) -> None:
    from daemon.clock import SystemClock  # noqa: PLC0415 - loads the database library

    at_desk.store.retire_policy(version, by or getpass.getuser(), SystemClock().now(), note)
    _tell(at_desk, version, as_json=as_json)
    still = at_desk.store.cases_by_version().get(version, 0)
    if still and not as_json:
        told = f"仍有 {still} 个在办案件按此版本办理，可用 duban policy migrate 迁移。"
        click.echo(speak(told, f"{still} running cases still go by it; move them with duban policy migrate"))
