"""What the machine in front of an isolated network brings back: JSON files in `in/`.

{"reference": "32 digits of the file in out/", "status": "delivered", "at": "2026-09-28T09:30:05+08:00"}
{"reference": "…", "status": "failed", "code": "UNDELIV"}
{"from": "+8613800000001", "text": "收到 1234", "id": "7", "at": "…", "about": "32 digits, if known"}

`status` is delivered, read or failed; anything else says nothing yet. A file may hold a list of these.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from channels.base import CallRefused, Learnt, News, PermanentFailure, Said
from channels.wire.call import Unreadable, arrived, clean, failed, instant, json_of, learnt_of, news_of, said_by
from channels.wire.tree import text_at

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 1 << 20  # bytes of a file
_AT_ONCE = 1000  # files read in one go


class SpoolIn:
    """Reads one folder; what it handed over last goes to `taken/` when it is asked again."""

    def __init__(self, directory: Path) -> None:
        self._in = directory / "in"
        self._taken = directory / "taken"
        self._bad = directory / "bad"
        self._handed_over: list[str] = []
        self._put_aside = 0  # files nobody could read, not yet told

    def collect(self) -> News:
        """What the new files say, the oldest name first. Blocks.

        Raises:
            OSError: the folder cannot be read.
            PermanentFailure: files were put into `bad/` last time; everything else was told then.
        """
        self._take_away(self._handed_over, self._taken)
        self._handed_over.clear()
        if self._put_aside:
            count, self._put_aside = self._put_aside, 0
            raise PermanentFailure("spool_bad_files", f"{count} files that cannot be read were put into bad/")
        learnt: list[Learnt] = []
        said: list[Said] = []
        for name in self._names()[:_AT_ONCE]:
            try:
                news = _read(self._in / name)
            except (CallRefused, OSError):
                self._take_away([name], self._bad)
                self._put_aside += 1
                continue
            self._handed_over.append(name)
            learnt += news.learnt
            said += news.said
        return News(tuple(learnt), tuple(said))

    def _names(self) -> list[str]:
        try:
            entries = os.listdir(self._in)  # noqa: PTH208  # only the names
        except FileNotFoundError:
            return []  # nothing was ever brought
        return sorted(name for name in entries if name.endswith(".json") and not name.startswith("."))

    def _take_away(self, names: list[str], folder: Path) -> None:
        if not names:
            return
        folder.mkdir(exist_ok=True, mode=0o700)
        for name in names:
            try:
                (self._in / name).replace(folder / name)
            except FileNotFoundError:
                continue  # another node was quicker


def _read(file: Path) -> News:
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW), "rb") as opened:
        content = opened.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise CallRefused("too_large", 400)
    tree = json_of(content)
    records: list[object] = list(tree) if isinstance(tree, list) else [tree]  # pyright: ignore[reportUnknownArgumentType]
    numbered = [(index, one) for index, one in enumerate(records)]
    return news_of(numbered, lambda pair: _told(pair[1], f"{file.stem}.{pair[0]}"))


def _told(record: object, name: str) -> Learnt | Said | None:
    if not isinstance(record, dict):
        raise Unreadable
    fields: dict[str, Any] = record  # pyright: ignore[reportUnknownVariableType]
    at = instant(text_at(fields, "at"))
    status, ours = text_at(fields, "status"), text_at(fields, "reference")
    if not status:
        return _said(fields, name)
    if status in {"delivered", "read"}:
        return learnt_of(arrived(status, read=status == "read"), ours=ours, at=at)
    told = learnt_of(failed(text_at(fields, "code")), ours=ours, at=at)
    return told if status == "failed" else None


def _said(fields: dict[str, Any], name: str) -> Said:
    """A reply; of one without an id its file's name is the id, so that the same file read twice is one reply."""
    sender, about = text_at(fields, "from"), text_at(fields, "about")
    reference = text_at(fields, "id") or name
    at = instant(text_at(fields, "at"))
    if "@" in sender:
        if not isinstance(fields.get("text"), str):
            raise Unreadable
        return Said(clean(sender).lower(), clean(fields["text"]), reference, about, at)
    return replace(said_by(sender, fields.get("text"), reference=reference, at=at), about=about)
