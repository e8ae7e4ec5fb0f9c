"""The web side: where providers bring receipts and replies, the acknowledgement page, the state of health."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from daemon.console.acknowledge import AcknowledgePage
from daemon.console.app import app
from daemon.console.calls import Calls
from daemon.console.health import health_route
from daemon.console.server import ConsoleServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.console.health import Health
    from daemon.settings import ConsoleSettings
    from daemon.wiring import Node


def open_console(node: Node, settings: ConsoleSettings, health: Callable[[], Health]) -> ConsoleServer:
    """The server with all its pages, not yet started."""
    prefix = urlsplit(settings.public_url).path
    calls = Calls(node, settings.public_url, prefix)
    pages = AcknowledgePage(node)
    routes = [health_route(health, calls.counts), *calls.routes(), *pages.routes()]
    return ConsoleServer(app(routes, prefix), settings.listen)
