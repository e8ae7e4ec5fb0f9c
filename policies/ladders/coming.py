"""Which steps of a ladder have come since the last look, which of them speak, and which stay silent and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from policies.ladders import sentences
from policies.ladders.answers import acknowledged, acted, answer, unmet
from policies.ladders.rungs import decided_by, is_decided
from policies.model import CatchUp, Why

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from policies.ladders.rungs import Rung
    from policies.ladders.setting import Setting
    from policies.model import Reason

STILL_ON_TIME = timedelta(hours=1)  # a step looked at a little late, in the rush of nine o'clock, is no missed one
_UNSAID = "unsaid:"  # in `History.decided_until`: the step stayed silent, so nobody need acknowledge it


@dataclass(slots=True)  # not frozen: one is made for every decision, and that costs twice as much
class Turn:
    """Steps that speak together, and the missed ones they speak for."""

    firing: tuple[Rung, ...]
    missed: tuple[Rung, ...]
    why: Why


@dataclass(slots=True)
class Coming:
    """What one look finds: whose turn it is, what is still to come, why the rest is silent, and what to remember."""

    turns: list[Turn] = field(default_factory=list["Turn"])
    later: list[Rung] = field(default_factory=list["Rung"])
    reasons: list[Reason] = field(default_factory=list["Reason"])
    decided: Mapping[str, datetime] = field(default_factory=dict[str, "datetime"])


def sort_out(rungs: Sequence[Rung], setting: Setting) -> Coming:
    """Go through the instants of a ladder in time."""
    coming = Coming()
    came = _not_needless(rungs, coming, setting)
    if came:
        speaking, silent = _wanted(came, coming, setting)
        coming.turns = _turns(speaking, coming, setting)
    else:
        speaking, silent = [], []
    coming.decided = _remembered(rungs, speaking, silent, setting)
    return coming


def _not_needless(rungs: Sequence[Rung], coming: Coming, setting: Setting) -> list[Rung]:
    """What has come, without urging for what was done meanwhile or never said; fills what is to come."""
    came: list[Rung] = []
    said_now: set[int] = set()
    for rung in rungs:
        if is_decided(rung, setting.history.decided_until):
            continue
        has_come = rung.at <= setting.now
        needless = _needless(rung, setting, said_now=has_come and rung.order in said_now)
        if needless is not None:
            if has_come:
                coming.reasons.append(needless)
        elif has_come:
            came.append(rung)
            if not rung.unacted:
                said_now.add(rung.order)
        else:
            coming.later.append(rung)
    return came


def _needless(rung: Rung, setting: Setting, *, said_now: bool) -> Reason | None:
    """Why a derived step has nothing to urge for: what its step said was signed for, or never said, or acted on."""
    if rung.unacted:
        return sentences.was_acted(rung) if acted(setting) else None
    if not rung.unacknowledged:
        return None
    if said_now:
        return sentences.never_said(rung)
    if _UNSAID + rung.step.id in setting.history.decided_until:
        return sentences.kept_silent(rung)
    return sentences.was_acknowledged(rung) if acknowledged(rung.step, setting) else None


def _wanted(came: Iterable[Rung], coming: Coming, setting: Setting) -> tuple[list[Rung], list[Rung]]:
    """Those whose conditions let them speak and that are not to be left out when late, and the silent ones."""
    speaking: list[Rung] = []
    silent: list[Rung] = []
    lights = setting.ladder.lights
    for rung in came:
        step = rung.step
        kept = unmet(step, setting) if step.when or step.unless else None
        if kept is not None:
            condition, under_when = kept
            found = answer(condition.field, setting)
            coming.reasons.append(sentences.not_wanted(rung, condition, found, lights, under_when=under_when))
            silent.append(rung)
        elif step.catch_up is CatchUp.SKIP and setting.now - rung.at > STILL_ON_TIME:
            coming.reasons.append(sentences.skipped(rung))
            silent.append(rung)
        else:
            speaking.append(rung)
    return speaking, silent


def _turns(speaking: Sequence[Rung], coming: Coming, setting: Setting) -> list[Turn]:
    """The latest instant speaks for all that were missed; a step that is to be caught up by itself has its own turn.

    Several returns of such a step say the same: the last one speaks for them.
    """
    folding = [rung for rung in speaking if rung.step.catch_up is not CatchUp.EACH]
    turns: list[Turn] = []
    if folding:
        at, now = folding[-1].at, setting.now
        firing = tuple(rung for rung in folding if rung.at == at or now - rung.at <= STILL_ON_TIME)
        missed = tuple(rung for rung in folding if rung not in firing)
        turns.append(Turn(firing, missed, Why.CAUGHT_UP if missed else Why.DUE))
    alone: dict[str, list[Rung]] = {}
    for rung in speaking:
        if rung.step.catch_up is CatchUp.EACH:
            alone.setdefault(rung.id, []).append(rung)
    for rungs in alone.values():
        late = len(rungs) > 1 or setting.now - rungs[-1].at > STILL_ON_TIME
        turns.append(Turn((rungs[-1],), tuple(rungs[:-1]), Why.CAUGHT_UP if late else Why.DUE))
    if len(turns) > 1:
        turns.sort(key=lambda turn: turn.firing[-1].at)
    for turn in turns:
        into = turn.firing[-1].at
        coming.reasons += [sentences.missed(rung, into, setting.calendar) for rung in turn.missed]
    return turns


def _remembered(
    rungs: Sequence[Rung], speaking: Sequence[Rung], silent: Sequence[Rung], setting: Setting
) -> Mapping[str, datetime]:
    """How far the ladder is worked through now, and which steps that want an acknowledgement stayed silent."""
    decided = decided_by(rungs, setting.history, setting.now)
    for rung in speaking:
        if rung.step.acknowledge is not None:
            decided.pop(_UNSAID + rung.step.id, None)
    for rung in silent:
        if rung.step.acknowledge is not None and not rung.otherwise and not rung.repeat:
            decided[_UNSAID + rung.step.id] = rung.at
    return decided
