"""`duban demo`: four weeks of an invented city in a minute, with a real mail server and a real SMS gateway."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from daemon.cli.output import language, no_traceback, speak
from daemon.demo.configuration import DemoFolder
from daemon.demo.report import Report
from daemon.demo.run import Demo
from daemon.demo.view import Picture, View
from daemon.store import Store


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="放在哪里 / where to put everything")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    help="在终端上至少演多久 / how long it takes on a terminal, at least",
)
@click.option("--seed", type=int, default=1, show_default=True, help="换一个数就是另一段故事 / another story")
@no_traceback
def demo(folder: Path | None, seconds: float, seed: int) -> None:
    """演示：快进四周 / demo: four weeks in a minute.

    不需要任何配置，也不接触任何真实系统 / needs no configuration and touches no real system.
    """
    place = DemoFolder((folder or Path(f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}")).resolve())
    said = language()
    console = Console(highlight=False)
    console.print(
        speak(
            "虚构的某市，2026年9月14日至10月12日：真实的守护进程部件、邮件服务器和短信网关，只有时钟是快进的。",
            "An invented city, 14 September to 12 October 2026: the daemon's real parts, a real mail server and SMS"
            " gateway; only the clock is fast-forwarded.",
        )
    )
    picture = Picture()
    with View(picture, said, console) as view:
        configuration = Demo(place, seed, seconds, said, view).run()
    store = Store(configuration.settings.store.url)
    try:
        Report(store, configuration, said).show(console, place)
    finally:
        store.close()
