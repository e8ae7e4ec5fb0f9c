"""Every policy that is shipped: it parses, does what its own trials say, and says nothing as law that is not."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from daemon import settings
from daemon.calendars import china, read_calendar
from daemon.yamlfile import parse_yaml, read_yaml
from policies.beforehand.foresight import foresee
from policies.beforehand.lint import Setting, lint
from policies.beforehand.statutes import statute_for
from policies.beforehand.trials import invented_office, run_trials
from policies.language import KnownNames, parse_policies
from policies.model import Case, Pause, PolicySet, Transfer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policies.calendar import Calendar
    from policies.model import Limit, Policy, Trial

CONFIG = Path(__file__).resolve().parents[2] / "config"
FILES = sorted((CONFIG / "policies").glob("*.yaml"))
KINDS = {"sms": "sms", "email": "email"}
ZONE = ZoneInfo("Asia/Shanghai")
SHIFT = "enterprise-shift"
CONFIDENCE = re.compile(r"(?<![A-Za-z])[VSCMI](?![A-Za-z])")
TODAY = date(2026, 11, 23)
ONE_DAY = timedelta(days=1)


@cache
def calendars(folder: Path = CONFIG / "calendars") -> Mapping[str, Calendar]:
    """The calendar of China, and the enterprise's example under the name its policy uses."""
    enterprise = read_calendar(folder / f"{SHIFT}-example.yaml")
    return {"china": china(), SHIFT: replace(enterprise, name=SHIFT)}


def read(path: Path, known: KnownNames | None = None) -> PolicySet:
    """One policy file alone."""
    return parse_policies({path.name: read_yaml(path).tree}, known)


def policy_in(path: Path) -> Policy:
    """The policy of that file."""
    [policy] = read(path).policies.values()
    return policy


def failed(policies: PolicySet) -> list[str]:
    """What its trials expected and did not get."""
    return [str(problem.message.zh) for problem in run_trials(policies, calendars(), KINDS)]


def shipped_says() -> set[str]:
    """The texts that are there in both languages and for both kinds of channel."""
    folders = (CONFIG / "templates" / "standard", CONFIG / "templates" / "en" / "standard")
    found = [{path.name for path in folder.glob("*.txt")} for folder in folders]
    names = {name.partition(".")[0] for name in found[0] & found[1]}
    return {name for name in names if {f"{name}.sms.txt", f"{name}.email.txt"} <= found[0] & found[1]}


def offered(source: str) -> KnownNames:
    """What a mapping offers to policies."""
    tree = parse_yaml(source, CONFIG / "source.yaml").tree
    cases: Any = tree["cases"]
    fields = {*cases["columns"], "unit", "handler", "restricted"}
    return KnownNames(set(cases["milestones"]), fields, shipped_says(), set(calendars()))


def every_line_in_use(source: str) -> str:
    """The shipped mapping with the fields and milestones of the examples no longer commented out."""
    return re.sub(r"(?m)^( +)# (\w+: (?:\w+|\{column: .*\})(?: +#.*)?)$", r"\1\2", source)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_says_what_its_trials_say(path: Path) -> None:
    """Four to ten trials stand beside each policy, and all of them come out as they say."""
    policies = read(path)
    assert 4 <= len(policies.trials) <= 12
    assert failed(policies) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_trial_can_fail(path: Path) -> None:
    """A day added to any date a trial expects is found; silence expected of a case that is told of is found."""
    policies = read(path)
    for trial in policies.trials:
        wrong = list(shifted(trial))
        assert wrong or trial.silent, f"{trial.name} expects nothing that could fail"
        for one in wrong:
            assert failed(replace(policies, trials=(one,))), f"{trial.name}: {one.dues or one.expects}"


def shifted(trial: Trial) -> Iterator[Trial]:
    """The trial with one of its expectations a day later."""
    for limit, day in trial.dues.items():
        yield replace(trial, dues={limit: day + ONE_DAY}, expects=())
    for index, one in enumerate(trial.expects):
        later = replace(one, at=one.at + ONE_DAY)
        yield replace(trial, dues={}, expects=(*trial.expects[:index], later, *trial.expects[index + 1 :]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_silent_trial_is_not_silent_by_accident(path: Path) -> None:
    """What keeps a case silent is what the trial is about: without it, or under the opposite, something is said."""
    policies = read(path)
    for trial in (one for one in policies.trials if one.silent):
        _, case = trial.facts[-1]
        met = {name for limit in policies.policies[trial.policy].limits for name in limit.done} | {"acted_at"}
        begun = {name: at for name, at in case.milestones.items() if name not in met}
        flags = {name: True if value is False else value for name, value in case.fields.items()}
        listed = bool(policies.policies[trial.policy].restricted.recipients)
        told = Case(case.key, case.unit, case.handler, begun or case.milestones, flags, restricted=listed)
        loud = replace(trial, facts=((trial.facts[0][0], told),), until=trial.until + timedelta(days=200), dues={})
        assert failed(replace(policies, trials=(loud,))), trial.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_second_look_finds_nothing(path: Path) -> None:
    """No limit looser than the article it names, no step that never speaks, no warning that comes too late."""
    found = lint(read(path), Setting(calendars()), TODAY)
    assert [f"{problem.path}: {problem.message.zh}" for problem in found] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_figure_says_how_sure_it_is(path: Path) -> None:
    """The line of every length has a letter for its confidence; what is from memory only is switched off."""
    lines = path.read_text("utf-8").splitlines()
    tests_at = lines.index("tests:")
    policy = policy_in(path)
    for name, line in _lengths(lines[:tests_at]):
        _, _, comment = line.partition("#")
        limit = next(one for one in policy.limits if one.id == name)
        if limit.set_by or "unset" in line or "没有这个数字" in comment:
            continue
        assert CONFIDENCE.search(comment), f"{path.name}: {line.strip()}"
        assert not (limit.enabled and re.search(r"\bM\b", comment)), f"{path.name}: {line.strip()} is not verified"


def _lengths(lines: list[str]) -> Iterator[tuple[str, str]]:
    limit = ""
    for line in lines:
        if named := re.fullmatch(r"  (\w+):\s*(#.*)?", line):
            limit = named[1]
        if line.startswith("    within:"):
            yield limit, line


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_basis_names_an_article_only_for_a_figure_it_gives(path: Path) -> None:
    """Where an article is named, it is one we know, and it gives that figure; other figures name no article."""
    for limit in policy_in(path).limits:
        if "条" not in limit.basis.replace("条例", "") or not _claims_a_figure(limit):
            continue
        statute = statute_for(limit.basis, limit.title, limit.id)
        if statute is None:
            assert re.search("工作规则第十八条", limit.basis), limit.basis  # 每季度, a period and no number of days
        else:
            assert (limit.within, statute.longest) == (statute.longest, limit.within), limit.id


def _claims_a_figure(limit: Limit) -> bool:
    return limit.within.amount > 0 and "依地方规定" not in limit.basis


def test_what_they_say_is_there_and_what_they_need_can_be_mapped() -> None:
    """Each policy reads against the shipped mapping with the lines it asks for; its texts are in both languages."""
    source = (CONFIG / "source.yaml").read_text("utf-8")
    known = offered(every_line_in_use(source))
    for path in FILES:
        assert read(path, known).policies
    says = {step.say for path in FILES for ladder in policy_in(path).ladders.values() for step in ladder.steps}
    assert says <= shipped_says()


def test_limits_that_are_off_can_be_switched_on() -> None:
    """Nothing but `enabled` keeps the reviews of the 条例 off, once their milestones are mapped."""
    known = offered(every_line_in_use((CONFIG / "source.yaml").read_text("utf-8")))
    for path in FILES:
        text = path.read_text("utf-8").replace("within: unset", "within: 2 小时")
        tree = parse_yaml(text.replace("enabled: false", "enabled: true"), path).tree
        [policy] = parse_policies({path.name: tree}, known).policies.values()
        assert all(limit.enabled for limit in policy.limits)


def test_only_the_petitions_are_in_force_at_first(tmp_path: Path) -> None:
    """A fresh office gets one policy; the others wait as examples, and load once they are copied and mapped."""
    shutil.copytree(CONFIG, tmp_path / "config")
    assert set(settings.load(tmp_path / "config" / "duban.yaml", {}).policies.policies) == {"xinfang"}
    source = tmp_path / "config" / "source.yaml"
    source.write_text(every_line_in_use(source.read_text("utf-8")), "utf-8")
    for example in sorted((tmp_path / "config").rglob("*-example.yaml")):
        example.rename(example.with_name(example.name.replace("-example", "")))
    main = tmp_path / "config" / "duban.yaml"
    main.write_text(main.read_text("utf-8").replace("# calendars: calendars", "calendars: calendars"), "utf-8")
    assert len(settings.load(main, {}).policies.policies) == len(FILES)


# --- what the trials cannot show ------------------------------------------------------------------------------


def ends(path: str, case: Case, limit: str, **changes: Any) -> list[str]:
    """The days on which the clocks of a limit end, the limit switched on."""
    policy = policy_in(CONFIG / "policies" / path)
    limits = tuple(replace(one, enabled=True, **changes) if one.id == limit else one for one in policy.limits)
    policy = replace(policy, limits=limits)
    began = min(case.milestones.values())
    office = invented_office(policy, [case], (), KINDS)
    until = began + timedelta(days=60)
    rules = PolicySet("v", {policy.id: policy})
    seen = foresee(rules, [(began, case)], office, calendars(), KINDS, began, until)
    found = sorted((one for one in seen.obligations if one.limit == limit), key=lambda one: one.instance)
    return [str(one.legal_due_at.astimezone(ZONE).date()) for one in found]


def at(text: str) -> datetime:
    """A time in Shanghai."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def test_the_days_of_a_hearing_do_not_count_for_the_recheck() -> None:
    """Ten days of hearing move 1 April to 11 April, a Saturday, and so to Monday the 13th (条例第三十六条第二款)."""
    start = {"recheck_requested_at": at("2026-03-02 10:00")}
    assert ends("xinfang.yaml", Case("1", "乙科", "甲", start), "recheck") == ["2026-04-01"]
    hearing = Pause(1, at("2026-03-09 00:00"), at("2026-03-19 00:00"), "听证")
    assert ends("xinfang.yaml", Case("1", "乙科", "甲", start, pauses=(hearing,)), "recheck") == ["2026-04-13"]


def test_an_assigned_matter_ends_when_the_assignment_says() -> None:
    """指定办理期限 is what was set, on whatever day (条例第二十二条第一款第三项)."""
    times = {"assigned_at": at("2026-09-01 10:00"), "assigned_limit_at": at("2026-10-02 23:59")}
    assert ends("xinfang.yaml", Case("1", "乙科", "甲", times), "assigned") == ["2026-10-02"]


def test_the_petitioners_own_limit_rolls_too() -> None:
    """A reply received on 4 September can be contested until 8 October."""
    case = Case("1", "乙科", "甲", {"reply_received_at": at("2026-09-04 10:00")})
    assert ends("xinfang.yaml", case, "review_apply") == ["2026-10-08"]


def test_months_of_the_procurators_example() -> None:
    """A month from 31 January ends on Saturday 28 February, a make-up working day: no roll (民法典第二百零二条)."""
    case = Case("1", "控申", "甲", {"arrived_at": at("2026-01-31 10:00")}, {"kind": "检察信访"})
    assert ends("jiancha-example.yaml", case, "first_status") == ["2026-02-28"]


def test_each_holder_of_a_petition_has_a_clock_of_his_own() -> None:
    """A until 4 June, B, to whom it went after an objection, until 12 June (条例第二十三条第三款)."""
    moves = (
        Transfer(1, at("2026-05-20 10:00"), "甲单位", "甲", "信访局"),
        Transfer(2, at("2026-05-28 10:00"), "乙单位", "乙", "甲单位"),
    )
    times = {"registered_at": at("2026-05-06 09:00"), "arrived_at": at("2026-05-20 10:00")}
    case = Case("1", "乙单位", "乙", times, transfers=moves)
    assert ends("xinfang.yaml", case, "notify") == ["2026-06-04", "2026-06-12"]
    assert ends("xinfang.yaml", case, "object") == ["2026-05-27", "2026-06-04"]
