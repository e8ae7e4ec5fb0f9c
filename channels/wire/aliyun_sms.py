"""阿里云短信服务: SendSms and QuerySendDetails (2017-05-25), signed with ACS3-HMAC-SHA256.

The signature is the one 阿里云 documents as current (V3 版本请求体&签名机制); the older HMAC-SHA1 is "no longer
recommended" there. SendSms knows no idempotency key: after a lost answer the day's messages to the number are listed
and recognised by OutId, which is our reference.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote
from zoneinfo import ZoneInfo

from yarl import URL

from channels.base import OutcomeUnknown, Receipt, SendError, TemporaryFailure
from channels.wire.approved import template_for
from channels.wire.cloud_sms import CloudSms, fields_of, host_of
from channels.wire.gateway import system_now
from channels.wire.identity import reference_of
from channels.wire.sms import sms_parts, written_number
from channels.wire.tree import inner, objects, word
from channels.wire.verdict import Meanings, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from channels.aliyun import AliyunAccountSettings, AliyunSettings
    from channels.base import Message, Outcome
    from channels.wire.exchange import Answer

ALGORITHM = "ACS3-HMAC-SHA256"
VERSION = "2017-05-25"
_ZONE = ZoneInfo("Asia/Shanghai")  # SendDate is a day of Beijing
_KEPT_DAYS = 30  # how far back QuerySendDetails looks
_PAGE = 50
_PAGES = 10
_OK = 200
_FAILED, _ARRIVED = "2", "3"  # SendStatus; 1 is still on its way
_MINUTE, _HOUR = 60.0, 3600.0
_BY_THE_MINUTE = "分钟级流控"

# https://help.aliyun.com/document_detail/101346.html and the gateway's own codes
MEANINGS = Meanings(
    whole_channel=frozenset(
        {
            "isv.ACCOUNT_ABNORMAL",
            "isv.ACCOUNT_NOT_EXISTS",
            "isv.AMOUNT_NOT_ENOUGH",  # no money left
            "isv.DAY_LIMIT_CONTROL",  # the account's limit of the day, set by its owner
            "isv.DENY_IP_RANGE",
            "isv.EXTEND_CODE_ERROR",
            "isv.MONTH_LIMIT_CONTROL",
            "isv.OUT_OF_SERVICE",
            "isv.PRODUCT_UNSUBSCRIBE",
            "isv.PRODUCT_UN_SUBSCRIPT",
            "isv.SIGN_NAME_ILLEGAL",
            "isv.SIGN_STATE_ILLEGAL",
            "isv.SMS_SIGNATURE_ILLEGAL",
            "isv.SMS_SIGN_ILLEGAL",
            "isp.RAM_PERMISSION_DENY",
            "Forbidden",
            "IncompleteSignature",
            "InvalidAccessKeyId",
            "InvalidTimeStamp",  # our clock is wrong
            "InvalidVersion",
            "MissingAccessKeyId",
            "NoPermission",
            "SignatureDoesNotMatch",
        }
    ),
    permanent=frozenset(
        {
            "isv.BLACK_KEY_CONTROL_LIMIT",  # a word or a number on the black list
            "isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
            "isv.INVALID_JSON_PARAM",
            "isv.INVALID_PARAMETERS",
            "isv.MOBILE_COUNT_OVER_LIMIT",
            "isv.MOBILE_NUMBER_ILLEGAL",
            "isv.PARAM_LENGTH_LIMIT",  # a variable of more than 35 characters
            "isv.PARAM_NOT_SUPPORT_URL",
            "isv.SMS_CONTENT_ILLEGAL",
            "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE",
            "isv.SMS_SIGNATURE_SCENE_ILLEGAL",  # signature and template are of different kinds
            "isv.SMS_TEMPLATE_ILLEGAL",
            "isv.SMS_TEST_NUMBER_LIMIT",
            "isv.TEMPLATE_MISSING_PARAMETERS",
            "isv.TEMPLATE_PARAMS_ILLEGAL",
            "isv.UNSUPPORTED_CONTENT",
        }
    ),
    temporary={
        "isv.BUSINESS_LIMIT_CONTROL": _HOUR,  # too many to this number in a minute, an hour or a day
        "isp.SYSTEM_ERROR": None,
        "ServiceUnavailable": None,
        "Throttling": _MINUTE,
    },
    # a nonce is used once only: whoever repeated the request on its way may have had it accepted the first time
    unknown=frozenset({"InternalError", "isp.GATEWAY_ERROR", "isp.UNKNOWN", "SignatureNonceUsed"}),
)


class AliyunAccount(CloudSms):
    """Signed calls of one account."""

    def __init__(self, settings: AliyunAccountSettings, now: Callable[[], datetime] = system_now) -> None:
        super().__init__(settings)
        self._account = settings
        self._now = now

    async def ask(self, action: str, fields: Mapping[str, str]) -> Answer:
        """One call, signed anew."""
        settings = self._account
        query = canonical_query(fields)
        headers = {
            "host": host_of(settings.base_url),
            "x-acs-action": action,
            "x-acs-version": VERSION,
            "x-acs-date": self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        }
        secret = settings.access_key_secret.get_secret_value()
        headers["Authorization"] = authorization(query, headers, settings.access_key_id, secret)
        headers["Accept"] = "application/json"
        address = URL(f"{settings.base_url.rstrip('/')}/?{query}", encoded=True)
        return await self._exchange.ask("POST", address, headers=headers)


class AliyunSms(AliyunAccount):
    """SMS through one account."""

    def __init__(self, settings: AliyunSettings, now: Callable[[], datetime] = system_now) -> None:
        super().__init__(settings, now)
        self._settings = settings
        self._lost: dict[str, float] = {}  # reference -> since when its answer is known to be lost, by the loop's clock

    async def find(self, message: Message) -> Receipt | None:
        """The message with our reference among those to its number since it was decided; None if there is none.

        One that 阿里云 reports as failed does not count: it has not arrived.

        Raises:
            OutcomeUnknown: no answer, more messages than are looked through, a message older than the records, or
                asked so soon after the answer was lost (or after the first question) that it may not be on record yet.
        """
        reference = reference_of(message.key)
        try:
            for day in self._days(message):
                found = await self._on_day(message, reference, day)
                if found is not None:
                    return found
        except SendError as failure:
            raise OutcomeUnknown(failure.code, failure.detail) from None
        self._require_settled(reference)
        return None

    async def _send(self, message: Message) -> Outcome:
        settings = self._settings
        template = template_for(message, settings.templates)
        reference = reference_of(message.key)
        fields = {
            "PhoneNumbers": written_number(message.to, "national"),
            "SignName": settings.sign_name,
            "TemplateCode": template.id,
            "TemplateParam": _json(template.filled(message, settings.sign_name)),
            "OutId": reference,
        }
        if settings.extend_code is not None:
            fields["SmsUpExtendCode"] = settings.extend_code
        try:
            answer = await self.ask("SendSms", fields)
            told = fields_of(answer)
            code = word(told.get("Code"))
            if answer.status != _OK or code != "OK":
                raise refused(code, answer)
        except (OutcomeUnknown, asyncio.CancelledError):
            self._lost[reference] = asyncio.get_running_loop().time()
            raise
        self._lost.pop(reference, None)
        return Receipt(word(told.get("BizId")), parts=sms_parts(message.text), answer=code)

    async def _on_day(self, message: Message, reference: str, day: date) -> Receipt | None:
        for page in range(1, _PAGES + 1):
            fields = {
                "PhoneNumber": written_number(message.to, "national"),
                "SendDate": day.strftime("%Y%m%d"),
                "PageSize": str(_PAGE),
                "CurrentPage": str(page),
            }
            answer = await self.ask("QuerySendDetails", fields)
            told = fields_of(answer)
            listed = inner(told, "SmsSendDetailDTOs", "SmsSendDetailDTO")
            total = word(told.get("TotalCount"))
            if answer.status != _OK or told.get("Code") != "OK" or not total.isdecimal():
                raise refusal(word(told.get("Code")), MEANINGS, answer)
            for one in objects(listed):
                status = word(one.get("SendStatus"))
                if one.get("OutId") == reference and status != _FAILED:
                    self._lost.pop(reference, None)
                    return Receipt(reference, delivered=status == _ARRIVED, answer=f"status_{status}"[:20])
            if int(total) <= page * _PAGE:
                return None
        raise OutcomeUnknown("too_many", "more messages to this number than are looked through")

    def _days(self, message: Message) -> list[date]:
        """The days on which it may have been sent, the latest first."""
        today = self._now().astimezone(_ZONE).date()
        decided = min(message.at.astimezone(_ZONE).date(), today)
        if (today - decided).days >= _KEPT_DAYS:
            raise OutcomeUnknown("too_old", "decided before the days the provider keeps on record")
        return [today - timedelta(days=back) for back in range((today - decided).days + 1)]

    def _require_settled(self, reference: str) -> None:
        """That it is not on record counts only some time after its answer was lost.

        What another process was sending when it died was lost at an instant unknown here: it counts from when it is
        first asked about.
        """
        now = asyncio.get_running_loop().time()
        lost_at = self._lost.setdefault(reference, now)
        if now - lost_at < self._settings.settle:
            raise OutcomeUnknown("too_early", "it may not be on record yet")
        del self._lost[reference]


def refused(code: str, answer: Answer) -> SendError:
    """Why 阿里云 did not take it."""
    failure = refusal(code, MEANINGS, answer)
    if isinstance(failure, TemporaryFailure) and _BY_THE_MINUTE in word(fields_of(answer).get("Message")):
        failure.retry_after = _MINUTE
    return failure


def canonical_query(fields: Mapping[str, str]) -> str:
    """The fields in the order of their names, percent-encoded as RFC 3986 has it."""
    return "&".join(f"{_percent(name)}={_percent(value)}" for name, value in sorted(fields.items()))


def authorization(query: str, headers: Mapping[str, str], key_id: str, secret: str) -> str:
    """The Authorization header of a POST to `/` with an empty body (V3 版本请求体&签名机制).

    `headers` are the ones signed: lower-case names, `x-acs-content-sha256` among them.
    """
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    request = "\n".join(("POST", "/", query, lines, names, headers["x-acs-content-sha256"]))
    material = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), material.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}"


def _percent(text: str) -> str:
    return quote(text, safe="-_.~")


def _json(variables: Mapping[str, str]) -> str:
    return json.dumps(variables, ensure_ascii=False, separators=(",", ":"))
