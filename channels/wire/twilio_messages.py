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
from twilio.base.exceptions import TwilioException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from channels.base import OutcomeUnknown, PermanentFailure, Receipt, SendError
from channels.wire.call import with_query
from channels.wire.exchange import Answer, HttpExchange, Sending, basic_auth_header
from channels.wire.identity import reference_of
from channels.wire.shell import CannotBeAsked
from channels.wire.sms import written_number
from channels.wire.verdict import OPTED_OUT, Meanings, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Message, Outcome
    from channels.twilio import TwilioAccountSettings, TwilioSettings

_MINUTE, _HOUR = 60.0, 3600.0

# https://www.twilio.com/docs/api/errors: those a message can be refused with, or end with later. What is in no list is
# judged by its HTTP status: a 400 is about this one message
MEANINGS = Meanings(
    name="twilio",
    words={"21610": OPTED_OUT},
    whole_channel=frozenset(
        {
            "20003",  # wrong credentials
            "20005",  # the account is not active
            "20006",  # no right to this
            "20008",  # test credentials where real ones are needed
            "20010",  # switched off for this account
            "20011",  # our TLS is too old
            "20012",  # the same
            "20101",  # the access token is not valid
            "20103",  # the same: its issuer
            "20104",  # the same: over
            "20107",  # the same: its signature
            "20151",  # authentication failed
            "20403",  # forbidden
            "20404",  # no such account
            "21210",  # From, in a call, is not verified
            "21212",  # From is no number
            "21213",  # a call without From
            "21401",  # From is no number
            "21470",  # no such account
            "21471",  # no such account
            "21472",  # the account is not active
            "21601",  # From is not ours
            "21603",  # no sender at all
            "21606",  # From cannot send
            "21607",  # a trial account sends from its sandbox number only
            "21609",  # the address for status calls is none
            "21616",  # From is several of our numbers
            "21624",  # the validity period is none
            "21657",  # the sender's name is none
            "21659",  # From is no number of Twilio's
            "21660",  # From is another account's
            "21661",  # From cannot send
            "21701",  # no such messaging service
            "21702",  # the messaging service sends nothing new
            "21703",  # no number of the messaging service is free
            "21704",  # the messaging service has no number
            "21705",  # the messaging service's id is none
            "21709",  # the sender's name is not allowed
            "21711",  # From is not of this messaging service
            "30002",  # account suspended
            "30032",  # From, a toll-free number, is not verified
            "30033",  # the campaign is suspended
            "30034",  # From is not registered
            "63001",  # credentials of the channel
            "63002",  # no such From
            "63007",  # no such From
            "63008",  # the channel is set up wrongly
            "63020",  # the business account
            "63038",  # the account's daily limit
            "63051",  # the business account is locked
        }
    ),
    permanent=frozenset(
        {
            "21201",  # a call without To
            "21202",  # a premium number
            "21203",  # calls to that country are not switched on
            "21211",  # To is no number
            "21214",  # To cannot be reached
            "21215",  # calls to that country are not switched on
            "21216",  # Twilio does not call that number
            "21217",  # To is no number
            "21219",  # a trial account writes to verified numbers only
            "21408",  # that country is not switched on
            "21602",  # no text
            "21604",  # no To
            "21605",  # the text is too long
            "21608",  # a trial account writes to verified numbers only
            "21610",  # the recipient has opted out
            "21612",  # To cannot be reached from From
            "21614",  # To is no mobile
            "21617",  # the text is too long
            "21618",  # the text cannot be sent
            "21654",  # a template is needed
            "21655",  # no such template
            "21656",  # the template's variables
            "30003",  # handset unreachable
            "30004",  # blocked
            "30005",  # unknown handset
            "30006",  # landline
            "30007",  # filtered
            "30009",  # a part is missing
            "30010",  # dearer than we allow
            "30011",  # no MMS there
            "30012",  # the validity is too short
            "30013",  # the validity is too long
            "30014",  # To
            "30015",  # no such kind of channel
            "30016",  # To and From are of different kinds
            "30018",  # that carrier wants the sender registered
            "30019",  # longer than the carrier takes
            "30024",  # that carrier does not know the sender
            "30036",  # its validity is over: nobody waited for it any longer
            "30450",  # blocked
            "63003",  # no such To
            "63005",  # content not accepted
            "63013",  # against the channel's rules
            "63014",  # blocked by its reader
            "63015",  # not in the sandbox
            "63016",  # outside of the hours in which free text is allowed
            "63021",  # content not accepted
            "63024",  # To
            "63026",  # taken for spam
            "63031",  # From and To are the same
            "63032",  # a limit of WhatsApp for this reader
            "63033",  # blocked by its reader
        }
    ),
    temporary={
        "20429": None,  # too many requests: never processed
        "20500": None,  # it broke
        "20503": None,  # not there at the moment
        "21611": _MINUTE,  # the queue of From is full
        "30001": _MINUTE,  # queue overflow
        "30008": None,  # unknown error of a carrier
        "30017": _MINUTE,  # the carrier's network is full
        "30020": None,  # their scheduler
        "30021": None,  # their messaging service
        "30022": _MINUTE,  # faster than the carrier takes it
        "30023": _HOUR,  # the day's most with one carrier
        "30027": _HOUR,  # the same
        "30035": _HOUR,  # From is still being set up
        "30410": None,  # the provider behind it took too long, and has sent nothing
        "63009": None,  # the channel's provider broke
        "63010": None,  # their platform broke
        "63012": None,  # the channel's provider broke
        "63017": _MINUTE,  # too fast
        "63018": _MINUTE,  # too fast
    },
)
_OK = range(200, 300)
READ = "read"
ARRIVED = {"delivered", READ}
FAILED = {"failed", "undelivered", "canceled"}
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
        if answer.status not in _OK:
            raise refusal(_code_of(answer), MEANINGS, answer)
        return Response(answer.status, answer.text)


class TwilioAccount(CannotBeAsked):
    """One account; what it does with a message is told by `_send`."""

    because = "Twilio's calls hold nothing to know them by"

    def __init__(self, settings: TwilioAccountSettings) -> None:
        self.listens_at = ""  # where Twilio reaches us, if it does
        self._status_callback = settings.status_callback
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

    async def close(self) -> None:
        """Close the connections."""
        await self._exchange.close()

    async def _send(self, message: Message) -> Outcome:
        raise NotImplementedError

    def told_at(self, message: Message) -> str:
        """Where Twilio is to tell what becomes of it; our reference goes along: it may come before the answer."""
        if self._status_callback is not None:
            return self._status_callback
        return with_query(self.listens_at, ours=reference_of(message.key)) if self.listens_at else ""


class TwilioMessages(TwilioAccount):
    """The messages of one account."""

    def __init__(self, settings: TwilioSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    async def find(self, message: Message) -> Receipt | None:
        """The message to this number with exactly this text, created since it was decided; None if there is none.

        Raises:
            OutcomeUnknown: Twilio did not answer, or there are more messages than are looked through.
        """
        # listed by number only: Twilio's date filter looks at date_sent, which a queued message does not have yet
        try:
            listed = await self._client.messages.list_async(to=_e164(message), limit=_LISTED)
        except SendError as failure:
            raise OutcomeUnknown(failure.code, failure.detail) from None
        except (TwilioException, *MALFORMED):
            raise OutcomeUnknown("malformed_answer") from None
        since = message.at - _CLOCKS_DIFFER
        recent = [found for found in listed if found.date_created is None or found.date_created >= since]
        for found in recent:
            if found.body == message.text and found.status not in FAILED:
                return _receipt(found)
        if len(recent) >= _LISTED:
            raise OutcomeUnknown("too_many", "more messages to this number than are looked through")
        return None

    async def _send(self, message: Message) -> Outcome:
        settings = self._settings
        try:
            made = await self._client.messages.create_async(
                to=_e164(message),
                body=message.text,
                validity_period=settings.validity_period,
                from_=settings.from_number or values.unset,
                messaging_service_sid=settings.messaging_service_sid or values.unset,
                status_callback=self.told_at(message) or values.unset,
            )
        except (TwilioException, *MALFORMED):
            raise OutcomeUnknown("malformed_answer") from None
        if made.sid is None:
            raise OutcomeUnknown("malformed_answer", "an answer without a message")
        if made.status in FAILED:
            raise failure_of(str(made.error_code or ""))
        return _receipt(made)


MALFORMED = (ValueError, TypeError, AttributeError, KeyError)  # what the client raises on an answer of another shape


def failure_of(code: str) -> SendError:
    """What a code says that came with a message, not with a refused request."""
    return MEANINGS.of(code, Answer(200, "")) or PermanentFailure(MEANINGS.named(code) if code else "undelivered")


def _code_of(answer: Answer) -> str:
    """Twilio's own code; its message quotes the number and is left out."""
    try:
        code = int(json.loads(answer.text)["code"])
    except MALFORMED:
        return ""
    return str(code) if code >= _FIRST_CODE else ""


def _e164(message: Message) -> str:
    return written_number(message.to, "e164")


def _receipt(made: Any) -> Receipt:  # noqa: ANN401  # twilio ships no types
    segments = str(made.num_segments or "1")
    return Receipt(
        reference=made.sid or "",
        delivered=made.status in ARRIVED,
        read=made.status == READ,
        parts=max(1, int(segments)) if segments.isdigit() else 1,
        answer=str(made.status or ""),
    )
