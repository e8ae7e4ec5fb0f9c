"""What a unit or a person is asked about later: what they held, for how long, which limits were met, late, passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from daemon.cli.output import speak, to_json
from policies.model import Movement, ObligationState
from policies.people.holding import agreed, holder_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from daemon.cli.reading import Desk
    from daemon.store.values import Breach, Held, StoredCase, StoredObligation
    from policies.model import Transfer


@dataclass(frozen=True, slots=True)
class Kept:
    """One holding, how many days it lasted so far, and the limits of the case that were met or passed in it."""

    held: Held
    days: int
    met: int
    late: int
    running: int


@dataclass(frozen=True, slots=True)
class Record:
    """All that is recorded of one unit or person in a stretch of time."""

    kept: tuple[Kept, ...]
    breaches: tuple[Breach, ...]
    handbacks: tuple[tuple[str, Transfer], ...]  # (case, movement)


def record_of(
    at_desk: Desk,
    unit: str | None,
    official: str | None,
    since: datetime | None,
    until: datetime | None,
    now: datetime,
) -> Record:
    """Read it all from the store."""
    store, end = at_desk.store, min(until or now, now)
    held = store.holdings_of(unit=unit, official=official, since=since, until=end)
    keys = {one.case_key for one in held}
    obligations, cases = store.obligations_of(keys), store.cases(keys)
    return Record(
        tuple(_kept(at_desk, one, obligations.get(one.case_key, ()), end) for one in held),
        tuple(store.breaches(unit=unit, official=official, since=since, until=until)),
        tuple(_handbacks(cases, unit, official, since, end)),
    )


def _kept(at_desk: Desk, held: Held, obligations: Sequence[StoredObligation], end: datetime) -> Kept:
    """Met belongs to whoever led when it was done, late to whoever led when the limit passed, done since or not.

    A limit per holder belongs to its holder alone. Days are counted between the office's dates.
    """
    zone = at_desk.configuration.zone
    last = min(held.to_at or end, end)
    days = (last.astimezone(zone).date() - held.from_at.astimezone(zone).date()).days
    met = late = running = 0
    for stored in obligations if held.lead else ():
        one = stored.obligation
        if one.holder_unit not in {None, held.unit} or one.state is ObligationState.WITHDRAWN:
            continue
        ended = one.done_at or end
        if ended > one.legal_due_at:
            late += held.from_at <= one.legal_due_at and _before_the_end(one.legal_due_at, held)
        elif one.done_at is not None:
            met += held.from_at <= one.done_at and _before_the_end(one.done_at, held)
        else:
            running += held.to_at is None
    return Kept(held, max(days, 0), met, late, running)


def _before_the_end(at: datetime, held: Held) -> bool:
    return held.to_at is None or at < held.to_at


def _handbacks(
    cases: Mapping[str, StoredCase],
    unit: str | None,
    official: str | None,
    since: datetime | None,
    end: datetime,
) -> Iterable[tuple[str, Transfer]]:
    for key in sorted(cases):
        case = cases[key].case
        for move in case.transfers:
            if move.kind is not Movement.HAND_BACK or move.at >= end or (since is not None and move.at < since):
                continue
            held = holder_at(case, move.at)
            by_unit = move.from_unit or (held.unit if held else None)
            by_official = held.official if held and held.unit == by_unit else None
            if unit in {None, by_unit} and official in {None, by_official}:
                yield key, move


# --- shown ------------------------------------------------------------------------------------------------------


def show_record(at_desk: Desk, record: Record, title: str) -> None:
    """Three tables: what was held, which limits passed, what was to be handed back."""
    _show_kept(at_desk, record.kept, title)
    click.echo()
    _show_breaches(at_desk, record.breaches)
    click.echo()
    _show_handbacks(at_desk, record.handbacks)


def _show_kept(at_desk: Desk, kept: Sequence[Kept], title: str) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    headings = (
        ("案件", "case"), ("身份", "as"), ("起", "from"), ("止", "to"), ("天数", "days"),
        ("按期", "met"), ("超期", "late"), ("在办", "open"), ("依据", "by"),
    )  # fmt: skip
    show_table(
        speak(f"{title} 承办记录", f"held by {title}"),
        [speak(zh, en) for zh, en in headings],
        [
            (
                f"{one.held.case_key}\n{_person_or_unit(at_desk, one.held)}",
                speak("主办", "lead") if one.held.lead else speak("协办", "helps"),
                at_desk.local(one.held.from_at).replace(" ", "\n"),
                at_desk.local(one.held.to_at).replace(" ", "\n") if one.held.to_at else speak("至今", "now"),
                one.days,
                one.met,
                one.late,
                one.running,
                one.held.document or "—",
            )
            for one in kept
        ],
        whole=(1, 2, 3, 4, 5, 6, 7),
        right=(4, 5, 6, 7),
    )


def _person_or_unit(at_desk: Desk, held: Held) -> str:
    return at_desk.names.place(held.unit, held.official)


def _show_breaches(at_desk: Desk, breaches: Sequence[Breach]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    headings = (
        ("编号", "no"),
        ("案件", "case"),
        ("超过", "passed"),
        ("当时承办", "held then by"),
        ("更正", "corrected"),
    )
    show_table(
        speak("超期", "limits passed"),
        [speak(zh, en) for zh, en in headings],
        [
            (
                one.id,
                one.case_key,
                f"{at_desk.names.limit(one.policy, one.limit)}{_due(one)}\n{at_desk.local(one.at)}",
                at_desk.names.place(one.unit, one.official),
                _corrections(one),
            )
            for one in breaches
        ],
        whole=(0,),
        right=(0,),
    )


def _due(one: Breach) -> str:
    return speak("（法定）", " (legal)") if one.due == "legal" else speak("（平台）", " (platform)")


def _corrections(one: Breach) -> str:
    told = (
        speak(
            f"已更正：{said.get('reason')}（{said.get('approved_by')}批准）",
            f"{said.get('reason')} ({said.get('approved_by')})",
        )
        for said in one.corrections
    )
    return "\n".join(told) or "—"


def _show_handbacks(at_desk: Desk, handbacks: Sequence[tuple[str, Transfer]]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    headings = (("案件", "case"), ("申请", "asked"), ("结果", "outcome"), ("理由", "why"))
    show_table(
        speak("申请退回", "asked to hand back"),
        [speak(zh, en) for zh, en in headings],
        [
            (
                key,
                at_desk.local(move.at),
                speak(f"{at_desk.local(move.decided_at)} 同意", f"agreed {at_desk.local(move.decided_at)}")
                if agreed(move)
                else speak("未同意，仍由其承办", "not agreed: stays"),
                move.reason or "—",
            )
            for key, move in handbacks
        ],
        whole=(1,),
    )


def record_as_json(record: Record) -> str:
    """The same for programs."""
    return to_json(
        {
            "holdings": [
                {
                    "case": one.held.case_key,
                    "unit": one.held.unit,
                    "official": one.held.official,
                    "lead": one.held.lead,
                    "from_at": one.held.from_at,
                    "to_at": one.held.to_at,
                    "days": one.days,
                    "met": one.met,
                    "late": one.late,
                    "open": one.running,
                    "document": one.held.document,
                }
                for one in record.kept
            ],
            "breaches": [_breach_as_json(one) for one in record.breaches],
            "handbacks": [
                {
                    "case": key,
                    "at": move.at,
                    "agreed_at": move.decided_at if agreed(move) else None,
                    "reason": move.reason,
                }
                for key, move in record.handbacks
            ],
        }
    )


def _breach_as_json(one: Breach) -> dict[str, object]:
    return {
        "id": one.id,
        "case": one.case_key,
        "policy": one.policy,
        "limit": one.limit,
        "due": one.due,
        "at": one.at,
        "unit": one.unit,
        "official": one.official,
        "first_unit": one.first_unit,
        "first_official": one.first_official,
        "leaders": one.leaders,
        "corrected_at": one.corrected_at,
        "corrections": one.corrections,
    }
