"""`duban explain`: one case, its limits step by step, what was sent or held and why, and what would be decided now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, say, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from daemon.cli.reading import Desk
    from daemon.store.values import Delivery, StoredCase, StoredObligation
    from policies.model import Directory
    from policies.text import Text


class Story(NamedTuple):
    """One obligation, explained: how its dates came about, its ladder, what would be decided now."""

    stored: StoredObligation
    title: str
    dates: tuple[Text, ...]
    ladder: tuple[Text, ...]
    decision: tuple[Text, ...]


@click.command()
@click.argument("case")
@config_option
@json_option
@no_traceback
def explain(case: str, config_path: str, *, as_json: bool) -> None:
    """讲清一个案件：事实、期限怎么来的、发过什么、为什么、下一步。

    One case: its facts, how each date came about, what was sent or held and why, and what comes next. The same rules
    as the daemon's are asked; nothing is changed.
    """
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        stored = at_desk.store.cases([case]).get(case)
        if stored is None:
            click.echo(speak(f"没有案件 {case}。", f"there is no case {case}"), err=True)
            sys.exit(EXIT_FOUND)
        stories = _stories(at_desk, stored, SystemClock().now())
        deliveries = at_desk.store.deliveries(case_key=case, limit=10_000)
        if as_json:
            click.echo(to_json(_as_json(stored, stories, deliveries)))
        else:
            _show(at_desk, stored, stories, deliveries)


def _stories(at_desk: Desk, stored: StoredCase, now: datetime) -> list[Story]:
    from policies.model import Directory  # noqa: PLC0415 - loaded with the database library

    remembered = at_desk.store.directory()
    directory = remembered[0] if remembered else Directory()
    obligations = at_desk.store.obligations_of([stored.case.key]).get(stored.case.key, [])
    return [_story(at_desk, stored, obligation, directory, now) for obligation in obligations]


def _story(at_desk: Desk, case: StoredCase, stored: StoredObligation, directory: Directory, now: datetime) -> Story:
    from daemon.wiring import rules_of  # noqa: PLC0415 - loads templates and drivers
    from policies.counting import CountError  # noqa: PLC0415 - the same
    from policies.evaluate import evaluate  # noqa: PLC0415 - the same
    from policies.explain import ladder_sentences, obligation_sentences, plan_sentences  # noqa: PLC0415 - the same
    from policies.obligations import count_terms, terms_of  # noqa: PLC0415 - the same

    rules = rules_of(at_desk.configuration)
    one = stored.obligation
    rule = rules.limit(one.policy, one.limit)
    if rule is None:
        gone = _text("这条时限规定已不在策略里。", "This limit is no longer in the policies.")
        return Story(stored, one.limit, (gone,), (), ())
    policy, limit, ladder = rule
    calendar = rules.calendar(policy, limit)
    terms = terms_of(policy, limit, case.case, calendar, now)
    try:
        count = count_terms(limit, terms, calendar) if terms else None
    except CountError:
        count = None
    plan = evaluate(policy, one, case.case, stored.history, directory, case.first_handler, calendar, now, rules.kinds)
    return Story(
        stored,
        f"{policy.title} · {limit.title}",
        obligation_sentences(limit, one, calendar, count),
        ladder_sentences(ladder, one, case.case, calendar, now),
        plan_sentences(plan, calendar),
    )


def _text(zh: str, en: str) -> Text:
    from policies.text import Text as Sentence  # noqa: PLC0415 - keeps the annotations lazy

    return Sentence(zh, en)


def _as_json(stored: StoredCase, stories: Sequence[Story], deliveries: Sequence[Delivery]) -> dict[str, object]:
    case, first = stored.case, stored.first_handler
    return {
        "case": case.key,
        "unit": case.unit,
        "handler": case.handler,
        "open": case.open,
        "restricted": case.restricted,
        "milestones": dict(case.milestones),
        "fields": dict(case.fields),
        "read_at": stored.read_at,
        "first_handler": None
        if first is None
        else {"official": first.official, "unit": first.unit, "frozen_at": first.frozen_at},
        "obligations": [_story_as_json(story) for story in stories],
        "deliveries": [
            {
                "key": delivery.notice.key,
                "step": delivery.notice.step,
                "person": delivery.notice.person,
                "role": delivery.notice.role,
                "why": delivery.notice.why.value,
                "at": delivery.notice.at,
                "state": delivery.state.value,
                "error": delivery.error,
            }
            for delivery in deliveries
        ],
    }


def _story_as_json(story: Story) -> dict[str, object]:
    one = story.stored.obligation
    return {
        "policy": one.policy,
        "limit": one.limit,
        "state": one.state.value,
        "start_at": one.start_at,
        "nominal_due_at": one.nominal_due_at,
        "legal_due_at": one.legal_due_at,
        "platform_due_at": one.platform_due_at,
        "due_at": one.due_at,
        "provisional": one.provisional,
        "next_check_at": story.stored.next_check_at,
        "idle_reason": story.stored.idle_reason,
        "dates": [say(sentence) for sentence in story.dates],
        "ladder": [say(sentence) for sentence in story.ladder],
        "decision_now": [say(sentence) for sentence in story.decision],
    }


def _show(at_desk: Desk, stored: StoredCase, stories: Sequence[Story], deliveries: Sequence[Delivery]) -> None:
    from daemon.cli.reading import console, show_table, state_word  # noqa: PLC0415 - loads the database library
    from policies.chain import role_title  # noqa: PLC0415 - the same
    from policies.explain import why_word  # noqa: PLC0415 - the same

    screen = console()
    for line in _facts(at_desk, stored):
        screen.print(line, soft_wrap=True)
    for story in stories:
        screen.rule(story.title, align="left")
        for heading, sentences in (
            (speak("期限", "dates"), story.dates),
            (speak("阶梯", "ladder"), story.ladder),
            (speak("如果现在判断", "if decided now"), story.decision),
        ):
            if sentences:
                screen.print(f"{heading}{speak('：', ':')}")
            for sentence in sentences:
                screen.print(f"  {say(sentence)}", soft_wrap=True)
        screen.print(_next_look(at_desk, story.stored))
    show_table(
        speak("已决定的消息", "messages decided"),
        [
            speak(zh, en)
            for zh, en in (
                ("时间", "at"), ("梯级", "step"), ("收件人", "to"), ("角色", "role"),
                ("通道", "channel"), ("为何", "why"), ("状态", "state"), ("错误", "error"),
            )
        ],
        [
            (
                at_desk.local(delivery.notice.at),
                delivery.notice.step,
                delivery.notice.person,
                say(role_title(delivery.notice.role)),
                delivery.notice.channel,
                say(why_word(delivery.notice.why)),
                state_word(delivery.state),
                delivery.error or "—",
            )
            for delivery in deliveries
        ],
    )  # fmt: skip


def _facts(at_desk: Desk, stored: StoredCase) -> list[str]:
    case, first = stored.case, stored.first_handler
    lines = [
        speak(
            f"案件 {case.key}：承办单位 {case.unit or '—'}，承办人 {case.handler or '—'}；"
            f"读取于 {at_desk.local(stored.read_at)}",
            f"case {case.key}: unit {case.unit or '—'}, handler {case.handler or '—'};"
            f" read {at_desk.local(stored.read_at)}",
        )
    ]
    if first is not None:
        lines.append(
            speak(
                f"首办责任人 {first.official or '—'}（{first.unit or '—'}），{at_desk.local(first.frozen_at)} 确定",
                f"first handler {first.official or '—'} ({first.unit or '—'}), fixed {at_desk.local(first.frozen_at)}",
            )
        )
    lines += [f"  {name}  {at_desk.local(at)}" for name, at in sorted(case.milestones.items(), key=lambda one: one[1])]
    lines += [f"  {name}  {value}" for name, value in sorted(case.fields.items())]
    return lines


def _next_look(at_desk: Desk, stored: StoredObligation) -> str:
    if stored.next_check_at is None:
        reason = stored.idle_reason or speak("未注明", "not stated")
        return speak(f"下一步：无（{reason}）", f"next step: none ({reason})")
    at = at_desk.local(stored.next_check_at)
    return speak(f"下一步：{at} 再检查", f"next step: looked at again {at}")
