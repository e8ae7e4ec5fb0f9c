from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from channels.registry import channel_types

DOCS = Path(__file__).parent.parent.parent / "docs"
SECRET = "whsec_bm90LWEtcmVhbC1zZWNyZXQtYnV0LWxvbmc="  # some channels ask for a key of this form


def revealed(value: Any) -> Any:
    """References to secrets replaced by something, as reading the file does."""
    if isinstance(value, dict):
        return SECRET if set(value) == {"credential"} else {name: revealed(inner) for name, inner in value.items()}
    return [revealed(inner) for inner in value] if isinstance(value, list) else value


def examples() -> list[Any]:
    """Every channel written out in the manuals."""
    found: list[Any] = []
    for manual in ("channels.md", "channels.zh-CN.md"):
        for block in re.findall(r"```yaml\n(.*?)```", (DOCS / manual).read_text(), re.DOTALL):
            tree = yaml.safe_load(block.replace("\n    …\n", '\n    "…": ""\n'))
            for name, channel in (tree.get("channels") or {"-": tree}).items():
                if channel["type"] in channel_types() and "…" not in channel:  # `shared` is the daemon's; … is left out
                    found.append(pytest.param(channel, id=f"{manual}-{name}-{channel['type']}"))
    return found


@pytest.mark.parametrize("channel", examples())
def test_every_example_of_the_manual_can_be_used(channel: dict[str, Any]) -> None:
    """What the manual shows is accepted as it stands."""
    settings = revealed({name: value for name, value in channel.items() if name != "type"})
    channel_types()[channel["type"]].settings.model_validate(settings)
