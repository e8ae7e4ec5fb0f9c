"""Files for an isolated network: one JSON file per message, which a machine in front picks up and sends."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import secrets
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from channels.base import (
    ChannelType,
    Message,
    News,
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SendError,
    TemporaryFailure,
)
from channels.wire.identity import reference_of
from channels.wire.sms import sms_parts
from channels.wire.spool_in import SpoolIn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Outcome


class SpoolSettings(BaseModel):
    """`type: spool`. `kind` says whether the files are for an SMS or a mail machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path
    kind: Literal["sms", "email"] = "sms"


class SpoolChannel:
    """Writes into `out/`; whoever has sent a file moves it to `done/`, and brings what comes back into `in/`."""

    settings_type: ClassVar[type[BaseModel]] = SpoolSettings
    kind: ClassVar[str] = "sms"

    def __init__(self, settings: SpoolSettings) -> None:
        self._out = settings.directory / "out"
        self._done = settings.directory / "done"
        self._kind = settings.kind
        self._incoming = SpoolIn(settings.directory)
        self._turn = asyncio.Lock()

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Write all and make them durable; the outcome of each, in the same order."""
        if not messages:
            return []
        return await asyncio.to_thread(self._write_all, list(messages))

    async def lookup(self, message: Message) -> Receipt | None:
        """The receipt if the file lies in `out/` or `done/`, else None.

        Raises:
            OutcomeUnknown: the directory cannot be read.
        """
        try:
            found = await asyncio.to_thread(self._exists, _file_name(message))
        except OSError as error:
            raise OutcomeUnknown(*_named(error)) from None
        return self._receipt(message) if found else None

    async def collect(self) -> News:
        """What the files in `in/` say; those read last time are moved to `taken/` first, unreadable ones to `bad/`.

        Raises:
            TemporaryFailure: the folder cannot be read now.
            PermanentFailure: it may not be read, or there were files nobody can read.
        """
        async with self._turn:
            try:
                return await asyncio.to_thread(self._incoming.collect)
            except OSError as error:
                raise _failure(error) from None

    async def close(self) -> None:
        """Nothing is kept open."""

    def _write_all(self, messages: list[Message]) -> list[Outcome]:
        try:
            for folder in (self._out, self._done):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            return [_failure(error) for _ in messages]
        outcomes = [self._write(message) for message in messages]
        try:
            _sync_directory(self._out)
        except OSError as error:
            return [OutcomeUnknown(*_named(error)) if isinstance(o, Receipt) else o for o in outcomes]
        return outcomes

    def _write(self, message: Message) -> Outcome:
        name = _file_name(message)
        try:
            if not (self._done / name).exists():
                _write_atomically(self._out / name, self._content(message))
        except SendError as failure:
            return failure
        except OSError as error:
            return _failure(error)
        return self._receipt(message)

    def _exists(self, name: str) -> bool:
        # out before done: a file moved between the two looks is seen by the second
        return (self._out / name).exists() or (self._done / name).exists()

    def _content(self, message: Message) -> bytes:
        fields = {
            "reference": reference_of(message.key),
            "kind": self._kind,
            "to": message.to,
            "to_name": message.to_name,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "at": message.at.astimezone(UTC).isoformat(),
            "possible_duplicate": message.possible_duplicate,
            "params": dict(message.params),
        }
        try:
            return json.dumps(fields, ensure_ascii=False, indent=1).encode()
        except UnicodeEncodeError:
            raise PermanentFailure("bad_text", "half a character (lone surrogate)") from None

    def _receipt(self, message: Message) -> Receipt:
        parts = sms_parts(message.text) if self._kind == "sms" else 1
        return Receipt(reference=_file_name(message), parts=parts)


def _file_name(message: Message) -> str:
    return f"{reference_of(message.key)}.json"


def _write_atomically(path: Path, content: bytes) -> None:
    """Whole or not at all: a reader of the directory never sees half a file. Its rights are 0600."""
    unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_NO_ENTRY = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


def _failure(error: OSError) -> SendError:
    """A full disk or a lost mount may come back; a directory we may not write to needs a person."""
    if error.errno in _NO_ENTRY:
        return PermanentFailure(*_named(error), whole_channel=True)
    return TemporaryFailure(*_named(error))


def _named(error: OSError) -> tuple[str, str]:
    return errno.errorcode.get(error.errno or 0, "os_error").lower(), os.strerror(error.errno or 0)


def open_spool(settings: SpoolSettings) -> SpoolChannel:
    """A channel into this directory; it is made when the first message is written."""
    return SpoolChannel(settings)


CHANNEL = ChannelType("spool", SpoolSettings, open_spool, "sms", frozenset({"asked", "delivery", "replies"}))
