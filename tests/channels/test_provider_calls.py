from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from channels.base import Call, CallRefused, Channel, Learnt, Listening, Message, News, PermanentFailure, Receipt, Said
from channels.wire.call import e164, instant
from channels.wire.identity import reference_of
from support.channel_stages import opened
from support.cloud_sms_servers import KEY_ID, SECRET, HuaweiServer
from support.listening_stages import NUMBER, OURS, TEMPLATES, THEIRS, WITH_TOKEN, aliyun, mas, tencent
from support.provider_calls import CALLBACK_TOKEN, HERE, CallListener, post_form, post_json
from support.sms_gateway import running

HUAWEI = {"app_key": KEY_ID, "app_secret": SECRET, "from": "8820000000000", "templates": TEMPLATES}
AT = datetime(2026, 9, 28, 1, 30, 5, tzinfo=UTC)


def heard(channel: Channel, call: Call) -> News:
    """What the channel learns."""
    assert isinstance(channel, Listening)
    return channel.hear(call)[0]


# --- the secret in the address ---------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [WITH_TOKEN, f"{HERE}/{CALLBACK_TOKEN}", f"{HERE}/{CALLBACK_TOKEN}?x=1"])
def test_where_the_secret_may_stand(url: str) -> None:
    """As a field of the query, or as the last part of the address, for platforms that take no query."""
    stage = aliyun()
    assert heard(stage.channel, post_json(url, [{"success": True, "biz_id": "B1"}])).learnt


@pytest.mark.parametrize("url", [HERE, f"{HERE}?token=", f"{HERE}?token={CALLBACK_TOKEN[:-1]}", f"{HERE}/x"])
def test_a_wrong_secret_is_refused(url: str) -> None:
    """A secret that is missing, empty, cut short or another one: 403."""
    with pytest.raises(CallRefused, match="wrong_token") as caught:
        heard(aliyun().channel, post_json(url, [{"success": True, "biz_id": "B1"}]))
    assert caught.value.status == 403


@pytest.mark.parametrize("name", ["aliyun", "tencent", "huawei", "mas"])
def test_without_a_secret_nobody_is_heard(name: str) -> None:
    """Settings without `callback_token` refuse every call, whatever it carries, and say so."""
    own: dict[str, dict[str, Any]] = {
        "aliyun": {"access_key_id": "k", "access_key_secret": SECRET, "sign_name": "某局", "templates": TEMPLATES},
        "tencent": {"secret_id": "k", "secret_key": SECRET, "app_id": "1", "sign_name": "某局", "templates": TEMPLATES},
        "huawei": HUAWEI,
        "mas": {"base_url": "http://127.0.0.1:1", "ec_name": "x", "ap_id": "d", "secret_key": SECRET, "sign": "s"},
    }
    with pytest.raises(CallRefused, match="no_callback_token") as caught:
        heard(opened(name, **own[name]), post_json(f"{HERE}?token=", [{}]))
    assert caught.value.status == 403


# --- what each says --------------------------------------------------------------------------------------------


def test_aliyun_s_answer_and_times() -> None:
    """阿里云 wants code 0; its times are Beijing's."""
    channel = aliyun().channel
    assert isinstance(channel, Listening)
    record = {"success": True, "err_code": "DELIVERED", "biz_id": "B1", "out_id": OURS}
    news, answer = channel.hear(post_json(WITH_TOKEN, [record | {"report_time": "2026-09-28 09:30:05"}]))
    assert news.learnt == (Learnt(Receipt("B1", delivered=True, answer="DELIVERED"), OURS, "B1", AT),)
    assert answer.body.decode() == '{"code": 0, "msg": "成功"}'


def test_one_record_that_cannot_be_read_holds_up_no_other() -> None:
    """A report about nobody knows what, among good ones, is left out; a call of nothing else is refused."""
    channel = aliyun().channel
    assert len(heard(channel, post_json(WITH_TOKEN, [{"success": True}, {"success": True, "biz_id": "B"}])).learnt) == 1
    with pytest.raises(CallRefused, match="unreadable"):
        heard(channel, post_json(WITH_TOKEN, [{"success": True}]))


def test_tencent_gives_our_reference_back_where_it_was_opened() -> None:
    """With SessionContext in the report the message is known by our name too."""
    report = {"report_status": "FAIL", "errmsg": "MBBLACK", "sid": "S1"}
    news = heard(tencent().channel, post_json(WITH_TOKEN, [report | {"session_context": OURS}]))
    (learnt,) = news.learnt
    assert (learnt.ours, learnt.theirs) == (OURS, "S1")
    assert isinstance(learnt.outcome, PermanentFailure)
    assert learnt.outcome.code == "MBBLACK"


def test_two_equal_words_at_two_times_are_two_replies() -> None:
    """腾讯云 and 云MAS give replies no number: the same second and words are one, another second another."""
    said = {"nationcode": "86", "mobile": "13800000001", "text": "收到", "time": 1790559060}
    first = heard(tencent().channel, post_json(WITH_TOKEN, said)).said[0]
    again = heard(tencent().channel, post_json(WITH_TOKEN, said)).said[0]
    later = heard(tencent().channel, post_json(WITH_TOKEN, said | {"time": 1790559061})).said[0]
    assert first == again == Said(NUMBER, "收到", first.reference, at=datetime(2026, 9, 28, 1, 31, tzinfo=UTC))
    assert later.reference != first.reference


HUAWEI_PARTS: list[tuple[dict[str, str], str]] = [
    ({"status": "DELIVRD", "total": "2", "sequence": "1"}, "nothing"),
    ({"status": "DELIVRD", "total": "2", "sequence": "2"}, "arrived"),
    ({"status": "DELIVRD"}, "arrived"),
    ({"status": "EXPIRED", "total": "2", "sequence": "1"}, "failed"),
    ({"status": "ACCEPTD"}, "nothing"),
    ({"status": "UNKNOWN"}, "nothing"),
    ({"status": "REJECTD"}, "failed"),
    ({"status": "E200028"}, "failed"),
]


@pytest.mark.parametrize(("form", "wanted"), HUAWEI_PARTS)
def test_what_huawei_says_of_parts(form: dict[str, str], wanted: str) -> None:
    """A long message has arrived with its last part and failed with any; accepted and unknown say nothing."""
    channel = opened("huawei", **HUAWEI, callback_token=CALLBACK_TOKEN)
    learnt = heard(channel, post_form(WITH_TOKEN, {"smsMsgId": THEIRS, "extend": OURS, **form})).learnt
    kinds = ["arrived" if isinstance(one.outcome, Receipt) else "failed" for one in learnt]
    assert kinds == ([] if wanted == "nothing" else [wanted])


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"reportStatus": "CM:0000", "errorCode": "DELIVRD"}, ""),
        ({"errorCode": "DELIVRD"}, ""),
        ({"reportStatus": "CM:1000", "errorCode": "DB:0140"}, "DB:0140"),
        ({"reportStatus": "CM:1000"}, "CM:1000"),
    ],
)
def test_what_mas_says(record: dict[str, str], code: str) -> None:
    """`CM:0000` is what has arrived; the carrier's code says why something has not."""
    (learnt,) = heard(mas().channel, post_json(WITH_TOKEN, record | {"msgGroup": "G1"})).learnt
    assert getattr(learnt.outcome, "code", "") == code
    assert learnt.theirs == "G1"


async def test_huawei_is_told_where_we_are() -> None:
    """With every message goes our address with its secret, unless the settings say another, or there is no secret."""
    message = Message("k1", NUMBER, "提醒", AT)
    told: list[str | None] = []
    async with running(HuaweiServer()) as server:
        for more in ({"callback_token": CALLBACK_TOKEN}, {"status_callback": "https://front.example/h"}, {}):
            channel = opened("huawei", **HUAWEI, base_url=server.url, **more)
            assert isinstance(channel, Listening)
            channel.listen_at(HERE)
            await channel.send_many([message])
            await channel.close()
        told = [one.get("statusCallback") for one in server.sent]
    assert told == [WITH_TOKEN, "https://front.example/h", None]
    assert server.sent[0]["extend"] == reference_of("k1")


async def test_over_real_http() -> None:
    """The bytes of a client on the network are heard as the provider wrote them, Chinese and all."""
    channel = mas().channel
    assert isinstance(channel, Listening)
    said = {"mobile": "13800000001", "smsContent": "收到 1234𠮷", "sendTime": "2026-09-28 09:31:00"}
    async with running(CallListener(channel)) as server, aiohttp.ClientSession() as client:
        async with client.post(f"{server.url}/in/sms?token={CALLBACK_TOKEN}", json=said) as answer:
            assert (answer.status, await answer.json()) == (200, {"success": True})
        async with client.post(f"{server.url}/in/sms/{CALLBACK_TOKEN}", json=said) as answer:
            assert answer.status == 200
        async with client.post(f"{server.url}/in/sms", json=said) as answer:
            assert answer.status == 403
    assert [news.said[0].text for news in server.news] == ["收到 1234𠮷"] * 2
    assert server.refused == ["wrong_token"]


# --- numbers and times -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("13800000001", NUMBER),
        ("8613800000001", NUMBER),
        ("008613800000001", NUMBER),
        (NUMBER, NUMBER),
        ("10690000", "10690000"),
        ("447700900123", "+447700900123"),
    ],
)
def test_numbers_are_written_in_full(written: str, wanted: str) -> None:
    """However the provider writes it, a number is compared in one form."""
    assert e164(written) == wanted


@pytest.mark.parametrize(
    "written",
    ["2026-09-28 09:30:05", "20260928093005", "2026-09-28T01:30:05Z", "1790559005", "1790559005000"],
)
def test_times_in_each_form(written: str) -> None:
    """Times of Beijing, of UTC, and Unix times are the same instant."""
    assert instant(written) == AT


@pytest.mark.parametrize("written", ["", "昨天", "99999999999999", "2026-13-01 00:00:00", "123"])
def test_what_is_no_time_is_none(written: str) -> None:
    """A receipt counts without its time too."""
    assert instant(written) is None
