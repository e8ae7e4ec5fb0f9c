"""`limits:` of a policy file: each part of a time limit and the value of the model it becomes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, PlainValidator, Tag, ValidationInfo, WithJsonSchema

from policies.complaints import Mistake, expected_found
from policies.duration import NO_LENGTH, Duration, Moment, parse_moment
from policies.language.conditions import CaseConditions, conditions
from policies.language.lengths import (
    EverySentence,
    LimitLength,
    OneOfLengths,
    PositiveLength,
    RecurLength,
    sentence_of_every,
)
from policies.language.patterns import BOUND
from policies.language.words import (
    MAPPING,
    TEXT,
    CalendarName,
    EndName,
    LadderName,
    LaterMilestone,
    Misplaced,
    Part,
    Role,
    Sentence,
    StartName,
    Words,
    names_in,
    refuse_at,
    refuse_unknown,
)
from policies.model import (
    Bound,
    Cutoff,
    ExtensionBase,
    ExtensionRule,
    Limit,
    PauseRule,
    Recurrence,
    Roll,
)
from policies.text import Text

MOST_RECURRENCES = 1000


class ExtensionPart(Part):
    """延期 / how far a limit may be extended, by whom, counted from which end."""

    up_to: PositiveLength = Field(description="最多延长多久 / at most so much longer", examples=["30 日"])
    approved_by: Words[Role] | None = Field(
        default=None, description="谁批准才算（角色）；不写不限 / the roles that may approve", examples=["principal"]
    )
    counted_from: Literal["nominal", "rolled"] = Field(
        default="nominal",
        alias="from",
        description="从哪个末日续算：nominal 未顺延的，rolled 顺延后的 / from the unrolled or the rolled end",
    )
    petitioner_told: bool = Field(
        default=True, description="须已告知信访人才生效 / takes effect only if the petitioner was told"
    )

    def value(self) -> ExtensionRule:
        """The rule of the model."""
        return ExtensionRule(
            self.up_to, tuple(self.approved_by or ()), ExtensionBase(self.counted_from), self.petitioner_told
        )


class PausePart(Part):
    """中止的条件 / which pauses count."""

    approved_by: Words[Role] | None = Field(
        default=None, description="谁批准才算（角色）；不写不限 / the roles that may approve", examples=["principal"]
    )
    basis: Literal["required", "optional"] = Field(
        default="optional", description="required：没有写明依据的中止不算 / a pause without a basis does not count"
    )
    up_to: PositiveLength | None = Field(
        default=None, description="合计最多多久，超过的照算 / at most so long altogether", examples=["90 日"]
    )

    def value(self) -> PauseRule:
        """The rule of the model."""
        return PauseRule(tuple(self.approved_by or ()), self.basis == "required", self.up_to)


class RecurPart(Part):
    """到期后按周期再来 / the limit comes again."""

    every: RecurLength = Field(description="隔多久一次 / how often", examples=["1 月"])
    until: Words[LaterMilestone] | None = Field(
        default=None, description="到哪个节点时间为止 / until this milestone", examples=["finished_at"]
    )
    at_most: int = Field(default=120, ge=1, le=MOST_RECURRENCES, description="最多几次 / at most so often")

    def value(self) -> Recurrence:
        """The rule of the model."""
        return Recurrence(self.every, tuple(self.until or ()), self.at_most)


_RECUR_EXAMPLE = Text(
    "“每 1 月，最多 24 次”或 {every: 1 月, until: finished_at, at_most: 24}",
    '"every 1 month up to 24 times" or {every: 1 month, until: finished_at, at_most: 24}',
)
_RecurWritten = Annotated[
    RecurPart,
    sentence_of_every("at_most", _RECUR_EXAMPLE, EverySentence | RecurPart),
]


class EarlierPart(Part):
    """几个长度里取先到期的 / of several lengths the one that ends first."""

    earlier_of: Annotated[list[OneOfLengths], Field(min_length=2)] = Field(
        description="至少两个长度 / at least two lengths", examples=[["7 日", "5 工作日"]]
    )


class SetPart(Part):
    """每个案件各自指定的期限 / the end is set for each case."""

    set_by: Words[LaterMilestone] = Field(
        description="写着期限的节点时间，取第一个有的 / the milestone that holds the end",
        examples=["assigned_limit_at"],
    )


def _bound(value: object, info: ValidationInfo) -> Moment:
    """`limit_at`, or `registered_at + 30 日`."""
    expected = Text("节点时间，可加一个长度，如 registered_at + 30 日", "a milestone, or registered_at + 30 days")
    if not isinstance(value, str):
        raise Mistake(expected_found(expected, value))
    moment = parse_moment(value)
    if moment.at is not None or moment.share is not None or (moment.offset is not None and moment.offset.amount <= 0):
        raise Mistake(expected_found(expected, value))
    if info.data.get("enabled") is not False:
        refuse_unknown(moment.anchor, names_in(info).known.milestones, "节点时间", "milestone")
    return moment


BoundText = Annotated[
    Moment,
    PlainValidator(_bound),
    WithJsonSchema({"type": "string", "pattern": BOUND, "examples": ["limit_at", "registered_at + 30 日"]}),
]


def _length_tag(value: object) -> str:
    """Which of its three forms a length is written in."""
    if isinstance(value, SetPart) or (isinstance(value, dict) and "set_by" in value):
        return "{set_by}"
    return "{}" if isinstance(value, dict | EarlierPart) else "text"


_Within = Annotated[
    Annotated[LimitLength, TEXT] | Annotated[EarlierPart, MAPPING] | Annotated[SetPart, Tag("{set_by}")],
    Discriminator(_length_tag),
]


def _mapped(key: str) -> AfterValidator:
    """Looks up the milestones that a part of a limit names under `key`, unless the limit is switched off."""

    def check(part: object, info: ValidationInfo) -> object:
        named: list[str] = getattr(part, key, None) or []
        mistakes: list[Misplaced] = []
        for index, word in enumerate(named if info.data.get("enabled") is not False else []):
            try:
                refuse_unknown(word, names_in(info).known.milestones, "节点时间", "milestone")
            except Mistake as mistake:
                mistakes.append(((key, index), mistake))
        refuse_at(mistakes)
        return part

    return AfterValidator(check)


class LimitPart(Part):
    """时限规定 / a time limit: from which milestone, how long, until which milestone."""

    enabled: bool = Field(default=True, description="false 为关闭 / false switches it off")  # before what looks at it
    title: Sentence = Field(description="名称 / what people call it", examples=["办结"])
    basis: str = Field(
        default="", description="依据，会写进通知 / the article it rests on", examples=["信访工作条例第三十四条"]
    )
    start: Words[StartName] = Field(
        description="起算的节点时间，写列表时取第一个有的；也可写同一策略里另一个时限的 finish.done、finish.due / "
        "the milestone it is counted from, or the end of another limit",
        examples=["accepted_at", ["accepted_at", "arrived_at"], "finish.done"],
    )
    within: Annotated[_Within, _mapped("set_by")] = Field(
        description="长度；当天到期的写 当日；几个里取先到的写 {earlier_of: [7 日, 5 工作日]}；"
        "每案各自指定的写 {set_by: 节点时间}；法规没有数字写 unset 并关闭 / how long",
        examples=["15 日", "当日", {"earlier_of": ["7 日", "5 工作日"]}, {"set_by": "assigned_limit_at"}],
    )
    done: Words[EndName] = Field(
        description="有了哪个节点时间算办完，列表中有一个就算 / the milestone that ends it", examples=["finished_at"]
    )
    ladder: LadderName = Field(description="用哪个阶梯 / a name under ladders")
    roll: Literal["none", "next_workday", "next_workday_and_long_holidays"] = Field(
        default="next_workday",
        description="末日遇休假日：顺延到下一个工作日、不顺延、再加长假天数 / what if the last day is a day off",
    )
    cutoff: Literal["24:00", "office"] = Field(
        default="24:00", description="末日到几点：24:00 或下班（office）/ when the last day ends"
    )
    calendar: CalendarName = Field(default="", description="日历名；不写用策略的 / a calendar's name")
    extension: ExtensionPart | None = Field(default=None, description="延期规则；不写不能延期 / may it be extended")
    platform_due: Words[BoundText] | None = Field(
        default=None,
        description="平台自己的期限：节点时间，或节点时间加长度；写几个取最早的 / the platform's own limit",
        examples=["limit_at", ["limit_at", "registered_at + 30 日"]],
    )
    excludes: Words[Sentence] | None = Field(
        default=None, description="哪些依据的中止不计入 / which pauses are not counted", examples=["听证"]
    )
    pause: PausePart | None = Field(default=None, description="中止要满足什么才算 / which pauses count")
    per: Literal["holder"] | None = Field(
        default=None,
        description="holder：每个收件单位各算各的，从它收到起 / every unit that receives it has a clock of its own",
    )
    recur: Annotated[_RecurWritten, _mapped("until")] | None = Field(
        default=None,
        description="到期后按周期再来，如每月答复 / comes again",
        examples=[{"every": "1 月", "until": "finished_at", "at_most": 24}, "每 1 月，最多 24 次"],
    )
    after_close: bool = Field(
        default=False,
        description="true：案件关闭以后仍计时，如办结后的反馈、回访 / runs on after the case is closed",
    )
    applies_to: CaseConditions = Field(default={}, description="只对哪些案件 / only these cases")

    def value(self, name: str) -> Limit:
        """The limit of the model."""
        within, others, set_by = _lengths(self.within)
        return Limit(
            id=name,
            title=self.title,
            start=tuple(self.start),
            within=within,
            done=tuple(self.done),
            ladder=self.ladder,
            basis=self.basis,
            roll=Roll(self.roll),
            cutoff=Cutoff(self.cutoff),
            calendar=self.calendar,
            extension=None if self.extension is None else self.extension.value(),
            platform_due=tuple(Bound(moment.anchor, moment.offset) for moment in self.platform_due or ()),
            excludes=tuple(self.excludes or ()),
            applies_to=conditions(self.applies_to),
            enabled=self.enabled,
            or_within=others,
            per_holder=self.per == "holder",
            recur=None if self.recur is None else self.recur.value(),
            pause=None if self.pause is None else self.pause.value(),
            set_by=set_by,
            after_close=self.after_close,
        )


def _lengths(written: Duration | EarlierPart | SetPart) -> tuple[Duration, tuple[Duration, ...], tuple[str, ...]]:
    """The length, the further ones of which the first to end counts, and the milestones that hold the end instead."""
    if isinstance(written, SetPart):
        return NO_LENGTH, (), tuple(written.set_by)
    if isinstance(written, EarlierPart):
        first, *others = written.earlier_of
        return first, tuple(others), ()
    return written, (), ()
