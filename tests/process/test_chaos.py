from __future__ import annotations

from typing import TYPE_CHECKING

from support.chaos import Chaos, run_chaos

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Chaos(notices=200, kills=2, seed=20261130, storm=70)


def test_nothing_is_lost_while_everything_goes_wrong(tmp_path: Path) -> None:
    """Three providers fail at random and the daemon is killed: nobody misses a message, what came twice says so."""
    aftermath = run_chaos(tmp_path, "", SMALL, lambda _final, _total, _happened: None)
    assert aftermath.broken() == [], aftermath.figures()
    assert len(aftermath.in_flight) == SMALL.kills
    assert len(aftermath.faults) >= 10, "hardly anything went wrong: the trial proves nothing"
    assert aftermath.kinds["in_doubt"], "nothing was ever in doubt: the trial proves nothing"
