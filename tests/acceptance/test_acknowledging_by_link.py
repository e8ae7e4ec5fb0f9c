"""Acknowledging by link (签收) over real HTTP: each answer has its page, and a page only opened does nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import pytest

from support.running_office import CASE
from support.web_office import buttons_on, link_in, web_office, with_changes

if TYPE_CHECKING:
    from pathlib import Path

    from support.running_office import Received, Running

HANDLER = "handler0@example.com"
HEAD = "head0@example.com"
PEOPLE = ("承办人", "科长", "领导", "1380000", "@example.com")


def mail_to(address: str, told: list[Received]) -> Received:
    """The mail to one address."""
    (mail,) = [one for one in told if one.channel == "email" and one.to == address]
    return mail


def signed(world: Running) -> list[str]:
    """`step channel` of everything that is acknowledged."""
    rows = [one for one in world.deliveries() if one.acknowledged_at is not None]
    return sorted(f"{one.notice.step} {one.notice.channel}" for one in rows)


async def test_one_press_acknowledges_and_stops_the_urging(tmp_path: Path, store_url: str) -> None:
    """The page asks, the button takes it down for mail and text alike, and nobody is told that it is wanting."""
    async with web_office(tmp_path, store_url) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text)
        status, page = await telephone.get(path)
        assert status == 200
        assert all(word in page for word in ("请签收", CASE, "书面告知", "首办责任人", "某市信访局"))
        assert not [word for word in PEOPLE if word in page]
        assert len(page.encode()) < 8192
        (button,) = buttons_on(page)
        status, page = await telephone.press(path, button)
        assert status == 200
        assert "已签收" in page
        assert "前办结并录入结果" in page
        assert not buttons_on(page)
        assert signed(world) == ["start email", "start sms"]
        assert "'how': 'link'" in world.told("acknowledged")[0]
        assert [one.to for one in await world.live_until("2026-09-17 12:00")] == []


async def test_opening_the_page_acknowledges_nothing(tmp_path: Path, store_url: str) -> None:
    """Scanners of links open every address, some ask HEAD first: the urging comes all the same."""
    async with web_office(tmp_path, store_url) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text)
        for _ in range(3):
            assert (await telephone.get(path))[0] == 200
        async with aiohttp.ClientSession() as session, session.head(telephone.base + path) as answer:
            assert answer.status == 200
        assert signed(world) == []
        assert world.told("acknowledged") == []
        told = await world.live_until("2026-09-17 12:00")
        assert HEAD in {one.to for one in told}


@pytest.mark.parametrize("glued", ["。", "）。", ")", "，请在今天签收", "/", ".", "%E3%80%82"])
async def test_what_a_telephone_glues_to_a_link_does_no_harm(tmp_path: Path, sqlite_store_url: str, glued: str) -> None:
    """Programs for texts take the next mark or word for more of the link: the page is there and its button works."""
    async with web_office(tmp_path, sqlite_store_url) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text) + glued
        status, page = await telephone.get(path)
        assert status == 200
        (button,) = buttons_on(page)
        assert (await telephone.press(path, button))[0] == 200
        assert signed(world) == ["start email", "start sms"]


async def test_twice_says_since_when(tmp_path: Path, store_url: str) -> None:
    """The second press and the page opened again say when it was done; the ledger has one line."""
    async with web_office(tmp_path, store_url) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text)
        await telephone.press(path, "item0")
        world.clock.move_to(world.clock.now() + timedelta(hours=1))
        for _, page in (await telephone.press(path, "item0"), await telephone.get(path)):
            assert "已于 2026-09-16 10:00 签收" in page
            assert not buttons_on(page)
        assert len(world.told("acknowledged")) == 1


async def test_late_is_taken_and_says_so(tmp_path: Path, store_url: str) -> None:
    """After the section head was told, the page says that it was late."""
    async with web_office(tmp_path, store_url) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text)
        await world.live_until("2026-09-17 12:00")
        _, page = await telephone.press(path, "item0")
        assert "已签收（逾时）" in page
        assert "已告知您的上级" in page
        assert "'late': True" in world.told("acknowledged")[0]


async def test_a_closed_case_takes_nothing(tmp_path: Path, store_url: str) -> None:
    """Finished in the meantime: the page says so, before the press and after it."""
    async with web_office(tmp_path, store_url) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text)
        world.update("notified = '2026-09-16 11:00:00'")
        await world.work("2026-09-16 11:30")
        status, page = await telephone.get(path)
        assert status == 200
        assert "该事项已结束" in page
        assert not buttons_on(page)
        assert "该事项已结束" in (await telephone.press(path, "item0"))[1]
        assert signed(world) == []


async def test_what_never_left_is_not_acknowledged(tmp_path: Path, store_url: str) -> None:
    """A link to a message that waits (made by whoever holds the secret) only takes down that he knows."""
    quiet = ("policies/office.yaml", "via: [sms, email]", 'via: [email]\nquiet_hours: {from: "09:00", to: "18:00"}')
    async with web_office(tmp_path, store_url, prepare=with_changes(quiet)) as (world, telephone):
        await world.work()
        (one,) = world.deliveries()
        link = world.node.renderer.offers.of("email", one.notice.key, one.id, one.created_at).link
        _, page = await telephone.press(link_in(link), "item0")
        assert "该消息没有发出" in page
        assert signed(world) == []
        assert len(world.told("known")) == 1


async def test_a_limit_that_moved_is_shown_as_it_is_now(tmp_path: Path, store_url: str) -> None:
    """After an extension the old link shows the new date."""
    platform = ("policies/office.yaml", "done: notified_at", "done: notified_at\n    platform_due: limit_at")
    async with web_office(tmp_path, store_url, prepare=with_changes(platform)) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text)
        _, before = await telephone.get(path)
        world.update("limit_at = '2026-09-25 23:59:59'")
        await world.work("2026-09-16 12:00")
        _, after = await telephone.get(path)
        assert "2026年9月25日（周五）" in after
        assert "2026年9月25日（周五）" not in before


@pytest.mark.parametrize("wrong", ["altered", "cut", "made up", "another's number"])
async def test_a_wrong_link_says_what_to_do_and_nothing_else(tmp_path: Path, sqlite_store_url: str, wrong: str) -> None:
    """404, the same page whatever is wrong with it, nothing about any case, nothing written."""
    async with web_office(tmp_path, sqlite_store_url) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text)
        paths = {
            "altered": path[:-1] + ("0" if path[-1] != "0" else "1"),
            "cut": path[:-3],
            "made up": "/a/0000000000000000000000",
            "another's number": "/a/Z" + path[4:],
        }
        for status, page in (await telephone.get(paths[wrong]), await telephone.press(paths[wrong], "item0")):
            assert status == 404
            assert "链接无效" in page
            assert "请打开最近一条消息里的链接" in page
            assert CASE not in page
        assert signed(world) == []


async def test_an_expired_link_says_so(tmp_path: Path, sqlite_store_url: str) -> None:
    """410 after thirty days, and nothing is taken down."""
    async with web_office(tmp_path, sqlite_store_url) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text)
        world.clock.move_to(world.clock.now() + timedelta(days=32))
        for status, page in (await telephone.get(path), await telephone.press(path, "item0")):
            assert status == 410
            assert "链接已过期" in page
            assert CASE not in page
        assert signed(world) == []


async def test_a_digest_is_acknowledged_as_a_whole_or_one_by_one(tmp_path: Path, store_url: str) -> None:
    """Four cases in one mail: one is signed for by itself, the rest with the one button for all."""
    together = ("policies/office.yaml", "via: [sms, email]", "via: [email]\ndigest: {lights: [yellow], at_least: 2}")
    async with web_office(tmp_path, store_url, prepare=with_changes(together), cases=31) as (world, telephone):
        await world.live_until("2026-09-28 08:00")
        told = await world.live_until("2026-09-28 10:00")
        path = link_in(mail_to(HANDLER, told).text)
        _, page = await telephone.get(path)
        assert "请签收以下4件事项" in page
        assert buttons_on(page) == ["item0", "item1", "item2", "item3", "all"]
        _, page = await telephone.press(path, "item2")
        assert buttons_on(page) == ["item0", "item1", "item3", "all"]
        keys = [f"XF000000{n}0" for n in range(4)]
        assert sum(len(world.told("acknowledged", key)) for key in keys) == 1
        assert "全部签收（3件）" in page
        _, page = await telephone.press(path, "all")
        assert not buttons_on(page)
        assert "最早一件" in page
        assert [len(world.told("acknowledged", key)) for key in keys] == [1, 1, 1, 1]


async def test_a_form_that_is_none_of_ours_does_nothing(tmp_path: Path, sqlite_store_url: str) -> None:
    """Endless, binary, or with buttons that are not there: the page is shown again for a digest, no error."""
    together = ("policies/office.yaml", "via: [sms, email]", "via: [email]\ndigest: {lights: [yellow], at_least: 2}")
    async with web_office(tmp_path, sqlite_store_url, prepare=with_changes(together), cases=31) as (world, telephone):
        await world.live_until("2026-09-28 08:00")
        path = link_in(mail_to(HANDLER, await world.live_until("2026-09-28 10:00")).text)
        async with aiohttp.ClientSession() as session:
            for data in (b"\xff\x00" * 10, b"x" * 100_000, b"item99=1", b""):
                async with session.post(telephone.base + path, data=data) as answer:
                    assert answer.status == 200
                    assert len(buttons_on(await answer.text())) == 5
        assert not [one for one in world.store.deliveries(limit=500) if one.acknowledged_at is not None]


async def test_a_restricted_case_shows_its_number_and_date_only(tmp_path: Path, sqlite_store_url: str) -> None:
    """Neither the stage nor the role is on the page."""
    restricted = (
        ("policies/office.yaml", "via: [sms, email]", "via: [email]\nrestricted: {recipients: [c0]}"),
        ("source.yaml", "  changed: changed\n", "  changed: changed\n  restricted: kind\n"),
    )
    async with web_office(tmp_path, sqlite_store_url, prepare=with_changes(*restricted)) as (world, telephone):
        world.update("kind = '1'")
        mail = mail_to(HEAD, await world.work())
        _, page = await telephone.get(link_in(mail.text))
        assert CASE in page
        assert "2026年" in page
        assert "书面告知" not in page
        assert "您的身份" not in page
        assert len(buttons_on(page)) == 1


async def test_a_case_that_became_restricted_shows_its_number_and_date_only(tmp_path: Path, store_url: str) -> None:
    """Whoever was sent a link before is perhaps not to know any more: neither the stage nor the role is shown."""
    restricted = ("source.yaml", "  changed: changed\n", "  changed: changed\n  restricted: kind\n")
    async with web_office(tmp_path, store_url, prepare=with_changes(restricted)) as (world, telephone):
        world.update("kind = '0'")
        path = link_in(mail_to(HANDLER, await world.work()).text)
        assert "书面告知" in (await telephone.get(path))[1]
        world.update("kind = '1'")
        await world.work("2026-09-16 11:00")
        _, page = await telephone.get(path)
        assert CASE in page
        assert "书面告知" not in page
        assert "您的身份" not in page


async def test_an_english_office_has_an_english_page(tmp_path: Path, sqlite_store_url: str) -> None:
    """The words are those of the office's language."""
    english = ("duban.yaml", "language: zh", "language: en")
    async with web_office(tmp_path, sqlite_store_url, prepare=with_changes(english)) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text)
        _, page = await telephone.get(path)
        assert 'lang="en"' in page
        assert "Please acknowledge" in page
        assert "Acknowledged" in (await telephone.press(path, "item0"))[1]


async def test_a_new_secret_after_a_reload_is_good_and_the_old_one_stays_so(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """Messages and page sign and read by the configuration in force; links out there are opened by `old_secret`."""
    async with web_office(tmp_path, sqlite_store_url) as (world, telephone):
        path = link_in(mail_to(HANDLER, await world.work()).text)
        secrets = "secret: another secret of the tests\n  old_secret: an invented secret of the tests"
        world.office.change("duban.yaml", "secret: an invented secret of the tests", secrets)
        await world.reload()
        (reminder,) = [one for one in await world.live_until("2026-09-28 10:00") if one.to == HANDLER]
        for each in (path, link_in(reminder.text)):
            assert (await telephone.get(each))[0] == 200
        assert "链接无效" in (await telephone.get(path[:-1]))[1]
