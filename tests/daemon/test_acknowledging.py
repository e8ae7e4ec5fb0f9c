"""Which message a reply is about: whatever somebody was sent and writes, only what is his and is meant is chosen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from channels.wire.identity import reference_of
from daemon.acknowledging import Ruling, judge
from daemon.offers import code_of
from daemon.replies import Command, Understood
from daemon.store.acknowledgements import Sent
from daemon.store.values import Delivery, DeliveryState
from support.store_values import NOW, notice, obligation

if TYPE_CHECKING:
    from collections.abc import Sequence

BARE = Understood(Command.ACKNOWLEDGE)
DUE = datetime(2026, 10, 8, tzinfo=UTC)


def sent(
    number: int, case: int, *, message: str = "", signed: bool = False, running: bool = True, copy: bool = False
) -> Sent:
    """A delivery about a case; `message` is the digest it left in."""
    one = obligation(f"XF{case:08}")
    told = notice(f"key-{number}", one, copy=copy)
    delivery = Delivery(
        id=number,
        notice=told,
        state=DeliveryState.ACCEPTED,
        attempts=1,
        not_before_at=NOW,
        created_at=NOW,
        policy_version="v1",
        acknowledged_at=NOW if signed else None,
        sent_as=reference_of(message or told.key),
    )
    return Sent(delivery, running, DUE + timedelta(days=number) if running else None)


def numbers(chosen: Sequence[Sent]) -> list[int]:
    """Their numbers, in order."""
    return sorted(one.delivery.id for one in chosen)


SENT = st.builds(
    lambda case, message, signed, running, copy: (case, message, signed, running, copy),
    st.integers(0, 4),
    st.sampled_from(["", "", "digest-a", "digest-b"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
LISTS = st.lists(SENT, max_size=8).map(
    lambda rows: [
        sent(number, case, message=message, signed=signed, running=running, copy=copy)
        for number, (case, message, signed, running, copy) in enumerate(rows)
    ]
)


@given(LISTS, st.integers(1000, 9999).map(str) | st.just(""))
def test_what_is_chosen_is_his_and_has_the_code(his: list[Sent], code: str) -> None:
    """Never a copy, never another code; with a bare word never more than what waits, unless nothing does."""
    codes = [code_of(one.delivery.sent_as) for one in his]
    for asked in {code, *codes[:2]}:
        judged = judge(Understood(Command.ACKNOWLEDGE, code=asked), his)
        assert set(numbers(judged.chosen)) <= {one.delivery.id for one in his}
        assert not [one for one in judged.chosen if one.delivery.notice.copy]
        if asked:
            assert {code_of(one.delivery.sent_as) for one in judged.chosen} <= {asked}
            assert judged.ruling is not Ruling.NOTHING


@given(LISTS)
def test_a_bare_word_signs_for_all_that_waits_or_asks(his: list[Sent]) -> None:
    """With one case waiting it is taken, with several only if one message holds them all."""
    waiting = [
        one for one in his if one.running and one.delivery.acknowledged_at is None and not one.delivery.notice.copy
    ]
    cases = {one.delivery.notice.case_key for one in waiting}
    judged = judge(BARE, his)
    if not waiting:
        assert judged.ruling in (Ruling.SIGN, Ruling.NOTHING)
    elif len(cases) == 1:
        assert (judged.ruling, numbers(judged.chosen)) == (Ruling.SIGN, numbers(waiting))
    else:
        assert numbers(judged.chosen) == numbers(waiting)
        together = [
            {o.delivery.notice.case_key for o in waiting if o.delivery.sent_as == one.delivery.sent_as}
            for one in waiting
        ]
        assert (judged.ruling is Ruling.SIGN) == (cases in together)


def test_the_text_and_the_mail_of_one_step_have_codes_of_their_own_and_both_count() -> None:
    """Either is known again."""
    his = [sent(1, 1), sent(2, 1), sent(3, 2)]
    for one in his[:2]:
        judged = judge(Understood(Command.ACKNOWLEDGE, code=code_of(one.delivery.sent_as)), his)
        assert (judged.ruling, numbers(judged.chosen)) == (Ruling.SIGN, [one.delivery.id])


def test_two_messages_that_happen_to_have_one_code_are_asked_about() -> None:
    """The case number decides then."""
    his = [sent(1, 1)]
    number = next(n for n in range(2, 100_000) if code_of(reference_of(f"key-{n}")) == code_of(his[0].delivery.sent_as))
    his.append(sent(number, 2))
    said = Understood(Command.ACKNOWLEDGE, code=code_of(his[0].delivery.sent_as))
    assert judge(said, his).ruling is Ruling.WHICH
    said = Understood(Command.ACKNOWLEDGE, case="xf00000002")
    assert numbers(judge(said, his).chosen) == [number]
    assert judge(Understood(Command.ACKNOWLEDGE, case="XF00000009"), his).ruling is Ruling.NOT_HIS


def test_a_mail_is_about_the_message_it_answers_unless_it_names_another() -> None:
    """A bare word is about that one, whatever else waits."""
    his = [sent(1, 1), sent(2, 2), sent(3, 3)]
    assert numbers(judge(BARE, his, his[1:2]).chosen) == [2]
    other = Understood(Command.ACKNOWLEDGE, code=code_of(his[2].delivery.sent_as))
    assert numbers(judge(other, his, his[1:2]).chosen) == [3]


def test_when_several_could_be_meant_the_most_urgent_is_first() -> None:
    """By the date their limit ends now."""
    his = [sent(3, 3), sent(1, 1), sent(2, 2)]
    assert [one.delivery.id for one in judge(BARE, his).chosen] == [1, 2, 3]
