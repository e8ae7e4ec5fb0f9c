"""华为云消息&短信: batchSendSms v1 with an APP key and an X-WSSE header.

The interface cannot be asked for a message. What became of one is posted to `statusCallback`, with our reference in
`extend`; without a listener a message stays in doubt after a lost answer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from channels.base import Receipt
from channels.wire.approved import template_for
from channels.wire.cloud_sms import CloudSms, fields_of
from channels.wire.gateway import system_now
from channels.wire.identity import reference_of
from channels.wire.sms import sms_parts, written_number
from channels.wire.tree import inner, word
from channels.wire.verdict import Meanings, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from channels.base import Message, Outcome
    from channels.huawei import HuaweiSettings

PATH = "/sms/batchSendSms/v1"
REALM = 'WSSE realm="SDP",profile="UsernameToken",type="Appkey"'
_OK = 200
_DONE = "000000"
_SEE_STATUS = {_DONE, "E000510", "E200037"}  # why is said of each number, in `status`
_MINUTE = 60.0

# https://support.huaweicloud.com/api-msgsms/sms_05_0050.html
MEANINGS = Meanings(
    whole_channel=frozenset(
        {
            *(f"E0000{number:02d}" for number in range(1, 9)),  # the Authorization header
            *(f"E0000{number:02d}" for number in range(20, 28)),  # the X-WSSE header
            "E000040",  # content type
            "E000045",
            "E000101",  # not authorised
            "E000102",  # the APP key
            "E000103",
            "E000104",  # the APP secret
            "E000105",  # the digest
            "E000106",  # no right to this interface
            "E000109",  # the account is not active
            "E000110",  # our clock is wrong
            "E000111",
            "E000112",  # the account is frozen
            "E000620",  # our address is not on the white list
            "E200018",  # `from` is not this application's line
            "E200027",  # no route is set for this application
        }
    ),
    permanent=frozenset(
        {
            "E000503",  # a parameter's form
            "E200024",  # abroad
            "E200025",
            "E200026",
            "E200028",  # the template's variables
            "E200029",  # the template's kind
            "E200030",  # the template is not active
            "E200031",  # a protocol
            "E200032",  # a template is needed
            "E200033",  # the template's kind
        }
    ),
    temporary={"E000000": None, "E200015": _MINUTE},  # it could not be read; too many are waiting
)


class HuaweiSms(CloudSms):
    """SMS through one application."""

    def __init__(self, settings: HuaweiSettings, now: Callable[[], datetime] = system_now) -> None:
        super().__init__(settings)
        self._settings = settings
        self._now = now

    async def _send(self, message: Message) -> Outcome:
        settings = self._settings
        template = template_for(message, settings.templates)
        variables = template.filled(message, settings.signature or "")
        fields = {
            "from": settings.sender,
            "to": written_number(message.to, "e164"),
            "templateId": template.id,
            "templateParas": json.dumps(variables, ensure_ascii=False) if variables else "",
            "extend": reference_of(message.key),
        }
        if told_at := settings.status_callback or self.listens_at:
            fields["statusCallback"] = told_at
        if settings.signature is not None:
            fields["signature"] = settings.signature
        address = settings.base_url.rstrip("/") + PATH
        body = urlencode(fields).encode()
        answer = await self._exchange.ask("POST", address, headers=self._headers(), data=body)
        told = fields_of(answer)
        code, status = word(told.get("code")), word(inner(told, "result", 0, "status"))
        if answer.status == _OK and code == _DONE == status:
            total = inner(told, "result", 0, "total")
            parts = total if isinstance(total, int) and total > 0 else sms_parts(message.text)
            return Receipt(word(inner(told, "result", 0, "smsMsgId")), parts=parts, answer=code)
        if code in _SEE_STATUS:
            code = status if status != _DONE else ""
        raise refusal(code, MEANINGS, answer)

    def _headers(self) -> dict[str, str]:
        settings = self._settings
        created = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        secret = settings.app_secret.get_secret_value()
        return {
            "Authorization": REALM,
            "X-WSSE": wsse(settings.app_key, secret, uuid.uuid4().hex, created),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }


def wsse(app_key: str, secret: str, nonce: str, created: str) -> str:
    """The X-WSSE header. 华为云's own examples put the digest's hexadecimal digits into base64, not its bytes."""
    digest = hashlib.sha256(f"{nonce}{created}{secret}".encode()).hexdigest()
    coded = base64.b64encode(digest.encode()).decode()
    return f'UsernameToken Username="{app_key}",PasswordDigest="{coded}",Nonce="{nonce}",Created="{created}"'
