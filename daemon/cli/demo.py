"""`duban demo`: four weeks of an invented city in a minute, with a real mail server and a real SMS gateway."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

from daemon import telemetry
from daemon.cli.output import language, no_traceback, speak
from daemon.clock import SystemClock
from daemon.demo.configuration import DemoFolder
from daemon.demo.report import Report, command_name, shown_path
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
@click.option("--real-time", is_flag=True, help="按真实时间运行，直到 Ctrl-C / in real time, until Ctrl-C")
@no_traceback
def demo(folder: Path | None, seconds: float, seed: int, *, real_time: bool) -> None:
    """演示：快进四周 / demo: four weeks in a minute.

    不需要任何配置，也不接触任何真实系统 / needs no configuration and touches no real system.
    """
    place = DemoFolder((folder or Path(f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}")).resolve())
    said = language()
    console = Console(highlight=False)
    if real_time:
        _run_in_real_time(place, seed, console)
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


def _run_in_real_time(place: DemoFolder, seed: int, console: Console) -> NoReturn:
    """The daemon itself, until it is stopped; leaves with its exit code."""
    said = language()

    status = f"{command_name()} status -c {shown_path(place.configuration)}"

    def announce() -> None:
        told = speak(
            f"某市的数据已移到本周，守护进程按真实时间运行，按 Ctrl-C 结束。邮件、短信在 {place.folder}。\n"
            f"另开一个窗口：{status}",
            "The invented city was moved to this week; the daemon runs in real time until Ctrl-C."
            f" Mails and texts are in {place.folder}.\nIn another window: {status}",
        )
        console.print(told, markup=False, soft_wrap=True)
        telemetry.set_up()

    with View(Picture(), said, Console(quiet=True)) as view:
        sys.exit(Demo(place, seed, 0, said, view).run_in_real_time(SystemClock(), announce))
