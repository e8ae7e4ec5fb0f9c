"""SMS through 移动云MAS (HTTP norsubmit and tmpsubmit): free text, or approved templates."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field, SecretStr, field_validator

from channels.base import ChannelType
from channels.wire.approved import OrderedTemplate, some_approved
from channels.wire.cloud import CloudChannel, CloudSettings
from channels.wire.cloud_calls import hear_mas


class MasSettings(CloudSettings):
    """`type: mas`. Time-outs in seconds.

    `sign` is the number of the signature; `signature` its words, which the platform puts in front and which are
    therefore taken off the text. Without `templates` the whole text is sent.
    """

    base_url: str = Field(pattern=r"^https?://[^/?#]+/?$", description="address and port as the platform shows them")
    ec_name: str = Field(min_length=1)
    ap_id: str = Field(min_length=1)
    secret_key: SecretStr
    sign: str = Field(min_length=1)
    signature: str = ""
    add_serial: str = Field(default="", pattern=r"^\d{0,20}$")
    templates: dict[str, OrderedTemplate] = Field(default_factory=dict[str, OrderedTemplate])
    plain_path: str = Field(default="/sms/norsubmit", pattern=r"^/")
    template_path: str = Field(default="/sms/tmpsubmit", pattern=r"^/")

    _some_approved = field_validator("templates")(some_approved)


class MasChannel(CloudChannel):
    """SMS through one interface account of 云MAS."""

    settings_type: ClassVar[type[BaseModel]] = MasSettings


def open_mas(settings: MasSettings) -> MasChannel:
    """A channel over this account; nothing is asked before the first message.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.mas_sms import MasSms  # noqa: PLC0415  # aiohttp takes a quarter of a second to load

    return MasChannel(MasSms(settings), settings, hear_mas, tells_delivery=False)


CHANNEL = ChannelType("mas", MasSettings, open_mas, "sms", frozenset({"delivery", "replies"}))
