"""`duban explain`: one case, its limits step by step, what was sent or held and why, and what would be decided now."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import timedelta
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, say, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from rich.text import Text as Line

    from daemon.cli.explained import Explained
    from daemon.cli.reading import Desk
    from daemon.names import Names
    from daemon.store.values import Delivery, LedgerRow, StoredCase
    from daemon.story import Story
    from policies.ladders.rungs import Rung

STEPS_AHEAD = 3  # of a ladder that goes on and on
LATE = timedelta(minutes=5)
TOLD_BY_THE_TABLE = frozenset(
    {"due", "caught_up", "missed", "not_yet", "same_person", "end_of_ladder", "breach", "light"}
)


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
    from daemon.cli.explained import stories_of  # noqa: PLC0415 - loads templates and drivers
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        stored = at_desk.store.cases([case]).get(case)
        if stored is None:
            click.echo(speak(f"没有案件 {case}。", f"there is no case {case}"), err=True)
            sys.exit(EXIT_FOUND)
        now = SystemClock().now()
        stories = stories_of(at_desk, stored, now)
        deliveries = at_desk.deliveries(case)
        if as_json:
            click.echo(to_json(_as_json(stored, stories, deliveries)))
        else:
            _show(at_desk, stored, stories, deliveries, now)


def _as_json(stored: StoredCase, stories: Sequence[Explained], deliveries: Sequence[Delivery]) -> dict[str, object]:
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
                "channel": delivery.notice.channel,
                "provider": delivery.provider,
                "state": delivery.state.value,
                "error": delivery.error,
            }
            for delivery in deliveries
        ],
    }


def _story_as_json(story: Explained) -> dict[str, object]:
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
        "ahead": [
            {
                "at": told.at,
                "step": told.notice.step,
                "repeat": told.notice.repeat,
                "person": told.notice.person,
                "role": told.notice.role,
                "copy": told.notice.copy,
                "channel": told.notice.channel,
                "light": told.light.value,
                "awaits_release": told.notice.release,
                "dark": told.notice.dark,
            }
            for told in story.ahead
        ],
    }


# --- for people --------------------------------------------------------------------------------------------


def _show(
    at_desk: Desk, stored: StoredCase, stories: Sequence[Explained], deliveries: Sequence[Delivery], now: datetime
) -> None:
    from daemon.cli.reading import console, show_pairs  # noqa: PLC0415 - loads the database library

    screen, teller = console(), at_desk.story(deliveries)
    ledger = at_desk.store.ledger(stored.case.key)
    screen.print(speak(f"案件 {stored.case.key}", f"case {stored.case.key}"), style="bold")
    show_pairs(_facts(at_desk.names, stored))
    for story in stories:
        screen.print()
        screen.rule(story.title, align="left")
        show_pairs(_standing(at_desk.names, story))
        if _is_open(story):
            _show_ladder(at_desk.names, story, _Happened(story, deliveries, teller.held(ledger)), now)
            show_pairs(_decision(at_desk.names, teller, story, now, restricted=stored.case.restricted))
    screen.print()
    _show_messages(at_desk, deliveries)
    _show_held(at_desk, teller, ledger)


def _facts(names: Names, stored: StoredCase) -> list[tuple[str, str]]:
    case, first = stored.case, stored.first_handler
    facts = [(speak("承办", "handled by"), names.place(case.unit, case.handler))]
    if first is not None:
        at = names.instant(first.frozen_at)
        who = names.place(first.unit, first.official)
        facts.append((speak("首办责任人", "first handler"), speak(f"{who}（{at} 确定）", f"{who} (fixed {at})")))
    if case.restricted:
        facts.append((speak("知悉范围", "circle"), speak("限制知悉", "restricted")))
    facts += [(names.field(name), names.value(value)) for name, value in sorted(case.fields.items())]
    in_time = sorted(case.milestones.items(), key=lambda one: one[1])
    facts += [(names.milestone(name), names.instant(at)) for name, at in in_time]
    state = "" if case.open else speak("，案件已结束", ", closed")
    facts.append((speak("读取于", "read"), names.instant(stored.read_at) + state))
    return facts


def _is_open(story: Explained) -> bool:
    return story.plan is not None and story.stored.obligation.state.value == "open"


def _standing(names: Names, story: Explained) -> list[tuple[str, str]]:
    """The state said once, then how the dates came about."""
    if story.plan is None:
        return [(speak("状态", "state"), say(sentence)) for sentence in story.dates]
    one = story.stored.obligation
    headline, *rest = (say(sentence) for sentence in story.dates)
    headline = headline.removeprefix(f"{story.title}：").removeprefix(f"{one.limit}: ")
    said_above = ("状态：", "State:", "按期办结", "超期办结", "done on time", "done late")
    pairs = [(speak("状态", "state"), _state(names, story)), (speak("期限", "limit"), headline)]
    for sentence in rest:
        if sentence.startswith(("依据：", "Basis: ")):
            pairs.append((speak("依据", "basis"), sentence.removeprefix("依据：").removeprefix("Basis: ")))
        elif not sentence.startswith(said_above):
            pairs.append(("", names.plain(sentence)))
    return pairs


def _state(names: Names, story: Explained) -> str:
    from policies.explain import state_word  # noqa: PLC0415 - loaded with the database library

    one = story.stored.obligation
    if one.done_at is not None:
        late = one.done_at > one.legal_due_at
        done, at = (
            speak("超期办结", "done late") if late else speak("按期办结", "done on time"),
            names.instant(one.done_at),
        )
        return speak(f"{done}（{at}），不再提醒", f"{done} ({at}); nothing more is said")
    words = [say(state_word(one.state))]
    if _is_open(story) and story.plan is not None:
        words.append(names.light(story.plan.light.value, one.policy, one.limit))
        if story.plan.history.breached_at is not None:
            words.append(speak("已超过法定期限", "past the legal limit"))
    elif one.state.value == "paused":
        words.append(speak("恢复后再计算", "counted again when it goes on"))
    else:
        words.append(speak("不再提醒", "nothing more is said"))
    if one.deadline_version > 1:
        words.append(speak(f"期限改过 {one.deadline_version - 1} 次", f"limit moved {one.deadline_version - 1}×"))
    return speak("，", ", ").join(words)


class _Happened:
    """What became of each step of one limit: messages by their states, or why there were none."""

    def __init__(
        self,
        story: Explained,
        deliveries: Sequence[Delivery],
        held: Iterable[tuple[LedgerRow, Mapping[str, Any]]],
    ) -> None:
        one = story.stored.obligation
        self._undecided_from = story.stored.next_check_at
        self._mine = [
            delivery
            for delivery in deliveries
            if (delivery.notice.policy, delivery.notice.limit, delivery.notice.instance)
            == (one.policy, one.limit, one.instance)
            and delivery.notice.deadline_version == one.deadline_version
        ]
        self._held = {
            str(reason.get("step")): str(reason.get("why"))
            for row, reason in held
            if row.body.get("limit") == one.limit
        }

    def at(self, rung: Rung, now: datetime) -> str:
        """In a few words."""
        from daemon.cli.reading import state_word  # noqa: PLC0415 - loads the database library
        from daemon.names import rung_of  # noqa: PLC0415 - loads templates
        from policies.explain import WHY  # noqa: PLC0415 - loaded with the database library
        from policies.model import Why  # noqa: PLC0415 - the same

        states = Counter(delivery.state for delivery in self._mine if rung_of(delivery.notice) == rung.name)
        if states:
            return speak("，", ", ").join(f"{state_word(state)} {number}" for state, number in states.items())
        if rung.name in self._held:
            return say(WHY[Why(self._held[rung.name])])
        if rung.at > now:
            return speak("未到", "to come")
        waits = self._undecided_from is not None and rung.at >= self._undecided_from
        return speak("尚未检查", "not looked at yet") if waits else speak("没有消息", "no message")


def _show_ladder(names: Names, story: Explained, happened: _Happened, now: datetime) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    one = story.stored.obligation
    ahead = [rung for rung in story.rungs if rung.at > now]
    shown = [rung for rung in story.rungs if rung.at <= now] + ahead[:STEPS_AHEAD]
    rows: list[tuple[object, ...]] = [
        (
            names.instant(rung.at),
            _with_id(names.step(one.policy, one.limit, rung.name), rung.step.id),
            _asked(names, rung),
            happened.at(rung, now),
        )
        for rung in shown
    ]
    left = len(ahead) - STEPS_AHEAD
    if left > 0:
        rows.append(("…", speak(f"另有 {left} 次", f"{left} more"), "", ""))
    show_table(
        speak("阶梯", "ladder"),
        [speak(zh, en) for zh, en in (("时间", "at"), ("梯级", "step"), ("发给", "to"), ("结果", "outcome"))],
        rows,
        speak("没有梯级", "no steps"),
        whole=(0, 3),
    )


def _with_id(words: str, identity: str) -> Line:
    """The step in words, its id behind in dim."""
    from rich.text import Text as Line  # noqa: PLC0415 - JSON is printed without it

    return Line(words) if words == identity else Line.assemble(words, " ", (identity, "dim"))


def _asked(names: Names, rung: Rung) -> str:
    step = rung.step
    asked = rung.otherwise or step.to
    copies = () if rung.otherwise else step.cc
    to = speak("、", ", ").join(names.role(role) for role in asked)
    if not copies:
        return to
    copied = speak("、", ", ").join(names.role(role) for role in copies)
    return speak(f"{to}，抄送{copied}", f"{to}; copy to {copied}")


def _decision(
    names: Names, teller: Story, story: Explained, now: datetime, *, restricted: bool
) -> list[tuple[str, str]]:
    """What the daemon would do at this moment, and what comes after that."""
    plan, stored = story.plan, story.stored
    if plan is None:
        return []
    missed = max((len(notice.missed) for notice in plan.notices), default=0)
    told = list(teller.planned(plan.notices)) or [speak("没有要发的", "nothing to send")]
    if missed:
        told.append(speak(f"此前错过的 {missed} 个梯级并入这一次", f"for the {missed} step(s) missed before as well"))
    told += [names.plain(say(reason.text)) for reason in plan.reasons if reason.why.value not in TOLD_BY_THE_TABLE]
    pairs = [(speak("如果现在判断", "if decided now") if n == 0 else "", words) for n, words in enumerate(told)]
    if stored.next_check_at is not None and stored.next_check_at < now - LATE:
        at = names.instant(stored.next_check_at)
        late = speak(
            f"早该在 {at} 检查而未检查，请确认守护进程在运行",
            f"should have been looked at {at}; is the daemon running?",
        )
        pairs.append((speak("注意", "note"), late))
    next_ones = _next_ones(names, teller, story)
    if not next_ones:
        over = speak("无，阶梯已走完", "none, the ladder has come to its end")
        next_ones = [
            speak("无：限制知悉，名单上没有人可以通知", "nobody: restricted, and nobody listed can be told")
            if restricted
            else over
        ]
    return [*pairs, *((speak("下一步", "next step") if n == 0 else "", words) for n, words in enumerate(next_ones))]


def _next_ones(names: Names, teller: Story, story: Explained) -> list[str]:
    """The next messages if the case stays as it is, one line for each moment."""
    lines: list[str] = []
    for at, together in islice(groupby(story.ahead, key=lambda told: told.at), STEPS_AHEAD):
        notices = [told.notice for told in together]
        sentence = speak("；", "; ").join(teller.planned(notices))
        if all(notice.dark for notice in notices):
            sentence += speak("（试运行，不发）", " (dark: not sent)")
        elif any(notice.release for notice in notices):
            sentence += speak("（越级的须核发）", " (above the leader: awaits release)")
        lines.append(f"{names.instant(at)} {sentence}")
    return lines


def _show_messages(at_desk: Desk, deliveries: Sequence[Delivery]) -> None:
    """What was really decided and what became of it; the channels of one message to one person share a line."""
    from daemon.cli.reading import show_table, state_word  # noqa: PLC0415 - loads the database library
    from policies.explain import why_word  # noqa: PLC0415 - the same

    names = at_desk.names
    together: dict[tuple[str, str, str, str, str], list[str]] = {}
    for delivery in deliveries:
        notice = delivery.notice
        group = (
            at_desk.local(delivery.created_at),
            f"{names.limit(notice.policy, notice.limit)} {names.step_of(notice)}",
            names.addressee(notice.role, notice.person, copy=notice.copy),
            state_word(delivery.state),
            names.problem(delivery) or say(why_word(notice.why)),
        )
        together.setdefault(group, []).append(names.over(delivery))
    headings = (
        ("时间", "at"), ("梯级", "step"), ("收件人", "to"), ("通道", "channel"), ("状态", "state"), ("为何", "why"),
    )  # fmt: skip
    show_table(
        speak("已决定的消息", "messages decided"),
        [speak(zh, en) for zh, en in headings],
        [
            (*group[:3], speak("、", ", ").join(dict.fromkeys(channels)), *group[3:])
            for group, channels in together.items()
        ],
        whole=(0,),
    )


def _show_held(at_desk: Desk, teller: Story, ledger: Sequence[LedgerRow]) -> None:
    """Why somebody got nothing, or another in his place."""
    from daemon.cli.reading import show_pairs  # noqa: PLC0415 - loads the database library

    told = [
        (at_desk.local(row.at), _held_sentence(at_desk.names, teller, row, reason))
        for row, reason in teller.held(ledger)
    ]
    if told:
        click.echo(speak("\n没有发或改发的，及原因", "\nheld or sent elsewhere, and why"))
        show_pairs(list(dict.fromkeys(told)))


def _held_sentence(names: Names, teller: Story, row: LedgerRow, reason: Mapping[str, Any]) -> str:
    policy, limit = str(row.body.get("policy", "")), str(row.body.get("limit", ""))
    step = names.step(policy, limit, str(reason["step"])) if reason.get("step") else ""
    title, sentence = names.limit(policy, limit), teller.reason(reason)
    return speak(f"“{title}”{step}：{sentence}", f"“{title}” {step}: {sentence}")
