"""One channel that listens, and the calls its provider makes, as the contract of listening channels plays with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from channels.wire.identity import reference_of
from support.channel_stages import opened
from support.provider_calls import CALLBACK_TOKEN, HERE, from_twilio, post_form, post_json, query_of
from support.twilio_server import ACCOUNT, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from channels.base import Call, Channel

OURS, OTHER = reference_of("k1"), reference_of("k2")
THEIRS = "SM" + "1" * 32
NUMBER = "+8613800000001"
SAID = "收到 1234𠮷"
SECRET = "not-a-real-secret"
WITH_TOKEN = f"{HERE}?token={CALLBACK_TOKEN}"
TEMPLATES = {"*": {"id": "1", "state": "approved"}}


@dataclass(frozen=True)
class ListeningStage:
    """`several` tells of two messages at once, where the provider does so; `knows_ours`, whether it gives ours back."""

    channel: Channel
    arrived: Call
    failed: Call
    unproved: Call
    tampered: Call
    reply: Call | None = None
    several: Call | None = None
    rubbish: Callable[[bytes], Call] | None = None
    knows_ours: bool = True

    @property
    def genuine(self) -> list[Call]:
        """One of each kind."""
        return [call for call in (self.arrived, self.failed, self.reply) if call is not None]

    def raw(self, body: bytes) -> Call:
        """A call that is proved, and says these bytes."""
        return self.rubbish(body) if self.rubbish is not None else replace(self.arrived, body=body)


def twilio() -> ListeningStage:
    """Signed forms, one at a time."""
    channel = opened("twilio", account_sid=ACCOUNT, auth_token=TOKEN, **{"from": "+15005550006"})
    url = f"{HERE}?ours={OURS}"
    form = {"MessageSid": THEIRS, "From": "+15005550006", "To": NUMBER}
    genuine = from_twilio(form | {"MessageStatus": "delivered"}, TOKEN, url)
    reply = {"MessageSid": THEIRS, "SmsStatus": "received", "From": NUMBER, "To": "+15005550006", "Body": SAID}
    return ListeningStage(
        channel,
        genuine,
        from_twilio(form | {"MessageStatus": "undelivered", "ErrorCode": "30005"}, TOKEN, url),
        post_form(url, form | {"MessageStatus": "delivered"}),
        replace(genuine, body=genuine.body.replace(b"delivered", b"read")),
        from_twilio(reply, TOKEN),
        rubbish=lambda body: signed_as_it_is(body, url),
    )


def twilio_voice() -> ListeningStage:
    """Signed forms, one at a time; nobody answers in words."""
    channel = opened("twilio_voice", account_sid=ACCOUNT, auth_token=TOKEN, **{"from": "+15005550006"})
    url = f"{HERE}?ours={OURS}"
    form = {"CallSid": THEIRS, "From": "+15005550006", "To": NUMBER, "CallDuration": "12"}
    genuine = from_twilio(form | {"CallStatus": "completed"}, TOKEN, url)
    return ListeningStage(
        channel,
        genuine,
        from_twilio(form | {"CallStatus": "no-answer"}, TOKEN, url),
        post_form(url, form | {"CallStatus": "completed"}),
        replace(genuine, body=genuine.body.replace(b"completed", b"busy")),
        rubbish=lambda body: signed_as_it_is(body, url),
    )


def signed_as_it_is(body: bytes, url: str) -> Call:
    """Bytes with the signature Twilio would have put on them, had it read them as a form."""
    pairs = dict(query_of(f"?{body.decode('utf-8', 'replace')}"))
    return replace(from_twilio(pairs, TOKEN, url), body=body)


def _cloud(name: str, calls: dict[str, Call | None], **settings: Any) -> ListeningStage:
    channel = opened(name, callback_token=CALLBACK_TOKEN, **settings)
    arrived = calls["arrived"]
    assert arrived is not None
    return ListeningStage(
        channel,
        **calls,  # type: ignore[arg-type]  # by name
        unproved=replace(arrived, url=HERE, query=()),
        tampered=replace(arrived, url=f"{HERE}?token={CALLBACK_TOKEN}x", query=[("token", f"{CALLBACK_TOKEN}x")]),
        knows_ours=name in {"aliyun", "huawei"},
    )


def aliyun() -> ListeningStage:
    """JSON lists."""
    report = {"phone_number": "13800000001", "send_time": "2026-09-28 09:30:00", "report_time": "2026-09-28 09:30:05"}
    good = report | {"success": True, "err_code": "DELIVERED", "biz_id": THEIRS, "out_id": OURS, "sms_size": "1"}
    bad = good | {"success": False, "err_code": "MK:0001", "err_msg": "13800000001 停机"}
    said = {"phone_number": "13800000001", "content": SAID, "send_time": "2026-09-28 09:31:00", "sequence_id": 1234567}
    calls: dict[str, Call | None] = {
        "arrived": post_json(WITH_TOKEN, [good]),
        "failed": post_json(WITH_TOKEN, [bad]),
        "reply": post_json(WITH_TOKEN, [said | {"sign_name": "某局", "dest_code": "01"}]),
        "several": post_json(WITH_TOKEN, [good, bad | {"out_id": OTHER, "biz_id": "B2"}]),
    }
    keys = {"access_key_id": "k", "access_key_secret": SECRET, "sign_name": "某局", "templates": TEMPLATES}
    return _cloud("aliyun", calls, **keys)


def aliyun_voice() -> ListeningStage:
    """JSON lists about calls."""
    good = {"call_id": THEIRS, "status_code": "200000", "duration": "49", "end_time": "2026-09-28 09:30:05"}
    bad = good | {"status_code": "200005", "duration": "0", "callee": "13800000001"}
    calls: dict[str, Call | None] = {
        "arrived": post_json(WITH_TOKEN, [good]),
        "failed": post_json(WITH_TOKEN, [bad]),
        "several": post_json(WITH_TOKEN, [good, bad | {"call_id": "C2"}]),
    }
    return _cloud("aliyun_voice", calls, access_key_id="k", access_key_secret=SECRET, templates=TEMPLATES)


def tencent() -> ListeningStage:
    """A JSON list of reports, an object for a reply."""
    good = {"user_receive_time": "2026-09-28 09:30:05", "nationcode": "86", "mobile": "13800000001", "sid": THEIRS}
    good |= {"report_status": "SUCCESS", "errmsg": "DELIVRD", "description": "用户短信送达成功"}
    bad = good | {"report_status": "FAIL", "errmsg": "MK:0001"}
    said = {"nationcode": "86", "mobile": "13800000001", "text": SAID, "sign": "某局", "time": 1790559060, "extend": ""}
    calls: dict[str, Call | None] = {
        "arrived": post_json(WITH_TOKEN, [good]),
        "failed": post_json(WITH_TOKEN, [bad]),
        "reply": post_json(WITH_TOKEN, said),
        "several": post_json(WITH_TOKEN, [good, bad | {"sid": "S2"}]),
    }
    keys = {"secret_id": "k", "secret_key": SECRET, "app_id": "1", "sign_name": "某局", "templates": TEMPLATES}
    return _cloud("tencent", calls, **keys)


def huawei() -> ListeningStage:
    """Forms, one at a time."""
    good = {"smsMsgId": THEIRS, "total": "1", "sequence": "1", "status": "DELIVRD", "source": "2", "extend": OURS}
    good |= {"updateTime": "2026-09-28T01:30:05Z", "to": NUMBER}
    said = {"smsMsgId": "U1", "from": NUMBER, "to": "10690000", "body": SAID, "createTime": "2026-09-28T01:31:00Z"}
    calls: dict[str, Call | None] = {
        "arrived": post_form(WITH_TOKEN, good),
        "failed": post_form(WITH_TOKEN, good | {"status": "UNDELIV"}),
        "reply": post_form(WITH_TOKEN, said),
    }
    keys = {"app_key": "k", "app_secret": SECRET, "from": "8820000000000", "templates": TEMPLATES}
    return _cloud("huawei", calls, **keys)


def mas() -> ListeningStage:
    """JSON objects."""
    good = {"msgGroup": THEIRS, "mobile": "13800000001", "submitDate": "20260928093000", "errorCode": "DELIVRD"}
    good |= {"reportStatus": "CM:0000", "receiveDate": "20260928093005"}
    bad = good | {"reportStatus": "CM:0001", "errorCode": "DB:0140"}
    said = {"mobile": "13800000001", "smsContent": SAID, "sendTime": "2026-09-28 09:31:00", "addSerial": "01"}
    calls: dict[str, Call | None] = {
        "arrived": post_json(WITH_TOKEN, good),
        "failed": post_json(WITH_TOKEN, bad),
        "reply": post_json(WITH_TOKEN, said),
        "several": post_json(WITH_TOKEN, [good, bad | {"msgGroup": "G2"}]),
    }
    keys = {"base_url": "http://127.0.0.1:1", "ec_name": "某局", "ap_id": "duban", "secret_key": SECRET, "sign": "s"}
    return _cloud("mas", calls, **keys)


def http() -> ListeningStage:
    """A gateway described in YAML: JSON, proved by a token in a header."""
    calls = {
        "proof": {"header": "X-Token", "equals": "{callback_token}"},
        "receipts": {
            "ours": {"json": "custom"},
            "theirs": {"json": "id"},
            "status": {"json": "state"},
            "delivered": ["OK"],
            "unlisted": "failed",
        },
        "replies": {"sender": {"json": "from"}, "text": {"json": "words"}, "id": {"json": "id"}},
    }
    sending = {
        "url": "http://127.0.0.1:1/sms",
        "success": {"text": "OK"},
        "secrets": {"callback_token": CALLBACK_TOKEN},
    }
    channel = opened("http", **sending, calls=calls)
    token = {"x-token": CALLBACK_TOKEN}
    good, bad = {"custom": OURS, "id": THEIRS, "state": "OK"}, {"custom": OURS, "id": THEIRS, "state": "E7"}
    return ListeningStage(
        channel,
        post_json(HERE, good, token),
        post_json(HERE, bad, token),
        reply=post_json(HERE, {"from": NUMBER, "words": SAID, "id": "U1"}, token),
        unproved=post_json(HERE, good),
        tampered=post_json(HERE, good, {"x-token": CALLBACK_TOKEN.upper()}),
        several=post_json(HERE, [good, bad | {"custom": OTHER}], token),
    )


LISTENING_STAGES: dict[str, Callable[[], ListeningStage]] = {
    "twilio": twilio,
    "twilio_voice": twilio_voice,
    "aliyun_voice": aliyun_voice,
    "aliyun": aliyun,
    "tencent": tencent,
    "huawei": huawei,
    "mas": mas,
    "http": http,
}
