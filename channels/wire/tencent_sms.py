"""腾讯云短信: SendSms and PullSmsSendStatusByPhoneNumber (2021-01-11), signed with TC3-HMAC-SHA256.

SendSms knows no idempotency key. SessionContext carries our reference; the reports pulled hold it only where 腾讯云
has opened that for the application, and a message has no report before a carrier has sent one. So a report proves
that a message was sent, and its absence proves nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from channels.base import OutcomeUnknown, Receipt, SendError
from channels.wire.approved import template_for
from channels.wire.cloud_sms import CloudSms, fields_of, host_of
from channels.wire.gateway import system_now
from channels.wire.identity import reference_of
from channels.wire.sms import sms_parts, written_number
from channels.wire.tree import inner, objects, word
from channels.wire.verdict import Meanings, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from channels.base import Message, Outcome
    from channels.tencent import TencentSettings
    from channels.wire.exchange import Answer

ALGORITHM = "TC3-HMAC-SHA256"
VERSION = "2021-01-11"
SERVICE = "sms"
_CONTENT_TYPE = "application/json"
_OK = 200
_LISTED = 100  # the most PullSmsSendStatusByPhoneNumber gives; its offset is fixed at 0
_KEPT = timedelta(days=7)
_CLOCKS_DIFFER = timedelta(minutes=5)
_MINUTE, _HOUR = 60.0, 3600.0

# https://cloud.tencent.com/document/api/382/59177
MEANINGS = Meanings(
    whole_channel=frozenset(
        {
            "ActionOffline",
            "AuthFailure",
            "FailedOperation.InsufficientBalanceInSmsPackage",
            "FailedOperation.NotEnterpriseCertification",
            "FailedOperation.SignatureIncorrectOrUnapproved",
            "FailedOperation.MissingSignature",
            "FailedOperation.MissingSignatureList",
            "FailedOperation.ProhibitSubAccountUse",
            "InternalError.RequestTimeException",  # our clock is wrong
            "InternalError.RestApiInterfaceNotExist",
            "InternalError.SigFieldMissing",
            "InternalError.SigVerificationFail",
            "InvalidAction",
            "InvalidParameter.AppidAndBizId",
            "InvalidParameterValue.SdkAppIdNotExist",
            "InvalidParameterValue.SignNameLengthTooLong",
            "IpInBlacklist",
            "IpNotInWhitelist",
            "LimitExceeded.AppDailyLimit",  # the application's limit of the day, set by its owner
            "LimitExceeded.AppMainlandChinaDailyLimit",
            "NoSuchProduct",
            "NoSuchVersion",
            "UnauthorizedOperation",
            "UnsupportedRegion",
        }
    ),
    permanent=frozenset(
        {
            "FailedOperation",
            "InvalidParameter",
            "InvalidParameterValue",
            "InvalidRequest",
            "LimitExceeded.AppCountryOrRegionInBlacklist",
            "LimitExceeded.PhoneNumberCountLimit",
            "MissingParameter",
            "UnknownParameter",
            "UnsupportedOperation",
        }
    ),
    temporary={
        "LimitExceeded": None,
        "LimitExceeded.DeliveryFrequencyLimit": _MINUTE,
        "LimitExceeded.PhoneNumberThirtySecondLimit": 30.0,
        "LimitExceeded.PhoneNumberOneHourLimit": _HOUR,
        "LimitExceeded.PhoneNumberDailyLimit": _HOUR,
        "LimitExceeded.PhoneNumberSameContentDailyLimit": _HOUR,
        "RequestLimitExceeded": _MINUTE,
        "ResourceInsufficient": None,
        "ResourceUnavailable": None,
        "InternalError.JsonParseFail": None,
    },
    unknown=frozenset({"InternalError"}),  # Timeout, SendAndRecvFail, ParseBackendResponseFail: perhaps sent
)


class TencentSms(CloudSms):
    """SMS through one application."""

    def __init__(self, settings: TencentSettings, now: Callable[[], datetime] = system_now) -> None:
        super().__init__(settings)
        self._settings = settings
        self._now = now

    async def find(self, message: Message) -> Receipt | None:
        """The receipt of a message a carrier has reported on; None if it reported that it failed.

        Raises:
            OutcomeUnknown: no report yet, no answer, or reports do not hold our reference (`session_in_reports`).
        """
        if not self._settings.session_in_reports:
            return await super().find(message)
        now = self._now()
        since = max(min(message.at, now) - _CLOCKS_DIFFER, now - _KEPT)
        try:
            fields = {
                "BeginTime": int(since.timestamp()),
                "EndTime": int(now.timestamp()),
                "Offset": 0,
                "Limit": _LISTED,
                "PhoneNumber": written_number(message.to, "e164"),
                "SmsSdkAppId": self._settings.app_id,
            }
            answer = await self._call("PullSmsSendStatusByPhoneNumber", fields)
            reported: object = inner(fields_of(answer), "Response", "PullSmsSendStatusSet")
            if answer.status != _OK or not isinstance(reported, list):
                raise _refused(answer)
        except SendError as failure:
            raise OutcomeUnknown(failure.code, failure.detail) from None
        ours = [
            one for one in objects(cast("object", reported)) if one.get("SessionContext") == reference_of(message.key)
        ]
        arrived = [one for one in ours if one.get("ReportStatus") == "SUCCESS"]
        if arrived:
            return Receipt(word(arrived[0].get("SerialNo")), delivered=True, answer="SUCCESS")
        if ours:
            return None
        raise OutcomeUnknown("no_report", "no carrier has reported on it yet")

    async def _send(self, message: Message) -> Outcome:
        settings = self._settings
        template = template_for(message, settings.templates)
        fields: dict[str, Any] = {
            "PhoneNumberSet": [written_number(message.to, "e164")],
            "SmsSdkAppId": settings.app_id,
            "TemplateId": template.id,
            "SignName": settings.sign_name,
            "TemplateParamSet": template.filled(message, settings.sign_name),
            "SessionContext": reference_of(message.key),
        }
        if settings.extend_code is not None:
            fields["ExtendCode"] = settings.extend_code
        answer = await self._call("SendSms", fields)
        told = inner(fields_of(answer), "Response", "SendStatusSet", 0)
        code = word(inner(told, "Code"))
        if answer.status != _OK or code != "Ok":
            raise _refused(answer)
        fee = inner(told, "Fee")
        parts = fee if isinstance(fee, int) and fee > 0 else sms_parts(message.text)
        return Receipt(word(inner(told, "SerialNo")), parts=parts, answer=code)

    async def _call(self, action: str, fields: Mapping[str, Any]) -> Answer:
        settings = self._settings
        body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        host = host_of(settings.base_url)
        now = self._now()
        headers = {
            "Content-Type": _CONTENT_TYPE,
            "Host": host,
            "X-TC-Action": action,
            "X-TC-Region": settings.region,
            "X-TC-Timestamp": str(int(now.timestamp())),
            "X-TC-Version": VERSION,
            "Authorization": authorization(body, host, now, settings.secret_id, settings.secret_key.get_secret_value()),
        }
        return await self._exchange.ask("POST", f"{settings.base_url.rstrip('/')}/", headers=headers, data=body)


def authorization(body: bytes, host: str, now: datetime, secret_id: str, secret_key: str) -> str:
    """The Authorization header of a JSON POST to `/` (签名方法 v3)."""
    day = now.astimezone(UTC).strftime("%Y-%m-%d")
    names = "content-type;host"
    lines = f"content-type:{_CONTENT_TYPE}\nhost:{host}\n"
    request = "\n".join(("POST", "/", "", lines, names, hashlib.sha256(body).hexdigest()))
    scope = f"{day}/{SERVICE}/tc3_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    material = f"{ALGORITHM}\n{int(now.timestamp())}\n{scope}\n{digest}"
    key = f"TC3{secret_key}".encode()
    for step in (day, SERVICE, "tc3_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, material.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders={names}, Signature={signature}"


def _refused(answer: Answer) -> SendError:
    response = inner(fields_of(answer), "Response")
    code = inner(response, "Error", "Code") or inner(response, "SendStatusSet", 0, "Code")
    return refusal(word(code), MEANINGS, answer)
