from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from channels.base import OutcomeUnknown, PermanentFailure, SendError, TemporaryFailure
from daemon.cli.send_test import advice, send_test
from support.smtp_server import SmtpServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent

POLICY = """
policy: test
title: 测试
limits:
  finish: {title: 办结, basis: 条例第三十四条, start: accepted_at, within: 60 日, done: finished_at, ladder: short}
ladders:
  short:
    lights: {yellow: 3 工作日, orange: 1 工作日}
    steps:
      - {at: due 09:00, to: first_handler, say: today}
"""


class ServerThread:
    """A mail server on a loop of its own, since the command runs its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.server: SmtpServer = self.run(self._start())

    async def _start(self) -> SmtpServer:
        server = SmtpServer()
        await server.start()
        return server

    def run(self, coroutine: Any) -> Any:
        """Run it on the server's loop and wait."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def stop(self) -> None:
        """Close the server and its loop."""
        self.run(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@pytest.fixture
def relay() -> Iterator[SmtpServer]:
    """A running mail server."""
    thread = ServerThread()
    yield thread.server
    thread.stop()


@pytest.fixture
def configuration(tmp_path: Path, relay: SmtpServer) -> Path:
    """A whole configuration whose one channel is that server."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "test.yaml").write_text(POLICY)
    mapping = {
        "url": f"sqlite:///{tmp_path / 'shared.db'}",
        "cases": {"table": "cases", "key": "id", "milestones": {"accepted_at": "accepted", "finished_at": "finished"}},
    }
    channel = {"type": "email", "host": "127.0.0.1", "port": relay.port, "encryption": "none"}
    channel["from"] = {"name": "某市信访局", "address": "duban@example.com"}
    whole = {
        "office": {"name": "某市信访局"},
        "store": {"url": "sqlite:///duban.db"},
        "source": mapping,
        "channels": {"mail": channel},
        "administrators": [{"name": "管理员", "email": "admin@example.com"}],
    }
    file = tmp_path / "duban.yaml"
    file.write_text(json.dumps(whole, ensure_ascii=False))
    return file


def run(configuration: Path, *arguments: str) -> Any:
    """The command with this configuration."""
    return CliRunner().invoke(send_test, [*arguments, "-c", str(configuration)])


def test_a_marked_message_arrives(configuration: Path, relay: SmtpServer) -> None:
    """The message says that it is a test, the receipt is printed, the address is masked."""
    result = run(configuration, "mail", "--to", "reader@example.com", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.output)
    assert (said["outcome"], said["reference"]) == ("accepted", "Q1")
    assert "reader@example.com" not in result.output
    (mail,) = relay.mails
    assert "测试" in mail["Subject"]
    assert "测试消息" in mail.get_content()


def test_failures_have_their_own_exit_codes(configuration: Path, relay: SmtpServer) -> None:
    """75 for "not now", 1 for "never", with what to do."""
    relay.fail("RCPT", "450 4.2.0 later", "550 5.1.1 unknown")
    assert run(configuration, "mail", "--to", "reader@example.com").exit_code == 75
    refused = run(configuration, "mail", "--to", "reader@example.com")
    assert refused.exit_code == 1
    assert "smtp_550" in refused.output
    assert "reader@example.com" not in refused.output


def test_an_unknown_channel_is_named_with_those_there_are(configuration: Path) -> None:
    """A mistyped name gets the nearest one."""
    result = run(configuration, "mails", "--to", "reader@example.com")
    assert result.exit_code == 1
    assert "mail" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--to", "a@b.cn", "--person", "1"]])
def test_exactly_one_recipient(configuration: Path, arguments: list[str]) -> None:
    """Neither or both of --to and --person is a mistake in the command line."""
    assert run(configuration, "mail", *arguments).exit_code == 64


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (PermanentFailure("certificate"), "ca_file"),
        (PermanentFailure("smtp_535"), "授权码"),
        (TemporaryFailure("cannot_connect"), "防火墙"),
        (PermanentFailure("twilio_21211"), "Twilio"),
        (OutcomeUnknown("timeout"), "可能已发出"),
        (TemporaryFailure("something_new"), "稍后|过一会儿"),
        (PermanentFailure("something_new"), "配置"),
    ],
)
def test_every_failure_has_an_advice(failure: SendError, word: str) -> None:
    """What to do is said for every kind of failure, also for codes nobody thought of."""
    assert any(one in advice(failure).zh for one in word.split("|"))
