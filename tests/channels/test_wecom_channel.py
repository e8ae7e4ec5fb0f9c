from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.base import CANNOT_ASK, Message, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from channels.wecom import WeComSettings
from channels.wire.person import shortened
from support.channel_stages import AT, CHINESE, opened
from support.sms_gateway import running
from support.workplace_servers import PERSON, SECRET, WeComServer, coded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from channels.base import Channel

OWN: dict[str, Any] = {"corp_id": "ww1", "agent_id": 7, "secret": SECRET}


@pytest.fixture
async def server() -> AsyncIterator[WeComServer]:
    """A running server."""
    async with running(WeComServer()) as started:
        yield started


@pytest.fixture
async def channel(server: WeComServer) -> AsyncIterator[Channel]:
    """A channel to it."""
    made = opened("wecom", **OWN, base_url=server.url, timeout=1)
    yield made
    await made.close()


def message(text: str = CHINESE, **other: Any) -> Message:
    """A message to the one person."""
    return Message(**{"key": "k1", "to": PERSON, "text": text, "at": AT, **other})


async def test_what_is_asked_of_wecom(server: WeComServer, channel: Channel) -> None:
    """A text goes to one member as from the application; the receipt is WeCom's own number, and not a delivery."""
    (outcome,) = await channel.send_many([message()])
    assert outcome == Receipt("W1", answer="ok")
    assert server.messages == [{"touser": PERSON, "agentid": 7, "msgtype": "text", "text": {"content": CHINESE}}]


async def test_markdown_and_cards(server: WeComServer) -> None:
    """The same message as markdown, and as a card with title, link and button."""
    for form, more in (("markdown", {}), ("textcard", {"link": "https://duban.example/inbox"})):
        made = opened("wecom", **OWN, base_url=server.url, message=form, **more)
        await made.send_many([message(subject="【督办】提醒")])
        await made.close()
    markdown, card = server.messages
    assert markdown["markdown"] == {"content": CHINESE}
    assert card["textcard"] == {
        "title": "【督办】提醒",
        "description": CHINESE,
        "url": "https://duban.example/inbox",
        "btntxt": "详情",
    }


async def test_a_card_without_a_subject_has_the_configured_title(server: WeComServer) -> None:
    """Texts of the SMS kind have no subject; the card is then titled as the settings say."""
    made = opened("wecom", **OWN, base_url=server.url, message="textcard", link="https://duban.example/")
    await made.send_many([message()])
    await made.close()
    assert server.messages[0]["textcard"]["title"] == "督办提醒"


async def test_a_long_text_ends_in_an_ellipsis(server: WeComServer, channel: Channel) -> None:
    """WeCom would cut in the middle of a character; we cut before, and show that something is missing."""
    await channel.send_many([message("𠮷" * 1000)])
    content = server.messages[0]["text"]["content"]
    assert len(content.encode()) <= 2048
    assert content.rstrip("…").replace("𠮷", "") == ""
    assert content.endswith("…")


@pytest.mark.parametrize(("text", "most", "said"), [("提醒", 6, "提醒"), ("提醒他", 8, "提…"), ("ab", 2, "ab")])
def test_shortening_counts_bytes(text: str, most: int, said: str) -> None:
    """What fits stays whole; what does not loses whole characters only."""
    assert shortened(text, most) == said


@given(text=st.text(st.characters(exclude_categories=["Cs"])), most=st.integers(3, 60))
def test_what_is_left_is_the_beginning(text: str, most: int) -> None:
    """Never longer than allowed, always the beginning, and whole where it fits."""
    said = shortened(text, most)
    assert len(said.encode()) <= most
    assert said == text or (said.endswith("…") and text.startswith(said[:-1]))


@pytest.mark.parametrize("listed", ["invalid", "unlicensed"])
async def test_a_member_who_is_none_fails_though_wecom_says_ok(
    server: WeComServer, channel: Channel, listed: str
) -> None:
    """Code 0 with the member among the invalid ones is no success; WeCom writes ids in small letters."""
    getattr(server, listed).add("zhang.san")
    (outcome,) = await channel.send_many([message(to="Zhang.San")])
    assert isinstance(outcome, PermanentFailure)
    assert not outcome.whole_channel
    assert outcome.code == f"wecom_{listed}user"


CODES: list[tuple[int, type[SendError], object]] = [
    *((code, PermanentFailure, False) for code in (81013, 60111, 40003, 46004, 82001, 44004, 45002)),
    *((code, PermanentFailure, True) for code in (40001, 40013, 40056, 48002, 50003, 60011, 60020, 301002)),
    (-1, TemporaryFailure, 30.0),
    (45009, TemporaryFailure, 60.0),
    (45033, TemporaryFailure, 10.0),
    (123456, TemporaryFailure, None),
]


@pytest.mark.parametrize(("code", "kind", "more"), CODES)
async def test_codes_of_wecom(
    server: WeComServer, channel: Channel, code: int, kind: type[SendError], more: object
) -> None:
    """Each of WeCom's codes is one of our failures, and its words are not repeated."""
    server.fail(coded("errcode", code))
    (outcome,) = await channel.send_many([message()])
    assert type(outcome) is kind
    assert isinstance(outcome, SendError)
    assert outcome.code == f"wecom_{code}"
    assert PERSON not in f"{outcome!r}"
    assert getattr(outcome, "whole_channel", getattr(outcome, "retry_after", None)) == more


async def test_more_to_one_member_than_wecom_lets_through_waits(server: WeComServer) -> None:
    """Beyond 30 a minute to one member WeCom drops silently; so that one waits here, and others do not."""
    made = opened("wecom", **OWN, base_url=server.url, per_person_per_minute=2)
    outcomes = await made.send_many([message(key=f"k{i}") for i in range(3)])
    assert isinstance((await made.send_many([message(to="li.si")]))[0], Receipt)
    await made.close()
    (waiting,) = [one for one in outcomes if not isinstance(one, Receipt)]
    assert isinstance(waiting, TemporaryFailure)
    assert waiting.retry_after is not None
    assert 0 < waiting.retry_after <= 60
    assert len(server.messages) == 3


async def test_wecom_can_never_be_asked(channel: Channel) -> None:
    """So a resend is marked as a possible duplicate at once."""
    with pytest.raises(OutcomeUnknown) as failure:
        await channel.lookup(message())
    assert failure.value.code == CANNOT_ASK


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"corp_id": ""}, "corp_id"),
    ({"agent_id": "duban"}, "agent_id"),
    ({"secret": ""}, "secret"),
    ({"message": "card"}, "message"),
    ({"message": "textcard"}, "link"),
    ({"link": "duban.example"}, "link"),
    ({"base_url": "qyapi.weixin.qq.com"}, "base_url"),
    ({"rate": 0}, "rate"),
    ({"agentid": 7}, "agentid"),
]


@pytest.mark.parametrize(("changes", "named"), WRONG)
def test_wrong_settings_are_named(changes: dict[str, Any], named: str) -> None:
    """Each mistake is found before anything is sent, and names its key."""
    with pytest.raises(ValidationError) as failure:
        WeComSettings.model_validate(OWN | changes)
    assert named in str(failure.value)
    assert SECRET not in str(failure.value)
