from __future__ import annotations

import subprocess
import sys

import pytest

from channels.registry import channel_types, kind_of
from channels.spool import SpoolSettings


def test_all_built_in_channels_are_found() -> None:
    """A module beside the others that exports CHANNEL is a channel; each has its own settings and a kind."""
    types = channel_types()
    assert {"email", "http", "spool", "twilio", "wecom", "dingtalk", "feishu", "webhook", "apprise"} <= set(types)
    assert {name: each.kind for name, each in types.items()}["email"] == "email"
    assert all(each.settings.model_config.get("extra") == "forbid" for each in types.values())


def test_a_spool_says_which_addresses_it_needs() -> None:
    """The kind of address of a spool stands in its settings."""
    types = channel_types()
    assert kind_of(types["spool"], SpoolSettings.model_validate({"directory": "spool", "kind": "email"})) == "email"


@pytest.mark.parametrize("library", ["aiohttp", "aiosmtplib", "apprise", "twilio"])
def test_listing_loads_no_client_library(library: str) -> None:
    """`duban check` and `--help` stay quick: the clients are loaded when a channel is opened."""
    program = f"import sys, channels.registry as r; r.channel_types(); sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603  # our own words
