"""What people write back, and what is understood of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.replies import Command, Understood, same_case, understood

SIGNED = Understood(Command.ACKNOWLEDGE)
CODE = Understood(Command.ACKNOWLEDGE, code="7342")
NUMBER = Understood(Command.ACKNOWLEDGE, case="XF202609170012")
DONT = Understood(Command.UNKNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "签收",
        "收到",
        "收到。",
        " 已阅！",
        "簽收",
        "已閱",
        "1",
        "１",
        "OK",
        "ok",
        "Ack",
        "收到，谢谢",
        "好的，收到",
        "已签收",
        "收到\n\n> 原文 7342",
        "received, thanks",
        "收到，今日办结",
        "收到，马上办！",
    ],
)
def test_a_bare_word_acknowledges(text: str) -> None:
    """With nothing but politeness around it."""
    assert understood(text) == SIGNED


@pytest.mark.parametrize(
    "text",
    [
        "7342",
        "７３４２",
        "签收7342",
        "7342签收",
        "签收 7342",
        "簽收：7342",
        "OK 7342",
        "ACK 7342",
        "ack7342",
        "收到 编号7342",
        "1 7342",
        " 7342 。",
    ],
)
def test_a_code_is_found_however_it_is_written(text: str) -> None:
    """Full width, with blanks, before or after the word."""
    assert understood(text) == CODE


@pytest.mark.parametrize("text", ["XF202609170012", "签收XF202609170012", "xf202609170012 收到", "ＸＦ202609170012"])
def test_a_case_number_says_which(text: str) -> None:
    """The number alone or with a word."""
    assert understood(text) == NUMBER


@pytest.mark.parametrize(
    "text",
    [
        "未收到",
        "收到，不办",
        "收到，无法按期办结",
        "办结",
        "今日办结",
        "没收到",
        "不签收",
        "收到？",
        "收到骚扰短信，别再发了",
        "什么意思",
        "",
        "  ",
        "OKLAHOMA",
        "7342 5581",
        "退订7342",
        "你是谁",
        "STOP IT PLEASE",
        "2026年",
        "签收\x007342",
    ],
)
def test_what_is_not_plain_is_not_taken_for_consent(text: str) -> None:
    """A denial, a question, a sentence, two codes: somebody has to say it plainly."""
    assert understood(text) == DONT


@pytest.mark.parametrize("text", ["退订", "退訂", "TD", "td", "T", "Ｔ", "STOP", "stop.", "Unsubscribe", "0000"])
def test_the_words_carriers_demand_stop(text: str) -> None:
    """Alone, in any width."""
    assert understood(text).command is Command.STOP


@pytest.mark.parametrize("text", ["恢复", "恢復", "START", "unstop"])
def test_words_that_start_again(text: str) -> None:
    """Alone too."""
    assert understood(text).command is Command.START


@pytest.mark.parametrize(
    "text", ["【自动回复】本人休假", "自動回覆：收到", "Automatic reply: received", "Out of office", "Auto-reply: ok"]
)
def test_a_machine_is_recognised_though_it_says_received(text: str) -> None:
    """What it says counts for nothing."""
    assert understood(text).command is Command.AUTOMATIC


@given(st.text() | st.text("签收退订恢复7342XFOKACKTD ，。\n１", max_size=30))
def test_any_text_is_understood_somehow(text: str) -> None:
    """Never an error; a code is four digits; only an acknowledgement says what it is about."""
    found = understood(text)
    assert not found.code or (len(found.code) == 4 and found.code.isdecimal())
    assert found.command is Command.ACKNOWLEDGE or (found.code, found.case) == ("", "")
    assert not (found.code and found.case)


@given(st.integers(0, 9999), st.sampled_from(["签收{}", "{}签收", "ok {}", "{}", "收到，{}。", "ACK{}"]))
def test_every_code_is_read_back(number: int, shape: str) -> None:
    """Whichever four digits, in every shape people use; `0000` alone is a stop."""
    code = f"{number:04}"
    if shape != "{}" or number:
        assert understood(shape.format(code)).code == code


BIRTHDAYS = st.dates().map(lambda day: f"{max(day.year, 1900):04}{day:%m%d}" if day.year < 2100 else "19900307")


@given(
    st.integers(110000, 659999),
    BIRTHDAYS,
    st.integers(0, 999),
    st.sampled_from("0123456789Xx"),
    st.sampled_from(["", "签收", "收到 "]),
)
def test_the_digits_of_an_identity_number_are_nothing(
    area: int, birthday: str, order: int, check: str, before: str
) -> None:
    """Neither a code nor a case number, and so kept nowhere."""
    found = understood(f"{before}{area}{birthday}{order:03}{check}")
    assert (found.code, found.case) == ("", "")


@given(st.integers(3, 9), st.integers(0, 999_999_999), st.sampled_from(["", "签收", "收到 ", "+86"]))
def test_the_digits_of_a_mobile_number_are_nothing(second: int, rest: int, before: str) -> None:
    """The same for a mobile number."""
    found = understood(f"{before}1{second}{rest:09}")
    assert (found.code, found.case) == ("", "")


def test_a_case_number_is_compared_as_typed() -> None:
    """Width, case and blanks do not matter, anything else does."""
    assert same_case("XF-2026〔15〕号", "ｘｆ-2026〔15〕號")
    assert not same_case("XF20260015", "XF20260016")
