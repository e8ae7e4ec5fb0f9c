from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from channels.base import CANNOT_ASK, Message, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from channels.dingtalk import DingTalkSettings, RobotSettings
from channels.wire.dingtalk_robot import GroupRobot, signature
from support.channel_stages import AT, opened
from support.sms_gateway import running
from support.workplace_servers import PERSON, SECRET, DingTalkServer, coded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from channels.base import Channel

OWN: dict[str, Any] = {"app_key": "ding1", "app_secret": SECRET, "agent_id": 7}
ROBOT: dict[str, Any] = {"robot": {"access_token": "not-a-real-token", "secret": SECRET}}
SAME_TEXT = [{"code": "143106", "count": 1, "userid": PERSON}]
TOO_MANY = [{"code": "143105", "count": 500, "userid": PERSON}]


@pytest.fixture
async def server() -> AsyncIterator[DingTalkServer]:
    """A running server."""
    async with running(DingTalkServer()) as started:
        yield started


@pytest.fixture
async def channel(server: DingTalkServer) -> AsyncIterator[Channel]:
    """Work notices through it, looked after at once."""
    made = opened("dingtalk", **OWN, base_url=server.url, timeout=1, confirm_after=0.001)
    yield made
    await made.close()


@pytest.fixture
async def robot(server: DingTalkServer) -> AsyncIterator[Channel]:
    """A robot through it."""
    made = opened("dingtalk", **ROBOT, base_url=server.url, timeout=1)
    yield made
    await made.close()


def message(text: str = "提醒：今日到期", **other: Any) -> Message:
    """A message to the one person."""
    return Message(**{"key": "k1", "to": PERSON, "text": text, "at": AT, **other})


async def test_what_is_asked_of_dingtalk(server: DingTalkServer, channel: Channel) -> None:
    """A work notice goes to one person as from the application; the receipt is DingTalk's task number."""
    (outcome,) = await channel.send_many([message()])
    assert outcome == Receipt("1", answer="ok")
    content = "提醒：今日到期\n2026-09-28 09:30:00"
    assert server.messages == [
        {"agent_id": 7, "userid_list": PERSON, "msg": {"msgtype": "text", "text": {"content": content}}}
    ]


async def test_the_same_words_on_the_same_day_differ_by_their_time(server: DingTalkServer, channel: Channel) -> None:
    """DingTalk gives one person the same text once a day; two reminders differ, a resend of one does not."""
    await channel.send_many([message(), message(key="k2", at=AT + timedelta(hours=2)), message()])
    first, second, again = sorted(one["msg"]["text"]["content"] for one in server.messages)
    assert first == second != again


async def test_a_long_text_keeps_its_time(server: DingTalkServer, channel: Channel) -> None:
    """Where a text is too long, its end is left out, not its time."""
    await channel.send_many([message("督" * 3000)])
    content = server.messages[0]["msg"]["text"]["content"]
    assert len(content.encode()) <= 2048
    assert content.endswith("…\n2026-09-28 09:30:00")


RESULTS: list[tuple[dict[str, Any], object]] = [
    ({"read_user_id_list": [PERSON]}, Receipt("1", delivered=True, read=True, answer="read")),
    ({"unread_user_id_list": PERSON.upper()}, Receipt("1", delivered=True, answer="delivered")),
    ({"forbidden_user_id_list": [PERSON], "forbidden_list": SAME_TEXT}, Receipt("1", answer="same_text_today")),
    ({}, Receipt("1", answer="ok")),
    ({"invalid_user_id_list": ["somebody else"]}, Receipt("1", answer="ok")),
    ({"invalid_user_id_list": [PERSON]}, "dingtalk_invalid_user"),
    ({"forbidden_list": TOO_MANY}, "dingtalk_143105"),
]
WAITING: list[dict[str, Any]] = [{"forbidden_user_id_list": [PERSON]}, {"failed_user_id_list": [PERSON]}]


@pytest.mark.parametrize(("result", "wanted"), RESULTS)
async def test_what_became_of_a_notice_counts(
    server: DingTalkServer, channel: Channel, result: dict[str, Any], wanted: object
) -> None:
    """DingTalk takes everything first; that nobody of that id exists is seen a little later, and is a failure."""
    server.results = result
    (outcome,) = await channel.send_many([message()])
    if isinstance(wanted, str):
        assert isinstance(outcome, PermanentFailure)
        assert outcome.code == wanted
    else:
        assert outcome == wanted


@pytest.mark.parametrize("result", WAITING)
async def test_a_notice_held_back_is_tried_again(
    server: DingTalkServer, channel: Channel, result: dict[str, Any]
) -> None:
    """What DingTalk held back for being too fast, or could not hand over, reached nobody."""
    server.results = result
    assert isinstance((await channel.send_many([message()]))[0], TemporaryFailure)
    assert await channel.lookup(message()) is None


@pytest.mark.parametrize("fault", ["hang", "drop", "malformed", "500"])
async def test_a_failed_question_takes_nothing_back(server: DingTalkServer, channel: Channel, fault: str) -> None:
    """A notice that was taken stays taken when the question for its result fails."""
    server.fail_result(fault)
    assert (await channel.send_many([message()]))[0] == Receipt("1", answer="ok")


async def test_only_what_was_taken_is_asked_about(server: DingTalkServer, channel: Channel) -> None:
    """A refused notice has no task number; the others keep their places."""
    outcomes = await channel.send_many([message(), message(to="a b"), message(key="k3")])
    assert [isinstance(one, Receipt) for one in outcomes] == [True, False, True]
    assert sorted(server.asked_for) == [1, 2]


async def test_without_confirmation_nothing_is_asked(server: DingTalkServer) -> None:
    """`confirm_after: 0` believes DingTalk's first word."""
    made = opened("dingtalk", **OWN, base_url=server.url, confirm_after=0)
    server.results = {"invalid_user_id_list": [PERSON]}
    assert (await made.send_many([message()]))[0] == Receipt("1", answer="ok")
    await made.close()
    assert server.asked_for == []


async def test_a_receipt_comes_when_it_is_there(server: DingTalkServer, channel: Channel) -> None:
    """Asked later by the same process, DingTalk says that it has arrived."""
    await channel.send_many([message()])
    server.results = {"unread_user_id_list": [PERSON]}
    found = await channel.lookup(message())
    assert found is not None
    assert found.delivered


async def test_a_lost_number_cannot_be_asked_by(server: DingTalkServer, channel: Channel) -> None:
    """Where the answer was lost, so was the number: a resend is marked, since nobody can say."""
    server.fail("drop")
    await channel.send_many([message()])
    with pytest.raises(OutcomeUnknown) as failure:
        await channel.lookup(message())
    assert failure.value.code == CANNOT_ASK


async def test_a_question_without_an_answer_leaves_it_in_doubt(server: DingTalkServer, channel: Channel) -> None:
    """A fault is not taken for "it did not arrive"."""
    await channel.send_many([message()])
    server.fail_result("500")
    with pytest.raises(OutcomeUnknown):
        await channel.lookup(message())


async def test_an_answer_without_a_task_is_in_doubt(server: DingTalkServer, channel: Channel) -> None:
    """Code 0 and no number: perhaps sent."""
    server.fail(coded("errcode", 0))
    assert isinstance((await channel.send_many([message()]))[0], OutcomeUnknown)


CODES: list[tuple[int, type[SendError], object]] = [
    *((code, PermanentFailure, False) for code in (33012, 60121, 50002, 400002, 1430002)),
    *((code, PermanentFailure, True) for code in (60011, 60020, 70003, 40056)),
    *((code, TemporaryFailure, 60.0) for code in (143103, 143104, 90018)),
    (-1, TemporaryFailure, 30.0),
    (999999, TemporaryFailure, None),
]


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(("code", "kind", "more"), CODES)
async def test_codes_of_dingtalk(
    server: DingTalkServer, channel: Channel, code: int, kind: type[SendError], more: object, *, inside: bool
) -> None:
    """Each code is one of our failures, whether it stands alone or behind 88 as `sub_code`."""
    server.fail(coded("errcode", 88, sub_code=str(code)) if inside else coded("errcode", code))
    (outcome,) = await channel.send_many([message()])
    assert type(outcome) is kind
    assert isinstance(outcome, SendError)
    assert outcome.code == f"dingtalk_{code}"
    assert getattr(outcome, "whole_channel", getattr(outcome, "retry_after", None)) == more


# --- the robot ---------------------------------------------------------------------------------------------


async def test_what_a_robot_says(server: DingTalkServer, robot: Channel) -> None:
    """The group reads the text, the person is mentioned, and the request is signed."""
    assert (await robot.send_many([message()]))[0] == Receipt(answer="ok")
    at = {"atUserIds": [PERSON], "isAtAll": False}
    assert server.messages == [{"msgtype": "text", "text": {"content": "提醒：今日到期"}, "at": at}]
    (query,) = server.robot_queries
    digest = hmac.digest(SECRET.encode(), f"{query['timestamp']}\n{SECRET}".encode(), hashlib.sha256)
    assert query["access_token"] == "not-a-real-token"
    assert base64.b64decode(query["sign"]) == digest


async def test_the_time_of_a_signature_is_in_milliseconds(server: DingTalkServer) -> None:
    """As DingTalk wants it, and the same as what was signed."""
    settings = DingTalkSettings.model_validate({**ROBOT, "base_url": server.url})
    assert settings.robot is not None
    robot = GroupRobot(settings, settings.robot, now=lambda: AT)
    await robot.send_many([message()])
    await robot.close()
    assert server.robot_queries[0]["timestamp"] == "1790559000000"
    assert server.robot_queries[0]["sign"] == signature("1790559000000", SECRET)


async def test_a_robot_without_a_secret_signs_nothing(server: DingTalkServer) -> None:
    """A robot may be protected by keyword or address alone."""
    made = opened("dingtalk", robot={"access_token": "not-a-real-token"}, base_url=server.url)
    await made.send_many([message()])
    await made.close()
    assert server.robot_queries == [{"access_token": "not-a-real-token"}]


async def test_a_robot_speaks_twenty_times_a_minute(server: DingTalkServer, robot: Channel) -> None:
    """The twenty-first waits here, since DingTalk would shut the robot out for ten minutes."""
    outcomes = await robot.send_many([message(key=f"k{i}") for i in range(21)])
    assert [type(one) for one in outcomes if not isinstance(one, Receipt)] == [TemporaryFailure]
    assert len(server.messages) == 20


ROBOT_CODES: list[tuple[int, type[SendError], object]] = [
    (130101, TemporaryFailure, 600.0),
    (-1, TemporaryFailure, 30.0),
    (310000, PermanentFailure, True),
    (300001, PermanentFailure, True),
    (400102, PermanentFailure, True),
    (430102, PermanentFailure, False),
]


@pytest.mark.parametrize(("code", "kind", "more"), ROBOT_CODES)
async def test_codes_of_robots(
    server: DingTalkServer, robot: Channel, code: int, kind: type[SendError], more: object
) -> None:
    """Too fast is ten minutes' wait; a refused signature concerns all messages; refused words only this one."""
    server.fail(coded("errcode", code))
    (outcome,) = await robot.send_many([message()])
    assert type(outcome) is kind
    assert getattr(outcome, "whole_channel", getattr(outcome, "retry_after", None)) == more


async def test_a_robot_can_never_be_asked(robot: Channel) -> None:
    """So a resend is marked at once."""
    with pytest.raises(OutcomeUnknown) as failure:
        await robot.lookup(message())
    assert failure.value.code == CANNOT_ASK


def test_only_work_notices_tell_of_delivery() -> None:
    """A step that waits for a receipt gets none from a robot."""
    assert opened("dingtalk", **OWN).tells_delivery is True  # type: ignore[attr-defined]
    assert opened("dingtalk", **ROBOT).tells_delivery is False  # type: ignore[attr-defined]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "app_key"),
    ({"app_key": "ding1", "agent_id": 7}, "app_secret"),
    ({**OWN, **ROBOT}, "robot"),
    ({"robot": {"secret": SECRET}}, "access_token"),
    ({**OWN, "time_zone": "Asia/Peking"}, "time_zone"),
    ({**OWN, "confirm_after": -1}, "confirm_after"),
    ({**OWN, "base_url": "ftp://x"}, "base_url"),
]


@pytest.mark.parametrize(("settings", "named"), WRONG)
def test_wrong_settings_are_named(settings: dict[str, Any], named: str) -> None:
    """Each mistake is found before anything is sent, and names its key."""
    with pytest.raises(ValidationError) as failure:
        DingTalkSettings.model_validate(settings)
    assert named in str(failure.value)
    assert SECRET not in str(failure.value)


def test_secrets_do_not_show() -> None:
    """Neither key nor token stands in what settings print."""
    shown = repr(DingTalkSettings.model_validate(OWN)) + repr(RobotSettings.model_validate(ROBOT["robot"]))
    assert SECRET not in shown
    assert "not-a-real-token" not in shown
