"""Regular expressions for editors: what the checks of the language accept, as far as one line can show it.

They are looser than the checks where they must be, never stricter than what an office would type.
"""

from __future__ import annotations

_NUMBER = "[0-9０-９]+"
_FRACTION = rf"{_NUMBER}([.．]{_NUMBER})?"
_WORK = r"([Ww]ork(ing)?|[Bb]usiness)[\s_]*"
DAYS = (
    rf"{_NUMBER}\s*个?\s*(工作日|自然日|日|天|月|年"
    rf"|({_WORK}|([Cc]alendar|[Nn]atural)[\s_]*)?[Dd]ays?|[Mm]onths?|[Yy]ears?)"
)
HOURS = rf"{_FRACTION}\s*个?\s*((工作)?(小时|分钟|秒)|({_WORK})?([Hh]our|[Mm]inute|[Ss]econd)s?)"
PLAIN_HOURS = rf"{_FRACTION}\s*个?\s*(小时|分钟|秒|([Hh]our|[Mm]inute|[Ss]econd)s?)"
LENGTH = rf"({DAYS}|{HOURS})"

_MINUS = r"\s*((以|之)?前|[-－−–—])\s*"
_PLUS = r"\s*((以|之)?后|[+＋])\s*"
_CLOCK = r"\s*([01]?[0-9]|2[0-3])[:：][0-5][0-9]([:：][0-5][0-9])?"
_DAY_OF = "(日|当日|当天)?"
_MILESTONE = "[a-z][a-z0-9_]*_at"
_FROM_START = rf"(start|起算){_DAY_OF}({_PLUS}({LENGTH}|{_FRACTION}\s*[%％]))?"
_FROM_OTHERS = rf"(due|review|到期|挂账复查|{_MILESTONE}){_DAY_OF}(({_PLUS}|{_MINUS}){LENGTH})?"

_MOST = "(up to|at most|最多再?|至多再?|再)"

ONE_LENGTH = rf"^\s*[+＋]?\s*{LENGTH}\s*$"
WITHIN = rf"^\s*([Ww]ithin\s)?\s*[+＋]?\s*{LENGTH}\s*((以|之)?内)?\s*$"
WAIT = rf"^\s*{PLAIN_HOURS}\s*$"
EVERY_SO_MANY_DAYS = rf"^\s*{DAYS}\s*$"
MOMENT = rf"^\s*({_FROM_START}|{_FROM_OTHERS})({_CLOCK})?\s*$"
BOUND = rf"^\s*{_MILESTONE}({_PLUS}{LENGTH})?\s*$"
EVERY = rf"^\s*([Ee]very\s|每)\s*{LENGTH}\s*(一次)?\s*[,，]?\s*{_MOST}\s*{_NUMBER}\s*((more\s+)?times?|次)\s*$"
MILESTONE = rf"^{_MILESTONE}$"
START = rf"^({_MILESTONE}|.+\.(done|due))$"
RECIPIENT = r"^(?!(first_handler|handler)@)[^@\s]+(@(functional|territorial))?$"
