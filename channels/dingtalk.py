"""钉钉 (DingTalk): work notices of an application of one's own to staff, or a robot that speaks in one group."""

from __future__ import annotations

from typing import ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from channels.base import ChannelType
from channels.wire.connection import ConnectionSettings
from channels.wire.shell import ProviderChannel


class RobotSettings(BaseModel):
    """A custom robot of one group: the token of its address, the secret of its signature."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    access_token: SecretStr = Field(min_length=1)
    secret: SecretStr | None = Field(default=None, min_length=1)
    per_minute: int = Field(default=20, ge=1, le=10_000)


class DingTalkSettings(ConnectionSettings):
    """`type: dingtalk`: either an application (`app_key`, `app_secret`, `agent_id`) or a `robot`.

    `confirm_after` is after how many seconds DingTalk is asked what became of a work notice it took; 0: never.
    """

    app_key: str | None = Field(default=None, min_length=1)
    app_secret: SecretStr | None = Field(default=None, min_length=1)
    agent_id: int | None = Field(default=None, ge=1)
    robot: RobotSettings | None = None
    confirm_after: float = Field(default=2, ge=0, le=60)
    time_zone: str = "Asia/Shanghai"
    base_url: str = Field(default="https://oapi.dingtalk.com", pattern=r"^https?://")

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("没有这个时区 / no such time zone") from None
        return value

    @model_validator(mode="after")
    def _one_way(self) -> DingTalkSettings:
        application = {"app_key": self.app_key, "app_secret": self.app_secret, "agent_id": self.agent_id}
        missing = [name for name, value in application.items() if value is None]
        if self.robot is None and missing:
            raise ValueError(
                f"缺少 {'、'.join(missing)}（工作通知），或写 robot（群机器人）"
                f" / {', '.join(missing)} missing (work notices); or write robot (a robot in a group)"
            )
        if self.robot is not None and len(missing) < len(application):
            raise ValueError(
                "robot 与 app_key、app_secret、agent_id 不能同时写"
                " / robot excludes app_key, app_secret and agent_id: make two channels"
            )
        return self


class DingTalkChannel(ProviderChannel):
    """Work notices, or a robot."""

    settings_type: ClassVar[type[BaseModel]] = DingTalkSettings
    kind: ClassVar[str] = "dingtalk"


def open_dingtalk(settings: DingTalkSettings) -> DingTalkChannel:
    """A channel of this application or robot; nothing is asked before the first message.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.dingtalk_messages import WorkNotices  # noqa: PLC0415  # aiohttp takes a quarter of a second
    from channels.wire.dingtalk_robot import GroupRobot  # noqa: PLC0415  # the same

    if settings.robot is not None:
        return DingTalkChannel(GroupRobot(settings, settings.robot), settings.concurrency, tells_delivery=False)
    return DingTalkChannel(WorkNotices(settings), settings.concurrency, tells_delivery=True)


CHANNEL = ChannelType("dingtalk", DingTalkSettings, open_dingtalk, "dingtalk", frozenset({"asked", "delivery"}))
