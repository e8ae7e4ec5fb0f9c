"""`python -m daemon` is the command `duban`."""

from __future__ import annotations

from daemon.cli import main

main(prog_name="duban")
