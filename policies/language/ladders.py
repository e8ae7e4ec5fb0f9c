"""`ladders:` of a policy file: lights, steps and channels, and the values of the model they become."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from policies.complaints import Mistake
from policies.duration import Duration, Unit
from policies.language.conditions import StepConditions
from policies.language.lengths import (
    EverySentence,
    Length,
    MomentText,
    PositiveLength,
    WaitLength,
    WithinLength,
    sentence_of_every,
)
from policies.language.steps import step_ids
from policies.language.words import (
    LIGHT_NAMES,
    LIGHTS,
    MAPPING,
    TEXT,
    WRITTEN,
    Channel,
    Milestone,
    Name,
    Part,
    Recipient,
    Say,
    Sentence,
    Words,
    refuse_at,
)
from policies.model import (
    Acknowledge,
    ActRule,
    CatchUp,
    InDoubt,
    Ladder,
    Lights,
    Repeat,
    Step,
    Via,
)
from policies.text import Text

MOST_REPEATS = 100


# --- channels -----------------------------------------------------------------------------------------------


def each_once(channels: list[str]) -> list[str]:
    """Refuse a word that stands twice."""
    twice = next((name for index, name in enumerate(channels) if name in channels[:index]), None)
    if twice is not None:
        raise Mistake(Text(f"“{twice}”写了两次", f'"{twice}" stands twice'))
    return channels


class InOrderPart(Part):
    """先用一个通道，不成再用下一个 / one channel, and the next if it fails."""

    in_order: Annotated[list[Channel], Field(min_length=2), AfterValidator(each_once)] = Field(
        description="依次使用的通道，至少两个 / the channels, one after the other",
        examples=[["sms", "email"]],
    )
    wait: WaitLength | None = Field(
        default=None,
        description="多久没有送达回执就换下一个；不写只在发送失败时换 / how long to wait for a receipt before the next",
        examples=["30 分钟"],
    )


ViaWritten = Annotated[Annotated[Words[Channel], TEXT] | Annotated[InOrderPart, MAPPING], WRITTEN]


def via_of(written: list[str] | InOrderPart) -> Via:
    """The channels of the model."""
    if isinstance(written, InOrderPart):
        return Via(tuple(written.in_order), in_order=True, wait=written.wait)
    return Via(tuple(written))


# --- lights and steps ----------------------------------------------------------------------------------------


def _not_after_yellow(orange: Duration, info: ValidationInfo) -> Duration:
    yellow: Duration | None = info.data.get("yellow")
    if yellow is not None and _rough_days(yellow) < _rough_days(orange):
        raise Mistake(
            Text("黄灯应不晚于橙灯（yellow 不短于 orange），实际更短", "yellow must not be shorter than orange")
        )
    return orange


# Only to notice lights in the wrong order: five working days are a week, eight working hours a working day.
_ROUGH_DAYS = {
    Unit.DAY: Fraction(1),
    Unit.WORKDAY: Fraction(7, 5),
    Unit.MONTH: Fraction(30),
    Unit.YEAR: Fraction(365),
    Unit.HOUR: Fraction(1, 24),
    Unit.WORKHOUR: Fraction(7, 40),
}


def _rough_days(length: Duration) -> Fraction:
    return length.amount * _ROUGH_DAYS[length.unit]


class LightTitlesPart(Part):
    """本单位对灯色的叫法 / what the office calls its lights."""

    green: Sentence | None = Field(default=None, description="绿灯叫什么 / green", examples=["绿灯"])
    yellow: Sentence | None = Field(default=None, description="黄灯叫什么 / yellow", examples=["蓝灯"])
    orange: Sentence | None = Field(default=None, description="橙灯叫什么 / orange", examples=["黄灯"])
    red: Sentence | None = Field(default=None, description="红灯叫什么 / red", examples=["红灯"])


def _told_apart(titles: LightTitlesPart) -> LightTitlesPart:
    """Two lights of one name could not be told apart."""
    words = dict.fromkeys(LIGHTS) | dict(titles)
    shown = {light: words[light] or LIGHT_NAMES[light] for light in LIGHTS}
    for light in LIGHTS:
        twin = next((other for other in LIGHTS if other != light and shown[other] == shown[light]), None)
        if twin is not None and words[light] is not None:
            zh = f"{twin} 也显示为“{shown[light]}”，分不清；四种灯的叫法应各不相同"
            mistake = Mistake(Text(zh, f'{twin} is called "{shown[light]}" too; each light needs a name of its own'))
            refuse_at([((light,), mistake)])
    return titles


class LightsPart(Part):
    """红黄绿灯 / how long before the limit the light changes; past it the light is red."""

    yellow: Length = Field(description="离到期多久变黄灯 / yellow so long before", examples=["3 工作日"])
    orange: Annotated[Length, AfterValidator(_not_after_yellow)] = Field(
        description="离到期多久变橙灯，不早于黄灯 / orange so long before", examples=["1 工作日"]
    )
    titles: Annotated[LightTitlesPart, AfterValidator(_told_apart)] | None = Field(
        default=None,
        description="本单位对灯色的叫法；不写就叫绿、黄、橙、红灯 / names of your own",
        examples=[{"yellow": "蓝灯", "orange": "黄灯", "red": "红灯"}],
    )

    def value(self) -> Lights:
        """The lights of the model."""
        titles = {} if self.titles is None else self.titles.model_dump(exclude_none=True)
        return Lights(self.yellow, self.orange, titles)


class ActPart(Part):
    """签收之后：多久内要有办理记录 / after the acknowledgement: something is to be done."""

    act_within: WithinLength = Field(
        description="签收后多久内办理 / within so long of the acknowledgement", examples=["2 工作日"]
    )
    otherwise: Words[Recipient] = Field(
        alias="else", description="没有办理记录就告诉谁（角色）/ who is told otherwise", examples=["section_head"]
    )

    def value(self) -> ActRule:
        """The rule of the model."""
        return ActRule(self.act_within, tuple(self.otherwise))


class AcknowledgePart(Part):
    """要求签收 / wants an acknowledgement."""

    within: WithinLength = Field(description="多久内签收 / how long", examples=["4 工作小时"])
    otherwise: Words[Recipient] = Field(
        alias="else", description="没有签收就告诉谁（角色）/ who is told otherwise", examples=["section_head"]
    )
    milestone: Milestone = Field(
        default="acknowledged_at",
        validate_default=True,
        description="哪个节点时间表示已签收 / the milestone that shows it",
    )
    then: ActPart | None = Field(
        default=None,
        description="签收后多久内要有办理记录；不写不查 / the clock the acknowledgement starts",
        examples=[{"act_within": "2 工作日", "else": "section_head"}],
    )

    def value(self) -> Acknowledge:
        """The rule of the model."""
        then = None if self.then is None else self.then.value()
        return Acknowledge(self.within, tuple(self.otherwise), self.milestone, then)


class RepeatPart(Part):
    """重复 / again every so often."""

    every: PositiveLength = Field(description="隔多久一次 / how often", examples=["5 工作日"])
    times: int = Field(ge=1, le=MOST_REPEATS, description="再发几次 / how many more times", examples=[6])

    def value(self) -> Repeat:
        """The rule of the model."""
        return Repeat(self.every, self.times)


_REPEAT_EXAMPLE = Text(
    "“每 5 工作日，最多再 6 次”或 {every: 5 工作日, times: 6}",
    '"every 5 workdays up to 6 more times" or {every: 5 workdays, times: 6}',
)
_RepeatWritten = Annotated[RepeatPart, sentence_of_every("times", _REPEAT_EXAMPLE, EverySentence | RepeatPart)]


class StepPart(Part):
    """梯级 / a step of the ladder: when, to whom, which text."""

    id: Name | None = Field(
        default=None, description="这一级的名字；不写按时刻取，如 due-3wd / the step's name", examples=["remind"]
    )
    at: MomentText = Field(description="时刻 / the moment")
    to: Words[Recipient] = Field(
        description="发给谁：角色，可加 @functional（条线）或 @territorial（属地）/ to which roles",
        examples=["first_handler", ["first_handler", "section_head"], "principal@territorial"],
    )
    say: Say = Field(description="用哪个消息模板 / which template")
    cc: Words[Recipient] | None = Field(default=None, description="抄送谁 / copies", examples=["inspector"])
    via: ViaWritten | None = Field(
        default=None,
        description="用哪些通道：都发，或 {in_order: […], wait: 30 分钟} 依次发；不写用策略的 / which channels",
        examples=[["sms", "email"], {"in_order": ["sms", "email"], "wait": "30 分钟"}],
    )
    when: StepConditions | None = Field(
        default=None, description="到时全部满足才发 / speaks only if all of these hold at its moment"
    )
    unless: StepConditions | None = Field(
        default=None, description="到时有一条满足就不发 / keeps silent if one of these holds"
    )
    repeat: _RepeatWritten | None = Field(
        default=None,
        description="重复；次数不含第一次 / again every so often, the first time not counted",
        examples=["每 5 工作日，最多再 6 次", {"every": "5 工作日", "times": 6}],
    )
    acknowledge: AcknowledgePart | None = Field(
        default=None,
        description="要求签收，不签收告诉谁 / wants an acknowledgement",
        examples=[{"within": "4 工作小时", "else": "section_head"}],
    )
    catch_up: Literal["latest", "each", "skip"] = Field(
        default="latest",
        description="停机期间错过了：latest 并入最近一级，each 照样补发，skip 不再发 / if it was missed",
    )
    may_wake: Sentence | None = Field(
        default=None,
        description="免打扰时间也发的依据 / the basis on which it passes quiet hours",
        examples=["信访工作条例第二十五条：紧急事项及时报告"],
    )
    in_doubt: Literal["resend", "another_way"] = Field(
        default="resend",
        description="可能已发出又查不到：resend 加标记再发，another_way 换通道或上报 / if it perhaps went out",
    )
    issue: Name | None = Field(
        default=None, description="附随的文书名 / the document it announces", examples=["urging_note"]
    )

    def value(self, step_id: str) -> Step:
        """The step of the model."""
        return Step(
            id=step_id,
            at=self.at,
            to=tuple(self.to),
            say=self.say,
            cc=tuple(self.cc or ()),
            via=None if self.via is None else via_of(self.via),
            repeat=None if self.repeat is None else self.repeat.value(),
            acknowledge=None if self.acknowledge is None else self.acknowledge.value(),
            issue=self.issue,
            when=self.when or (),
            unless=self.unless or (),
            catch_up=CatchUp(self.catch_up),
            may_wake=self.may_wake or "",
            in_doubt=InDoubt(self.in_doubt),
        )


class LadderPart(Part):
    """阶梯 / the lights and the steps that follow a limit."""

    title: str = Field(default="", description="名称 / what people call it")
    lights: LightsPart = Field(
        description="红黄绿灯 / the lights", examples=[{"yellow": "3 工作日", "orange": "1 工作日"}]
    )
    steps: Annotated[list[StepPart], Field(min_length=1)] = Field(description="梯级，至少一个 / at least one step")

    def value(self, name: str) -> Ladder:
        """The ladder of the model."""
        ids = step_ids([(step.id, step.at) for step in self.steps])
        steps = tuple(step.value(step_id) for step, step_id in zip(self.steps, ids, strict=True))
        return Ladder(name, self.lights.value(), steps, self.title)
