"""Tokens of acknowledgement links: ours are read back, anything else is refused, the same delivery has the same one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from daemon.links import LinkExpired, LinkRefused, Links, LinkUnknown
from daemon.settings import ConsoleSettings

NOW = datetime(2026, 9, 17, 2, tzinfo=UTC)
DELIVERIES = st.integers(min_value=1, max_value=2**63 - 1)
TEXTS = st.text(max_size=60) | st.text("abcXYZ019", max_size=60)


SIGNING = "sixteen characters or more"


def links(secret: str = SIGNING, old: str | None = None, days: int = 30) -> Links:
    """The links of an invented office."""
    return Links(
        ConsoleSettings(
            public_url="https://duban.example.com",
            secret=SecretStr(secret),
            old_secret=None if old is None else SecretStr(old),
            link_days=days,
        )
    )


@given(DELIVERIES, st.integers(0, 30))
def test_a_token_names_its_delivery_until_it_expires(delivery: int, days: int) -> None:
    """Whatever the number, it is read back on every day of its life."""
    made = links()
    assert made.read(made.token(delivery, NOW), NOW + timedelta(days=days)) == delivery


@given(DELIVERIES, DELIVERIES)
def test_the_same_delivery_has_the_same_token_and_no_other_has_it(one: int, other: int) -> None:
    """Written again, a message has the same bytes; two messages never share a token."""
    assert (links().token(one, NOW) == links().token(other, NOW)) == (one == other)


@given(DELIVERIES, st.data())
def test_one_changed_character_is_refused(delivery: int, data: st.DataObject) -> None:
    """Whatever is changed, left out or added, nothing is opened."""
    token = links().token(delivery, NOW)
    place = data.draw(st.integers(0, len(token) - 1))
    put = data.draw(st.sampled_from(["", *"0aZ9", "00"]))
    altered = token[:place] + put + token[place + 1 :]
    if altered != token:
        with pytest.raises(LinkUnknown):
            links().read(altered, NOW)


@given(TEXTS)
def test_what_anybody_makes_up_is_refused_and_breaks_nothing(token: str) -> None:
    """Any text is only ever unknown."""
    with pytest.raises(LinkUnknown):
        links().read(token, NOW)


def test_a_token_ends_with_its_days() -> None:
    """Good through the last day in UTC, over on the next, and told apart from one that was never ours."""
    made = links(days=7)
    token = made.token(42, NOW)
    assert made.read(token, NOW.replace(hour=23) + timedelta(days=7)) == 42
    with pytest.raises(LinkExpired):
        made.read(token, NOW + timedelta(days=8))


def test_another_secret_opens_nothing_but_the_old_one_does() -> None:
    """Links signed before the secret was changed stay good as long as the old secret is named."""
    token = links("the first secret ever").token(42, NOW)
    assert links("another secret 1234", old="the first secret ever").read(token, NOW) == 42
    with pytest.raises(LinkRefused):
        links("another secret 1234").read(token, NOW)


@pytest.mark.parametrize("secret", ["", "short"])
def test_a_secret_that_could_be_guessed_is_refused_as_the_old_one_too(secret: str) -> None:
    """With an empty file for the old secret everybody could sign links."""
    with pytest.raises(ValidationError):
        ConsoleSettings.model_validate({"public_url": "https://a.example.com", "secret": SIGNING, "old_secret": secret})


def test_a_link_is_short_and_of_letters_and_digits() -> None:
    """No phone breaks it at a sign, and a millionth delivery still has at most 24 characters after the slash."""
    link = links().link(1_000_000, NOW)
    assert re.fullmatch(r"https://duban\.example\.com/a/[0-9A-Za-z]{24}", link)
