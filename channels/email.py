"""Mail over SMTP: a few long connections, each message built into bytes once, phases of the protocol told apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from channels.base import ChannelType, Message, OutcomeUnknown, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Outcome
    from channels.wire.smtp_pool import SmtpPool

_MAILBOX = re.compile(r"[^\s@<>(),:;\"\[\]\\]+@[^\s@<>(),:;\"\[\]\\]+")

Seconds = Annotated[float, Field(gt=0, le=3600)]


class Mailbox(BaseModel):
    """A name, Chinese allowed, and a mail address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    address: str

    @field_validator("address")
    @classmethod
    def _is_a_mailbox(cls, value: str) -> str:
        if not _MAILBOX.fullmatch(value):
            raise ValueError("不是邮箱地址 / not a mail address")
        return value

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, value: str) -> str:
        if any(mark in value for mark in "\r\n\0"):
            raise ValueError("不能换行 / must be one line")
        return value


class EmailSettings(BaseModel):
    """`type: email`. Time-outs in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    host: str = Field(min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    encryption: Literal["implicit", "starttls", "auto", "none"] = "starttls"
    ca_file: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    login_without_encryption: bool = False
    sender: Mailbox = Field(alias="from")
    reply_to: Mailbox | None = None
    bounces_to: str | None = None
    domain: str | None = None
    hello_name: str | None = None
    connections: int = Field(default=4, ge=1, le=256)
    pipelining: bool = True
    connect_timeout: Seconds = 20
    command_timeout: Seconds = 60
    body_timeout: Seconds = 300
    idle_seconds: Seconds = 30

    @model_validator(mode="after")
    def _login_is_whole_and_safe(self) -> EmailSettings:
        if (self.username is None) != (self.password is None):
            raise ValueError("username 与 password 要么都写，要么都不写 / give both username and password, or neither")
        if self.username is not None and self.encryption in {"none", "auto"} and not self.login_without_encryption:
            raise ValueError(
                "不加密或可能不加密时不登录，以免泄露密码；如确需要，设 login_without_encryption: true"
                " / will not log in where the connection may be unencrypted; set login_without_encryption: true"
            )
        return self

    @property
    def message_domain(self) -> str:
        """The right-hand side of every Message-ID."""
        return self.domain or self.sender.address.rpartition("@")[2]


class EmailChannel:
    """Mail through one relay."""

    settings_type: ClassVar[type[BaseModel]] = EmailSettings
    kind: ClassVar[str] = "email"

    def __init__(self, pool: SmtpPool, at_once: int) -> None:
        self.at_once = at_once  # what it sends at the same time
        self._pool = pool

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all over the open connections; the outcome of each, in the same order."""
        return await self._pool.deliver(messages)

    async def lookup(self, message: Message) -> Receipt | None:
        """SMTP cannot be asked what became of a mail.

        Raises:
            OutcomeUnknown: always.
        """
        del message
        raise OutcomeUnknown("cannot_ask", "SMTP has no way to ask for a message")

    async def close(self) -> None:
        """Say QUIT on every connection and close it."""
        await self._pool.close()


def open_email(settings: EmailSettings) -> EmailChannel:
    """A channel over this relay; connections are opened when there is something to send.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.mime import MailFrame  # noqa: PLC0415  # kept out of listing the channel types
    from channels.wire.smtp_pool import SmtpPool  # noqa: PLC0415  # the same

    return EmailChannel(SmtpPool(settings, MailFrame.of(settings)), settings.connections)


CHANNEL = ChannelType("email", EmailSettings, open_email, "email")
