"""`duban who`: who was answerable for a case at an instant, from what was known then."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from daemon.cli.moments import instant_option
from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, say, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from daemon.cli.reading import Desk
    from daemon.names import Names
    from daemon.store.values import LedgerRow, StoredCase
    from policies.model import Directory, Policy
    from policies.people.responsibility import Answer, Bearer


@click.command()
@click.argument("case")
@instant_option("--at", "at", help="哪一时刻，默认现在 / at which instant, now by default")
@config_option
@json_option
@no_traceback
def who(case: str, at: str | None, config_path: str, *, as_json: bool) -> None:
    """某一时刻谁对案件负责：首办、承办、协办、领导，各依据哪份文件。

    Who was answerable for a case at an instant: first handler, holder, co-handlers and leaders, each with the document.
    """
    from daemon.cli.moments import instant_at  # noqa: PLC0415 - loads the settings
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        moment = instant_at(at, at_desk.configuration.zone) if at else SystemClock().now()
        stored = at_desk.store.cases([case]).get(case)
        if stored is None:
            click.echo(speak(f"没有案件 {case}。", f"there is no case {case}"), err=True)
        else:
            _answer(at_desk, stored, moment, as_json=as_json)
    if stored is None:
        sys.exit(EXIT_FOUND)


def _answer(at_desk: Desk, stored: StoredCase, moment: datetime, *, as_json: bool) -> None:
    from policies.people.responsibility import who as who_was  # noqa: PLC0415 - only when asked

    then = at_desk.store.directory(as_of=moment)
    directory = then[0] if then else at_desk.directory
    policy = _policy_of(at_desk, stored)
    answer = who_was(stored.case, stored.first_handler, directory, policy, moment)
    changed = [row for row in at_desk.store.ledger(stored.case.key) if row.kind in {"record_changed", "conflict"}]
    if as_json:
        click.echo(to_json(_as_json(answer, changed)))
    else:
        _show(at_desk, answer, _names_then(at_desk, directory), changed)


def _policy_of(at_desk: Desk, stored: StoredCase) -> Policy:
    """The policy that supervises the case, for its chain of posts."""
    from policies.conditions import all_hold  # noqa: PLC0415 - only when asked

    policies = at_desk.configuration.policies.policies
    obligations = at_desk.store.obligations_of([stored.case.key]).get(stored.case.key, [])
    counted = (policies[one.obligation.policy] for one in obligations if one.obligation.policy in policies)
    fitting = (policy for policy in policies.values() if all_hold(policy.applies_to, stored.case))
    return next(counted, next(fitting, next(iter(policies.values()))))


def _names_then(at_desk: Desk, directory: Directory) -> Names:
    from daemon.cli.output import language  # noqa: PLC0415 - beside the names
    from daemon.names import Names as Words  # noqa: PLC0415 - loads the settings

    return Words(at_desk.configuration, directory, language())


def _show(at_desk: Desk, answer: Answer, names: Names, changed: Sequence[LedgerRow]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    at = at_desk.local(answer.at)
    show_table(
        speak(f"案件 {answer.case_key}：{at} 谁负责", f"case {answer.case_key}: who was answerable at {at}"),
        [
            speak(zh, en)
            for zh, en in (("身份", "as"), ("单位、人员", "who"), ("起", "since"), ("依据", "by"), ("负责", "for"))
        ],
        [
            (
                _quality(one, names),
                _whom(one, names),
                "—" if one.since is None else at_desk.local(one.since).replace(" ", "\n"),
                "\n".join(filter(None, (one.document, one.approved_by and _approved(one.approved_by)))) or "—",
                say(one.text),
            )
            for one in answer.bearers
        ],
        empty=speak("此时还没有人承办。", "nobody had it then"),
        whole=(0, 2),
    )
    if changed:
        click.echo(
            speak(
                f"注意：流转记录或首办信息后来改过 {len(changed)} 次，见 duban ledger {answer.case_key}。",
                f"note: the record was changed later {len(changed)} times; see duban ledger {answer.case_key}",
            )
        )


def _approved(by: str) -> str:
    return speak(f"{by} 批准", f"approved by {by}")


def _quality(one: Bearer, names: Names) -> str:
    from policies.people.responsibility import Part  # noqa: PLC0415 - only when asked

    if one.part is Part.LEADER:
        return names.role(one.role)
    words = {
        Part.FIRST: ("首办责任人", "first handler"),
        Part.HOLDER: ("当时承办", "holder"),
        Part.HELPER: ("协办", "co-handler"),
    }
    return speak(*words[one.part])


def _whom(one: Bearer, names: Names) -> str:
    known = [names.unit(one.unit)] if one.unit else []
    known += [names.person(one.official)] if one.official else []
    return "\n".join(known) or speak("没有登记", "not recorded")


def _as_json(answer: Answer, changed: Sequence[LedgerRow]) -> dict[str, object]:
    return {
        "case": answer.case_key,
        "at": answer.at,
        "bearers": [
            {
                "part": one.part.value,
                "role": one.role or None,
                "unit": one.unit,
                "official": one.official,
                "since": one.since,
                "document": one.document,
                "approved_by": one.approved_by,
                "answerable": one.answerable,
                "zh": one.text.zh,
                "en": one.text.en,
            }
            for one in answer.bearers
        ],
        "record_changed": len(changed),
    }
