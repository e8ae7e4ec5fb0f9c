"""Days and instants on the command line, by the office's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from daemon.cli.output import speak

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from click.decorators import FC


def instant_option(*names: str, help: str) -> Callable[[FC], FC]:  # noqa: A002 - as click calls it
    """An option that takes `2026-05-20` or `2026-05-20 10:00`."""
    return click.option(*names, default=None, metavar="'2026-05-20 10:00'", help=help)


def read_instant(text: str, zone: ZoneInfo) -> datetime:
    """The instant meant on the office's clock, in UTC; one with an offset of its own is taken at its word.

    Raises ValueError: no time, or one that lies beyond the very ends of the calendar.
    """
    found = datetime.fromisoformat(text.strip())
    try:
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None


def instant_at(text: str, zone: ZoneInfo) -> datetime:
    """The instant meant on the office's clock; one with an offset of its own is taken at its word.

    Raises click.BadParameter.
    """
    try:
        return read_instant(text, zone)
    except ValueError:
        said = speak(
            f"“{text}”不是时间，请写成 2026-05-20 或 2026-05-20 10:00",
            f"'{text}' is no time: write 2026-05-20 or 2026-05-20 10:00",
        )
        raise click.BadParameter(said) from None
