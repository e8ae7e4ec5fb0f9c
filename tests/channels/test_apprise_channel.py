from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from channels.apprise import AppriseSettings
from channels.base import CANNOT_ASK, Message, OutcomeUnknown, PermanentFailure, Receipt
from support.channel_stages import AT, CHINESE, JsonReceiver, opened
from support.sms_gateway import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from channels.base import Channel

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise's own import


@pytest.fixture
async def receiver() -> AsyncIterator[JsonReceiver]:
    """A running receiver."""
    async with running(JsonReceiver()) as started:
        yield started


@pytest.fixture
async def channel(receiver: JsonReceiver) -> AsyncIterator[Channel]:
    """A channel to it, by one of Apprise's services."""
    made = opened("apprise", url=f"json://127.0.0.1:{receiver.port}/duban?to={{to}}", timeout=2)
    yield made
    await made.close()


def message(key: str = "k1", text: str = CHINESE, to: str = "reader") -> Message:
    """A message to somebody."""
    return Message(key=key, to=to, text=text, at=AT, subject="【督办】提醒")


async def test_a_message_goes_through_a_service_of_apprise(receiver: JsonReceiver, channel: Channel) -> None:
    """Text and subject arrive as they are: Apprise's own templates and formats leave them alone."""
    (outcome,) = await channel.send_many([message(text="{{ case }} <b>*提醒*</b>𠮷")])
    assert outcome == Receipt(answer="ok")
    (said,) = receiver.messages
    assert (said["title"], said["message"]) == ("【督办】提醒", "{{ case }} <b>*提醒*</b>𠮷")


@pytest.mark.parametrize("fault", ["400", "429", "500", "drop", "half"])
async def test_every_no_is_in_doubt(receiver: JsonReceiver, channel: Channel, fault: str) -> None:
    """Apprise says only that it did not work: a refusal and a lost answer look the same, and nothing is tried twice."""
    receiver.fail(fault)
    (outcome,) = await channel.send_many([message()])
    assert isinstance(outcome, OutcomeUnknown)
    assert outcome.code == "apprise_failed"
    assert "reader" not in f"{outcome!r}"
    assert receiver.requests == 1


async def test_a_silent_service_is_left_after_the_time_out(receiver: JsonReceiver) -> None:
    """The time-out of the settings holds whatever Apprise would do."""
    made = opened("apprise", url=f"json://127.0.0.1:{receiver.port}/duban?rto=1", timeout=0.3)
    receiver.fail("hang")
    (outcome,) = await asyncio.wait_for(made.send_many([message()]), 5)
    assert isinstance(outcome, OutcomeUnknown)


async def test_retries_of_the_address_are_switched_off(receiver: JsonReceiver) -> None:
    """`?retry=` in an address would be a second message after a lost answer."""
    made = opened("apprise", url=f"json://127.0.0.1:{receiver.port}/duban?retry=3&wait=0", timeout=5)
    receiver.fail("drop", "drop", "drop", "drop")
    await made.send_many([message()])
    assert receiver.requests == 1


async def test_outcomes_stand_in_the_order_of_the_messages(receiver: JsonReceiver, channel: Channel) -> None:
    """What cannot be sent fails for good in its own place."""
    outcomes = await channel.send_many(
        [message("a"), message("b", text="half \ud83d"), message("c", to="a\r\nb"), message("d")]
    )
    assert [isinstance(one, Receipt) for one in outcomes] == [True, False, False, True]
    assert all(isinstance(one, PermanentFailure) for one in outcomes[1:3])
    assert len(receiver.messages) == 2


async def test_apprise_can_never_be_asked(channel: Channel) -> None:
    """So a resend is marked at once."""
    with pytest.raises(OutcomeUnknown) as failure:
        await channel.lookup(message())
    assert failure.value.code == CANNOT_ASK


def test_a_service_apprise_does_not_know_opens_no_channel() -> None:
    """The mistake shows when the daemon starts, not with the first message; the address is not repeated."""
    with pytest.raises(PermanentFailure) as failure:
        opened("apprise", url="nosuchservice://not-a-real-token")
    assert failure.value.code == "bad_url"
    assert failure.value.whole_channel
    assert "not-a-real-token" not in str(failure.value)


WITHOUT = """
import sys
sys.modules["apprise"] = None
from channels.registry import channel_types
from channels.base import PermanentFailure
kind = channel_types()["apprise"]
settings = kind.settings.model_validate({"url": "json://localhost/"})
try:
    kind.open(settings)
except PermanentFailure as failure:
    sys.exit(failure.code != "apprise_missing" or not failure.whole_channel)
"""


def test_without_the_extra_only_opening_fails() -> None:
    """Where Apprise is not installed, the channel can be configured and checked, and says what to install."""
    assert subprocess.run([sys.executable, "-c", WITHOUT], check=False).returncode == 0  # noqa: S603  # our own words


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"url": "not-a-real-token"}, "ntfys://"),
        ({"url": "json://localhost/{person}"}, "{to}"),
        ({"kind": "E-Mail"}, "kind"),
        ({"timeout": 0}, "timeout"),
        ({"urls": []}, "urls"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], named: str) -> None:
    """Each mistake is found before anything is sent, without repeating the address, which holds a token."""
    with pytest.raises(ValidationError) as failure:
        AppriseSettings.model_validate({"url": "json://localhost/"} | changes)
    assert named in str(failure.value)
    assert "not-a-real-token" not in str(failure.value)
