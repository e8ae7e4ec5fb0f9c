from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from channels.base import Message, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from support.channel_stages import AT, opened
from support.sms_gateway import Fault, running
from support.workplace_servers import (
    PERSON,
    SECRET,
    DingTalkServer,
    FeishuServer,
    TokenServer,
    WeComServer,
    coded,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from channels.base import Channel, Outcome

APPLICATIONS: dict[str, tuple[type[TokenServer], dict[str, Any]]] = {
    "wecom": (WeComServer, {"corp_id": "ww1", "agent_id": 7, "per_person_per_minute": 1000}),
    "dingtalk": (DingTalkServer, {"app_key": "ding1", "agent_id": 7, "confirm_after": 0}),
    "feishu": (FeishuServer, {"app_id": "cli1"}),
}


def secret_of(name: str, value: str) -> dict[str, str]:
    """The setting that holds the application's secret."""
    return {"secret" if name == "wecom" else "app_secret": value}


class Application:
    """One channel that needs a token, and its provider."""

    def __init__(self, name: str, server: TokenServer) -> None:
        self.name = name
        self.server = server
        self.channels: list[Channel] = []
        self.channel = self.opened(SECRET)

    def opened(self, secret: str) -> Channel:
        """A channel with this secret."""
        settings = {**APPLICATIONS[self.name][1], **secret_of(self.name, secret)}
        self.channels.append(opened(self.name, **settings, base_url=self.server.url, timeout=1))
        return self.channels[-1]

    async def send(self, count: int = 1) -> list[Outcome]:
        """So many messages at once."""
        return await self.channel.send_many([message(f"k{number}") for number in range(count)])


def message(key: str = "k1") -> Message:
    """A message to the one person."""
    return Message(key=key, to=PERSON, text=f"提醒：{key}", at=AT)


@pytest.fixture(params=list(APPLICATIONS))
async def application(request: pytest.FixtureRequest) -> AsyncIterator[Application]:
    """Every provider that wants a token, in turn."""
    async with running(APPLICATIONS[request.param][0]()) as server:
        made = Application(request.param, server)
        yield made
        for channel in made.channels:
            await channel.close()


async def test_one_token_serves_all(application: Application) -> None:
    """Many messages at the same time ask for one token, and later ones ask for none."""
    assert all(isinstance(one, Receipt) for one in await application.send(20))
    assert all(isinstance(one, Receipt) for one in await application.send(20))
    assert application.server.tokens_given == 1


async def test_a_forgotten_token_is_asked_for_again(application: Application) -> None:
    """A provider that no longer knows the token did nothing; the message goes out with a fresh one, once."""
    await application.send()
    application.server.forget_tokens()
    (outcome,) = await application.channel.send_many([message("after")])
    assert isinstance(outcome, Receipt)
    assert application.server.tokens_given == 2
    assert len(application.server.messages) == 2


async def test_forgotten_tokens_are_asked_for_once_by_all(application: Application) -> None:
    """Twenty messages that meet a forgotten token ask for no more than one new one for each that was under way."""
    await application.send()
    application.server.forget_tokens()
    outcomes = await application.channel.send_many([message(f"after {number}") for number in range(20)])
    assert all(isinstance(one, Receipt) for one in outcomes)
    assert application.server.tokens_given <= 3


async def test_a_token_is_not_used_to_its_last_second(application: Application) -> None:
    """A token that is over is not tried: a new one is asked for before."""
    application.server.token_life = 0
    await application.send()
    await application.channel.send_many([message("later")])
    assert application.server.tokens_given == 2
    assert application.server.requests == 2  # no sending was refused


async def test_two_refused_tokens_are_not_followed_by_a_third(application: Application) -> None:
    """Where even a fresh token is refused, the message waits; the provider is not asked for ever."""
    await application.send()
    code = {"feishu": ("code", 99991663)}.get(application.name, ("errcode", 42001))
    application.server.fail(*[coded(*code)] * 2)
    (outcome,) = await application.channel.send_many([message("refused")])
    assert isinstance(outcome, TemporaryFailure)
    assert application.server.tokens_given == 2


@pytest.mark.parametrize("fault", ["drop", "hang", "half", "malformed", "502", "503 7", "429 7"])
async def test_a_lost_token_sends_nothing(application: Application, fault: str) -> None:
    """However the question for a token ends, the message was not sent and may be tried again."""
    application.server.fail_token(fault)
    (outcome,) = await application.send()
    assert isinstance(outcome, TemporaryFailure)
    assert outcome.retry_after == (7.0 if fault.endswith(" 7") else None)
    assert application.server.messages == []
    assert isinstance((await application.send())[0], Receipt)


async def test_a_wrong_secret_concerns_the_whole_channel(application: Application) -> None:
    """Without a token nothing gets out; the administrator hears of it, and the secret stays where it is."""
    channel = application.opened("another-secret")
    (outcome,) = await channel.send_many([message()])
    assert isinstance(outcome, PermanentFailure)
    assert outcome.whole_channel
    assert "another-secret" not in f"{outcome!r}{outcome.__cause__!r}"


async def test_a_wrong_address_of_the_provider_concerns_the_whole_channel(application: Application) -> None:
    """A 404 where tokens are given out is no matter of one message."""
    application.server.fail_token(Fault(404, "not here"))
    (outcome,) = await application.send()
    assert isinstance(outcome, PermanentFailure)
    assert outcome.whole_channel


async def test_an_answer_without_a_token_is_no_token(application: Application) -> None:
    """An answer that says "fine" and gives nothing sends nothing."""
    application.server.fail_token(Fault(200, '{"errcode": 0, "code": 0}'))
    (outcome,) = await application.send()
    assert isinstance(outcome, TemporaryFailure)


async def test_cancelling_one_batch_leaves_the_token_to_the_others(application: Application) -> None:
    """While a token is on its way, one batch is cancelled; the next one gets its messages out."""
    application.server.fail_token("hang")
    batch = asyncio.create_task(application.send())
    await asyncio.wait_for(application.server.hanging.wait(), 5)
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    outcomes = [*(await application.send()), *(await application.send())]
    assert isinstance(outcomes[-1], Receipt)


async def test_closing_while_a_token_is_on_its_way(application: Application) -> None:
    """A channel can be closed at any moment."""
    application.server.fail_token("hang")
    batch = asyncio.create_task(application.send())
    await asyncio.wait_for(application.server.hanging.wait(), 5)
    batch.cancel()
    await application.channel.close()
    with pytest.raises(asyncio.CancelledError):
        await batch


@pytest.mark.parametrize("to", ["@all", "zhang|li", "zhang,li", "", "a b", "张三", "x" * 65])
async def test_nobody_but_one_person_is_written_to(application: Application, to: str) -> None:
    """An address that means everybody, several or nobody is refused before anything is asked."""
    (outcome,) = await application.channel.send_many([Message(key="k", to=to, text="x", at=AT)])
    assert isinstance(outcome, PermanentFailure)
    assert outcome.code == "bad_address"
    assert application.server.tokens_given == 0


@pytest.mark.parametrize("fault", ["malformed", "half", "504", "502"])
async def test_answers_nobody_understands_leave_it_in_doubt(application: Application, fault: str) -> None:
    """A 200 that is a riddle, half an answer and a gateway that timed out: perhaps sent."""
    application.server.fail(fault)
    (outcome,) = await application.send()
    assert isinstance(outcome, OutcomeUnknown)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("503 9", TemporaryFailure), ("429 9", TemporaryFailure), ("400", PermanentFailure), ("403", PermanentFailure)],
)
async def test_a_status_without_a_code_counts(application: Application, fault: str, kind: type[SendError]) -> None:
    """Where a proxy answers in the provider's place, its status decides; its wait is kept."""
    application.server.fail(fault)
    (outcome,) = await application.send()
    assert type(outcome) is kind
    assert getattr(outcome, "retry_after", None) == (9.0 if fault.endswith(" 9") else None)
