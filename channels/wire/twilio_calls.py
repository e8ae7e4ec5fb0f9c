"""What Twilio posts to us: what became of a message, and what people write back.

https://www.twilio.com/docs/usage/security (X-Twilio-Signature), /docs/messaging/guides/track-outbound-message-status
(MessageSid, MessageStatus, ErrorCode), /docs/messaging/guides/webhook-request (From, Body, MessageSid)

Status calls come more than once and in any order; whoever takes them over keeps the furthest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multidict import MultiDict
from twilio.request_validator import RequestValidator

from channels.base import Answer, CallRefused, News, PermanentFailure
from channels.wire.call import Unreadable, arrived, form_of, learnt_of, news_of, pairs_of, said_by
from channels.wire.twilio_messages import ARRIVED, FAILED, READ, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from channels.base import Call, Learnt, Said

    Telling = Callable[[dict[str, str], str], Learnt | Said | None]  # a form, and our reference of the message

ANSWER = Answer(200, b'<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml; charset=utf-8")  # say nothing


class TwilioCalls:
    """Calls signed with one account's auth token; an API key's secret signs none."""

    def __init__(self, auth_token: SecretStr | None, told: Telling | None = None) -> None:
        self._told = told or about_a_message
        self._validator = RequestValidator(auth_token.get_secret_value()) if auth_token is not None else None

    def require_signature(self, call: Call) -> None:
        """See that Twilio has signed the address and the form.

        Raises:
            CallRefused: it has not, or the settings have no token to check it with.
        """
        if self._validator is None:
            raise CallRefused("no_callback_token")
        given = call.headers.get("x-twilio-signature", "")
        form: MultiDict[str] = MultiDict([] if call.method == "GET" else pairs_of(call))
        try:
            genuine = bool(self._validator.validate(call.url, form, given))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        except ValueError:  # an address that is none, half a character
            genuine = False
        if not genuine:
            raise CallRefused("wrong_signature" if given else "no_signature")

    def hear(self, call: Call) -> tuple[News, Answer]:
        """What a genuine call tells.

        Raises:
            CallRefused: it is not genuine, or no call about messages.
        """
        self.require_signature(call)
        ours = next((value for name, value in call.query if name == "ours"), "")
        return news_of([form_of(call)], lambda form: self._told(form, ours)), ANSWER


def about_a_message(form: dict[str, str], ours: str) -> Learnt | Said | None:
    """What a form says of a message, or the message somebody wrote.

    Raises:
        Unreadable: it is about no message.
    """
    sid = form.get("MessageSid") or form.get("SmsSid", "")
    status = form.get("MessageStatus") or form.get("SmsStatus")
    if "Body" in form and status in {None, "received", "receiving"}:
        return said_by(form.get("From", ""), form["Body"] or form.get("OptOutType", ""), reference=sid, at=None)
    if status is None:
        raise Unreadable
    if status in ARRIVED:
        return learnt_of(arrived(status, theirs=sid, read=status == READ), ours=ours, theirs=sid, at=None)
    if status in FAILED:
        failure = failure_of(form.get("ErrorCode", ""))
        return learnt_of(PermanentFailure(failure.code), ours=ours, theirs=sid, at=None)
    learnt_of(arrived(), ours=ours, theirs=sid, at=None)  # on its way: says nothing, but it must be about a message
    return None
