"""Twilio's Messages resource through its own client, on our transport.

Creating a message has no idempotency key, so nothing is ever repeated here. After a time-out the outcome is unknown,
and `find` lists what the account sent to that number and compares the text.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twilio.base import values
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from channels.base import OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from channels.wire.exchange import HttpExchange, Sending, basic_auth_header
from channels.wire.sms import written_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Message, Outcome
    from channels.twilio import TwilioSettings
    from channels.wire.exchange import Answer

# https://www.twilio.com/docs/api/errors
_WHOLE_CHANNEL = {
    20003,  # wrong credentials
    20008,  # test credentials where real ones are needed
    20404,  # no such account
    21212,  # From is no number
    21606,  # From cannot send
    21607,  # From is not ours
    21704,  # the messaging service has no number
    21705,  # no such messaging service
    30002,  # account suspended
    63038,  # the account's daily limit
}
_TEMPORARY = {
    20429,  # too many requests: never processed
    21611,  # the queue of From is full
    30001,  # queue overflow
    30008,  # unknown error of a carrier
}
_PERMANENT = {
    21211,  # To is no number
    21408,  # that country is not switched on
    21610,  # the recipient has opted out
    21612,  # To cannot be reached from From
    21614,  # To is no mobile
    21617,  # the text is too long
    30003,  # handset unreachable
    30005,  # unknown handset
    30006,  # landline
    30007,  # filtered
}
_TOO_MANY, _REFUSED, _BROKEN = 429, 400, 500
_NO_RIGHT = {401, 403}
_GATEWAY_TIMED_OUT = {502, 504}  # something behind the door did not answer: perhaps done
_FAILED = {"failed", "undelivered", "canceled"}
_DELIVERED = {"delivered", "read"}
_FIRST_CODE = 10_000  # smaller ones are the HTTP status again
_LISTED = 200  # newest messages to one number looked through
_CLOCKS_DIFFER = timedelta(minutes=5)

_log = logging.getLogger("duban.twilio")
_log.propagate = False  # the client would log numbers and texts
_log.setLevel(logging.CRITICAL + 1)


class _Transport(AsyncHttpClient):  # type: ignore[misc]  # twilio ships no types
    """Twilio's client on our exchange: hard time-outs, no retries, another base address for simulators."""

    def __init__(self, exchange: HttpExchange, base_url: str) -> None:
        super().__init__(_log, is_async=True)
        self._exchange = exchange
        self._base_url = base_url.rstrip("/")

    async def request(  # inherited
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002  # twilio's signature; ours are set once
        allow_redirects: bool = False,  # noqa: ARG002  # the same
    ) -> Response:
        address = urlsplit(uri)
        whole = f"{self._base_url}{address.path}" + (f"?{address.query}" if address.query else "")
        written = dict(headers or {})
        if auth is not None:
            written |= basic_auth_header(":".join(auth))
        query = {name: str(value) for name, value in (params or {}).items() if value is not values.unset}
        answer = await self._exchange.ask(method, whole, params=query or None, data=data or None, headers=written)
        if answer.status == _TOO_MANY or answer.status >= _BROKEN:
            raise _not_now(answer)  # the client's own error would not keep Retry-After
        return Response(answer.status, answer.text)


class TwilioMessages:
    """The messages of one account."""

    def __init__(self, settings: TwilioSettings) -> None:
        self._settings = settings
        self._sending = Sending(settings.concurrency, settings.rate)
        self._exchange = HttpExchange(
            connections=settings.concurrency, connect_seconds=settings.connect_timeout, seconds=settings.timeout
        )
        self._client: Any = Client(
            settings.api_key_sid or settings.account_sid,
            settings.auth_token.get_secret_value(),
            settings.account_sid,
            http_client=_Transport(self._exchange, settings.base_url),
        )

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        return await self._sending.each(messages, self._send)

    async def find(self, message: Message) -> Receipt | None:
        """The message to this number with exactly this text, created since it was decided; None if there is none.

        Raises:
            OutcomeUnknown: Twilio did not answer, or there are more messages than are looked through.
        """
        # listed by number only: Twilio's date filter looks at date_sent, which a queued message does not have yet
        try:
            listed = await self._client.messages.list_async(to=_e164(message), limit=_LISTED)
        except (TwilioException, SendError, *_MALFORMED) as error:
            failure = error if isinstance(error, SendError) else failure_of(error)
            raise OutcomeUnknown(failure.code, failure.detail) from None
        since = message.at - _CLOCKS_DIFFER
        recent = [found for found in listed if found.date_created is None or found.date_created >= since]
        for found in recent:
            if found.body == message.text and found.status not in _FAILED:
                return _receipt(found)
        if len(recent) >= _LISTED:
            raise OutcomeUnknown("too_many", "more messages to this number than are looked through")
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._exchange.close()

    async def _send(self, message: Message) -> Outcome:
        settings = self._settings
        try:
            made = await self._client.messages.create_async(
                to=_e164(message),
                body=message.text,
                validity_period=settings.validity_period,
                from_=settings.from_number or values.unset,
                messaging_service_sid=settings.messaging_service_sid or values.unset,
                status_callback=settings.status_callback or values.unset,
            )
        except TwilioException as error:
            raise failure_of(error) from None
        except _MALFORMED:
            raise OutcomeUnknown("malformed_answer") from None
        if made.sid is None:
            raise OutcomeUnknown("malformed_answer", "an answer without a message")
        if made.status in _FAILED:
            raise _by_code(made.error_code or 0, _REFUSED)
        return _receipt(made)


_MALFORMED = (ValueError, TypeError, AttributeError, KeyError)  # what the client raises on an answer of another shape


def failure_of(error: Exception) -> SendError:
    """Twilio's error as one of ours. Its message quotes the number and is left out."""
    if isinstance(error, TwilioRestException | TwilioServiceException):
        return _by_code(int(error.code or 0), int(error.status))
    return OutcomeUnknown("malformed_answer", type(error).__name__)


def _by_code(code: int, status: int) -> SendError:
    named = f"twilio_{code}" if code >= _FIRST_CODE else f"http_{status}"
    if code in _WHOLE_CHANNEL or (status in _NO_RIGHT and code not in _PERMANENT):
        return PermanentFailure(named, whole_channel=True)
    if code in _TEMPORARY or status == _TOO_MANY:
        return TemporaryFailure(named)
    if status in _GATEWAY_TIMED_OUT:
        return OutcomeUnknown(named)
    if status >= _BROKEN:
        return TemporaryFailure(named)
    return PermanentFailure(named) if status >= _REFUSED else OutcomeUnknown(named)


def _not_now(answer: Answer) -> SendError:
    """Wait as long as Twilio says, unless it is the limit of the whole day."""
    try:
        code = int(json.loads(answer.text)["code"])
    except _MALFORMED:
        code = 0
    refused = _by_code(code, answer.status)
    if isinstance(refused, TemporaryFailure):
        refused.retry_after = answer.retry_after
    return refused


def _e164(message: Message) -> str:
    return written_number(message.to, "e164")


def _receipt(made: Any) -> Receipt:  # noqa: ANN401  # twilio ships no types
    segments = str(made.num_segments or "1")
    return Receipt(
        reference=made.sid or "",
        delivered=made.status in _DELIVERED,
        parts=max(1, int(segments)) if segments.isdigit() else 1,
        answer=str(made.status or ""),
    )
