"""Opening a connection to a server: aiosmtplib does TLS, EHLO and login, then our conversation takes the transport."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, cast

import aiosmtplib

from channels.base import PermanentFailure, SendError, TemporaryFailure
from channels.wire.smtp_pipeline import Conversation, SmtpWire, Terms

if TYPE_CHECKING:
    from channels.email import EmailSettings, ServerSettings
    from channels.wire.oauth import LoginToken

_PERMANENT = 500
_NOTIFY = {"none": "", "failure": "FAILURE", "all": "SUCCESS,FAILURE"}  # RFC 3461 4.1
_START_TLS = {"implicit": False, "starttls": True, "auto": None, "none": False}
_PORTS = {"implicit": 465, "starttls": 587, "auto": 25, "none": 25}


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Certificates are always checked, against the system's authorities or `ca_file`.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise PermanentFailure("ca_file", "the CA file cannot be read", whole_channel=True) from None


async def open_conversation(
    settings: EmailSettings, server: ServerSettings, context: ssl.SSLContext, sender: str, token: LoginToken | None
) -> Conversation:
    """Connect to this server, encrypt, say hello, log in. A token that is refused is asked for once more.

    Raises:
        TemporaryFailure: the server is not there, too slow, or says 4xx; or no token is to be had now.
        PermanentFailure: for the whole channel: certificate, encryption, login, or a 5xx greeting.
    """
    known = token is not None and token.known
    try:
        return await _open(settings, server, context, sender, token)
    except _LoginRefused as refused:
        if token is None:
            raise refused.failure from None
        token.forget()
        if not known:
            raise refused.failure from None
    try:
        return await _open(settings, server, context, sender, token)
    except _LoginRefused as refused:
        raise refused.failure from None


class _LoginRefused(Exception):  # it says what happened
    def __init__(self, failure: SendError) -> None:
        super().__init__(failure)
        self.failure = failure


async def _open(
    settings: EmailSettings, server: ServerSettings, context: ssl.SSLContext, sender: str, token: LoginToken | None
) -> Conversation:
    smtp = _client(settings, server, context, token)
    try:
        async with asyncio.timeout(settings.connect_timeout):
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                await _greet(smtp)
    except BaseException as error:
        smtp.close()
        failure = _failure(error)
        if failure is None:
            raise
        if isinstance(error, aiosmtplib.SMTPAuthenticationError):
            raise _LoginRefused(failure) from None
        raise failure from None
    terms = _terms(settings, server, smtp, sender)
    return Conversation(SmtpWire(cast("asyncio.Transport", smtp.transport)), terms)


def _client(
    settings: EmailSettings, server: ServerSettings, context: ssl.SSLContext, token: LoginToken | None
) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port or _PORTS[server.encryption],
        username=server.username,
        password=server.password.get_secret_value() if server.password else None,
        oauth_token_generator=token.value if token is not None else None,
        local_hostname=settings.hello_name or settings.message_domain,
        timeout=settings.connect_timeout,
        use_tls=server.encryption == "implicit",
        start_tls=_START_TLS[server.encryption],
        tls_context=None if server.encryption == "none" else context,
    )


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    try:
        await smtp.ehlo()
    except aiosmtplib.SMTPHeloError:
        await smtp.helo()


def _terms(settings: EmailSettings, server: ServerSettings, smtp: aiosmtplib.SMTP, sender: str) -> Terms:
    return Terms(
        sender=sender,
        pipelining=server.pipelining and smtp.supports_extension("pipelining"),
        international=smtp.supports_extension("smtputf8"),
        command_seconds=settings.command_timeout,
        body_seconds=settings.body_timeout,
        notify=_NOTIFY[settings.delivery_reports] if smtp.supports_extension("dsn") else "",
    )


def _failure(error: BaseException) -> SendError | None:
    """One of ours for everything that can go wrong here; None for what is not an error of the connection."""
    untrusted = _certificate_error(error)
    if untrusted is not None:
        return PermanentFailure("certificate", untrusted.verify_message, whole_channel=True)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _answered(error)
    if isinstance(error, TimeoutError):
        return TemporaryFailure("connect_timeout")
    if isinstance(error, OSError):
        return TemporaryFailure("cannot_connect")
    if isinstance(error, aiosmtplib.SMTPException):
        return PermanentFailure("not_offered", "the relay offers no STARTTLS or no login we know", whole_channel=True)
    return None


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def _answered(error: aiosmtplib.SMTPResponseException) -> SendError:
    word = "login" if isinstance(error, aiosmtplib.SMTPAuthenticationError) else "greeting"
    if error.code >= _PERMANENT:
        return PermanentFailure(f"smtp_{error.code}", word, whole_channel=True)
    return TemporaryFailure(f"smtp_{error.code}", word)
