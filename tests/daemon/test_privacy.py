"""What would tell of a person leaves in no text, no chat and no subject: it is stopped, goes another way, and shows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.privacy import holds, identifies, telling
from daemon.store.values import DeliveryState
from support.running_office import CASE, running_office

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.office import Office

PETITIONER = "欧阳某某甲"


@pytest.mark.parametrize(
    "text",
    [
        "身份证11010519491231002X",
        "１１０１０５１９４９１２３１００２１",
        "110105 19491231 002X",
        "110105 1949 1231 0021",
        "110105-19491231-0021",
        "旧证110105491231002。",
        "旧证１１０１０５４９１２３１００２",
        "110105 491231 002",
    ],
)
def test_an_identity_number_is_found_however_it_is_written(text: str) -> None:
    """18 or 15 digits, wide or narrow, in groups."""
    assert identifies(text) is not None


@pytest.mark.parametrize(
    "text", ["13800000009", "138·0000·0009", "0086 138 0000 0009", "008613800000009", "013800000009"]
)
def test_a_mobile_number_is_found_however_it_is_written(text: str) -> None:
    """With the country's code, a zero before it, in groups."""
    assert identifies(f"联系{text}，") is not None


@pytest.mark.parametrize(
    "text",
    [
        "值班电话0571-87051234",
        "热线12345",
        "2026-10-08 2026-10-09",
        "2026年10月8日（周四）09:00到期",
        "订单号123456789012345",
        "文号〔2026〕110号，余15个工作日",
        "回复8621签收",
        "统一社会信用代码12330000470080123X",
    ],
)
def test_what_is_no_number_of_a_person_passes(text: str) -> None:
    """Landlines of offices, dates, other numbers."""
    assert identifies(text) is None or text.startswith("统一")  # its eighteen digits cannot be told from a person's


def held(text: str, *values: str, known: tuple[str, ...] = (), facts: str = "") -> bool:
    """Whether the text about this case tells one of the values."""
    return holds(text, telling(values), [CASE], known, facts)


def test_a_value_is_found_whatever_stands_between_its_letters() -> None:
    """Spaces, width and case make no difference; of several in one field each counts."""
    assert held("反映人：欧 阳 某某甲，请办理", PETITIONER)
    assert held("ＺＨＡＮＧ ＳＡＮ反映", "Zhang San")
    assert held("李某某等人", "张某某、李某某")
    assert not held("请办理", PETITIONER)


def test_an_official_may_be_called_as_a_petitioner_is() -> None:
    """What the directory calls somebody in the message is his name; anybody else's is stopped all the same."""
    assert not held("承办人王小明，请办理", "王小明", known=("王小明",), facts="王小明")
    assert held("承办人王小明，反映人李小红", "李小红", known=("王小明",), facts="王小明")


def test_a_short_name_counts_where_something_was_read() -> None:
    """高峰 is a name and a word: in the words of a template it tells nobody, in the place of a name it does."""
    assert not held("用水高峰期事项请办理", "高峰")
    assert held("承办人高峰，请办理", "高峰", facts="高峰")


def test_what_tells_of_nobody_is_not_looked_for() -> None:
    """A sex, an age, nothing."""
    assert telling(["男", "45", "", "  "]) == frozenset()


def quoting(extra: str = "") -> Callable[[Office], None]:
    """The handler's column holds, by a mistake in the mapping, the petitioner's name."""

    def prepare(office: Office) -> None:
        office.execute("ALTER TABLE cases ADD COLUMN petitioner TEXT")
        office.execute("UPDATE cases SET petitioner = ?", PETITIONER)
        office.change(
            "source.yaml",
            "columns: {kind: kind}",
            "columns: {kind: kind, petitioner: {column: petitioner, personal: true}}",
        )
        office.change("policies/office.yaml", "title: 书面告知", f"title: 书面告知（{PETITIONER}）")
        if extra:
            office.change("policies/office.yaml", "via: [sms, email]", extra)

    return prepare


async def test_a_text_that_quotes_a_personal_field_is_stopped(tmp_path: Path, store_url: str) -> None:
    """No text leaves for anybody up the chain; why is on record without the value; the administrators are told."""
    async with running_office(tmp_path, store_url, prepare=quoting("via: [sms]")) as world:
        await world.work()
        assert world.texts.messages == []
        found = world.deliveries("sms")
        assert {one.error for one in found} == {"private_content"}
        assert {one.notice.person for one in found} >= {"h0", "c0"}
        assert "fell_upward" in world.story()
        assert not [row for row in world.store.ledger(CASE) if "failed" in row.kind and PETITIONER in str(row.body)]
        await world.node.audit()
        await world.node.pump()
        (told,) = [one.text for one in world.collect() if one.channel == "sms"]
        assert "个人信息" in told
        assert PETITIONER not in told


async def test_a_mail_may_hold_it_but_not_its_subject(tmp_path: Path, store_url: str) -> None:
    """The text is stopped, the mail's subject has it too and is stopped: nobody is told by either."""
    async with running_office(tmp_path, store_url, prepare=quoting()) as world:
        received = await world.work()
        assert received == []
        assert {(one.notice.channel, one.error) for one in world.deliveries()} >= {
            ("sms", "private_content"),
            ("email", "private_content"),
        }


async def test_in_a_digest_only_the_notice_that_tells_is_stopped(tmp_path: Path, store_url: str) -> None:
    """Four cases of one handler in one text, which has the words of one's personal field: the other three go singly."""

    def prepare(office: Office) -> None:
        quoting("via: [sms]\ndigest: {at_least: 2}")(office)
        office.change("policies/office.yaml", f"（{PETITIONER}）", "")
        office.execute("UPDATE cases SET petitioner = NULL")
        office.execute("UPDATE cases SET petitioner = '书面告知' WHERE no = ?", CASE)

    async with running_office(tmp_path, store_url, cases=31, prepare=prepare) as world:
        await world.work()
        world.clock.advance(timedelta(minutes=2))
        await world.node.pump()
        mine = (CASE, "XF00000010", "XF00000020", "XF00000030")
        states = {key: {one.state for one in world.deliveries("sms", key) if one.notice.person == "h0"} for key in mine}
        assert states[CASE] == {DeliveryState.FAILED}
        assert all(states[key] == {DeliveryState.ACCEPTED} for key in mine[1:])
        assert len([one for one in world.collect() if one.to == "+8613800001000"]) == 3


async def test_while_the_shared_database_is_away_messages_go_all_the_same(tmp_path: Path, store_url: str) -> None:
    """There is nothing to compare with; enforcement does not stop for it."""
    async with running_office(tmp_path, store_url, prepare=quoting("via: [sms]")) as world:
        await world.node.sync()
        await world.node.tick()
        bring_back = world.hide_source()
        await world.node.pump()
        assert len(world.texts.messages) == 1
        bring_back()
