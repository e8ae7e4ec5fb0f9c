"""Follows a guide as its reader would: saves its YAML, runs its commands in a shell, and compares what is shown.

A guide is Markdown. Its blocks are taken in order:

* the first ```yaml block is the policy file; in each later one the first line is already in the file that the comment
  `# file: name` above names (the policy, if there is none), and the rest goes below it;
* each ```sh block is run; `cd` and `export` last until the end;
* a ```text block is what the command before it shows. A line `…` stands for any number of lines.

`python -m support.guide PAGE…` (`make guide`) writes what is shown now into the blocks that fit no more, whole: shorten
them by `…` afterwards.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from support.daemon_process import DUBAN, PATIENCE, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

POLICY = Path("policies/tousu.yaml")
BLOCK = re.compile(
    r"^(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>yaml|sh|text)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
VERSION = re.compile(r"\b[0-9a-f]{12}\b")
LEFT_OUT = "…"
RUNS_FOR_A_WHILE = re.compile(r"\btimeout \d+ (duban run\b.*)")
ONCE_AROUND = 6  # seconds of running: every job has had its turn


@dataclass
class Step:
    """One block, and for what is shown what really was."""

    kind: str
    file: str | None
    body: str
    start: int
    end: int
    shown: str = field(default="")


def steps_of(page: str) -> list[Step]:
    """The blocks of a page, in order."""
    return [
        Step(found["kind"], found["file"], found["body"], found.start("body"), found.end("body"))
        for found in BLOCK.finditer(page)
    ]


def follow(steps: Sequence[Step], folder: Path) -> Iterator[Step]:
    """Do every step in the folder; yields each block of shown text with what was really shown."""
    place, exported = folder, environment(COLUMNS="80", PATH=f"{DUBAN.parent}:/usr/bin:/bin", HOME=str(folder))
    shown = ""
    for step in steps:
        if step.kind == "yaml":
            write(step, place)
        elif step.kind == "sh":
            shown, place, exported = run(step.body, place, exported)
        else:
            step.shown = shown
            yield step


def write(step: Step, place: Path) -> None:
    """Save the first YAML block, and put a later one where its first line stands."""
    file = place / (step.file or POLICY)
    if not file.exists():
        file.write_text(step.body, "utf-8")
        return
    anchor, _, added = step.body.partition("\n")
    text = file.read_text("utf-8")
    lines = text.splitlines()
    assert lines.count(anchor) == 1, f"not one line {anchor!r} in {file.name}"
    lines.insert(lines.index(anchor) + 1, added.rstrip("\n"))
    file.write_text("\n".join(lines) + "\n", "utf-8")


def run(commands: str, place: Path, exported: dict[str, str]) -> tuple[str, Path, dict[str, str]]:
    """Run commands in a shell; what they show, where they end, and what they leave in the environment."""
    commands = RUNS_FOR_A_WHILE.sub(rf"timeout {ONCE_AROUND} \1", commands)
    done = subprocess.run(  # noqa: S603 - the commands of our own manual
        ["/bin/bash", "-c", f"{commands}\nprintf '\\0'; pwd; printf '\\0'; env -0"],
        cwd=place,
        env=exported,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    shown, now_in, *variables = done.stdout.split("\0")
    return shown, Path(now_in.strip()), dict(one.split("=", 1) for one in variables if "=" in one)


def plain(text: str) -> list[str]:
    """Lines as they are compared: versions of policies and blanks at the end do not count."""
    lines = [VERSION.sub("############", line).rstrip() for line in text.strip("\n").splitlines()]
    return [line for line in lines if line]


def fits(expected: Sequence[str], found: Sequence[str]) -> bool:
    """Whether these lines are what is expected, `…` standing for any number of them."""
    if not expected:
        return not found
    if expected[0].strip() == LEFT_OUT:
        return any(fits(expected[1:], found[skipped:]) for skipped in range(len(found) + 1))
    return bool(found) and expected[0] == found[0] and fits(expected[1:], found[1:])


def written_again(page: str) -> str:
    """The page with what is shown today. A block that fits stays; one that does not is replaced whole."""
    with tempfile.TemporaryDirectory() as folder:
        told = [step for step in follow(steps_of(page), Path(folder)) if not fits(plain(step.body), plain(step.shown))]
    for step in reversed(told):
        fresh = "\n".join(line.rstrip() for line in step.shown.strip("\n").splitlines())
        page = f"{page[: step.start]}{fresh}\n{page[step.end :]}"
    return page


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(written_again(Path(name).read_text("utf-8")), "utf-8")
