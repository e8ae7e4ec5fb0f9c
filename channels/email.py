"""Mail over SMTP: a few long connections to the first server that works, each message built into bytes once.

Bounces (RFC 3464) and replies are read from mailboxes over IMAP, where such are configured.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from channels.base import ChannelType, Message, News, OutcomeUnknown, Receipt, SendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Outcome
    from channels.wire.mailbox import MailboxReader
    from channels.wire.smtp_pool import SmtpPool

_MAILBOX = re.compile(r"[^\s@<>(),:;\"\[\]\\]+@[^\s@<>(),:;\"\[\]\\]+")
_DOMAIN = re.compile(r"[^\s@<>(),:;\"\[\]\\*]+|\*")
_SELECTOR = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LINK = re.compile(r"https://[\x21-\x7e]+")
OTHER_DOMAINS = "*"

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


class OAuthSettings(BaseModel):
    """How the access token of XOAUTH2 is come by: a file or a command of somebody else, or a refresh token."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token_file: str | None = None
    token_command: tuple[str, ...] | None = Field(default=None, min_length=1)
    token_url: str | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None
    scope: str | None = None

    @model_validator(mode="after")
    def _is_one_way(self) -> OAuthSettings:
        if sum(one is not None for one in (self.token_file, self.token_command, self.token_url)) != 1:
            raise ValueError(
                "token_file、token_command、token_url 写其中一个 / give one of token_file, token_command and token_url"
            )
        if self.token_file is not None and not self.token_file.startswith("/"):
            raise ValueError("token_file 应为绝对路径 / token_file must be an absolute path")
        if (self.token_url is None) != (self.client_id is None or self.refresh_token is None):
            raise ValueError(
                "token_url、client_id、refresh_token 三项要一起写 / token_url, client_id and refresh_token go together"
            )
        if self.token_url is not None and not self.token_url.startswith(("https://", "http://127.0.0.1:")):
            raise ValueError("token_url 应以 https:// 开头 / token_url must begin with https://")
        return self


class Login(BaseModel):
    """Whom we are to a server, and whether we say so without encryption."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    username: str | None = None
    password: SecretStr | None = None
    oauth: OAuthSettings | None = None
    encryption: Literal["implicit", "starttls", "auto", "none"] = "starttls"
    login_without_encryption: bool = False

    @model_validator(mode="after")
    def _login_is_whole_and_safe(self) -> Login:
        if self.password is not None and self.oauth is not None:
            raise ValueError("password 与 oauth 只写一个 / give either password or oauth")
        if (self.username is None) != (self.password is None and self.oauth is None):
            raise ValueError(
                "username 与 password（或 oauth）要么都写，要么都不写"
                " / give both username and password (or oauth), or neither"
            )
        if self.username is not None and self.encryption in {"none", "auto"} and not self.login_without_encryption:
            raise ValueError(
                "不加密或可能不加密时不登录，以免泄露密码；如确需要，设 login_without_encryption: true"
                " / will not log in where the connection may be unencrypted; set login_without_encryption: true"
            )
        return self


class ServerSettings(Login):
    """One mail server that takes our mails."""

    host: str = Field(min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    pipelining: bool = True


class MailboxToRead(Login):
    """A mailbox bounces or replies go to, read over IMAP. What is neither about a mail of ours is left as it is."""

    host: str = Field(min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    encryption: Literal["implicit", "starttls", "auto", "none"] = "implicit"
    folder: str = Field(default="INBOX", min_length=1, description="邮箱里的文件夹 / the folder")
    timeout: Seconds = 30

    @model_validator(mode="after")
    def _can_log_in(self) -> MailboxToRead:
        if self.username is None:
            raise ValueError("要写 username 和 password（或 oauth） / needs username and password (or oauth)")
        if self.encryption == "auto":
            raise ValueError("应为 implicit、starttls 或 none / expected implicit, starttls or none")
        return self


class DkimSettings(BaseModel):
    """One DKIM key: `selector` is its name in the DNS, `domain` the sender's unless given."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    selector: str
    key: SecretStr
    domain: str | None = None

    @field_validator("selector")
    @classmethod
    def _is_a_selector(cls, value: str) -> str:
        if not _SELECTOR.fullmatch(value):
            raise ValueError("应为字母、数字、点和连字符 / expected letters, digits, dots and hyphens")
        return value

    @field_validator("key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        from channels.wire.dkim import private_key  # noqa: PLC0415  # only an office that signs loads the library

        private_key(value.get_secret_value())
        return value


class Unsubscribe(BaseModel):
    """What List-Unsubscribe offers (RFC 2369); `one_click` is for an address that takes the POST of RFC 8058."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mail: str | None = None
    url: str | None = None
    one_click: bool = False

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Unsubscribe:
        if self.mail is None and self.url is None:
            raise ValueError("mail、url 至少写一个 / give mail or url")
        if self.mail is not None and not (_MAILBOX.fullmatch(self.mail) and self.mail.isascii()):
            raise ValueError("mail 应为邮箱地址 / mail must be a mail address")
        if self.url is not None and not _LINK.fullmatch(self.url):
            raise ValueError("url 应以 https:// 开头、没有空格 / url must begin with https:// and hold no blanks")
        if self.one_click and self.url is None:
            raise ValueError("one_click 要有 url / one_click needs url")
        return self


class EmailSettings(ServerSettings):
    """`type: email`: the first server, those behind it, and what the mails look like. Time-outs in seconds."""

    fallbacks: tuple[ServerSettings, ...] = ()
    rest_seconds: Seconds = 60
    ca_file: str | None = None
    sender: Mailbox = Field(alias="from")
    reply_to: Mailbox | None = None
    bounces_to: str | None = None
    bounce_mailbox: MailboxToRead | None = None
    reply_mailbox: MailboxToRead | None = Field(
        default=None, description="读回信的邮箱（IMAP） / the mailbox of replies (IMAP)"
    )
    delivery_reports: Literal["none", "failure", "all"] = "failure"
    dkim: tuple[DkimSettings, ...] = ()
    unsubscribe: Unsubscribe | None = None
    per_minute: dict[str, Annotated[int, Field(ge=1, le=100_000)]] = Field(default_factory=dict[str, int])
    domain: str | None = None
    hello_name: str | None = None
    connections: int = Field(default=4, ge=1, le=256)
    connect_timeout: Seconds = 20
    command_timeout: Seconds = 60
    body_timeout: Seconds = 300
    idle_seconds: Seconds = 30

    @field_validator("dkim", mode="before")
    @classmethod
    def _one_key_or_several(cls, value: object) -> object:
        return [cast("object", value)] if isinstance(value, dict) else value

    @field_validator("per_minute")
    @classmethod
    def _by_domain(cls, value: dict[str, int]) -> dict[str, int]:
        for domain in value:
            if not _DOMAIN.fullmatch(domain):
                raise ValueError("应为域名，或 *（其余各域名） / expected a domain, or * for every other one")
        return {domain.lower(): most for domain, most in value.items()}

    @property
    def servers(self) -> tuple[ServerSettings, ...]:
        """In the order they are tried."""
        return (self, *self.fallbacks)

    @property
    def message_domain(self) -> str:
        """The right-hand side of every Message-ID."""
        return self.domain or self.sender.address.rpartition("@")[2]


class EmailChannel:
    """Mail through one of our servers."""

    settings_type: ClassVar[type[BaseModel]] = EmailSettings
    kind: ClassVar[str] = "email"

    def __init__(self, pool: SmtpPool, at_once: int, mailboxes: Sequence[MailboxReader] = ()) -> None:
        self.at_once = at_once  # what it sends at the same time
        self._pool = pool
        self._mailboxes = mailboxes

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

    async def collect(self) -> News:
        """What the reports and replies in our mailboxes say; nothing without one.

        A mailbox that cannot be read holds up no other: its failure is told when there is nothing else to tell.

        Raises:
            TemporaryFailure: a mailbox cannot be read now; nothing is lost.
            PermanentFailure: its login, certificate or folder is wrong.
        """
        told: list[News] = []
        failure: SendError | None = None
        for mailbox in self._mailboxes:
            try:
                told.append(await mailbox.collect())
            except SendError as error:
                failure = failure or error
        news = News(tuple(x for one in told for x in one.learnt), tuple(x for one in told for x in one.said))
        if failure is not None and news == News():
            raise failure
        return news

    async def close(self) -> None:
        """Say QUIT on every connection and close it."""
        await self._pool.close()
        for mailbox in self._mailboxes:
            await mailbox.close()


def open_email(settings: EmailSettings) -> EmailChannel:
    """A channel over these servers; connections are opened when there is something to send.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.mailbox import MailboxReader  # noqa: PLC0415  # kept out of listing the channel types
    from channels.wire.mime import MailFrame  # noqa: PLC0415  # the same
    from channels.wire.smtp_pool import SmtpPool  # noqa: PLC0415  # the same

    read = [one for one in (settings.bounce_mailbox, settings.reply_mailbox) if one is not None]
    mailboxes = [MailboxReader(one, settings.ca_file) for one in read]
    return EmailChannel(SmtpPool(settings, MailFrame.of(settings)), settings.connections, mailboxes)


CHANNEL = ChannelType("email", EmailSettings, open_email, "email", frozenset({"delivery", "replies"}))
