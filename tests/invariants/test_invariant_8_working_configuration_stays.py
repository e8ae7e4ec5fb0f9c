"""Invariant 8: a broken configuration never replaces a working one; the version in force is on every notice."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.errors import SettingsError
from daemon.settings import load
from support.office import POLICY
from support.running_office import running_office

if TYPE_CHECKING:
    from support.running_office import Running

EXAMPLES = max(settings().max_examples // 4, 25)  # few for every run; `make explore` looks for more
LINES: tuple[str, ...] = tuple(POLICY.strip("\n").split("\n"))
NEW_CASE = "INSERT INTO cases VALUES ('XF-NEW', 's1', 'h1', '求决', ?, ?, NULL, NULL, NULL, NULL, ?)"
ARRIVED = "2026-09-16 10:00:00"

WORDS = st.sampled_from(
    ["15", "0 日", "-3 工作日", "30 日", "due", "start + 50%", "nobody", "first_handler", "[]", "{}", "null", "true",
     "办结", "say: shout", "\t", ":", "- ", "&a", "*a", "!!python/object:os.system", "'", "{a: 1", "x: y"]
)  # fmt: skip


DEEDS = ("cut", "double", "indent", "truncate", "value", "character", "text")


@st.composite
def broken_texts(draw: st.DrawFn) -> str:
    """The office's policy with some lines cut, doubled, moved in, cut short, in other words, with unwritten texts."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(lines) - 1))
        line, deed = lines[number], draw(st.sampled_from(DEEDS))
        if deed == "cut" and len(lines) > 1:
            del lines[number]
        elif deed == "double":
            lines.insert(number, line)
        elif deed == "indent":
            lines[number] = "  " + line
        elif deed == "truncate":
            lines[number] = line[: draw(st.integers(0, len(line)))]
        elif deed == "text":
            lines = [each.replace("say: remind", "say: shout") for each in lines]
        elif deed == "value":
            lines[number] = f"{line.partition(':')[0]}: {draw(WORDS)}"
        else:
            at = draw(st.integers(0, len(line)))
            lines[number] = line[:at] + draw(st.characters(codec="utf-8")) + line[at:]
    return "\n".join(lines) + "\n"


async def reloaded(world: Running) -> str | None:
    """Do as `duban reload` does: the version the files say, or None if files, templates or trials are refused."""
    try:
        configuration = load(world.office.configuration)
        await world.node.reload(configuration)
    except SettingsError:
        return None
    return configuration.version


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=broken_texts())
def test_whatever_becomes_of_a_policy_file_the_rules_are_whole_and_on_every_notice(
    migrated_sqlite: Path, text: str
) -> None:
    """Any mutation loads, or is refused and the old rules go on; new notices bear the version that is in force."""

    async def live(folder: Path) -> None:
        shutil.copy(migrated_sqlite, folder / "duban.sqlite")
        async with running_office(folder, f"sqlite:///{folder / 'duban.sqlite'}") as world:
            await world.work()
            old, rules = world.node.version, world.node._engine.rules.policies  # pyright: ignore[reportPrivateUsage]
            (world.office.folder / "policies" / "office.yaml").write_text(text, encoding="utf-8", newline="")
            new = await reloaded(world)
            assert world.node.version == (old if new is None else new)
            if new is None:
                assert world.node._engine.rules.policies == rules  # pyright: ignore[reportPrivateUsage]
            world.execute(NEW_CASE, ARRIVED, ARRIVED, "2026-09-16 10:00:01.000000")
            await world.node.full_sync()
            await world.node.pump_until_idle()
            if new is None:
                assert len(world.deliveries(key="XF-NEW")) == len(world.deliveries()) == 2
            await world.work("2026-09-28 09:00")  # the case that ran before goes on as it began
            assert [one.notice.say for one in world.deliveries("sms")] == ["assigned", "remind"]
            assert {one.policy_version for one in world.deliveries()} <= {old}
            assert {one.policy_version for one in world.deliveries(key="XF-NEW")} <= {world.node.version}

    with tempfile.TemporaryDirectory(prefix="duban-reload-") as folder:
        asyncio.run(live(Path(folder)))
