"""What every channel must do, proved on each against a real server on loopback."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from channels.base import OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from support.channel_stages import CHINESE, Stage
from support.message_stages import STAGES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KINDS = {"temporary": TemporaryFailure, "permanent": PermanentFailure, "unknown": OutcomeUnknown}


@pytest.fixture(params=list(STAGES))
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """Every channel in turn."""
    async with STAGES[request.param](tmp_path) as built:
        yield built


NETWORKED = [name for name in STAGES if name != "spool"]  # a spool has no provider that could be silent or away
FAILURES = [*((name, kind) for name in NETWORKED for kind in KINDS), ("spool", "permanent")]


@pytest.fixture(params=NETWORKED)
async def networked(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """Every channel with a provider at the other end, in turn."""
    async with STAGES[request.param](tmp_path) as built:
        yield built


@pytest.fixture(params=FAILURES, ids="-".join)
async def failing(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Stage, str]]:
    """Every failure every channel can have, about to happen."""
    name, kind = request.param
    async with STAGES[name](tmp_path) as built:
        built.fail(kind)
        yield built, kind


async def test_outcomes_stand_in_the_order_of_the_messages(stage: Stage) -> None:
    """A refused message leaves its neighbours alone and its outcome stands in its own place."""
    messages = [stage.message(f"k{i}", f"第{i}条") for i in range(7)]
    messages[3] = replace(messages[3], text="half \ud83d")
    outcomes = await stage.channel.send_many(messages)
    assert [isinstance(one, Receipt) for one in outcomes] == [i != 3 for i in range(7)]
    assert isinstance(outcomes[3], PermanentFailure)
    assert sorted(text.strip() for text in stage.texts()) == [f"第{i}条" for i in range(7) if i != 3]


async def test_nothing_to_send_is_nothing(stage: Stage) -> None:
    """An empty batch has no outcomes and opens no connection."""
    assert await stage.channel.send_many([]) == []


async def test_every_character_arrives(stage: Stage) -> None:
    """Chinese with characters outside the BMP reaches the provider unchanged."""
    (outcome,) = await stage.channel.send_many([stage.message()])
    assert isinstance(outcome, Receipt)
    assert [text.strip() for text in stage.texts()] == [CHINESE]


async def test_an_address_that_is_none_is_refused_for_good(networked: Stage) -> None:
    """A malformed address fails permanently, for this message only."""
    outcomes = await networked.channel.send_many([networked.message(to="not an address\r\nRCPT TO:<x@example.com>")])
    assert isinstance(outcomes[0], PermanentFailure)
    assert not outcomes[0].whole_channel
    assert networked.texts() == []


async def test_the_same_key_is_the_same_message(stage: Stage) -> None:
    """A resend carries the identity of the first sending, so that it can be recognised."""
    await stage.channel.send_many([stage.message()])
    await stage.channel.send_many([stage.message(possible_duplicate=True)])
    assert len(set(stage.identities())) <= 1


async def test_failures_are_told_apart(failing: tuple[Stage, str]) -> None:
    """Not sent now, never to be sent, and perhaps sent are three different outcomes."""
    stage, kind = failing
    (outcome,) = await stage.channel.send_many([stage.message()])
    assert type(outcome) is KINDS[kind]


async def test_errors_give_nothing_away(failing: tuple[Stage, str]) -> None:
    """No failure shows the address, the text or a secret, even when the provider's answer quotes them."""
    stage, _ = failing
    (outcome,) = await stage.channel.send_many([stage.message()])
    assert isinstance(outcome, SendError)
    shown = f"{outcome} {outcome!r} {outcome.code} {outcome.detail} {outcome.__cause__!r}"
    assert not [secret for secret in (stage.to, CHINESE, stage.to[3:], *stage.secrets) if secret in shown]


async def test_it_works_again_after_a_failure(networked: Stage) -> None:
    """One lost answer does not spoil the channel."""
    networked.fail("unknown")
    await networked.channel.send_many([networked.message("k1")])
    assert isinstance((await networked.channel.send_many([networked.message("k2")]))[0], Receipt)


async def test_cancelling_stops_at_once_and_leaves_the_channel_usable(networked: Stage) -> None:
    """A cancelled batch does not wait for the provider; the next batch goes out."""
    networked.fail("hang")
    batch = asyncio.create_task(networked.channel.send_many([networked.message("k1")]))
    await asyncio.wait_for(networked.hanging.wait(), 5)
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    assert isinstance((await networked.channel.send_many([networked.message("k2")]))[0], Receipt)


async def test_a_silent_provider_is_left_after_the_time_out(networked: Stage) -> None:
    """A provider that took the message and never answers gives an unknown outcome within its time-out."""
    networked.fail("hang")
    (outcome,) = await asyncio.wait_for(networked.channel.send_many([networked.message()]), 5)
    assert isinstance(outcome, OutcomeUnknown)


async def test_a_provider_that_is_not_there_is_a_temporary_failure(networked: Stage) -> None:
    """Nothing was sent to a closed port: every message may be tried again."""
    await networked.vanish()
    outcomes = await networked.channel.send_many([networked.message(f"k{i}") for i in range(3)])
    assert [type(one) for one in outcomes] == [TemporaryFailure] * 3


async def test_batches_may_overlap(stage: Stage) -> None:
    """Two calls at the same time both send everything, each once."""
    batches = [[stage.message(f"{b}-{i}", f"{b}-{i}") for i in range(20)] for b in range(3)]
    done = await asyncio.gather(*(stage.channel.send_many(batch) for batch in batches))
    assert all(isinstance(one, Receipt) for outcomes in done for one in outcomes)
    assert sorted(text.strip() for text in stage.texts()) == sorted(f"{b}-{i}" for b in range(3) for i in range(20))


async def test_closing_twice_is_closing_once(stage: Stage) -> None:
    """Close may be called again, and on a channel that never opened a connection."""
    await stage.channel.close()
    await stage.channel.close()


async def test_lookup_tells_sent_from_not_sent(stage: Stage) -> None:
    """A provider that can be asked knows what was sent and what was not; one that cannot says so."""
    message = stage.message()
    if not stage.can_be_asked:
        with pytest.raises(OutcomeUnknown):
            await stage.channel.lookup(message)
        return
    assert await stage.channel.lookup(message) is None
    (sent,) = await stage.channel.send_many([message])
    found = await stage.channel.lookup(message)
    assert isinstance(sent, Receipt)
    assert found is not None
    assert await stage.channel.lookup(stage.message("another key", "another text")) is None


async def test_lookup_never_takes_a_fault_for_an_answer(networked: Stage) -> None:
    """When the provider does not answer the question, the message stays in doubt."""
    await networked.vanish()
    with pytest.raises(OutcomeUnknown):
        await networked.channel.lookup(networked.message())
