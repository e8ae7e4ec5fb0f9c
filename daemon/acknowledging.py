"""Which of the messages somebody was sent a reply acknowledges (签收). Pure: his messages in, what he signs for out.

A code is looked for among what he himself was sent lately, never among what others were: a code of somebody else's
message is simply none of his, and he learns nothing of whose it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from channels.wire.identity import reference_of
from daemon.offers import code_of
from daemon.replies import same_case
from daemon.store.lanes import DRILL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.replies import Understood
    from daemon.store.acknowledgements import Sent


class Ruling(StrEnum):
    """What is to be done with an acknowledgement by reply."""

    SIGN = "sign"  # take down what was chosen
    WHICH = "which"  # several cases could be meant: he is asked
    NOT_HIS = "not_his"  # nothing he was sent has that code or number
    NOTHING = "nothing"  # nothing he was sent waits for it


@dataclass(frozen=True, slots=True)
class Judged:
    """The ruling, and the deliveries it is about: those he signs for, or those that wait, the most urgent first."""

    ruling: Ruling
    chosen: tuple[Sent, ...] = ()


def judge(said: Understood, sent: Sequence[Sent], answered: Sequence[Sent] = ()) -> Judged:
    """What a reply acknowledges.

    `sent` is what he was sent lately, the latest first; `answered` is the message of his that it answers, where that
    can be told (a reply by mail): a bare word is about that one.
    """
    if said.case:
        named = [
            one for one in sent if one.delivery.notice.case_key and same_case(one.delivery.notice.case_key, said.case)
        ]
        return _signed(named) if named else Judged(Ruling.NOT_HIS)
    asked = [one for one in sent if _is_asked(one)]
    if said.code:
        return _by_code(said.code, asked)
    if answered:
        return _signed(answered)
    return _bare(asked)


def _by_code(code: str, asked: Sequence[Sent]) -> Judged:
    found = [one for one in asked if code_of(_name(one)) == code]
    if not found:
        return Judged(Ruling.NOT_HIS)
    if len({_name(one) for one in found}) == 1 or len({_subject(one) for one in found}) == 1:
        return _signed(found)
    waiting = [one for one in found if _waits(one)]
    return _signed(waiting) if len({_name(one) for one in waiting}) == 1 else _which(waiting or found)


def _bare(asked: Sequence[Sent]) -> Judged:
    waiting = [one for one in asked if _waits(one)]
    if not waiting:
        return _signed(one for one in asked if _name(one) == _name(asked[0])) if asked else Judged(Ruling.NOTHING)
    subjects = {_subject(one) for one in waiting}
    for name in dict.fromkeys(_name(one) for one in waiting):
        together = [one for one in waiting if _name(one) == name]
        if {_subject(one) for one in together} == subjects:  # one case, or one digest that holds all there is
            return _signed(waiting)
    return _which(waiting)


def _signed(chosen: Iterable[Sent]) -> Judged:
    return Judged(Ruling.SIGN, tuple(chosen))


def _which(waiting: Iterable[Sent]) -> Judged:
    return Judged(Ruling.WHICH, tuple(in_order(waiting)))


def in_order(some: Iterable[Sent]) -> list[Sent]:
    """The most urgent first."""
    return sorted(some, key=lambda one: (one.due_at is None, one.due_at, one.delivery.id))


def _is_asked(one: Sent) -> bool:
    """Whether its reader may be the one to sign: a copy is for his knowledge, an alert is about no case."""
    notice = one.delivery.notice
    return not notice.copy and (bool(notice.case_key) or notice.key.startswith(DRILL))


def _waits(one: Sent) -> bool:
    return one.delivery.acknowledged_at is None and (one.running or not one.delivery.notice.case_key)


def _name(one: Sent) -> str:
    return one.delivery.sent_as or reference_of(one.delivery.notice.key)


def _subject(one: Sent) -> str:
    return one.delivery.notice.case_key or _name(one)
