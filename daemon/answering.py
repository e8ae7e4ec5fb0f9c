"""Replies taken over (上行): acknowledged, stopped, started again, and answered over the channel they came by.

An answer is a notice about no case, sent by the ordinary pump. Its key says on which day it answers what: the same
answer about the same thing goes to one person at most once a day, and only a few about what is not his, so that two
machines cannot talk to each other for ever, and a reply taken over twice after a crash is answered once.
"""

from __future__ import annotations

import hashlib
import zlib
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

from daemon.acknowledging import Ruling, in_order, judge
from daemon.offers import MAIL
from daemon.replies import Command
from daemon.store.values import Acknowledged, Event
from policies.ladders.notices import OF_RESTRICTED
from policies.model import Notice, Why

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo

    from daemon.engine import Engine
    from daemon.store.acknowledgements import Sent
    from daemon.store.values import Reply
    from policies.model import Scalar

LATELY = timedelta(days=60)  # codes are looked for among messages no older
STOPPED, RESUMED = "answer_stopped", "answer_resumed"
GOOD_FOR = timedelta(hours=6)  # an answer that cannot be sent by then is of no use any more
ROLE = "official"
MOST_UNKNOWN = 10  # answers a day to codes and numbers that are not his: a machine may send another one every time

_SAYS: Mapping[Acknowledged, str] = {
    Acknowledged.TAKEN: "answer_taken",
    Acknowledged.LATE: "answer_taken",
    Acknowledged.ALREADY: "answer_already",
    Acknowledged.CLOSED: "answer_closed",
    Acknowledged.NOT_SENT: "answer_not_sent",
    Acknowledged.NOT_YOURS: "answer_not_yours",
}
_DONE = (Acknowledged.TAKEN, Acknowledged.LATE)


class Answers:
    """Takes replies over, for one worker. Blocking."""

    def __init__(self, engine: Engine, zone: tzinfo, behind: Mapping[str, str] | None = None) -> None:
        """`behind`: provider -> the shared channel it is behind; what is stopped over one is stopped over all."""
        self._engine = engine
        self._zone = zone
        self.behind = behind or {}

    def take(self, reply: Reply, now: datetime) -> bool:
        """Do what the reply says and see that it is answered. Done twice it is the same as done once."""
        command = reply.understood.command
        if command is Command.AUTOMATIC:
            return True
        if command is Command.ACKNOWLEDGE:
            self._acknowledge(reply, now)
        elif command is Command.STOP:
            self._stop(reply, now)
        elif command is Command.START and self._start(reply, now):
            self._answer(reply, RESUMED, now)
        else:
            self._answer(reply, "answer_help", now)
        return True

    # --- stop and start ------------------------------------------------------------------------------------

    def _stop(self, reply: Reply, now: datetime) -> None:
        """No more messages over that channel; answered once a day, as law and carriers demand."""
        for person, channel in product(reply.persons, self._meant(reply)):
            self._engine.store.stop(channel, person, "reply", now)
        self._engine.intake.take_stops()
        self._answer(reply, STOPPED, now)

    def _start(self, reply: Reply, now: datetime) -> bool:
        over = product(reply.persons, self._meant(reply))
        lifted = [self._engine.store.lift_stop(channel, person, "reply", now) for person, channel in over]
        self._engine.intake.take_stops()
        return any(lifted)

    def _meant(self, reply: Reply) -> tuple[str, ...]:
        """The channel he means: that of the provider his message came by, and the one it shares with others."""
        shared = self.behind.get(reply.channel)
        return (reply.channel,) if shared is None else (shared, reply.channel)

    # --- acknowledgement -----------------------------------------------------------------------------------

    def _acknowledge(self, reply: Reply, now: datetime) -> None:
        store, said = self._engine.store, reply.understood
        answered = store.message_called(reply.about)
        his = [one for one in answered if one.delivery.notice.person in reply.persons]
        if answered and not his and not (said.code or said.case):
            self._not_his(reply, now)
            return
        sent = [one for person in reply.persons for one in store.sent_to(person, now - LATELY)]
        judged = judge(said, sent, his)
        if judged.ruling is Ruling.SIGN:
            self._sign(reply, judged.chosen, now)
        elif judged.ruling is Ruling.WHICH:
            self._answer(reply, "answer_which", now, about=judged.chosen)
        else:
            self._not_his(reply, now)

    def _not_his(self, reply: Reply, now: datetime) -> None:
        """Nothing of his has that code, number or message: nothing is said of whose it is, if anybody's."""
        said = reply.understood
        body = {"person": reply.persons[0], "channel": reply.channel, "why": "not_his"}
        event = Event("", "reply_not_taken", now, body, reply.persons[0])
        facts: dict[str, Scalar] = {"answer_code": said.code or said.case}
        subject = str(zlib.crc32((said.code or said.case).encode()) % MOST_UNKNOWN)
        self._answer(reply, "answer_not_yours", now, facts=facts, subject=subject, event=event)

    def _sign(self, reply: Reply, chosen: Sequence[Sent], now: datetime) -> None:
        kind = self._engine.rules.kinds.get(reply.channel, "")
        latest = max(one.delivery.created_at for one in chosen)
        at = min(max(reply.at or now, latest), now)  # a provider's clock may be wrong, or in another zone
        ids = [one.delivery.id for one in chosen]
        answers = self._engine.store.acknowledge_deliveries(ids, at, "mail" if kind == MAIL else "reply", now)
        first = next((answer for answer in (*_DONE, *_SAYS) if answer in answers.values()), Acknowledged.NOT_YOURS)
        alike = _DONE if first in _DONE else (first,)
        about = [one for one in chosen if answers.get(one.delivery.id) in alike]
        facts: dict[str, Scalar] = {
            "answer_late": Acknowledged.LATE in answers.values(),
            "answer_at": self._since(about, at),
        }
        self._answer(reply, _SAYS[first], now, about=about, facts=facts)

    def _since(self, about: Iterable[Sent], at: datetime) -> str:
        """When it was signed for, on the office's clock."""
        earlier = [one.delivery.acknowledged_at for one in about if one.delivery.acknowledged_at is not None]
        return f"{max(earlier, default=at).astimezone(self._zone):%Y-%m-%d %H:%M}"

    # --- answers -------------------------------------------------------------------------------------------

    def _answer(
        self,
        reply: Reply,
        say: str,
        now: datetime,
        *,
        about: Sequence[Sent] = (),
        facts: Mapping[str, Scalar] | None = None,
        subject: str = "",
        event: Event | None = None,
    ) -> None:
        """Say it to whoever wrote, once a day about the same thing; `event` goes into the ledger with it."""
        cases = sorted({one.delivery.notice.case_key or one.delivery.notice.key for one in about})
        subject = hashlib.sha256("\n".join([subject, *cases]).encode()).hexdigest()[:16]
        day = now.astimezone(self._zone).date().isoformat()
        person = about[0].delivery.notice.person if about else reply.persons[0]
        notice = Notice(
            key=f"duban/{say}/{day}/{subject}/{person}/{reply.channel}",
            case_key="",
            policy="",
            limit="",
            deadline_version=0,
            step=say,
            repeat=0,
            person=person,
            role=ROLE,
            channel=reply.channel,
            say=say,
            why=Why.DUE,
            at=now,
            facts={**_NO_ANSWER, **_facts_of(about), **(facts or {}), "answer_count": len(cases)},
            expires_at=now + GOOD_FOR,
        )
        events = [] if event is None else [event]
        self._engine.store.add_notices(None, [notice], events, self._engine.rules.policies.version, now)


_NO_ANSWER: Mapping[str, Scalar] = {"answer_code": "", "answer_late": False, "answer_at": "", "answer_count": 0}
"""The words of answers beside those of every message."""


def _facts_of(about: Sequence[Sent]) -> dict[str, Scalar]:
    """The facts of the most urgent of them, with the date as it is now."""
    if not about:
        return {}
    first = in_order(about)[0]
    facts = dict(first.delivery.notice.facts)
    if first.restricted:
        return {name: value for name, value in facts.items() if name in OF_RESTRICTED}
    if first.due_at is not None:
        facts["due_at"] = facts["legal_due"] = first.due_at.isoformat()
    return facts
