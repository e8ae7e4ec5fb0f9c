"""Opening a connection to a relay: aiosmtplib does TLS, EHLO and login, then our conversation takes the transport."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, cast

import aiosmtplib

from channels.base import PermanentFailure, SendError, TemporaryFailure
from channels.wire.smtp_pipeline import Conversation, SmtpWire, Terms

if TYPE_CHECKING:
    from channels.email import EmailSettings

_PERMANENT = 500
_START_TLS = {"implicit": False, "starttls": True, "auto": None, "none": False}
_PORTS = {"implicit": 465, "starttls": 587, "auto": 25, "none": 25}


def tls_context(settings: EmailSettings) -> ssl.SSLContext:
    """Certificates are always checked, against the system's authorities or `ca_file`.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError):
        raise PermanentFailure("ca_file", "the CA file cannot be read", whole_channel=True) from None


async def open_conversation(settings: EmailSettings, context: ssl.SSLContext, sender: str) -> Conversation:
    """Connect, encrypt, say hello, log in.

    Raises:
        TemporaryFailure: the relay is not there, too slow, or says 4xx.
        PermanentFailure: for the whole channel: certificate, encryption, login, or a 5xx greeting.
    """
    smtp = _client(settings, context)
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
        raise failure from None
    return Conversation(SmtpWire(cast("asyncio.Transport", smtp.transport)), _terms(settings, smtp, sender))


def _client(settings: EmailSettings, context: ssl.SSLContext) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port or _PORTS[settings.encryption],
        username=settings.username,
        password=settings.password.get_secret_value() if settings.password else None,
        local_hostname=settings.hello_name or settings.message_domain,
        timeout=settings.connect_timeout,
        use_tls=settings.encryption == "implicit",
        start_tls=_START_TLS[settings.encryption],
        tls_context=None if settings.encryption == "none" else context,
    )


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    try:
        await smtp.ehlo()
    except aiosmtplib.SMTPHeloError:
        await smtp.helo()


def _terms(settings: EmailSettings, smtp: aiosmtplib.SMTP, sender: str) -> Terms:
    return Terms(
        sender=sender,
        pipelining=settings.pipelining and smtp.supports_extension("pipelining"),
        international=smtp.supports_extension("smtputf8"),
        command_seconds=settings.command_timeout,
        body_seconds=settings.body_timeout,
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
