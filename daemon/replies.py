"""What somebody means who writes back (上行). Pure; of his words nothing is kept but this.

Only what is plain counts: a word of acknowledgement (签收、收到、OK …), a code, a case number, and words that add
nothing to them (好的、谢谢). Anything else (“未收到”, a question, a sentence) is unknown and answered with a hint, so
that nobody is taken to have signed who did not say so. Only the first line is read: below it a mail quotes ours.

STOP and its like are the words carriers demand (Twilio's “Advanced Opt-Out” defaults; 退订、TD、T in China). They count
only when nothing else is said.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from daemon.privacy import identifies


class Command(StrEnum):
    """What a reply asks for."""

    ACKNOWLEDGE = "acknowledge"  # 签收: I have it
    STOP = "stop"  # 退订: no more messages over this channel
    START = "start"  # 恢复: messages again
    AUTOMATIC = "automatic"  # a machine answered: never answered back
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Understood:
    """A reply as understood. `code` is the short code of what it is about, `case` a case number; empty if not told."""

    command: Command
    code: str = ""
    case: str = ""


def _words(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_STOP = _words("退订 取消订阅 TD T 0000 STOP STOPALL UNSUBSCRIBE CANCEL END QUIT OPTOUT REVOKE")
_START = _words("恢复 恢复订阅 START UNSTOP")
# Longer ones before those they contain.
_SIGNED = _words(
    "已经签收 确认签收 确认收到 已收到 已签收 签收 收到 收悉 已阅 已读 已知悉 知悉 知晓 确认 "
    "ACKNOWLEDGED ACKNOWLEDGE CONFIRMED RECEIVED NOTED ACK OKAY OK"
)
_ADDS_NOTHING = _words(
    "谢谢 您好 你好 好的 知道了 今日 今天 明天 本周 按期 按时 抓紧 尽快 马上 立即 正在 办结 办理 处理 落实 办 "
    "事项编号 编号 编码 事项 案件 工单 信访件 回复 本人 全部 均 都 我 已 了 好 请 THANKS PLEASE ALL CASE"
)
_MACHINE = re.compile(r"自动回复|自动答复|自动应答|AUTO[- ]?REPLY|AUTOMATIC REPLY|AUTO[- ]?RESPON|OUT OF (THE )?OFFICE")
_TRADITIONAL = str.maketrans("簽閱讀確認訂復經謝號項編動應覆辦馬儘碼單訪", "签阅读确认订复经谢号项编动应复办马尽码单访")
_LONGEST = 60  # a line that is longer says more than that
_MARKS = " ,.，。、:：;；!！#*~～-—_+“”\"'‘’「」()（）【】[]<>《》\t"
_CODE = re.compile(r"(?<![0-9A-Z])\d{4}(?![0-9A-Z])")
_CASE = re.compile(r"[0-9A-Z][0-9A-Z/_.()〔〕\[\]字第号-]*[0-9A-Z号]")
_DIGITS_OF_A_CASE = 5
_CASE_AT_MOST = 40


def understood(text: str) -> Understood:
    """What these words mean, whatever their width, case and script (traditional characters too)."""
    plain = unicodedata.normalize("NFKC", text).translate(_TRADITIONAL).upper()
    if _MACHINE.search(plain):
        return Understood(Command.AUTOMATIC)
    line = next((stripped for one in plain.splitlines() if (stripped := one.strip(_MARKS))), "")
    if len(line) > _LONGEST or not line.isprintable():
        return Understood(Command.UNKNOWN)
    if line in _STOP:
        return Understood(Command.STOP)
    if line in _START:
        return Understood(Command.START)
    return _acknowledged(line)


def _acknowledged(line: str) -> Understood:
    rest, signs = _without(line, _SIGNED)
    rest, _ = _without(rest, _ADDS_NOTHING)
    said = rest.strip(_MARKS)
    if said == "1":  # as many gateways put it: 回复1签收
        said, signs = "", True
    if not said:
        return Understood(Command.ACKNOWLEDGE) if signs else Understood(Command.UNKNOWN)
    said = said.removeprefix("1 ").strip(_MARKS)
    if identifies(said) is not None:  # a number of a person is neither, and is kept nowhere
        return Understood(Command.UNKNOWN)
    if _CODE.fullmatch(said):
        return Understood(Command.ACKNOWLEDGE, code=said)
    if _is_case(said):
        return Understood(Command.ACKNOWLEDGE, case=said)
    return Understood(Command.UNKNOWN)


def _without(line: str, words: tuple[str, ...]) -> tuple[str, bool]:
    """The line without these words, and whether it had any; English ones only where they stand alone."""
    found = False
    for word in words:
        pattern = rf"(?<![A-Z]){word}(?![A-Z])" if word.isascii() else re.escape(word)
        line, times = re.subn(pattern, " ", line)
        found = found or times > 0
    return line, found


def _is_case(said: str) -> bool:
    digits = sum(character.isdigit() for character in said)
    return digits >= _DIGITS_OF_A_CASE and len(said) <= _CASE_AT_MOST and _CASE.fullmatch(said) is not None


def same_case(key: str, said: str) -> bool:
    """Whether a case number somebody typed is that of the case, whatever its width and case."""
    return _typed(key) == _typed(said)


def _typed(number: str) -> str:
    return "".join(unicodedata.normalize("NFKC", number).translate(_TRADITIONAL).upper().split())
