"""What is told when the four weeks are over: who got how much, one case's whole story, and where everything lies."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text as Plain

from daemon.demo.life import SHOWCASE
from daemon.demo.run import SENT, deliveries_after
from daemon.names import Names
from daemon.store.values import DeliveryState
from daemon.story import Story
from policies.model import Directory
from policies.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from daemon.demo.configuration import DemoFolder
    from daemon.settings import Configuration
    from daemon.store import Store
    from policies.text import Language


class Report:
    """Tells about one store, in the reader's language."""

    def __init__(self, store: Store, configuration: Configuration, language: Language) -> None:
        self._store = store
        self._language: Language = language
        self._deliveries = list(deliveries_after(store))
        remembered = store.directory()
        self._names = Names(configuration, remembered[0] if remembered else Directory(), language)

    def show(self, console: Console, folder: DemoFolder) -> None:
        """All of it."""
        console.print(self.summary())
        console.print()
        console.rule(self._say("一个案件的全过程：", "the whole story of one case: ") + SHOWCASE)
        console.print(self.story())
        self._show_places(console, folder)

    def summary(self) -> Table:
        """How many messages each role got over each channel, and what became of them."""
        table = Table(title=self._say("四周内的消息", "messages of the four weeks"), title_style="bold")
        for chinese, english in (("角色", "role"), ("通道", "channel")):
            table.add_column(self._say(chinese, english))
        for chinese, english in (("已发", "sent"), ("取消", "cancelled"), ("失败", "failed"), ("未决", "open")):
            table.add_column(self._say(chinese, english), justify="right")
        counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for role_and_channel, states in self._store.people_summary([]).items():
            role, _, channel = role_and_channel.partition(" ")
            for state, number in states.items():
                counts[role, channel][_outcome(DeliveryState(state))] += number
        for (role, channel), by_outcome in sorted(counts.items(), key=lambda each: (-each[1].total(), each[0])):
            numbers = (str(by_outcome[outcome] or "") for outcome in ("sent", "cancelled", "failed", "open"))
            table.add_row(self._names.role(role), self._names.channel(channel), *numbers)
        return table

    def story(self) -> Table:
        """The ledger of the scripted case as sentences, each with its local time."""
        notices = {delivery.notice.key: delivery.notice for delivery in self._deliveries}
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for line in Story(self._names, notices).brief(self._store.ledger(SHOWCASE)):
            grid.add_row(line.at, Plain(line.sentence))
        return grid

    def _show_places(self, console: Console, folder: DemoFolder) -> None:
        sent = Counter(delivery.notice.channel for delivery in self._deliveries if delivery.state in SENT)
        console.print()
        console.rule(self._say("都在这里", "where everything is"))
        for words, place in (
            (Text(f"邮件 {sent['email']} 封（.eml，可直接打开）", f"{sent['email']} mails (.eml)"), folder.mails),
            (Text(f"短信 {sent['sms']} 条", f"{sent['sms']} texts"), folder.texts / "texts.jsonl"),
            (Text("共享数据库（样本）", "the shared database (sample)"), folder.shared_database),
            (Text("duban 自己的库", "duban's own store"), folder.store),
            (Text("日志", "log"), folder.log),
            (Text("配置", "configuration"), folder.configuration.parent),
        ):
            console.print(f"  {words.say(self._language)}: {place}", highlight=False, markup=False, soft_wrap=True)
        console.print("\n" + self._say("接着可以试试：", "what to try next:"))
        program = command_name()
        for command in (
            f"explain {SHOWCASE}",
            f"ledger show {SHOWCASE}",
            "ledger verify",
            "outbox list",
            "check",
            "status",
        ):
            line = f"  {program} {command} -c {shown_path(folder.configuration)}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        note = self._say(
            "（演示的时间停在 2026年10月12日，所以 status 会说守护进程没有在运行。）",
            "(the demo's time stopped on 12 October 2026, so status will say that the daemon is not running)",
        )
        console.print(note, highlight=False, markup=False, soft_wrap=True)

    def _say(self, chinese: str, english: str) -> str:
        return chinese if self._language == "zh" else english


def _outcome(state: DeliveryState) -> str:
    if state in SENT:
        return "sent"
    return state.value if state in {DeliveryState.CANCELLED, DeliveryState.FAILED} else "open"


def command_name() -> str:
    """How this program is called from here: `duban` if the shell finds it, else the path that works."""
    if shutil.which("duban"):
        return "duban"
    beside = Path(sys.executable).with_name("duban")
    return shown_path(beside) if beside.exists() else f"{shown_path(Path(sys.executable))} -m daemon"


def shown_path(path: Path) -> str:
    """The path as it is typed here: relative where it lies below the current folder."""
    here = Path.cwd()
    typed = path.relative_to(here) if path.is_relative_to(here) else path
    return shlex.quote(str(typed))
