from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from daemon import telemetry
from daemon.telemetry import logger, mask, mask_text, set_up

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """No test leaves its stream behind."""
    handlers = logging.root.handlers[:]
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("短信已发 13800138000", "短信已发 138****8000"),
        ("+8613800138000", "+86138****8000"),
        ("138-0013-8000 和 13900000001", "138****8000 和 139****0001"),
        ("收件人 zhang.san@example.com。", "收件人 z***@example.com。"),
        ("postgresql://duban:geheim@db/x", "postgresql://duban:***@db/x"),
        ("mysql+pymysql://u:p%40ss@db:3306/x", "mysql+pymysql://u:***@db:3306/x"),
        ("redis://:geheim@cache/0", "redis://:***@cache/0"),
        ("身份证 11010519491231002X", "身份证 110105************"),
        ("Authorization: Bearer abcdefgh123456", "Authorization: Bearer ***"),
        ("案号 20261122001，42 件", "案号 20261122001，42 件"),
        ("https://example.com/a@b", "https://example.com/a@b"),
    ],
)
def test_text_is_masked(said: str, expected: str) -> None:
    """Mobiles, mailboxes, identity numbers and URL passwords are masked, everything else is left as it is."""
    assert mask_text(said) == expected


def test_masking_reaches_every_depth() -> None:
    """A secret or an address is found under lists, tuples and mappings, as value, as key and as number."""
    told = {
        "channel": {"password": "geheim", "api_key": "k", "hosts": ["mail.example.com"]},
        "to": [("13800000001", {"mail": "li@example.com"})],
        "13800000002": 13800000003,
        "smtp_auth_token": ["a", "b"],
        "count": 3,
        "nothing": None,
    }
    assert mask(told) == {
        "channel": {"password": "***", "api_key": "***", "hosts": ["mail.example.com"]},
        "to": [["138****0001", {"mail": "l***@example.com"}]],
        "138****0002": "138****0003",
        "smtp_auth_token": "***",
        "count": 3,
        "nothing": None,
    }


@given(
    st.recursive(
        st.just("机主 13800138000 <wang@example.com>"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    )
)
def test_no_structure_hides_a_number(value: object) -> None:
    """However it is nested, a mobile and a mailbox never come out whole."""
    told = json.dumps(mask(value), ensure_ascii=False)
    assert "13800138000" not in told
    assert "wang@" not in told


def test_a_line_is_one_json_object_with_chinese_as_it_is() -> None:
    """Outside of systemd and off a terminal a line is JSON, with Chinese unescaped."""
    out = io.StringIO()
    set_up(out, {})
    logger("engine").info(telemetry.STARTED, office="某市信访局", evaluated=3)
    line = out.getvalue()
    told = json.loads(line)
    assert "某市信访局" in line
    assert (told["event"], told["part"], told["level"], told["evaluated"]) == ("process.started", "engine", "info", 3)
    assert told["at"].endswith("Z")


@pytest.mark.parametrize(("level", "priority"), [("info", 6), ("warning", 4), ("error", 3), ("critical", 2)])
def test_under_systemd_the_priority_stands_in_front(level: str, priority: int) -> None:
    """With JOURNAL_STREAM set each line begins with the syslog priority journald reads."""
    out = io.StringIO()
    set_up(out, {"JOURNAL_STREAM": "8:1234"})
    getattr(logger("sender"), level)(telemetry.STOPPED)
    assert out.getvalue().startswith(f"<{priority}>{{")


def test_an_exception_with_a_line_feed_stays_one_line() -> None:
    """A traceback is part of its JSON line, and is masked like the rest."""
    out = io.StringIO()
    set_up(out, {})
    try:
        {}["no answer from\n13800138000"]
    except KeyError:
        logger("sender").exception(telemetry.JOB_FAILED)
    assert out.getvalue().count("\n") == 1
    assert "138****8000" in out.getvalue()


def test_lines_of_libraries_are_masked_too() -> None:
    """What a library warns about through `logging` goes the same way and is masked; its chatter is dropped."""
    out = io.StringIO()
    set_up(out, {})
    logging.getLogger("some.library").warning("refused: %s", "zhao@example.com")
    logging.getLogger("some.library").info("chatter")
    told = json.loads(out.getvalue())
    assert told["message"] == "refused: z***@example.com"


def test_event_names_are_unique_and_alike() -> None:
    """Every name in the catalogue is `part.what` and stands there once."""
    names = [value for name, value in vars(telemetry).items() if name.isupper() and not name.startswith("_")]
    names = [name for name in names if isinstance(name, str)]
    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").replace(".", "").islower() and name.count(".") == 1 for name in names)
