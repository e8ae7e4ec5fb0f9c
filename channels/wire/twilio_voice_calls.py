"""Twilio's Calls resource: the text goes along as TwiML, and is read out when somebody answers.

https://www.twilio.com/docs/voice/api/call-resource (Twiml, Timeout, StatusCallback, status values), /voice/twiml/say

A call is answered, or it is not: whether a person listened, nobody knows; a voice mailbox answers too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from twilio.base import values
from twilio.base.exceptions import TwilioException

from channels.base import OutcomeUnknown, PermanentFailure, Receipt
from channels.wire.approved import require_whole_characters
from channels.wire.call import Unreadable, arrived, clean, learnt_of
from channels.wire.sms import written_number
from channels.wire.twilio_messages import MALFORMED, TwilioAccount

if TYPE_CHECKING:
    from channels.base import Learnt, Message, Outcome
    from channels.twilio_voice import TwilioVoiceSettings

_ANSWERED = "completed"
_NOT_ANSWERED = {"busy", "no-answer", "failed", "canceled"}


class TwilioVoice(TwilioAccount):
    """The calls of one account."""

    def __init__(self, settings: TwilioVoiceSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    async def _send(self, message: Message) -> Outcome:
        settings = self._settings
        require_whole_characters(message.text)
        try:
            made = await self._client.calls.create_async(
                to=written_number(message.to, "e164"),
                from_=settings.from_number,
                twiml=spoken(message.text, settings.language, settings.times),
                timeout=settings.ring_seconds,
                status_callback=self.told_at(message) or values.unset,
            )
        except (TwilioException, *MALFORMED):
            raise OutcomeUnknown("malformed_answer") from None
        if made.sid is None:
            raise OutcomeUnknown("malformed_answer", "an answer without a call")
        if made.status in _NOT_ANSWERED:
            raise PermanentFailure(f"call_{made.status}")
        return Receipt(made.sid, answer=str(made.status or ""))


def spoken(text: str, language: str, times: int) -> str:
    """The text as TwiML (4000 characters at most); `loop` reads it again."""
    return f'<Response><Say language="{language}" loop="{times}">{escape(clean(text))}</Say></Response>'


def about_a_call(form: dict[str, str], ours: str) -> Learnt | None:
    """What a form says of a call of ours: answered, or why not.

    Raises:
        Unreadable: it is about no call.
    """
    sid, status = form.get("CallSid", ""), form.get("CallStatus")
    if status is None:
        raise Unreadable
    outcome = PermanentFailure(f"call_{status}") if status in _NOT_ANSWERED else arrived("answered", theirs=sid)
    told = learnt_of(outcome, ours=ours, theirs=sid, at=None)
    return told if status == _ANSWERED or status in _NOT_ANSWERED else None
