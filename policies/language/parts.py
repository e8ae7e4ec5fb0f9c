"""The schema of one policy file and the policy it becomes. Its big parts are `language_limits`, `language_ladders`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from policies.complaints import Mistake
from policies.language.conditions import CaseConditions, conditions
from policies.language.ladders import LadderPart, ViaWritten, each_once, via_of
from policies.language.lengths import TimeOfDay
from policies.language.limits import LimitPart
from policies.language.trials import TrialPart
from policies.language.words import (
    LIGHTS,
    MAPPING,
    ROLES,
    TEXT,
    WRITTEN,
    CalendarName,
    Channel,
    FieldName,
    KnownNames,
    Milestone,
    Name,
    OfficialKey,
    Part,
    Recipient,
    ReleaseAbove,
    Role,
    Say,
    Sentence,
    Words,
)
from policies.model import (
    Choice,
    DigestRule,
    FirstHandlerRule,
    Policy,
    QuietHours,
    RestrictedRule,
    Via,
)
from policies.text import Text

MOST_SLOTS = 6
CHAIN = ("first_handler", "section_head", "deputy_leader", "principal")


class FirstHandlerPart(Part):
    """首办责任人 / when he is fixed, how long he stays informed."""

    freeze_at: Words[Milestone] = Field(
        default=["accepted_at"],
        validate_default=True,
        description="有了哪个节点时间就固定首办责任人 / the milestone that fixes him for good",
        examples=["accepted_at", ["accepted_at", "arrived_at"]],
    )
    stays_informed: Literal["green", "yellow", "orange", "red"] | None = Field(
        default=None, description="转办后，从哪个灯起仍抄送他；不写不抄送 / from which light on he still gets copies"
    )
    handbacks_allowed: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="允许退回几次，再退就报告（推诿）；不写不限 / more hand-backs are told", examples=[1]
    )
    shirking_to: Words[Recipient] = Field(
        default=["inspector"], description="推诿告诉谁（角色）/ who is told of too many hand-backs"
    )
    inherit: bool = Field(
        default=False, description="重复信访仍归原首办责任人 / a repeated case has the first handler of the earlier one"
    )

    def value(self) -> FirstHandlerRule:
        """The rule of the model."""
        return FirstHandlerRule(
            tuple(self.freeze_at), self.stays_informed, self.handbacks_allowed, tuple(self.shirking_to), self.inherit
        )


class RestrictedPart(Part):
    """限制知悉的案件（纪检、检举）/ restricted cases."""

    recipients: Words[OfficialKey] = Field(
        description="只发给这些人：人员编号，不是角色 / officials by key, nobody else hears of it", examples=[["P001"]]
    )
    say: Say = Field(default="restricted", description="不带内容的消息模板 / the template without content")

    def value(self) -> RestrictedRule:
        """The rule of the model."""
        return RestrictedRule(tuple(self.recipients), self.say)


class QuietPart(Part):
    """免打扰时间 / no message in these hours."""

    start: TimeOfDay = Field(alias="from", description="几点开始 / from", examples=["22:00"])
    end: TimeOfDay = Field(alias="to", description="几点结束，早于开始的算第二天 / to", examples=["07:30"])

    def value(self) -> QuietHours:
        """The hours of the model."""
        return QuietHours(self.start, self.end)


def _some_time(part: QuietPart) -> QuietPart:
    if part.start == part.end:
        raise Mistake(
            Text(
                f"from 和 to 都是 {part.start:%H:%M}，全天都不能发；应不同",
                f"from and to are both {part.start:%H:%M}; they must differ",
            )
        )
    return part


class DigestPart(Part):
    """同一时刻给同一个人的几条合成一条 / several messages at one moment become one."""

    lights: Words[Literal["green", "yellow", "orange", "red"]] = Field(
        default=["green", "yellow"], description="哪些灯的消息可以汇总 / of which lights"
    )
    at_least: int = Field(default=2, ge=2, le=1000, description="几条起汇总 / from so many on")
    at: Annotated[list[TimeOfDay], Field(min_length=1, max_length=MOST_SLOTS)] | None = Field(
        default=None,
        description="每个工作日几点汇总，不急的等到那时；不写则不等 / the hours of a working day they wait for",
        examples=[["08:30", "14:00"]],
    )

    def value(self) -> DigestRule:
        """The rule of the model."""
        lights = tuple(light for light in LIGHTS if light in self.lights)
        return DigestRule(lights, self.at_least, tuple(sorted({*(self.at or ())})))


class ChoicePart(Part):
    """哪些消息由本人选通道 / which messages people may choose the channel of."""

    channels: Words[Channel] = Field(
        description="可以选的通道或种类 / the channels or kinds to choose among", examples=[["email", "wecom"]]
    )
    lights: Words[Literal["green", "yellow", "orange"]] = Field(
        default=["green", "yellow", "orange"], description="哪些灯的消息；红灯从不由人选 / of which lights, red never"
    )


_ChoiceWritten = Annotated[Annotated[Words[Channel], TEXT] | Annotated[ChoicePart, MAPPING], WRITTEN]


def _choice(written: list[str] | ChoicePart | None) -> Choice | None:
    if written is None:
        return None
    if isinstance(written, ChoicePart):
        return Choice(tuple(written.channels), tuple(light for light in LIGHTS if light in written.lights))
    return Choice(tuple(written))


class RolePart(Part):
    """由案件写明是谁的角色，如包案领导 / a role whose holder the case itself names."""

    title: Sentence = Field(description="名称 / what people call it", examples=["包案领导"])
    field: FieldName = Field(
        description="案件的哪个字段写着是谁（人员编号）/ the case field with the key of the official",
        examples=["case_leader"],
    )


_RoleWritten = Annotated[Annotated[Sentence, TEXT] | Annotated[RolePart, MAPPING], WRITTEN]


class PolicyFile(Part):
    """督办策略 / a supervision policy: which cases, which limits, which ladders."""

    policy: Name = Field(description="策略名，全部文件里不重复 / its name, used once", examples=["xinfang"])
    title: Sentence = Field(description="名称 / what people call it", examples=["信访事项首办责任与限时办结"])
    applies_to: CaseConditions = Field(default={}, description="管哪些案件；不写都管 / which cases")
    first_handler: FirstHandlerPart = Field(
        default={}, validate_default=True, description="首办责任人 / the first handler"
    )
    roles: dict[Name, _RoleWritten] = Field(
        default={},
        description="本单位自己的角色：名称；由案件写明是谁的写 {title: 包案领导, field: 案件字段} / roles of your own",
        examples=[{"chief": "热线办主任"}, {"case_leader": {"title": "包案领导", "field": "case_leader"}}],
    )
    chain: Words[Role] = Field(
        default=list(CHAIN), description="上级链，由低到高 / the chain of command upwards", examples=[list(CHAIN)]
    )
    legs: Annotated[Words[Literal["functional", "territorial"]], AfterValidator(each_once)] = Field(
        default=["functional"],
        description="往上找人走哪条线：functional 条线（谁主管），territorial 属地 / the ways up",
        examples=[["functional", "territorial"]],
    )
    place: FieldName = Field(
        default="place", description="案件的哪个字段是属地的区划代码 / the case field that names the place"
    )
    release_above: ReleaseAbove | None = Field(
        default=None,
        description="发给谁以上须先经人核发（角色）；none 不须核发；不写为 principal / above whom a human must release",
    )
    restricted: RestrictedPart | None = Field(default=None, description="限制知悉的案件只告诉谁 / restricted cases")
    quiet_hours: Annotated[QuietPart, AfterValidator(_some_time)] | None = Field(
        default=None, description="免打扰时间 / quiet hours", examples=[{"from": "22:00", "to": "07:30"}]
    )
    digest: DigestPart | None = Field(default=None, description="汇总消息；不写不汇总 / put messages together")
    dark: bool = Field(default=False, description="true：只算不发，试运行 / decides everything and sends nothing")
    may_choose: _ChoiceWritten | None = Field(
        default=None,
        description="本人可在哪些通道里选（officials.prefers）；不写不由人选 / channels people may choose among",
        examples=[["email", "wecom"], {"channels": ["email", "wecom"], "lights": ["green", "yellow"]}],
    )
    via: ViaWritten | None = Field(
        default=None, description="默认用哪些通道；不写用已配置的全部 / the default channels"
    )
    calendar: CalendarName = Field(default="", description="日历名；不写用单位默认的 / a calendar's name")
    limits: Annotated[dict[Name, LimitPart], Field(min_length=1)] = Field(
        description="时限，至少一个 / at least one limit"
    )
    ladders: Annotated[dict[Name, LadderPart], Field(min_length=1)] = Field(
        description="阶梯，至少一个 / at least one ladder"
    )
    tests: list[TrialPart] = Field(
        default=[], description="测试：一件案件怎样变化、应该发什么 / tests: how a case changes, what must be sent"
    )

    def value(self, known: KnownNames) -> Policy:
        """The policy of the model."""
        chain = tuple(self.chain)
        return Policy(
            id=self.policy,
            title=self.title,
            limits=tuple(limit.value(name) for name, limit in self.limits.items()),
            ladders={name: ladder.value(name) for name, ladder in self.ladders.items()},
            applies_to=conditions(self.applies_to),
            first_handler=self.first_handler.value(),
            chain=chain,
            via=Via(known.kinds) if self.via is None else via_of(self.via),
            calendar=self.calendar,
            roles={**ROLES, **{name: _title(role) for name, role in self.roles.items()}},
            named={name: role.field for name, role in self.roles.items() if isinstance(role, RolePart)},
            legs=tuple(self.legs),
            place=self.place,
            release_above=_released_above(self.release_above, chain),
            restricted=RestrictedRule() if self.restricted is None else self.restricted.value(),
            quiet=None if self.quiet_hours is None else self.quiet_hours.value(),
            digest=None if self.digest is None else self.digest.value(),
            dark=self.dark,
            choice=_choice(self.may_choose),
        )


def _title(role: RolePart | str) -> str:
    return role.title if isinstance(role, RolePart) else role


def _released_above(written: str | None, chain: tuple[str, ...]) -> str | None:
    """`principal` unless written; in a chain without one, the highest role it has."""
    if written is not None:
        return None if written == "none" else written
    return "principal" if "principal" in chain else chain[-1]
