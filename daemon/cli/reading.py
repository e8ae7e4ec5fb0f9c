"""What the reporting commands share: the configuration and the store side by side with a running daemon, and tables."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.cli.output import language, speak
from daemon.names import Names
from daemon.settings import Configuration, load, store_url
from daemon.store import Store
from daemon.store.values import DeliveryState
from daemon.story import Story
from policies.model import Directory

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from datetime import datetime

    from rich.console import Console, RenderableType

    from daemon.store.values import Delivery

STATES = {
    DeliveryState.PENDING: ("待发", "pending"),
    DeliveryState.SENDING: ("发送中", "sending"),
    DeliveryState.RETRYING: ("等待重试", "retrying"),
    DeliveryState.IN_DOUBT: ("存疑", "in doubt"),
    DeliveryState.ACCEPTED: ("已受理", "accepted"),
    DeliveryState.DELIVERED: ("已送达", "delivered"),
    DeliveryState.FAILED: ("失败", "failed"),
    DeliveryState.CANCELLED: ("已取消", "cancelled"),
    DeliveryState.HELD: ("待核发", "awaits release"),
    DeliveryState.DARK: ("试运行", "dark"),
}
PAGE = 1000
LONGEST_WORDS = (40, 16, 12, 10, 8)  # what a table tries to keep whole, one after the other


@dataclass(frozen=True)
class Desk:
    """The configuration on disk and the store it names."""

    configuration: Configuration
    store: Store

    @cached_property
    def directory(self) -> Directory:
        """Everybody, as last read; nobody before the first reading."""
        remembered = self.store.directory()
        return remembered[0] if remembered else Directory()

    @cached_property
    def names(self) -> Names:
        """Words for codes, in the reader's language."""
        return Names(self.configuration, self.directory, language())

    def deliveries(self, case_key: str) -> list[Delivery]:
        """All deliveries of a case."""
        found: list[Delivery] = []
        while page := self.store.deliveries(case_key=case_key, limit=PAGE, after_id=found[-1].id if found else 0):
            found += page
        return found

    def story(self, deliveries: Sequence[Delivery]) -> Story:
        """Who tells the ledger of the case these deliveries are of."""
        return Story(self.names, {delivery.notice.key: delivery.notice for delivery in deliveries})

    def local(self, at: datetime | None) -> str:
        """An instant to the minute in the office's time zone; a dash for none."""
        return self.names.instant(at)


@contextmanager
def desk(config_path: str) -> Generator[Desk, None, None]:
    """Open both; raises SettingsError, StoreUnavailable or SchemaMismatch."""
    configuration = load(Path(config_path))
    store = Store(configuration.settings.store.url)
    try:
        yield Desk(configuration, store)
    finally:
        store.close()


@contextmanager
def desk_of_store(config_path: str) -> Generator[Store, None, None]:
    """Open only the store: works whatever is wrong in the policies. Raises as `desk` does."""
    store = Store(store_url(Path(config_path)))
    try:
        yield store
    finally:
        store.close()


def console() -> Console:
    """Where tables go: plain, so that a case number is never coloured or taken for markup."""
    from rich.console import Console as RichConsole  # noqa: PLC0415 - JSON is printed without it

    return RichConsole(highlight=False, markup=False)


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    empty: str = "",
    *,
    whole: Sequence[int] = (),
    right: Sequence[int] = (),
) -> None:
    """Print a table whose Chinese columns line up; `empty` instead when there are no rows.

    Columns numbered in `whole` are never broken over lines, those in `right` are aligned to the right.
    """
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - JSON is printed without it
    from rich.table import Table  # noqa: PLC0415 - the same

    screen = console()
    if not rows:
        screen.print(f"{title}{speak('：', ': ')}{empty or speak('无', 'none')}", soft_wrap=True)
        return
    screen.print(title, style="bold", soft_wrap=True)  # not as the table's own: a narrow table would break it
    widths, tight = _room(columns, rows, whole, screen.width)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=tight)
    for number, column in enumerate(columns):
        table.add_column(
            column,
            overflow="fold",
            no_wrap=number in whole,
            justify="right" if number in right else "left",
            width=widths[number],
        )
    for row in rows:
        table.add_row(*(_cell(cell) for cell in row))
    screen.print(table)


def _room(
    columns: Sequence[str], rows: Sequence[Sequence[object]], whole: Sequence[int], width: int
) -> tuple[list[int | None], bool]:
    """How wide each column is so that only long words are broken, and whether they stand closer for it.

    Nothing is said where everything has room, or where no width would help.
    """
    cells = [[column, *(str(row[number]) for row in rows)] for number, column in enumerate(columns)]
    full = [_widest(line for cell in several for line in cell.splitlines()) for several in cells]
    words = [_widest(word for cell in several for word in cell.split()) for several in cells]
    gaps = len(columns) - 1
    if sum(full) + 3 * gaps <= width:
        return [None] * len(full), False
    for longest in LONGEST_WORDS:
        least = [full[at] if at in whole else min(word, longest) for at, word in enumerate(words)]
        for gap in (3, 2):
            if (left := width - sum(least) - gap * gaps) >= 0:
                return list(_grown(least, full, left)), gap == 2  # noqa: PLR2004 - the narrower of the two
    return [None] * len(full), False


def _grown(least: list[int], full: Sequence[int], left: int) -> list[int]:
    """What is left goes to the columns that are shortest of what they would take."""
    wanting = [up - low for low, up in zip(least, full, strict=True)]
    for _ in range(min(left, sum(wanting))):
        most = wanting.index(max(wanting))
        least[most] += 1
        wanting[most] -= 1
    return least


def _widest(texts: Iterable[str]) -> int:
    from rich.cells import cell_len  # noqa: PLC0415 - JSON is printed without it

    return max(map(cell_len, texts), default=0)


def show_pairs(pairs: Sequence[tuple[str, object]]) -> None:
    """Print what is called how, the words in one column and what they say in the other."""
    from rich.table import Table  # noqa: PLC0415 - JSON is printed without it

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for word, value in pairs:
        grid.add_row(word, _cell(value))
    console().print(grid)


def _cell(value: object) -> RenderableType:
    from rich.console import RichCast  # noqa: PLC0415 - JSON is printed without it
    from rich.text import Text as Plain  # noqa: PLC0415 - the same

    return value if isinstance(value, Plain | RichCast) else Plain(str(value))


def state_word(state: DeliveryState) -> str:
    """A delivery's state in the reader's language."""
    return speak(*STATES[state])
