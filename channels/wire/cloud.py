"""What the clouds' SMS channels have in common before one is opened: limits in the settings, the channel's face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from channels.wire.call import SHORTEST_TOKEN, require_token, with_query
from channels.wire.shell import ProviderChannel

if TYPE_CHECKING:
    from channels.base import Answer, Call, News
    from channels.wire.cloud_calls import Hearing
    from channels.wire.cloud_sms import CloudSms


class CloudSettings(BaseModel):
    """Time-outs in seconds; how much at once; whom to trust."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    connect_timeout: float = Field(default=10, gt=0, le=300)
    timeout: float = Field(default=30, gt=0, le=300)
    concurrency: int = Field(default=8, ge=1, le=256)
    rate: float | None = Field(default=None, gt=0, description="messages per second")
    ca_file: str | None = None
    callback_token: SecretStr | None = Field(
        default=None,
        min_length=SHORTEST_TOKEN,
        description="平台回调地址里带的密串；没有它，回执和上行一律拒收"
        " / secret in the address the provider calls us at; without it no receipt and no reply is heard",
    )

    @property
    def missing_proof(self) -> str:
        """The setting without which every call of the provider is refused; empty if nothing is missing."""
        return "" if self.callback_token is not None else "callback_token"


class CloudChannel(ProviderChannel):
    """SMS through one account of a cloud."""

    def __init__(self, provider: CloudSms, settings: CloudSettings, hearing: Hearing, *, tells_delivery: bool) -> None:
        super().__init__(provider, settings.concurrency, tells_delivery=tells_delivery)
        self._cloud = provider
        self._token = settings.callback_token
        self._hearing = hearing

    def listen_at(self, url: str) -> None:
        """Where the provider reaches us; one that is told with every message is told so, with the secret."""
        if self._token is not None:
            self._cloud.listens_at = with_query(url, token=self._token.get_secret_value())

    def hear(self, call: Call) -> tuple[News, Answer]:
        """What became of messages, and what people wrote back.

        Raises:
            CallRefused: it lacks the secret of our address, or cannot be understood.
        """
        require_token(call, self._token)
        return self._hearing(call)
