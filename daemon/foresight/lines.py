"""One foretold message as one line of a file that sorts by itself: in time, then by case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import orjson

from daemon.letters import is_urgent, may_merge

if TYPE_CHECKING:
    from policies.beforehand.foresight import Told
    from policies.model import Limit, Obligation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
DUE = "due"
MESSAGE = "message"


class Line(NamedTuple):
    """A message that will go out, or (`kind` due) the end of a limit; keys and codes, not yet names.

    `at` is in microseconds since 1970, UTC. `step` has the number of its return behind `#`. `parts` is how many parts a
    text message is charged as, 0 for other channels. `fate` says why a message does not simply go out: `release`
    (waits for a human), `dark` (never sent), empty otherwise. `missed` counts the earlier steps folded into it.
    For budgets: whether it is `urgent`, whether it `merges` with others when one is short, a hash of its `words`, and
    when it `expires` (the next step takes over; 0: never).
    """

    at: int
    case: str
    kind: str
    policy: str
    limit: str
    instance: str
    light: str
    unit: str = ""
    step: str = ""
    role: str = ""
    person: str = ""
    copy: bool = False
    channel: str = ""
    parts: int = 0
    fate: str = ""
    missed: int = 0
    provisional: bool = False
    digest: bool = False
    key: str = ""
    urgent: bool = False
    merges: bool = False
    words: str = ""
    expires: int = 0

    @property
    def instant(self) -> datetime:
        """When, aware, in UTC."""
        return _EPOCH + timedelta(microseconds=self.at)


def line_of(told: Told, unit: str | None, parts: int, limit: Limit | None = None, words: str = "") -> Line:
    """The line of a message; `unit` is the one that has the case, `words` a hash of its text if it was written."""
    notice = told.notice
    return Line(
        at=(told.at - _EPOCH) // _MICROSECOND,
        case=notice.case_key,
        kind=MESSAGE,
        policy=notice.policy,
        limit=notice.limit,
        instance=notice.instance,
        light=told.light.value,
        unit=unit or "",
        step=f"{notice.step}#{notice.repeat}" if notice.repeat else notice.step,
        role=notice.role,
        person=notice.person,
        copy=notice.copy,
        channel=notice.channel,
        parts=parts,
        fate="dark" if notice.dark else "release" if notice.release else "",
        missed=len(notice.missed),
        provisional=bool(notice.facts.get("provisional")),
        digest=notice.digest,
        key=notice.key,
        urgent=is_urgent(notice, limit),
        merges=may_merge(notice, limit),
        words=words,
        expires=0 if notice.expires_at is None else (notice.expires_at - _EPOCH) // _MICROSECOND,
    )


def due_line(one: Obligation, unit: str | None) -> Line:
    """The line of a limit's end."""
    return Line(
        at=(one.due_at - _EPOCH) // _MICROSECOND,
        case=one.case_key,
        kind=DUE,
        policy=one.policy,
        limit=one.limit,
        instance=one.instance,
        light="",
        unit=unit or "",
        provisional=one.provisional,
        key=f"{DUE}/{one.case_key}/{one.policy}/{one.limit}/{one.instance}",
    )


def packed(line: Line) -> bytes:
    """The line as bytes that sort as the lines do, with a line feed."""
    return b"%020d %s\n" % (line.at, orjson.dumps(tuple(line)))


def unpacked(written: bytes) -> Line:
    """The line again."""
    return Line(*orjson.loads(written[21:]))
