from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from channels.aliyun import AliyunSettings
from channels.base import CANNOT_ASK, PARAMETERS, Message, OutcomeUnknown, PermanentFailure, Receipt, SendError
from channels.base import TemporaryFailure as Temporary
from channels.registry import channel_types
from channels.tencent import TencentSettings
from channels.wire.aliyun_sms import AliyunSms
from channels.wire.identity import reference_of
from channels.wire.tencent_sms import TencentSms
from daemon.render import PARAMETERS as RENDERED
from support.cloud_sms_servers import (
    KEY_ID,
    NUMBER,
    SECRET,
    AliyunServer,
    HuaweiServer,
    MasServer,
    TencentServer,
    aliyun_error,
    huawei_error,
    mas_error,
    tencent_error,
    tencent_refusal,
)
from support.sms_gateway import Fault, FaultyServer, running

if TYPE_CHECKING:
    from channels.base import Channel, Outcome

AT = datetime(2026, 9, 28, 1, 30, tzinfo=UTC)  # 09:30 in Beijing
SIGNATURE = "某市信访局"
TEXT = f"【{SIGNATURE}】事项XF1书面告知10月8日到期𠮷"
PARAMS = dict.fromkeys(PARAMETERS, "") | {"case": "XF1", "deadline": "10月8日到期，余3个工作日", "stage": "书面告知"}
OURS = reference_of("k1")


def sms(**changes: Any) -> Message:
    """A reminder as the daemon writes it."""
    fields: dict[str, Any] = {"key": "k1", "to": f"+86{NUMBER}", "text": TEXT, "at": AT, "say": "remind"}
    return Message(**(fields | {"params": PARAMS} | changes))


@dataclass(frozen=True)
class Cloud:
    """One of the four: its server, and settings that work."""

    server: type[FaultyServer]
    settings: dict[str, Any]
    named: bool = False  # whether the variables of its templates have names

    def template(self, state: str = "approved", **variables: str) -> dict[str, Any]:
        """A template with these variables."""
        return {"id": "T1", "state": state, "variables": variables if self.named else list(variables.values())}


CLOUDS = {
    "aliyun": Cloud(
        AliyunServer,
        {"access_key_id": KEY_ID, "access_key_secret": SECRET, "sign_name": SIGNATURE},
        named=True,
    ),
    "tencent": Cloud(
        TencentServer,
        {"secret_id": KEY_ID, "secret_key": SECRET, "app_id": "1400006666", "sign_name": SIGNATURE},
    ),
    "huawei": Cloud(
        HuaweiServer,
        {"app_key": KEY_ID, "app_secret": SECRET, "from": "8820000000000", "signature": SIGNATURE},
    ),
    "mas": Cloud(
        MasServer,
        {"ec_name": SIGNATURE, "ap_id": "duban", "secret_key": SECRET, "sign": "signId", "signature": SIGNATURE},
    ),
}
WHOLE_TEXT = {"text": "{text}"}
CASE_AND_DEADLINE = {"case": "{param.case}", "deadline": "{param.deadline}"}


def opened(name: str, server: FaultyServer, **changes: Any) -> Channel:
    """A channel of that cloud to this server; every word has its template unless the changes say otherwise."""
    cloud = CLOUDS[name]
    settings = {"templates": {"*": cloud.template(**WHOLE_TEXT)}, "base_url": server.url, "timeout": 1}
    chosen = channel_types()[name]
    return chosen.open(chosen.settings.model_validate({**cloud.settings, **settings, **changes}))


async def outcome_of(name: str, server: FaultyServer, message: Message, **changes: Any) -> Outcome:
    """What becomes of one message."""
    channel = opened(name, server, **changes)
    (outcome,) = await channel.send_many([message])
    await channel.close()
    return outcome


# --- what is asked of each ---------------------------------------------------------------------------------------


async def test_what_is_asked_of_aliyun() -> None:
    """Number, signature, template, variables by name, and our reference as OutId; its own number comes back."""
    async with running(AliyunServer()) as server:
        templates = {"remind": CLOUDS["aliyun"].template(**CASE_AND_DEADLINE)}
        outcome = await outcome_of("aliyun", server, sms(), templates=templates, extend_code="01")
    assert outcome == Receipt("B1^0", answer="OK")
    (sent,) = server.sent
    assert json.loads(sent.pop("TemplateParam")) == {"case": "XF1", "deadline": "10月8日到期，余3个工作日"}
    wanted = {"PhoneNumbers": NUMBER, "SignName": SIGNATURE, "TemplateCode": "T1", "OutId": OURS}
    assert sent == wanted | {"SmsUpExtendCode": "01"}


async def test_what_is_asked_of_tencent() -> None:
    """Number with its country, variables in their order, our reference as SessionContext; the fee counts the parts."""
    async with running(TencentServer()) as server:
        templates = {"remind": CLOUDS["tencent"].template(**CASE_AND_DEADLINE)}
        outcome = await outcome_of("tencent", server, sms(), templates=templates)
    assert outcome == Receipt("S1", parts=2, answer="Ok")
    assert server.sent == [
        {
            "PhoneNumberSet": [f"+86{NUMBER}"],
            "SmsSdkAppId": "1400006666",
            "TemplateId": "T1",
            "SignName": SIGNATURE,
            "TemplateParamSet": ["XF1", "10月8日到期，余3个工作日"],
            "SessionContext": OURS,
        }
    ]


async def test_what_is_asked_of_huawei() -> None:
    """A form with the line, number, template and variables, our reference as `extend`, and where to report."""
    async with running(HuaweiServer()) as server:
        changes = {"status_callback": "https://duban.example/huawei"}
        changes |= {"templates": {"remind": CLOUDS["huawei"].template(**CASE_AND_DEADLINE)}}
        outcome = await outcome_of("huawei", server, sms(), **changes)
    assert outcome == Receipt("H1", parts=2, answer="000000")
    (sent,) = server.sent
    assert json.loads(sent.pop("templateParas")) == ["XF1", "10月8日到期，余3个工作日"]
    wanted = {"from": "8820000000000", "to": f"+86{NUMBER}", "templateId": "T1", "extend": OURS}
    assert sent == wanted | {"signature": SIGNATURE, "statusCallback": "https://duban.example/huawei"}


async def test_a_template_of_huawei_without_variables() -> None:
    """Then `templateParas` is empty, as the manual wants it."""
    async with running(HuaweiServer()) as server:
        await outcome_of("huawei", server, sms(), templates={"*": CLOUDS["huawei"].template()})
    assert server.sent[0]["templateParas"] == ""


async def test_what_is_asked_of_mas() -> None:
    """Without templates the text goes out whole, without the signature the platform adds; no secret is sent."""
    async with running(MasServer()) as server:
        outcome = await outcome_of("mas", server, sms(), templates={}, add_serial="01")
    assert outcome == Receipt("M1", answer="success")
    assert server.paths == ["/sms/norsubmit"]
    (sent,) = server.sent
    assert re.fullmatch("[0-9a-f]{32}", sent.pop("mac"))
    wanted = {"ecName": SIGNATURE, "apId": "duban", "mobiles": NUMBER, "sign": "signId", "addSerial": "01"}
    assert sent == wanted | {"content": "事项XF1书面告知10月8日到期𠮷"}


async def test_a_template_of_mas() -> None:
    """With templates the other address is used, with the variables as a list in JSON."""
    async with running(MasServer()) as server:
        await outcome_of("mas", server, sms(), templates={"remind": CLOUDS["mas"].template(**CASE_AND_DEADLINE)})
        await outcome_of("mas", server, sms(), templates={"remind": CLOUDS["mas"].template()})
    assert server.paths == ["/sms/tmpsubmit"] * 2
    assert [one["params"] for one in server.sent] == ['["XF1","10月8日到期，余3个工作日"]', '[""]']
    assert server.sent[0]["templateId"] == "T1"


# --- text and templates ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLOUDS)
async def test_the_signature_is_not_said_twice(name: str) -> None:
    """The whole text goes into its variable without the signature, which the provider puts in front itself."""
    async with running(CLOUDS[name].server()) as server:
        await outcome_of(name, server, sms())
    assert "事项XF1" in json.dumps(server.sent, ensure_ascii=False)
    assert f"【{SIGNATURE}】" not in json.dumps(server.sent, ensure_ascii=False)


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize(
    ("word", "state", "code"),
    [
        ("urge", "approved", "no_template"),
        ("remind", "waiting", "template_waiting"),
        ("remind", "refused", "template_refused"),
    ],
)
async def test_a_text_without_an_approved_template_fails_alone(name: str, word: str, state: str, code: str) -> None:
    """It is not sent, the code says why, and the channel goes on for the words that have a template."""
    cloud = CLOUDS[name]
    templates = {word: cloud.template(state, **WHOLE_TEXT), "today": cloud.template(**WHOLE_TEXT)}
    async with running(cloud.server()) as server:
        channel = opened(name, server, templates=templates)
        refused, sent = await channel.send_many([sms(), sms(key="k2", say="today")])
        await channel.close()
    assert isinstance(refused, PermanentFailure)
    assert (refused.code, refused.whole_channel) == (code, False)
    assert "remind" in refused.detail
    assert isinstance(sent, Receipt)
    assert server.requests == 1


@pytest.mark.parametrize("name", CLOUDS)
async def test_a_word_s_own_template_goes_before_the_one_for_all(name: str) -> None:
    """`*` is for the words that have none; a word whose own template waits does not fall back to it."""
    cloud = CLOUDS[name]
    own = cloud.template(**CASE_AND_DEADLINE) | {"id": "T2"}
    async with running(cloud.server()) as server:
        await outcome_of(name, server, sms(), templates={"*": cloud.template(**WHOLE_TEXT), "remind": own})
        assert '"T2"' in json.dumps(server.sent)
        refused = await outcome_of(
            name, server, sms(), templates={"*": cloud.template(**WHOLE_TEXT), "remind": own | {"state": "waiting"}}
        )
    assert isinstance(refused, PermanentFailure)


@pytest.mark.parametrize("name", CLOUDS)
async def test_a_value_a_message_does_not_have(name: str) -> None:
    """A test message has no case: its template cannot be filled, and nothing is sent."""
    async with running(CLOUDS[name].server()) as server:
        changes = {"templates": {"*": CLOUDS[name].template(**CASE_AND_DEADLINE)}}
        outcome = await outcome_of(name, server, sms(params={"text": "试"}), **changes)
    assert isinstance(outcome, PermanentFailure)
    assert outcome.code == "missing_value"
    assert server.requests == 0


def test_templates_may_use_what_the_daemon_fills_in() -> None:
    """The values the settings admit are the ones every message has."""
    assert RENDERED == PARAMETERS


# --- errors ------------------------------------------------------------------------------------------------------

Wanted = tuple[type[SendError], object]  # the kind, and whole_channel or retry_after
ALONE, EVERY = (PermanentFailure, False), (PermanentFailure, True)
DOUBT: Wanted = (OutcomeUnknown, None)

REFUSALS: list[tuple[str, Fault, Wanted]] = [
    ("aliyun", aliyun_error("isv.BUSINESS_LIMIT_CONTROL", said="触发天级流控Permits:10"), (Temporary, 3600.0)),
    ("aliyun", aliyun_error("isv.BUSINESS_LIMIT_CONTROL", said="触发分钟级流控Permits:1"), (Temporary, 60.0)),
    ("aliyun", aliyun_error("isv.DAY_LIMIT_CONTROL"), EVERY),
    ("aliyun", aliyun_error("isv.OUT_OF_SERVICE"), EVERY),
    ("aliyun", aliyun_error("isv.AMOUNT_NOT_ENOUGH"), EVERY),
    ("aliyun", aliyun_error("isv.SMS_SIGNATURE_ILLEGAL"), EVERY),
    ("aliyun", aliyun_error("isv.SMS_TEMPLATE_ILLEGAL"), ALONE),
    ("aliyun", aliyun_error("isv.PARAM_LENGTH_LIMIT"), ALONE),
    ("aliyun", aliyun_error("isv.BLACK_KEY_CONTROL_LIMIT"), ALONE),
    ("aliyun", aliyun_error("isp.SYSTEM_ERROR"), (Temporary, None)),
    ("aliyun", aliyun_error("isv.SOMETHING_NEW"), (Temporary, None)),
    ("aliyun", aliyun_error("InvalidAccessKeyId.NotFound", 404), EVERY),
    ("aliyun", aliyun_error("SignatureDoesNotMatch", 400), EVERY),
    ("aliyun", aliyun_error("InvalidTimeStamp.Expired", 400), EVERY),
    ("aliyun", aliyun_error("SignatureNonceUsed", 400), DOUBT),
    ("aliyun", aliyun_error("Throttling.User", 400), (Temporary, 60.0)),
    ("aliyun", aliyun_error("Throttling.User", 429, headers={"Retry-After": "7"}), (Temporary, 7.0)),
    ("aliyun", aliyun_error("InternalError", 500), DOUBT),
    ("aliyun", aliyun_error(f"Code{NUMBER}", 400), ALONE),
    ("tencent", tencent_error("AuthFailure.SignatureFailure"), EVERY),
    ("tencent", tencent_error("AuthFailure.SecretIdNotFound"), EVERY),
    ("tencent", tencent_error("UnauthorizedOperation.ServiceSuspendDueToArrears"), EVERY),
    ("tencent", tencent_refusal("FailedOperation.InsufficientBalanceInSmsPackage"), EVERY),
    ("tencent", tencent_refusal("FailedOperation.SignatureIncorrectOrUnapproved"), EVERY),
    ("tencent", tencent_refusal("FailedOperation.TemplateIncorrectOrUnapproved"), ALONE),
    ("tencent", tencent_refusal("FailedOperation.ContainSensitiveWord"), ALONE),
    ("tencent", tencent_refusal("FailedOperation.PhoneNumberInBlacklist"), ALONE),
    ("tencent", tencent_refusal("LimitExceeded.PhoneNumberThirtySecondLimit"), (Temporary, 30.0)),
    ("tencent", tencent_refusal("LimitExceeded.PhoneNumberDailyLimit"), (Temporary, 3600.0)),
    ("tencent", tencent_refusal("LimitExceeded.AppDailyLimit"), EVERY),
    ("tencent", tencent_error("RequestLimitExceeded.UinLimitExceeded"), (Temporary, 60.0)),
    ("tencent", tencent_error("InternalError.Timeout"), DOUBT),
    ("tencent", tencent_error("InternalError.SigVerificationFail"), EVERY),
    ("tencent", tencent_error("Something.New"), (Temporary, None)),
    ("huawei", huawei_error("E000101", http=401), EVERY),
    ("huawei", huawei_error("E000105", http=401), EVERY),
    ("huawei", huawei_error("E000112", http=403), EVERY),
    ("huawei", huawei_error("E000620", http=403), EVERY),
    ("huawei", huawei_error("E000503"), ALONE),
    ("huawei", huawei_error("E000000"), (Temporary, None)),
    ("huawei", huawei_error("E000510", "E200030", 200), ALONE),
    ("huawei", huawei_error("E000510", "E200015", 200), (Temporary, 60.0)),
    ("huawei", huawei_error("E000510", "E200018", 200), EVERY),
    ("huawei", huawei_error("000000", "E200028", 200), ALONE),
    ("huawei", huawei_error("000000", "", 200), DOUBT),
    ("huawei", huawei_error("E999999", http=200), (Temporary, None)),
    ("mas", mas_error("IllegalMac"), EVERY),
    ("mas", mas_error("InvalidUsrOrPwd"), EVERY),
    ("mas", mas_error("NoSignId"), EVERY),
    ("mas", mas_error("IllegalSignId"), EVERY),
    ("mas", mas_error("InvalidMessage"), ALONE),
    ("mas", mas_error("TooManyMobiles"), ALONE),
    ("mas", mas_error("SomethingNew"), (Temporary, None)),
    ("mas", Fault(200, '{"rspcod": "success", "success": false}'), DOUBT),
]
EVERYWHERE: list[tuple[Fault, Wanted]] = [
    (Fault(429, "busy", {"Retry-After": "3"}), (Temporary, 3.0)),
    (Fault(503, "<html>maintenance</html>"), (Temporary, None)),
    (Fault(502, ""), DOUBT),
    (Fault(504, ""), DOUBT),
    (Fault(401, ""), EVERY),
    (Fault(302, "", {"Location": "http://127.0.0.1:9/"}), EVERY),
    (Fault(400, "not JSON"), ALONE),
    (Fault(200, "not JSON"), DOUBT),
    (Fault(200, "[]"), DOUBT),
    (Fault(200, "{}"), DOUBT),
    (Fault(200, '{"Response": {"SendStatusSet": "?"}, "result": 3, "Code": null}'), DOUBT),
    (Fault.named("malformed"), DOUBT),
    (Fault.named("half"), DOUBT),
]
CASES = [*REFUSALS, *((name, fault, wanted) for name in CLOUDS for fault, wanted in EVERYWHERE)]


@pytest.mark.parametrize(("name", "fault", "wanted"), CASES, ids=lambda value: getattr(value, "body", None) or None)
async def test_what_each_answer_means(name: str, fault: Fault, wanted: Wanted) -> None:
    """Each refusal is one of ours, asked once; neither the number it quotes nor the secret nor the text is told."""
    async with running(CLOUDS[name].server()) as server:
        server.fail(fault)
        outcome = await outcome_of(name, server, sms())
    assert isinstance(outcome, SendError)
    more = getattr(outcome, "whole_channel", getattr(outcome, "retry_after", None))
    assert (type(outcome), more) == wanted
    assert not [one for one in (NUMBER, SECRET, TEXT, SIGNATURE) if one in f"{outcome}{outcome!r}{outcome.detail}"]
    assert server.requests == 1


@pytest.mark.parametrize("name", CLOUDS)
async def test_a_wrong_secret_concerns_the_whole_channel(name: str) -> None:
    """The provider's refusal of the signature stops the channel, so that the administrators hear of it."""
    secret = {"aliyun": "access_key_secret", "huawei": "app_secret"}.get(name, "secret_key")
    async with running(CLOUDS[name].server()) as server:
        outcome = await outcome_of(name, server, sms(), **{secret: "another"})
    assert isinstance(outcome, PermanentFailure)
    assert outcome.whole_channel
    assert server.sent == []


# --- asking afterwards -------------------------------------------------------------------------------------------


def aliyun(server: FaultyServer, now: datetime = AT, **changes: Any) -> AliyunSms:
    """阿里云 at this instant."""
    template = CLOUDS["aliyun"].template(**WHOLE_TEXT)
    settings = {"templates": {"*": template}, "base_url": server.url, "timeout": 1, "settle": 0}
    return AliyunSms(AliyunSettings.model_validate({**CLOUDS["aliyun"].settings, **settings, **changes}), lambda: now)


async def test_aliyun_finds_a_message_whose_answer_was_lost() -> None:
    """It is recognised by our reference; a receipt on record before the answer says that it arrived."""
    async with running(AliyunServer()) as server:
        server.status = 3
        server.fail("drop")
        provider = aliyun(server)
        (outcome,) = await provider.send_many([sms()])
        found = await provider.find(sms())
        await provider.close()
    assert isinstance(outcome, OutcomeUnknown)
    assert found is not None
    assert (found.reference, found.delivered) == (OURS, True)


@pytest.mark.parametrize(("statuses", "found", "delivered"), [
    ([], False, False),
    ([1], True, False),
    ([3], True, True),
    ([2], False, False),
    ([2, 1], True, False),
    ([3, 3], True, True),
])  # fmt: skip
async def test_what_aliyun_has_on_record(statuses: list[int], *, found: bool, delivered: bool) -> None:
    """Never, once or twice on record: under way and arrived count, failed does not; others' messages never do."""
    async with running(AliyunServer()) as server:
        for status in statuses:
            server.record(OURS, status, "20260928")
        server.record("somebody else's", 3, "20260928")
        provider = aliyun(server)
        receipt = await provider.find(sms())
        await provider.close()
    assert (receipt is not None, receipt is not None and receipt.delivered) == (found, delivered)


async def test_aliyun_is_asked_for_every_day_since_the_decision() -> None:
    """The days are Beijing's, the latest first, and every page of each."""
    async with running(AliyunServer()) as server:
        server.record(OURS, 1, "20260928")
        for number in range(60):
            server.record(f"other {number}", 1, "20260928")
        provider = aliyun(server, AT + timedelta(days=2, hours=15))  # 00:30 on 1 October in Beijing
        assert await provider.find(sms()) is not None
        await provider.close()
    asked = [(one["SendDate"], one["CurrentPage"]) for one in server.asked]
    assert asked == [("20261001", "1"), ("20260930", "1"), ("20260929", "1"), ("20260928", "1"), ("20260928", "2")]


async def test_aliyun_keeps_no_records_for_ever() -> None:
    """A message decided before the days on record stays in doubt; so does one among too many."""
    async with running(AliyunServer()) as server:
        late = aliyun(server, AT + timedelta(days=31))
        with pytest.raises(OutcomeUnknown, match="too_old"):
            await late.find(sms())
        for number in range(501):
            server.record(f"other {number}", 1, "20260928")
        provider = aliyun(server)
        with pytest.raises(OutcomeUnknown, match="too_many"):
            await provider.find(sms())
        await late.close()
        await provider.close()


async def test_aliyun_is_not_believed_at_once() -> None:
    """Just after a lost answer "not there" proves nothing; after the time set for it, it does."""
    async with running(AliyunServer()) as server:
        server.recording = False
        patient, hasty = aliyun(server, settle=60), aliyun(server, settle=0)
        server.fail("drop")
        await patient.send_many([sms()])
        with pytest.raises(OutcomeUnknown, match="too_early"):
            await patient.find(sms())
        server.fail("drop")
        await hasty.send_many([sms()])
        assert await hasty.find(sms()) is None
        await patient.close()
        await hasty.close()


async def test_aliyun_is_not_believed_at_once_by_a_process_that_did_not_send() -> None:
    """What a process that died was sending may not be on record yet either when the next one asks about it."""
    async with running(AliyunServer()) as server:
        heir = aliyun(server, settle=60)
        with pytest.raises(OutcomeUnknown, match="too_early"):
            await heir.find(sms())
        await heir.close()


LOOKUP_FAULTS = ["500", "429", "drop", "half", "malformed", Fault(200, "{}"), Fault(200, '{"Code": "OK"}')]


@pytest.mark.parametrize("fault", [*LOOKUP_FAULTS, aliyun_error("isv.INVALID_PARAMETERS")], ids=str)
async def test_no_fault_of_aliyun_s_records_is_an_answer(fault: str | Fault) -> None:
    """When the records cannot be read, the message stays in doubt."""
    async with running(AliyunServer()) as server:
        server.fail(fault)
        provider = aliyun(server)
        with pytest.raises(OutcomeUnknown):
            await provider.find(sms())
        await provider.close()


def tencent(server: FaultyServer, **changes: Any) -> TencentSms:
    """腾讯云 with reports that hold our reference."""
    template = CLOUDS["tencent"].template(**WHOLE_TEXT)
    settings = {"templates": {"*": template}, "base_url": server.url, "timeout": 1, "session_in_reports": True}
    return TencentSms(TencentSettings.model_validate({**CLOUDS["tencent"].settings, **settings, **changes}), lambda: AT)


async def test_a_report_of_tencent_settles_the_doubt() -> None:
    """A report that came before the lost answer says that the message arrived."""
    async with running(TencentServer()) as server:
        server.reporting = "SUCCESS"
        server.fail("drop")
        provider = tencent(server)
        (outcome,) = await provider.send_many([sms()])
        found = await provider.find(sms())
        await provider.close()
    assert isinstance(outcome, OutcomeUnknown)
    assert found == Receipt("S1", delivered=True, answer="SUCCESS")
    assert server.asked[0]["PhoneNumber"] == f"+86{NUMBER}"
    assert server.asked[0]["EndTime"] - server.asked[0]["BeginTime"] == 300


@pytest.mark.parametrize(("reports", "found"), [(["FAIL"], None), (["FAIL", "SUCCESS"], True), (["SUCCESS"] * 2, True)])
async def test_what_tencent_has_been_reported(reports: list[str], found: bool | None) -> None:
    """A failure alone means not arrived; one success among several reports means arrived."""
    async with running(TencentServer()) as server:
        for status in reports:
            server.report(OURS, status)
        provider = tencent(server)
        receipt = await provider.find(sms())
        await provider.close()
    assert (receipt and receipt.delivered) == found


async def test_no_report_of_tencent_proves_nothing() -> None:
    """A message without a report may be under way: it stays in doubt, never "not sent"."""
    async with running(TencentServer()) as server:
        server.report("somebody else's", "SUCCESS")
        provider = tencent(server)
        with pytest.raises(OutcomeUnknown, match="no_report"):
            await provider.find(sms())
        await provider.close()


@pytest.mark.parametrize("fault", [*LOOKUP_FAULTS, tencent_error("InvalidParameterValue.BeginTimeVerifyFail")], ids=str)
async def test_no_fault_of_tencent_s_reports_is_an_answer(fault: str | Fault) -> None:
    """When the reports cannot be pulled, the message stays in doubt."""
    async with running(TencentServer()) as server:
        server.report(OURS, "FAIL")
        server.fail(fault)
        provider = tencent(server)
        with pytest.raises(OutcomeUnknown):
            await provider.find(sms())
        await provider.close()


@pytest.mark.parametrize("name", ["tencent", "huawei", "mas"])
async def test_some_cannot_be_asked(name: str) -> None:
    """They say so at once, without a request, and promise no news of delivery."""
    async with running(CLOUDS[name].server()) as server:
        channel = opened(name, server)
        with pytest.raises(OutcomeUnknown) as doubt:
            await channel.lookup(sms())
        await channel.close()
    assert doubt.value.code == CANNOT_ASK
    assert getattr(channel, "tells_delivery", None) is False
    assert server.requests == 0


def test_which_can_tell_of_a_delivery() -> None:
    """A step that waits for delivery may rely on 阿里云, and on 腾讯云 where the reports hold our reference."""
    server = AliyunServer()
    assert getattr(opened("aliyun", server), "tells_delivery", None) is True
    assert getattr(opened("tencent", server, session_in_reports=True), "tells_delivery", None) is True


# --- settings ----------------------------------------------------------------------------------------------------


def variables(name: str, text: str, **more: str) -> dict[str, Any]:
    """Templates with one variable."""
    return {"*": CLOUDS[name].template(text=text) | more}


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize(
    ("templates", "complaint"),
    [
        (
            lambda name: variables(name, "{param.dedline}"),
            r"没有占位符 \{param\.dedline\}，是不是想写 \{param\.deadline\}？",
        ),
        (lambda name: variables(name, "{txt}"), r"no placeholder \{txt\}"),
        (lambda name: variables(name, "{text}", state="waiting"), "nothing could be sent"),
        (lambda name: variables(name, "{text}", state="yes"), "approved"),
        (lambda name: variables(name, "{param.count}"), "only digest has"),
        (lambda _: {"remind": {"state": "approved"}}, "id"),
    ],
)
def test_templates_that_cannot_work_are_refused(name: str, templates: Any, complaint: str) -> None:
    """An unknown placeholder, nothing approved, a state that is none: said before the first message."""
    chosen = channel_types()[name].settings
    settings = {**CLOUDS[name].settings, "base_url": "http://127.0.0.1:9", "templates": templates(name)}
    with pytest.raises(ValueError, match=complaint):
        chosen.model_validate(settings)


@pytest.mark.parametrize("name", CLOUDS)
def test_a_digest_may_count(name: str) -> None:
    """`{param.count}` is for `digest` alone."""
    digest = CLOUDS[name].template(n="{param.count}")
    settings = {**CLOUDS[name].settings, "base_url": "http://127.0.0.1:9", "templates": {"digest": digest}}
    channel_types()[name].settings.model_validate(settings)


@pytest.mark.parametrize("name", CLOUDS)
def test_a_secret_is_shown_nowhere(name: str) -> None:
    """Neither the settings nor an error about them show the secret."""
    chosen = channel_types()[name].settings
    assert SECRET not in repr(chosen.model_validate(
        {**CLOUDS[name].settings, "base_url": "http://127.0.0.1:9", "templates": variables(name, "{text}")}
    ))  # fmt: skip
