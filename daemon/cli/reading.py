"""What the reporting commands share: the configuration and the store side by side with a running daemon, and tables."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.cli.output import speak
from daemon.settings import Configuration, load
from daemon.store import Store
from daemon.store.values import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from datetime import datetime

    from rich.console import Console

STATES = {
    DeliveryState.PENDING: ("待发", "pending"),
    DeliveryState.SENDING: ("发送中", "sending"),
    DeliveryState.RETRYING: ("等待重试", "retrying"),
    DeliveryState.IN_DOUBT: ("存疑", "in doubt"),
    DeliveryState.ACCEPTED: ("已受理", "accepted"),
    DeliveryState.DELIVERED: ("已送达", "delivered"),
    DeliveryState.FAILED: ("失败", "failed"),
    DeliveryState.CANCELLED: ("已取消", "cancelled"),
}


@dataclass(frozen=True, slots=True)
class Desk:
    """The configuration on disk and the store it names."""

    configuration: Configuration
    store: Store

    def local(self, at: datetime | None) -> str:
        """An instant to the minute in the office's time zone; a dash for none."""
        return "—" if at is None else f"{at.astimezone(self.configuration.zone):%Y-%m-%d %H:%M}"


@contextmanager
def desk(config_path: str) -> Generator[Desk, None, None]:
    """Open both; raises SettingsError, StoreUnavailable or SchemaMismatch."""
    configuration = load(Path(config_path))
    store = Store(configuration.settings.store.url)
    try:
        yield Desk(configuration, store)
    finally:
        store.close()


def console() -> Console:
    """Where tables go: plain, so that a case number is never coloured or taken for markup."""
    from rich.console import Console as RichConsole  # noqa: PLC0415 - JSON is printed without it

    return RichConsole(highlight=False, markup=False)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str = "") -> None:
    """Print a table whose Chinese columns line up; `empty` instead when there are no rows."""
    from rich.table import Table  # noqa: PLC0415 - JSON is printed without it
    from rich.text import Text as Plain  # noqa: PLC0415 - the same

    if not rows:
        console().print(f"{title}{speak('：', ': ')}{empty or speak('无', 'none')}")
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Plain(str(cell)) for cell in row))
    console().print(table)


def state_word(state: DeliveryState) -> str:
    """A delivery's state in the reader's language."""
    return speak(*STATES[state])
