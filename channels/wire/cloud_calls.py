"""What the four clouds of China post to us: status reports (回执) and replies (上行).

None of them signs: 阿里云, 腾讯云 and 云MAS document no proof at all, 华为云 asks that its status reports be taken
without one (and signs replies only where 推送AKSK鉴权 was switched on). So the address they are given carries a secret
of ours, which `require_token` has checked before anything here is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from channels.base import Answer
from channels.wire.call import (
    Unreadable,
    arrived,
    failed,
    form_of,
    instant,
    json_answer,
    learnt_of,
    news_of,
    records_of,
    said_by,
)
from channels.wire.identity import reference_of
from channels.wire.tree import text_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from channels.base import Call, Learnt, News, Said

    Hearing = Callable[[Call], tuple[News, Answer]]

_UTC = ZoneInfo("UTC")
_ARRIVED = "DELIVRD"


def hear_aliyun(call: Call) -> tuple[News, Answer]:
    """阿里云: SmsReport and SmsUp by HTTP 批量推送, several in a JSON list. `out_id` is our reference.

    https://help.aliyun.com/zh/sms/developer-reference/smsreport-2, …/smsup-2

    Raises:
        CallRefused: not of that form.
    """
    return news_of(records_of(call), _aliyun), json_answer({"code": 0, "msg": "成功"})


def _aliyun(record: dict[str, Any]) -> Learnt | Said:
    success = record.get("success")
    if isinstance(success, bool):
        at = instant(text_at(record, "report_time"))
        theirs, code = text_at(record, "biz_id"), text_at(record, "err_code")
        outcome = arrived(code, theirs=theirs) if success else failed(code)
        return learnt_of(outcome, ours=text_at(record, "out_id"), theirs=theirs, at=at)
    at = instant(text_at(record, "send_time"))
    return said_by(
        text_at(record, "phone_number"), record.get("content"), reference=text_at(record, "sequence_id"), at=at
    )


def hear_aliyun_voice(call: Call) -> tuple[News, Answer]:
    """阿里云: VoiceReport, what became of calls, several in a JSON list; VoiceCallReport says nothing yet.

    https://help.aliyun.com/zh/vms/developer-reference/voicereport-4: `duration` is 0 if nobody answered, and
    `status_code` says why.

    Raises:
        CallRefused: not of that form.
    """
    return news_of(records_of(call), _aliyun_voice), json_answer({"code": 0, "msg": "成功"})


def _aliyun_voice(record: dict[str, Any]) -> Learnt | None:
    theirs, code, duration = (text_at(record, name) for name in ("call_id", "status_code", "duration"))
    if not code:
        raise Unreadable
    answered = duration.isdecimal() and duration.strip("0") != ""
    outcome = arrived("answered", theirs=theirs) if answered else failed(f"call_{code}")
    told = learnt_of(outcome, theirs=theirs, at=instant(text_at(record, "end_time")))
    return told if duration else None


def hear_tencent(call: Call) -> tuple[News, Answer]:
    """腾讯云: status reports in a JSON list, replies one by one. `sid` is the SerialNo of the answer.

    https://cloud.tencent.com/document/api/382/5807, /5809. Where 腾讯云 has opened it for the application, our
    SessionContext comes along; the pages do not name its field, so each spelling in use is looked at.

    Raises:
        CallRefused: not of that form.
    """
    return news_of(records_of(call), _tencent), json_answer({"result": 0, "errmsg": "OK"})


_SESSION = ("session_context", "SessionContext", "session", "ext")


def _tencent(record: dict[str, Any]) -> Learnt | Said:
    status = text_at(record, "report_status")
    if status in {"SUCCESS", "FAIL"}:
        theirs, code = text_at(record, "sid"), text_at(record, "errmsg")
        ours = next(filter(None, (text_at(record, name) for name in _SESSION)), "")
        outcome = arrived(code, theirs=theirs) if status == "SUCCESS" else failed(code)
        return learnt_of(outcome, ours=ours, theirs=theirs, at=instant(text_at(record, "user_receive_time")))
    country, mobile, text = text_at(record, "nationcode"), text_at(record, "mobile"), record.get("text")
    number = f"+{country}{mobile}" if country and mobile else mobile
    return said_by(
        number, text, reference=_named(mobile, text_at(record, "time"), text), at=instant(text_at(record, "time"))
    )


def hear_huawei(call: Call) -> tuple[News, Answer]:
    """华为云: a form for each status report, with `extend`, our reference; another for each reply.

    https://support.huaweicloud.com/api-msgsms/sms_05_0003.html (status), /sms_05_0004.html (replies). Of a long
    message each part is reported on: it has arrived with its last part, and has failed with any.

    Raises:
        CallRefused: not of that form.
    """
    return news_of([form_of(call)], _huawei), Answer()


_NOTHING_YET = {"ACCEPTD", "UNKNOWN"}


def _huawei(form: dict[str, str]) -> Learnt | Said | None:
    if "body" in form and "status" not in form:
        at = instant(form.get("createTime", ""), _UTC)
        return said_by(form.get("from", ""), form["body"], reference=form.get("smsMsgId", ""), at=at)
    status, theirs = form.get("status", ""), form.get("smsMsgId", "")
    if not status:
        raise Unreadable
    outcome = arrived(status, theirs=theirs) if status == _ARRIVED else failed(status)
    told = learnt_of(outcome, ours=form.get("extend", ""), theirs=theirs, at=instant(form.get("updateTime", ""), _UTC))
    more_to_come = status == _ARRIVED and form.get("sequence", "1") != form.get("total", "1")
    return None if status in _NOTHING_YET or more_to_come else told


def hear_mas(call: Call) -> tuple[News, Answer]:
    """云MAS: JSON for each status report and each reply; `msgGroup` is the number of its answer.

    The manual of the HTTP interface, which the platform gives its customers: `reportStatus` is `CM:0000` for what has
    arrived, and `errorCode` then `DELIVRD`; for anything else it says why not.

    Raises:
        CallRefused: not of that form.
    """
    return news_of(records_of(call), _mas), json_answer({"success": True})


_MAS_ARRIVED = "CM:0000"


def _mas(record: dict[str, Any]) -> Learnt | Said:
    group = text_at(record, "msgGroup") or text_at(record, "mgsGroup")
    status, code = text_at(record, "reportStatus"), text_at(record, "errorCode")
    if status or code:
        at = instant(text_at(record, "receiveDate"))
        has_arrived = status == _MAS_ARRIVED or (not status and code == _ARRIVED)
        outcome = arrived(_ARRIVED, theirs=group) if has_arrived else failed(code or status)
        return learnt_of(outcome, theirs=group, at=at)
    mobile, text, sent = text_at(record, "mobile"), record.get("smsContent"), text_at(record, "sendTime")
    return said_by(mobile, text, reference=_named(mobile, sent, text), at=instant(sent))


def _named(mobile: str, time: str, text: object) -> str:
    """A name for a reply whose provider gives none: the same number, second and words are the same reply."""
    return reference_of(f"{mobile}\n{time}\n{text}") if time else ""
