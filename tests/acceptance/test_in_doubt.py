"""The provider took the message and its answer was lost: what one whole office does about it, provider by provider."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.provider_office import ASKED, NOT_ASKED, asked_http, later, office_with, taken
from support.running_office import SHANGHAI
from support.sms_gateway import SmsGateway

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("provider", ASKED)
async def test_what_the_provider_has_is_not_sent_again(provider: str, tmp_path: Path, store_url: str) -> None:
    """A provider that can be asked says that it has the message: it is accepted, and reaches its reader once."""
    kind, settings = ASKED[provider]
    server = kind()
    async with office_with(tmp_path, store_url, server, settings) as office:
        server.fail("drop")
        await office.work()
        assert office.states() == ["assigned h0 in_doubt"]
        await later(office)
        assert office.states() == ["assigned h0 accepted"]
        assert len(taken(server)) == 1


@pytest.mark.parametrize("provider", ["http", "twilio"])
async def test_what_the_provider_never_got_goes_out_without_a_mark(
    provider: str, tmp_path: Path, store_url: str
) -> None:
    """It says that it has no such message: sent again, as if for the first time."""
    kind, settings = ASKED[provider]
    server = kind()
    async with office_with(tmp_path, store_url, server, settings) as office:
        server.fail("reset")
        await office.work()
        assert office.states() == ["assigned h0 in_doubt"]
        await later(office)
        assert office.states() == ["assigned h0 accepted"]
        (only,) = taken(server)
        assert "可能重复" not in only


@pytest.mark.parametrize("provider", NOT_ASKED)
async def test_where_nobody_can_be_asked_the_second_one_says_so(provider: str, tmp_path: Path, store_url: str) -> None:
    """The message goes out again, marked for the reader, in the outbox and in the ledger."""
    kind, settings = NOT_ASKED[provider]
    server = kind()
    async with office_with(tmp_path, store_url, server, settings) as office:
        server.fail("drop")
        await office.work()
        assert office.states() == ["assigned h0 in_doubt"]
        await later(office)
        assert office.states() == ["assigned h0 accepted"]
        first, second = taken(server)
        assert "可能重复" not in first
        assert "可能重复" in second
        assert office.deliveries()[0].possible_duplicate


async def test_only_questions_without_an_answer_count_as_asked_in_vain(tmp_path: Path, store_url: str) -> None:
    """Busy five times, then the answer is lost and four questions fail: the fifth says that the provider has it."""
    server = SmsGateway()
    async with office_with(tmp_path, store_url, server, asked_http) as office:
        server.fail(*["503"] * 5, "drop", *["503"] * 4)
        await office.live_until(f"{office.clock.now().astimezone(SHANGHAI) + timedelta(minutes=30):%Y-%m-%d %H:%M}")
        assert office.states() == ["assigned h0 accepted"]
        assert len(taken(server)) == 1


async def test_a_provider_that_never_answers_is_asked_five_times(tmp_path: Path, store_url: str) -> None:
    """Then nobody can know: the message goes out again, marked."""
    server = SmsGateway()
    async with office_with(tmp_path, store_url, server, asked_http) as office:
        server.fail("drop", *["503"] * 5)
        await office.live_until(f"{office.clock.now().astimezone(SHANGHAI) + timedelta(minutes=30):%Y-%m-%d %H:%M}")
        assert office.states() == ["assigned h0 accepted"]
        first, second = taken(server)
        assert ("可能重复" in first, "可能重复" in second) == (False, True)
        assert server.requests == 7
