from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import pytest

from channels.base import Collecting, Learnt, Message, News, PermanentFailure, Receipt, Said, TemporaryFailure
from channels.spool import SpoolSettings, _failure, open_spool
from channels.wire.identity import reference_of

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


# --- what comes back -------------------------------------------------------------------------------------------

OURS = reference_of("case/1")


def bring(folder: Path, name: str, content: object) -> None:
    """What the machine in front does: write beside it, then rename."""
    (folder / "in").mkdir(exist_ok=True)
    unfinished = folder / "in" / f".{name}.tmp"
    unfinished.write_bytes(content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode())
    unfinished.rename(folder / "in" / name)


def names(folder: Path, inside: str) -> list[str]:
    """The files in there."""
    return sorted(file.name for file in (folder / inside).glob("*")) if (folder / inside).exists() else []


async def test_receipts_and_replies_are_read_back(tmp_path: Path) -> None:
    """Each file is told once, and moved away only when the next reading says that it was written down."""
    channel = open_spool(SpoolSettings(directory=tmp_path))
    assert isinstance(channel, Collecting)
    assert await channel.collect() == News()
    bring(tmp_path, "1.json", {"reference": OURS, "status": "delivered", "at": "2026-09-28T09:30:00+08:00"})
    bring(
        tmp_path,
        "2.json",
        [{"reference": OURS, "status": "failed", "code": "UNDELIV"}, {"reference": OURS, "status": "?"}],
    )
    bring(tmp_path, "3.json", {"from": "13800000001", "text": "收到 1234𠮷", "about": OURS})
    news = await channel.collect()
    assert news.learnt == (
        Learnt(Receipt(delivered=True, answer="delivered"), OURS, at=AT),
        Learnt(ANY, OURS),
    )
    assert isinstance(news.learnt[1].outcome, PermanentFailure)
    assert news.learnt[1].outcome.code == "UNDELIV"
    assert news.said == (Said("+8613800000001", "收到 1234𠮷", "3.0", OURS),)
    assert (names(tmp_path, "in"), names(tmp_path, "taken")) == (["1.json", "2.json", "3.json"], [])
    assert await channel.collect() == News()
    assert (names(tmp_path, "in"), names(tmp_path, "taken")) == ([], ["1.json", "2.json", "3.json"])


async def test_what_was_not_written_down_is_told_again(tmp_path: Path) -> None:
    """A daemon that dies between reading and writing down loses nothing, and the reply keeps its name."""
    bring(tmp_path, "r.json", {"from": "reader@EXAMPLE.com", "text": "已阅"})
    told = [await open_spool(SpoolSettings(directory=tmp_path)).collect() for _ in range(2)]
    assert told[0] == told[1] == News(said=(Said("reader@example.com", "已阅", "r.0"),))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"{", b"[]", b"7", b"[7]", b"{}", b'{"status": "delivered"}', b'{"from": "x", "text": "y"}',
     b'{"from": "13800000001"}', b'{"from": "a@example.com", "text": 7}', b" " * (1 << 20) + b"{}"],
)  # fmt: skip
async def test_files_nobody_can_read_are_put_aside_and_told(tmp_path: Path, content: bytes) -> None:
    """They hold up no other file, and the next reading says how many there were."""
    channel = open_spool(SpoolSettings(directory=tmp_path))
    bring(tmp_path, "bad.json", content)
    bring(tmp_path, "good.json", {"reference": OURS, "status": "read"})
    assert [one.outcome for one in (await channel.collect()).learnt] == [
        Receipt(delivered=True, read=True, answer="read")
    ]
    assert names(tmp_path, "bad") == ["bad.json"]
    with pytest.raises(PermanentFailure, match="spool_bad_files"):
        await channel.collect()
    assert names(tmp_path, "taken") == ["good.json"]
    assert await channel.collect() == News()


async def test_unfinished_and_foreign_files_are_left_alone(tmp_path: Path) -> None:
    """Names that begin with a dot or end otherwise are not ours to read; a link leads nowhere."""
    (tmp_path / "in").mkdir()
    for name in (".half.json", "readme.txt"):
        (tmp_path / "in" / name).write_text("{")
    (tmp_path / "secret").write_text(json.dumps({"reference": OURS, "status": "delivered"}))
    (tmp_path / "in" / "link.json").symlink_to(tmp_path / "secret")
    channel = open_spool(SpoolSettings(directory=tmp_path))
    assert await channel.collect() == News()
    assert names(tmp_path, "in") == [".half.json", "readme.txt"]


async def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    """A file in the place of the folder is told as a failure of the channel."""
    (tmp_path / "in").write_text("in the way")
    with pytest.raises(PermanentFailure):
        await open_spool(SpoolSettings(directory=tmp_path)).collect()
