from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from channels.base import Message, PermanentFailure, Receipt, TemporaryFailure
from channels.spool import SpoolSettings, _failure, open_spool

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 9, 28, 1, 30, tzinfo=UTC)


def sms(**changes: Any) -> Message:
    """An SMS to an invented mobile."""
    fields: dict[str, Any] = {"key": "case/1", "to": "+8613800000001", "at": AT, "text": "提醒𠮷"}
    return Message(**(fields | changes))


async def test_one_whole_private_file_per_message(tmp_path: Path) -> None:
    """A file holds everything the machine in front needs, nobody else may read it, and nothing half-written stays."""
    channel = open_spool(SpoolSettings(directory=tmp_path))
    (outcome,) = await channel.send_many([sms(params={"due": "10月8日"})])
    assert isinstance(outcome, Receipt)
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == outcome.reference
    assert file.stat().st_mode & 0o777 == 0o600
    content = json.loads(file.read_text())
    assert (content["to"], content["text"], content["at"]) == ("+8613800000001", "提醒𠮷", "2026-09-28T01:30:00+00:00")
    assert content["params"] == {"due": "10月8日"}
    assert "case" not in file.name


async def test_a_resend_overwrites_and_what_is_done_stays_done(tmp_path: Path) -> None:
    """The same key is the same file; once the machine in front has moved it to done/, a resend writes nothing."""
    channel = open_spool(SpoolSettings(directory=tmp_path))
    await channel.send_many([sms()])
    await channel.send_many([sms(possible_duplicate=True)])
    (file,) = (tmp_path / "out").iterdir()
    assert json.loads(file.read_text())["possible_duplicate"] is True
    file.rename(tmp_path / "done" / file.name)
    (outcome,) = await channel.send_many([sms(possible_duplicate=True)])
    assert isinstance(outcome, Receipt)
    assert list((tmp_path / "out").iterdir()) == []
    assert await channel.lookup(sms()) is not None


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, TemporaryFailure),
        (errno.EDQUOT, TemporaryFailure),
        (errno.EIO, TemporaryFailure),
        (errno.ENOENT, TemporaryFailure),
        (errno.EACCES, PermanentFailure),
        (errno.EROFS, PermanentFailure),
    ],
)
def test_what_the_system_says(number: int, kind: type) -> None:
    """A full disk or a lost mount may come back; missing rights need a person."""
    failure = _failure(OSError(number, os.strerror(number), "/secret/path"))
    assert type(failure) is kind
    assert "secret" not in str(failure)
