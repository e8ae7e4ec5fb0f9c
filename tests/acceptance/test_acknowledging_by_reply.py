"""Acknowledging by text message and by mail (签收): what is written back, and what is answered to it."""

from __future__ import annotations

import re
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from channels.base import News, Said
from daemon.answering import MOST_UNKNOWN
from support.imap_server import imap_server
from support.running_office import CASE
from support.web_office import web_office, with_changes

if TYPE_CHECKING:
    from support.office import Office
    from support.running_office import Received, Running

HANDLER, HEAD = "+8613800001000", "+8613800002000"
CODE = re.compile(r"回复(\d{4})(?:全部)?签收")
TOGETHER = ("policies/office.yaml", "via: [sms, email]", "via: [sms]\ndigest: {lights: [yellow], at_least: 2}")
ONLY_TEXTS = ("policies/office.yaml", "via: [sms, email]", "via: [sms]")


def code_in(told: list[Received], number: str = HANDLER) -> str:
    """The code in the last text to that number."""
    found = [code for one in told if one.to == number for code in CODE.findall(one.text)]
    return str(found[-1])


async def say(world: Running, words: str, sender: str = HANDLER, **more: str) -> list[str]:
    """Somebody texts these words back; the texts he gets in answer."""
    channel = "email" if "@" in sender else "sms"
    await world.node.hear(channel, News(said=(Said(sender, words, **more),)))
    await world.node.take_in()
    return [one.text.strip() for one in await world.work() if one.to == sender]


def signed(world: Running, key: str = CASE) -> bool:
    """Whether anything about the case is acknowledged."""
    return any(one.acknowledged_at is not None for one in world.deliveries(key=key))


@pytest.mark.parametrize("words", ["{}", "签收{}", "OK {}", "簽收，{}", "收到", "1", CASE])
async def test_a_reply_acknowledges_and_is_answered(tmp_path: Path, store_url: str, words: str) -> None:
    """By the code, the number of the case, or a bare word where one case waits; nobody is told that it is wanting."""
    async with web_office(tmp_path, store_url) as (world, _):
        told = await world.work()
        answers = await say(world, words.format(code_in(told)))
        assert answers == [f"【某市信访局】已签收：事项{CASE}“书面告知”，请在10月8日前办结。"]
        assert signed(world)
        (line,) = world.told("acknowledged")
        assert "'how': 'reply'" in line
        assert HEAD not in {one.to for one in await world.live_until("2026-09-17 12:00")}


async def test_twice_late_and_closed_have_their_answers(tmp_path: Path, store_url: str) -> None:
    """Already since when; late, and who knows of it; closed; and the same thing is not said twice a day."""
    async with web_office(tmp_path, store_url) as (world, _):
        code = code_in(await world.work())
        await world.live_until("2026-09-17 12:00")
        (late,) = await say(world, code)
        assert "此前已因未按时签收告知上级" in late
        (already,) = await say(world, code)
        assert "此前已签收（2026-09-17 12:00）" in already
        assert await say(world, code) == []
        world.update("notified = '2026-09-17 13:00:00'")
        await world.work("2026-09-17 13:30")
        (closed,) = await say(world, code)
        assert "已办结或已撤销" in closed


async def test_a_code_of_somebody_elses_message_tells_nothing(tmp_path: Path, store_url: str) -> None:
    """Neither the case nor whether there is one: the answer is that of a code nobody was sent."""
    async with web_office(tmp_path, store_url) as (world, _):
        code = code_in(await world.work())
        (answer,) = await say(world, code, HEAD)
        assert answer.startswith(f"【某市信访局】没有发给您的编号为{code}的消息")
        assert CASE not in answer
        (number,) = await say(world, f"签收{CASE}", HEAD)
        assert "没有发给您的编号" in number
        assert not signed(world)
        assert world.told("acknowledged") == []
        lines = world.told("reply_not_taken", "")
        assert len(lines) == 2
        assert not [line for line in lines if CASE in line or code in line]


async def test_a_bare_word_with_several_cases_waiting_is_asked_back(tmp_path: Path, store_url: str) -> None:
    """Which one? Nothing is taken down until he says so; the most urgent is named."""
    async with web_office(tmp_path, store_url, prepare=with_changes(ONLY_TEXTS), cases=11) as (world, _):
        codes = [code_in([one]) for one in await world.work() if one.to == HANDLER]
        assert len(codes) == 2
        (answer,) = await say(world, "收到")
        assert answer.startswith("【某市信访局】您有2件待签收")
        assert not signed(world)
        assert not signed(world, "XF00000010")
        await say(world, codes[1])
        assert [signed(world), signed(world, "XF00000010")].count(True) == 1
        (last,) = await say(world, "收到")
        assert last.startswith("【某市信访局】已签收")
        assert signed(world)
        assert signed(world, "XF00000010")


@pytest.mark.parametrize("words", ["{}", "收到"])
async def test_the_code_of_a_digest_stands_for_all_in_it(tmp_path: Path, store_url: str, words: str) -> None:
    """Four cases in one text: all are signed for, and the answer counts them."""
    async with web_office(tmp_path, store_url, prepare=with_changes(TOGETHER), cases=31) as (world, _):
        for code in [code_in([one]) for one in await world.work() if one.to == HANDLER]:
            await say(world, code)
        await world.live_until("2026-09-28 08:00")
        told = await world.live_until("2026-09-28 10:00")
        (answer,) = await say(world, words.format(code_in(told)))
        assert answer.startswith("【某市信访局】已签收：4件")
        for key in (f"XF000000{n}0" for n in range(4)):
            assert len(world.told("acknowledged", key)) == 2


async def test_what_is_not_understood_is_explained_once_a_day(tmp_path: Path, store_url: str) -> None:
    """A short help, and no second one that day, so that two machines do not talk for ever; machines get none."""
    async with web_office(tmp_path, store_url) as (world, _):
        await world.work()
        assert await say(world, "【自动回复】本人正在休假，收到") == []
        (answer,) = await say(world, "未收到？")
        assert "没有看懂您的回复" in answer
        assert await say(world, answer) == []
        assert await say(world, "什么") == []
        assert not signed(world)


async def test_a_machine_that_echoes_our_answers_gets_silence_at_last(tmp_path: Path, store_url: str) -> None:
    """Whatever we say is sent back to us: the talk ends by itself."""
    async with web_office(tmp_path, store_url) as (world, _):
        words = code_in(await world.work())
        for _ in range(10):
            answers = await say(world, words)
            if not answers:
                break
            words = f"收到 {answers[0]}" if "收到" in words else "收到"
        assert answers == []


async def test_a_machine_with_another_number_every_time_is_not_answered_for_ever(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """A program that confirms each of our answers by a number of its own gets a few, not one for each."""
    async with web_office(tmp_path, sqlite_store_url) as (world, _):
        await world.work()
        answers = [len(await say(world, f"已收到，编号{number}")) for number in range(202600001, 202600041)]
        assert sum(answers) <= MOST_UNKNOWN
        assert answers[0] == 1


async def test_what_is_answered_of_a_case_that_became_restricted(tmp_path: Path, sqlite_store_url: str) -> None:
    """Its number and its date, and nothing of what it is about."""
    restricted = ("source.yaml", "  changed: changed\n", "  changed: changed\n  restricted: kind\n")
    async with web_office(tmp_path, sqlite_store_url, prepare=with_changes(restricted)) as (world, _):
        world.update("kind = '0'")
        code = code_in(await world.work())
        world.update("kind = '1'")
        await world.work("2026-09-16 11:00")
        (answer,) = await say(world, code)
        assert CASE in answer
        assert "书面告知" not in answer


async def test_a_reply_from_nobodys_number_is_not_answered(tmp_path: Path, sqlite_store_url: str) -> None:
    """A stranger who texts a code learns nothing."""
    async with web_office(tmp_path, sqlite_store_url) as (world, _):
        code = code_in(await world.work())
        assert await say(world, code, "+8613899999999") == []
        assert not signed(world)


async def test_a_reply_told_twice_is_answered_once(tmp_path: Path, store_url: str) -> None:
    """The provider calls again with the same id: taken over once."""
    async with web_office(tmp_path, store_url) as (world, _):
        code = code_in(await world.work())
        assert len(await say(world, code, reference="up-1")) == 1
        assert await say(world, code, reference="up-1") == []
        assert len(world.told("acknowledged")) == 1


async def test_a_mail_answers_the_message_it_replies_to(tmp_path: Path, store_url: str) -> None:
    """The first line counts, what is quoted below does not; somebody else's reply to it is not taken."""
    async with web_office(tmp_path, store_url) as (world, _):
        await world.work()
        (mail,) = world.deliveries("email")
        (wrong,) = await say(world, "签收", "head0@example.com", about=mail.sent_as)
        assert "没有等您签收的消息" in wrong
        assert not signed(world)
        (answer,) = await say(world, "已阅\n\n> 【某市信访局】退订", "handler0@example.com", about=mail.sent_as)
        assert answer.startswith("【签收】已签收 XF00000000")
        assert "'how': 'mail'" in world.told("acknowledged")[0]


async def test_a_wrong_clock_of_the_provider_does_not_move_the_acknowledgement(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """Told as of years ago or ahead: it counts between the message and now, so that no step misses it."""
    async with web_office(tmp_path, sqlite_store_url) as (world, _):
        code = code_in(await world.work())
        now = world.clock.now()
        said = Said(HANDLER, code, at=now.replace(year=2019))
        await world.node.hear("sms", News(said=(said,)))
        await world.node.take_in()
        assert {one.acknowledged_at for one in world.deliveries()} == {now}


# --- the whole way, over the gateways themselves ------------------------------------------------------------------


def calling_back(office: Office) -> None:
    """The gateway brings texts to our address, proved by a secret."""
    replies = "replies: {sender: {query: from}, text: {query: text}, id: {query: id}}"
    calls = (
        f"    secrets: {{token: a secret}}\n    calls: {{proof: {{query: token, equals: '{{token}}'}}, {replies}}}\n"
    )
    with_changes(("duban.yaml", "    replies: true\nconsole", f"    replies: true\n{calls}console"))(office)


async def test_a_text_that_the_gateway_brings_acknowledges(tmp_path: Path, store_url: str) -> None:
    """The carrier calls `/in/sms`, twice as they do: taken over once and answered; a call without the secret is not."""
    async with web_office(tmp_path, store_url, prepare=calling_back) as (world, telephone):
        code = code_in(await world.work())
        words = {"from": HANDLER.removeprefix("+86"), "text": f"签收 {code}", "id": "mo-1"}
        asked = f"/in/sms?{urlencode({**words, 'token': 'wrong'})}"
        assert (await telephone.get(asked))[0] == 403
        for _ in range(2):
            assert (await telephone.get(f"/in/sms?{urlencode({**words, 'token': 'a secret'})}"))[0] == 200
        await world.node.take_in()
        (answer,) = [one for one in await world.work() if one.to == HANDLER]
        assert "已签收" in answer.text
        assert signed(world)


async def test_a_mail_in_the_mailbox_acknowledges(tmp_path: Path, store_url: str) -> None:
    """Answered with any mail program: the mailbox is read over IMAP, the mail found by its Message-ID."""
    async with imap_server() as mailbox:

        def prepare(office: Office) -> None:
            secret = Path(office.folder, "mailbox")
            secret.write_text("not-a-real-password", encoding="utf-8")
            account = "username: replies, password: {file: mailbox}, login_without_encryption: true"
            read = f"reply_mailbox: {{host: 127.0.0.1, port: {mailbox.port}, encryption: none, {account}}}"
            with_changes(("duban.yaml", "    connections: 4\n", f"    connections: 4\n    {read}\n"))(office)

        async with web_office(tmp_path, store_url, prepare=prepare) as (world, _):
            await world.work()
            (ours,) = [mail for mail in world.mails.mails if "handler0@example.com" in str(mail["To"])]
            reply = EmailMessage()
            reply["From"], reply["To"] = "承办人0 <Handler0@example.com>", "duban@example.com"
            reply["Subject"], reply["Message-ID"] = "回复：新办", "<reply@example.com>"
            reply["In-Reply-To"] = str(ours["Message-ID"])
            reply.set_content("签收。\n\n> 直接回复本邮件签收：第一行只写“签收”二字。\n")
            mailbox.receive(reply.as_bytes())
            await world.node.collect()
            await world.node.take_in()
            (answer,) = [one for one in await world.work() if one.channel == "email"]
            assert answer.text.startswith("【签收】已签收")
            assert signed(world)
