"""The settings every channel over HTTP has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ConnectionSettings(BaseModel):
    """How the provider is reached. Time-outs in seconds; `rate` in messages a second."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, coerce_numbers_to_str=True, hide_input_in_errors=True
    )

    connect_timeout: float = Field(default=10, gt=0, le=300)
    timeout: float = Field(default=30, gt=0, le=300)
    concurrency: int = Field(default=8, ge=1, le=256)
    rate: float | None = Field(default=None, gt=0, description="messages per second")
    ca_file: str | None = None
