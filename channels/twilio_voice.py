"""Telephone calls through Twilio: the text is read out to whoever answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from channels.base import ChannelType
from channels.twilio import TwilioAccountSettings, TwilioChannel

if TYPE_CHECKING:
    from pydantic import BaseModel


class TwilioVoiceSettings(TwilioAccountSettings):
    """`type: twilio_voice`."""

    from_number: str = Field(alias="from", description="主叫号码 / the calling number")
    language: str = Field(
        default="zh-CN", pattern=r"^[a-z]{2,3}-[A-Z]{2}$", description="朗读的语言 / language it is read in"
    )
    times: int = Field(default=2, ge=1, le=3, description="读几遍 / how often it is read")
    ring_seconds: int = Field(default=30, ge=5, le=600, description="最多响铃几秒 / seconds it rings at most")


class TwilioVoiceChannel(TwilioChannel):
    """Calls through one Twilio account."""

    settings_type: ClassVar[type[BaseModel]] = TwilioVoiceSettings


def open_twilio_voice(settings: TwilioVoiceSettings) -> TwilioVoiceChannel:
    """A channel over this account; nobody is called before the first message."""
    from channels.wire.twilio_calls import TwilioCalls  # noqa: PLC0415  # the client takes half a second to load
    from channels.wire.twilio_voice_calls import TwilioVoice, about_a_call  # noqa: PLC0415  # the same

    calls = TwilioCalls(settings.signed_with, about_a_call)
    return TwilioVoiceChannel(TwilioVoice(settings), calls, settings.concurrency, tells_delivery=False)


CHANNEL = ChannelType("twilio_voice", TwilioVoiceSettings, open_twilio_voice, "sms", frozenset({"delivery"}))
