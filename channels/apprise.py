"""Any service Apprise knows (https://github.com/caronc/apprise), as a last resort: it tells only yes or no.

Needs the extra: `pip install duban[apprise]`.
"""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from channels.base import ChannelType, PermanentFailure
from channels.wire.shell import ProviderChannel
from channels.wire.template import names_in

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://.*")


class AppriseSettings(BaseModel):
    """`type: apprise`. `url` is Apprise's own form of a service's address; `{to}` in it is the person's address."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: SecretStr
    kind: str = Field(default="apprise", pattern=r"^[a-z][a-z0-9_]*$")
    timeout: float = Field(default=30, gt=0, le=300)
    concurrency: int = Field(default=4, ge=1, le=64)
    rate: float | None = Field(default=None, gt=0, description="messages per second")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: SecretStr) -> SecretStr:
        written = value.get_secret_value()
        if _ADDRESS.fullmatch(written) is None or names_in(written) not in ([], ["to"]):
            raise ValueError(
                "应为 Apprise 的服务地址，如 ntfys://ntfy.example.com/{to}；占位符只有 {to}"
                " / expected an address of Apprise such as ntfys://ntfy.example.com/{to}; the only placeholder is {to}"
            )
        return value


class AppriseChannel(ProviderChannel):
    """One service through Apprise."""

    settings_type: ClassVar[type[BaseModel]] = AppriseSettings
    kind: ClassVar[str] = "apprise"


def open_apprise(settings: AppriseSettings) -> AppriseChannel:
    """A channel to this service.

    Raises:
        PermanentFailure: Apprise is not installed, or knows no such service.
    """
    try:
        from channels.wire.apprise_services import AppriseServices  # noqa: PLC0415  # an extra, half a second to load
    except ModuleNotFoundError:
        raise PermanentFailure("apprise_missing", "pip install duban[apprise]", whole_channel=True) from None

    return AppriseChannel(AppriseServices(settings), settings.concurrency)


CHANNEL = ChannelType("apprise", AppriseSettings, open_apprise, "apprise")
