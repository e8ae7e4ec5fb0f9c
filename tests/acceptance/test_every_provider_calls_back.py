"""Receipts of every provider that can call us, over real HTTP: before its answer, twice, and never.

Twilio has its own in `test_coming_back.py`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from daemon.console import open_console
from daemon.console.health import Health
from support.calling_providers import CALLING
from support.running_office import running_office
from support.sms_gateway import running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from support.calling_providers import CallingProvider
    from support.office import Office
    from support.running_office import Running

IN_ORDER = "via: {in_order: [sms, email], wait: 30 分钟}"
PUBLIC = "https://duban.example.com"
EVERY = pytest.mark.parametrize("name", CALLING)


@asynccontextmanager
async def calling_office(
    folder: Path, store_url: str, provider: CallingProvider
) -> AsyncGenerator[tuple[Running, CallingProvider]]:
    """The office over this provider, its web side open; a mail follows where no receipt comes."""
    async with running(provider.server):

        def prepare(office: Office) -> None:
            office.change("policies/office.yaml", "via: [sms, email]", IN_ORDER)
            office.put_channel("sms", provider.settings(provider.server.url))
            secret = "an invented secret of the tests"
            office.put("console", {"listen": "127.0.0.1:0", "public_url": PUBLIC, "secret": secret})

        async with running_office(folder, store_url, prepare=prepare) as world:
            settings = world.node.configuration.settings.console
            assert settings is not None
            console = open_console(world.node, settings, lambda: Health(proof_holds=True, stale_jobs=()))
            assert await console.start()
            provider.console_port = console.port
            try:
                yield world, provider
            finally:
                await console.stop()


@EVERY
@pytest.mark.parametrize("times", [1, 2])
async def test_a_receipt_before_the_answer(name: str, times: int, tmp_path: Path, sqlite_store_url: str) -> None:
    """The provider calls, once or twice, before it has answered us: arrived, once on record, no mail follows."""
    async with calling_office(tmp_path, sqlite_store_url, CALLING[name]()) as (world, provider):
        provider.before_answer = times
        await world.work()
        await world.node.take_in()
        await world.live_until("2026-09-16 12:00")
        await world.node.take_in()
        assert provider.answers == [200] * times
        assert world.states() == ["assigned h0 delivered"]
        assert len(world.told("delivered")) == 1
        assert len(provider.taken) == 1


@EVERY
async def test_a_receipt_twice(name: str, tmp_path: Path, sqlite_store_url: str) -> None:
    """Told twice after the answer, and once more later: one line, one message, no mail."""
    async with calling_office(tmp_path, sqlite_store_url, CALLING[name]()) as (world, provider):
        await world.work()
        await provider.tell()
        await provider.tell()
        await world.node.take_in()
        await provider.tell()
        await world.node.take_in()
        assert await world.live_until("2026-09-16 12:00") == []
        assert world.states() == ["assigned h0 delivered"]
        assert len(world.told("delivered")) == 1
        assert world.store.inbox_waiting() == 0


@EVERY
async def test_a_receipt_never(name: str, tmp_path: Path, sqlite_store_url: str) -> None:
    """Half an hour without a word: the mail follows; what was accepted stays accepted."""
    async with calling_office(tmp_path, sqlite_store_url, CALLING[name]()) as (world, provider):
        told = await world.live_until("2026-09-16 12:00")
        assert [(one.clock, one.channel) for one in told] == [("2026-09-16 10:30", "email")]
        assert world.states() == ["assigned h0 accepted", "assigned h0 accepted"]
        assert len(provider.taken) == 1
