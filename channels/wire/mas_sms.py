"""移动云MAS: JSON wrapped in base64, proved with an MD5 over its fields.

Accepted means that the fields were in order. The platform cannot be asked for a message, and takes no reference of
ours; it posts status reports to a listener of the customer, by its own msgGroup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from channels.base import Receipt
from channels.wire.approved import bare_text, require_whole_characters, template_for
from channels.wire.cloud_sms import CloudSms, fields_of
from channels.wire.sms import sms_parts, written_number
from channels.wire.tree import word
from channels.wire.verdict import Meanings, refusal

if TYPE_CHECKING:
    from channels.base import Message, Outcome
    from channels.mas import MasSettings

_OK = 200
_DONE = "success"

MEANINGS = Meanings(
    whole_channel=frozenset(
        {
            "IllegalMac",  # the key, or a field that is part of it
            "IllegalSignId",
            "InvalidUsrOrPwd",
            "NoSignId",
        }
    ),
    permanent=frozenset({"InvalidMessage", "TooManyMobiles"}),
)


class MasSms(CloudSms):
    """SMS through one interface account."""

    def __init__(self, settings: MasSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    async def _send(self, message: Message) -> Outcome:
        settings = self._settings
        path, fields = self._templated(message) if settings.templates else self._plain(message)
        body = base64.b64encode(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())
        headers = {"Content-Type": "application/json; charset=utf-8"}
        answer = await self._exchange.ask("POST", settings.base_url.rstrip("/") + path, headers=headers, data=body)
        told = fields_of(answer)
        code = word(told.get("rspcod"))
        if answer.status == _OK and code == _DONE and told.get("success") is not False:
            group = told.get("mgsGroup") or told.get("msgGroup")  # the platform's own spelling, and the manual's
            return Receipt(word(group), parts=sms_parts(message.text), answer=code)
        raise refusal("" if code == _DONE else code, MEANINGS, answer)

    def _plain(self, message: Message) -> tuple[str, dict[str, str]]:
        require_whole_characters(message.text)
        said = {
            "mobiles": written_number(message.to, "national"),
            "content": bare_text(message.text, self._settings.signature),
        }
        return self._settings.plain_path, self._proved(said)

    def _templated(self, message: Message) -> tuple[str, dict[str, str]]:
        template = template_for(message, self._settings.templates)
        variables = template.filled(message, self._settings.signature) or [""]  # `[""]` for a template without any
        said = {
            "templateId": template.id,
            "mobiles": written_number(message.to, "national"),
            "params": json.dumps(variables, ensure_ascii=False, separators=(",", ":")),
        }
        return self._settings.template_path, self._proved(said)

    def _proved(self, said: dict[str, str]) -> dict[str, str]:
        """The fields with the proof; the secret itself never leaves."""
        settings = self._settings
        before = {"ecName": settings.ec_name, "apId": settings.ap_id}
        after = {"sign": settings.sign, "addSerial": settings.add_serial}
        secret = settings.secret_key.get_secret_value()
        return {**before, **said, **after, "mac": mac([*before.values(), secret, *said.values(), *after.values()])}


def mac(values: list[str]) -> str:
    """MD5 in small letters over ecName, apId, secretKey, what is said, sign and addSerial, nothing in between."""
    return hashlib.md5("".join(values).encode(), usedforsecurity=False).hexdigest()
