from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from channels.wire.mime import MailFrame
from daemon.render import Renderer
from daemon.samples import SAMPLE_DUE, SAMPLE_NOTICE, SAMPLE_OFFER, SAMPLE_OFFICIAL
from support.mail_channel import email_settings

if TYPE_CHECKING:
    from policies.text import Language

SPAMASSASSIN = shutil.which("spamassassin")
TEMPLATES = Path(__file__).parents[2] / "config" / "templates"
FACTS = {
    "limit_title": "书面告知",
    "due_at": SAMPLE_DUE.isoformat(),
    "legal_due": SAMPLE_DUE.isoformat(),
    "days_left": 3,
    "overdue_days": 0,
    "light": "yellow",
    "role_title": "首办责任人",
}
# true of a mail that has an HTML part and has not travelled; both count (nearly) nothing and say nothing against it
NEUTRAL = {"HTML_MESSAGE", "NO_RELAYS", "NO_RECEIVED"}
# Chinese has no capitals: where a subject has a blank, the letters of the case number are "all of it" (0.5 of 5 points)
NO_CAPITALS = {"zh": {"SUBJ_ALL_CAPS"}, "en": set[str]()}


@pytest.mark.skipif(SPAMASSASSIN is None, reason="SpamAssassin is not installed (scripts/install-test-servers.sh)")
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("say", ["assigned", "remind", "urge", "unacted", "digest"])
@pytest.mark.parametrize("duplicate", [False, True], ids=["first", "resend"])
def test_no_rule_of_spamassassin_is_hit(language: Language, say: str, *, duplicate: bool) -> None:
    """The local rules find nothing against a mail of ours, but that it has no small letters; it offers all it can.

    With the link and the reply for acknowledging; the digest lists forty cases.
    """
    office = Renderer(TEMPLATES, "某市信访局", "某市信访局", ZoneInfo("Asia/Shanghai"), language)
    notice = replace(SAMPLE_NOTICE, say=say, facts=FACTS)
    more: dict[str, Any] = {"possible_duplicate": duplicate, "offer": SAMPLE_OFFER}
    if say == "digest":
        keys = [f"XF2026091700{n}" for n in range(10, 50)]
        cases = [(replace(notice, say="remind", key=f"{key}/x", case_key=key), notice.at) for key in keys]
        message = office.digest(cases, SAMPLE_OFFICIAL, "email", key="digest/1", **more)
    else:
        message = office.render(notice, SAMPLE_OFFICIAL, "email", **more)
    content = MailFrame.of(email_settings(1)).build(message).content
    command = [str(SPAMASSASSIN), "-L", "-t"]
    checked = subprocess.run(command, input=content, capture_output=True, check=True, timeout=120)  # noqa: S603  # ours
    found = re.search(rb"X-Spam-Status: No, score=(\S+) required=\S+ tests=((?:.|\n\t)*?)\s+autolearn", checked.stdout)
    assert found is not None, checked.stdout[:600]
    hits = set(re.split(r"[,\s]+", found[2].decode().strip())) - {"none", ""}
    assert not hits - NEUTRAL - NO_CAPITALS[language], (hits, found[1])
    assert float(found[1]) < 1
