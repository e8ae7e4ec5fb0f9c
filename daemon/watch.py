"""Notice that configuration files changed, without asking the kernel: it works on every file system and in containers.

A file is half written for a moment, and several belong together: a change counts once two looks show the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LOOK_EVERY = 2.0  # seconds
_LEFT_BY_EDITORS = ("~", ".swp", ".tmp", ".bak")

Look = frozenset[tuple[str, int, int, int]]  # path, when changed, size, inode


def look_at(main: Path, folders: Iterable[Path]) -> Look:
    """How the files are now: the YAML beside the main one, and everything in the folders it names."""
    found: set[tuple[str, int, int, int]] = set()
    for path in (*_files(main.parent, "*.y*ml"), *(path for folder in folders for path in _files(folder, "**/*"))):
        try:
            state = path.stat()
        except OSError:  # gone since it was listed
            continue
        if path.is_file():
            found.add((str(path), state.st_mtime_ns, state.st_size, state.st_ino))
    return frozenset(found)


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    return (path for path in folder.glob(pattern) if path.name[0] != "." and not path.name.endswith(_LEFT_BY_EDITORS))


class Watch:
    """Remembers how the files were when they were last read."""

    def __init__(self, taken: Look) -> None:
        self._taken = taken
        self._before: Look | None = None

    def take(self, look: Look) -> None:
        """The files are being read as they are now."""
        self._taken, self._before = look, None

    def has_settled(self, look: Look) -> bool:
        """Whether the files are other than when they were read, and as they were at the look before."""
        settled = look != self._taken and look == self._before
        self._before = look
        return settled
