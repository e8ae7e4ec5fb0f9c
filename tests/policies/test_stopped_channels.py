"""Who stopped a channel (退订): every step still reaches him another way, or somebody above him."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from policies.ladders.via import channels_named, heard_over, reachable
from policies.model import Directory, Official

KINDS = {"sms": "sms", "sms2": "sms", "email": "email", "wecom": "wecom"}
PEOPLE = {
    "a": Official("a", "甲", addresses={"sms": "+8613800000001", "email": "a@example.com"}),
    "b": Official("b", "乙", addresses={"sms": "+8613800000002"}),
    "c": Official("c", "丙"),
}
NAMES = st.lists(st.sampled_from(sorted(KINDS)), unique=True, max_size=4)


@given(st.sampled_from(sorted(PEOPLE)), NAMES, NAMES)
def test_whoever_the_chain_finds_can_be_told_over_the_step(person: str, stopped: list[str], used: list[str]) -> None:
    """An address is left exactly where a channel of the step uses it that he did not stop: nobody is found in vain."""
    directory = Directory(officials=PEOPLE, stopped={person: frozenset(stopped)} if stopped else {})
    channels = channels_named(tuple(used), KINDS)
    names = reachable(person, channels, directory)
    found = heard_over(channels, directory).officials[person].addresses
    assert bool(names) == any(found.get(kind) for kind in channels.kinds)
    assert not set(names) & set(stopped)
    others = replace(directory, stopped={})
    assert set(reachable(person, channels, others)) - set(stopped) == set(names)


def test_without_stops_the_directory_is_the_very_same() -> None:
    """Nothing is copied for every decision where nobody stopped anything."""
    directory = Directory(officials=PEOPLE)
    assert heard_over(channels_named(("sms",), KINDS), directory) is directory
