"""The corpus of broken configurations: each file in `tests/daemon/bad_config` breaks a good office in one way."""

from __future__ import annotations

import shutil
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[1] / "daemon" / "bad_config"
PLACES = {  # folder of the corpus -> the file of the good office it replaces
    "policies": "policies/office.yaml",
    "main": "duban.yaml",
    "source": "source.yaml",
    "calendars": "calendars/ours.yaml",
}


def cases() -> list[Path]:
    """Every broken file, and every folder of several broken files."""
    single = [path for kind in PLACES for path in sorted((CORPUS / kind).glob("*.yaml"))]
    return single + sorted(path for path in (CORPUS / "several").iterdir() if path.is_dir())


def assemble(case: Path, office: Path) -> None:
    """Put a good office into that folder and break it as the case says."""
    shutil.copytree(CORPUS / "good", office)
    (office / "empty").mkdir()
    if case.is_dir():
        if (case / "policies").is_dir():
            shutil.rmtree(office / "policies")
        shutil.copytree(case, office, dirs_exist_ok=True)
        return
    place = office / PLACES[case.parent.name]
    place.parent.mkdir(exist_ok=True)
    shutil.copyfile(case, place)
