"""A mailbox that bounces or replies go to, read over IMAP (RFC 3501) in a thread of its own.

A report or a reply is marked as read only when the next reading begins: whoever collects has written it down by then.
What is neither stays as it is, and is looked at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import re
import ssl
from binascii import b2a_base64
from typing import TYPE_CHECKING, cast

from channels.base import News, PermanentFailure, TemporaryFailure
from channels.wire.oauth import LoginToken
from channels.wire.reply import said_in
from channels.wire.report import learnt_from
from channels.wire.smtp_login import tls_context

if TYPE_CHECKING:
    from channels.base import Learnt, Said
    from channels.email import MailboxToRead

_PORTS = {"implicit": 993, "starttls": 143, "none": 143}
_WIDE = re.compile(r"[^\x20-\x7e]+")
_AT_ONCE = 200  # mails looked at in one reading
_LARGEST = 262_144  # bytes of a mail that are fetched; a report stands before the mail it returns


class MailboxReader:
    """Reads one mailbox; what it handed over last is marked as read when it is asked again."""

    def __init__(self, mailbox: MailboxToRead, ca_file: str | None) -> None:
        self._mailbox = mailbox
        self._context = tls_context(ca_file)
        self._token = None
        if mailbox.oauth is not None:
            self._token = LoginToken(mailbox.oauth, connect_seconds=mailbox.timeout, ca_file=ca_file)
        self._turn = asyncio.Lock()
        self._validity = b""  # UIDVALIDITY: when it changes, numbers mean other mails
        self._handed_over: set[bytes] = set()
        self._looked_at: set[bytes] = set()

    async def collect(self) -> News:
        """What the new reports and replies say.

        Raises:
            TemporaryFailure: the mailbox cannot be read now.
            PermanentFailure: login, certificate or folder is wrong.
        """
        async with self._turn:
            token = await self._token.value() if self._token is not None else ""
            try:
                return await asyncio.to_thread(self._read, token)
            except PermanentFailure as failure:
                if self._token is None or failure.code != "imap_login":
                    raise
                self._token.forget()
                raise TemporaryFailure("imap_login", "the access token was refused") from None

    async def close(self) -> None:
        """Wait for a reading under way."""
        async with self._turn:
            if self._token is not None:
                await self._token.close()

    def _read(self, token: str) -> News:
        try:
            with self._connected() as imap:
                self._log_in(imap, token)
                self._select(imap)
                return self._news(imap)
        except ssl.SSLCertVerificationError as error:
            raise PermanentFailure("certificate", error.verify_message, whole_channel=True) from None
        except TimeoutError:
            raise TemporaryFailure("imap_timeout") from None
        except OSError:
            raise TemporaryFailure("imap_connection") from None
        except imaplib.IMAP4.abort:
            raise TemporaryFailure("imap_connection", "the server ended the conversation") from None
        except imaplib.IMAP4.error:
            raise TemporaryFailure("imap_answer", "the server refused a command") from None

    def _connected(self) -> imaplib.IMAP4:
        box = self._mailbox
        port = box.port or _PORTS[box.encryption]
        if box.encryption == "implicit":
            return imaplib.IMAP4_SSL(box.host, port, ssl_context=self._context, timeout=box.timeout)
        imap = imaplib.IMAP4(box.host, port, timeout=box.timeout)
        if box.encryption == "starttls":
            try:
                imap.starttls(self._context)
            except BaseException:
                with contextlib.suppress(OSError):
                    imap.shutdown()
                raise
        return imap

    def _log_in(self, imap: imaplib.IMAP4, token: str) -> None:
        box = self._mailbox
        user = box.username or ""
        try:
            if token:
                answer = f"user={user}\1auth=Bearer {token}\1\1".encode()
                imap.authenticate("XOAUTH2", lambda challenge: b"" if challenge else answer)
            else:
                imap.login(user, box.password.get_secret_value() if box.password else "")
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:
            raise PermanentFailure("imap_login", "the mailbox refuses the login", whole_channel=True) from None

    def _select(self, imap: imaplib.IMAP4) -> None:
        quoted = folder_name(self._mailbox.folder).replace("\\", "\\\\").replace('"', '\\"')
        said, _ = imap.select(f'"{quoted}"')
        if said != "OK":
            raise PermanentFailure("imap_folder", "there is no such folder in the mailbox", whole_channel=True)
        _, validity = imap.response("UIDVALIDITY")
        now = validity[0] if validity and isinstance(validity[0], bytes) else b""
        if now != self._validity:
            self._validity = now
            self._handed_over.clear()
            self._looked_at.clear()

    def _news(self, imap: imaplib.IMAP4) -> News:
        if self._handed_over:
            _asked(imap, "STORE", b",".join(sorted(self._handed_over)).decode(), "+FLAGS.SILENT", r"(\Seen)")
            self._handed_over.clear()
        found = _asked(imap, "SEARCH", "UNSEEN")
        unseen = found[0].split() if found and isinstance(found[0], bytes) else []
        self._looked_at.intersection_update(unseen)
        learnt: list[Learnt] = []
        replies: list[Said] = []
        for number in [one for one in unseen if one not in self._looked_at][:_AT_ONCE]:
            content = _content(imap, number)
            report = learnt_from(content)
            reply = said_in(content) if report is None else None
            (self._looked_at if report is None and reply is None else self._handed_over).add(number)
            learnt += report or ()
            replies += [reply] if reply is not None else []
        return News(tuple(learnt), tuple(replies))


def _content(imap: imaplib.IMAP4, number: bytes) -> bytes:
    """The beginning of a mail, without marking it as read; nothing if it is gone."""
    parts = _asked(imap, "FETCH", number.decode(), f"(BODY.PEEK[]<0.{_LARGEST}>)")
    literals = [cast("tuple[bytes, bytes]", part)[1] for part in parts if isinstance(part, tuple)]
    return literals[0] if literals else b""


def _asked(imap: imaplib.IMAP4, *command: str) -> list[object]:
    """What the server says to a command about mails by their lasting numbers."""
    said, answers = cast("tuple[str, list[object]]", imap.uid(*command))
    if said != "OK":
        raise imaplib.IMAP4.error
    return answers


def folder_name(name: str) -> str:
    """The name as it goes on the wire: modified UTF-7 (RFC 3501 5.1.3)."""
    return _WIDE.sub(_in_base64, name.replace("&", "&-"))


def _in_base64(found: re.Match[str]) -> str:
    return "&" + b2a_base64(found[0].encode("utf-16-be"), newline=False).decode().rstrip("=").replace("/", ",") + "-"
