"""SMS through Twilio, with its own client over a transport of ours: hard time-outs, no retries behind our back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from channels.base import ChannelType
from channels.wire.shell import ProviderChannel

if TYPE_CHECKING:
    from channels.base import Answer, Call, News
    from channels.wire.twilio_calls import TwilioCalls
    from channels.wire.twilio_messages import TwilioAccount


class TwilioAccountSettings(BaseModel):
    """What texts and calls of one account have in common. Time-outs in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    account_sid: str = Field(min_length=1)
    auth_token: SecretStr
    api_key_sid: str | None = None
    signing_token: SecretStr | None = Field(
        default=None,
        description="用 API key 时，Twilio 签回调用的账号令牌"
        " / the account's auth token, which signs Twilio's calls, where auth_token is the secret of an API key",
    )
    status_callback: str | None = None
    base_url: str = Field(default="https://api.twilio.com", pattern=r"^https?://")
    connect_timeout: float = Field(default=10, gt=0, le=300)
    timeout: float = Field(default=30, gt=0, le=300)
    concurrency: int = Field(default=8, ge=1, le=256)
    rate: float | None = Field(default=None, gt=0, description="messages per second")

    @property
    def signed_with(self) -> SecretStr | None:
        """What Twilio's calls to us are signed with, if we know it."""
        return self.signing_token if self.signing_token is not None or self.api_key_sid else self.auth_token

    @property
    def missing_proof(self) -> str:
        """The setting without which every call of Twilio is refused; empty if nothing is missing."""
        return "" if self.signed_with is not None else "signing_token"


class TwilioSettings(TwilioAccountSettings):
    """`type: twilio`. Validity in seconds."""

    from_number: str | None = Field(default=None, alias="from")
    messaging_service_sid: str | None = None
    validity_period: int = Field(default=14_400, ge=1, le=36_000)

    @model_validator(mode="after")
    def _one_sender(self) -> TwilioSettings:
        if (self.from_number is None) == (self.messaging_service_sid is None):
            raise ValueError(
                "from 与 messaging_service_sid 必须写且只写一个 / give exactly one of from and messaging_service_sid"
            )
        return self


class TwilioChannel(ProviderChannel):
    """Texts or calls through one Twilio account."""

    settings_type: ClassVar[type[BaseModel]] = TwilioSettings

    def __init__(self, account: TwilioAccount, calls: TwilioCalls, at_once: int, *, tells_delivery: bool) -> None:
        super().__init__(account, at_once, tells_delivery=tells_delivery)
        self._account = account
        self._calls = calls

    def listen_at(self, url: str) -> None:
        """Give Twilio this address with every message, unless the settings give another."""
        self._account.listens_at = url

    def hear(self, call: Call) -> tuple[News, Answer]:
        """What became of a message, or what somebody wrote back; the answer is empty TwiML.

        Raises:
            CallRefused: it is not signed by Twilio, or cannot be understood.
        """
        return self._calls.hear(call)


def open_twilio(settings: TwilioSettings) -> TwilioChannel:
    """A channel over this account; nothing is asked before the first message."""
    from channels.wire.twilio_calls import TwilioCalls  # noqa: PLC0415  # the client takes half a second to load
    from channels.wire.twilio_messages import TwilioMessages  # noqa: PLC0415  # the same

    return TwilioChannel(
        TwilioMessages(settings), TwilioCalls(settings.signed_with), settings.concurrency, tells_delivery=True
    )


CHANNEL = ChannelType("twilio", TwilioSettings, open_twilio, "sms", frozenset({"asked", "delivery", "replies"}))
