"""飞书 (Feishu, Lark): messages of an application's bot to people, by user id, open id or mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, Field, SecretStr

from channels.base import CANNOT_ASK, ChannelType, OutcomeUnknown
from channels.wire.connection import ConnectionSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Message, Outcome, Receipt
    from channels.wire.feishu_messages import FeishuMessages


class FeishuSettings(ConnectionSettings):
    """`type: feishu`. For Lark outside China: `base_url: https://open.larksuite.com`."""

    app_id: str = Field(min_length=1)
    app_secret: SecretStr = Field(min_length=1)
    receive_id_type: Literal["user_id", "open_id", "union_id", "email"] = "user_id"
    base_url: str = Field(default="https://open.feishu.cn", pattern=r"^https?://")


class FeishuChannel:
    """Messages of one application's bot."""

    settings_type: ClassVar[type[BaseModel]] = FeishuSettings
    kind: ClassVar[str] = "feishu"

    def __init__(self, messages: FeishuMessages, at_once: int) -> None:
        self.at_once = at_once  # what it sends at the same time
        self._messages = messages

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all, at most `concurrency` at once; the outcome of each, in the same order."""
        return await self._messages.send_many(messages)

    async def lookup(self, message: Message) -> Receipt | None:
        """Feishu cannot be asked by our own reference; within an hour it leaves out what is sent twice.

        Raises:
            OutcomeUnknown: always.
        """
        del message
        raise OutcomeUnknown(CANNOT_ASK, "Feishu knows a message by its own number only")

    async def close(self) -> None:
        """Close the connections."""
        await self._messages.close()


def open_feishu(settings: FeishuSettings) -> FeishuChannel:
    """A channel of this application; the token is asked for with the first message.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.feishu_messages import FeishuMessages  # noqa: PLC0415  # aiohttp takes a quarter of a second

    return FeishuChannel(FeishuMessages(settings), settings.concurrency)


CHANNEL = ChannelType("feishu", FeishuSettings, open_feishu, "feishu")
