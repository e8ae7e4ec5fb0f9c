"""The invented office with its web side open on a port of its own: what a telephone that follows a link meets."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp

from daemon.console import open_console
from daemon.console.health import Health
from support.running_office import running_office

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from support.office import Office
    from support.running_office import Running

CONSOLE = """console:
  listen: 127.0.0.1:0
  public_url: https://duban.example.com
  secret: an invented secret of the tests
  link_days: 30
administrators:"""
LINK = re.compile(r"https://duban\.example\.com(/a/[0-9A-Za-z]+)")
BUTTON = re.compile(r'<input[^>]*name="([a-z0-9]+)"')


def with_console(office: Office) -> None:
    """The web side, links and replies in text messages and mails, and an acknowledgement wanted at the start."""
    office.change("duban.yaml", "administrators:", CONSOLE)
    office.change("duban.yaml", "    reference: {json: data.id}", "    reference: {json: data.id}\n    replies: true")
    office.change("duban.yaml", "    connections: 4", "    connections: 4\n    replies: true")
    wanted = "say: assigned, acknowledge: {within: 4 工作小时, else: section_head}}"
    office.change("policies/office.yaml", "say: assigned}", wanted)


def with_changes(*changes: tuple[str, str, str]) -> Callable[[Office], None]:
    """The same, and more changes: file, old words, new ones."""

    def prepare(office: Office) -> None:
        with_console(office)
        for name, old, new in changes:
            office.change(name, old, new)

    return prepare


class Telephone:
    """A browser without a script that follows links of the office."""

    def __init__(self, base: str) -> None:
        self.base = base

    async def get(self, path: str) -> tuple[int, str]:
        """Open a page."""
        return await self._ask("GET", path)

    async def press(self, path: str, button: str) -> tuple[int, str]:
        """Press a button on the page, as its form would send it."""
        return await self._ask("POST", path, {button: "签 收"})

    async def _ask(self, method: str, path: str, data: dict[str, str] | None = None) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.request(method, self.base + path, data=data) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def web_office(
    folder: Path, store_url: str, *, prepare: Callable[[Office], None] = with_console, cases: int = 1
) -> AsyncGenerator[tuple[Running, Telephone]]:
    """The running office, and a telephone that reaches it."""
    async with running_office(folder, store_url, cases=cases, prepare=prepare) as world:
        settings = world.node.configuration.settings.console
        assert settings is not None
        server = open_console(world.node, settings, lambda: Health(proof_holds=True, stale_jobs=()))
        assert await server.start()
        try:
            yield world, Telephone(f"http://127.0.0.1:{server.port}")
        finally:
            await server.stop()


def link_in(text: str) -> str:
    """The path of the only link in a message."""
    (path,) = set(LINK.findall(text))
    return str(path)


def buttons_on(page: str) -> list[str]:
    """What the buttons of a page are called."""
    return BUTTON.findall(page)
