"""阿里云语音服务: SingleCallByTts (2017-05-25), signed as the text messages are.

https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-singlecallbytts

One number is called at most once a minute, five times an hour and twenty times a day. `OutId` is too short for our
reference, so a call is known by its CallId alone, and one whose answer was lost stays in doubt.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from channels.base import Receipt
from channels.wire.aliyun_sms import AliyunAccount, refused
from channels.wire.approved import template_for
from channels.wire.cloud_sms import fields_of
from channels.wire.gateway import system_now
from channels.wire.sms import written_number
from channels.wire.tree import word

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from channels.aliyun_voice import AliyunVoiceSettings
    from channels.base import Message, Outcome

_OK = 200


class AliyunVoice(AliyunAccount):
    """Calls through one account."""

    def __init__(self, settings: AliyunVoiceSettings, now: Callable[[], datetime] = system_now) -> None:
        super().__init__(settings, now)
        self._settings = settings

    async def _send(self, message: Message) -> Outcome:
        settings = self._settings
        template = template_for(message, settings.templates)
        variables = template.filled(message, "")
        fields = {
            "CalledNumber": written_number(message.to, "national"),
            "TtsCode": template.id,
            "TtsParam": json.dumps(variables, ensure_ascii=False, separators=(",", ":")),
            "PlayTimes": str(settings.times),
        }
        if settings.show_number is not None:
            fields["CalledShowNumber"] = settings.show_number
        answer = await self.ask("SingleCallByTts", fields)
        told = fields_of(answer)
        code = word(told.get("Code"))
        if answer.status != _OK or code != "OK":
            raise refused(code, answer)
        return Receipt(word(told.get("CallId")), answer=code)
