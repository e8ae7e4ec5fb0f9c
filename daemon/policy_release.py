"""How changed policies come into force: check -> trials -> (a second person) -> in force from a moment on -> watched.

Every node comes to the same answer because it follows what the store says is in force, not its own files: files only
ever put a new version forward. Blocking; called from a thread or a command.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from daemon import telemetry
from daemon.errors import SettingsError
from daemon.rules import Faults, Rules, Shelf
from daemon.settings import policies_of
from daemon.store.versions import SHOWN, VersionState, in_force, released_by
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from daemon.render import Renderer
    from daemon.settings import Configuration
    from daemon.store import Store
    from daemon.store.versions import PolicyVersion
    from policies.model import PolicySet

    Trials = Callable[[Configuration], tuple[Text, ...]]

log = telemetry.logger(__name__)

BY_ITSELF = "duban"
ON_PROBATION = timedelta(minutes=15)  # how long a new version is watched
FAULTS_ALLOWED = 3  # cases a new version may fail, which the one before did not, before it is taken back
PAGE = 500
UNREADABLE = Text("这个版本已无法读取", "it cannot be read any more")


class Taken(StrEnum):
    """What became of the policy files on disk."""

    SAME = "same"  # they say what is in force
    ACTIVATED = "activated"  # in force from now on
    PROPOSED = "proposed"  # wait for a second person
    SCHEDULED = "scheduled"  # released, but their moment lies ahead
    LEFT = "left"  # an older version, not put back by a mere start
    RETIRED = "retired"  # withdrawn once: only a command puts it back


WORDS: Mapping[Taken, Text] = {
    Taken.SAME: Text("策略没有变化", "the policies are unchanged"),
    Taken.ACTIVATED: Text("新策略已生效", "the new policies are in force"),
    Taken.PROPOSED: Text("新策略已提出，等待另一人核准", "the new policies wait for a second person"),
    Taken.SCHEDULED: Text("新策略已发布，到时生效", "the new policies are released and wait for their moment"),
    Taken.LEFT: Text(
        "策略文件是旧版本，没有采用；要启用请运行 duban policy activate files",
        "the policy files are an older version and were left alone; see duban policy activate files",
    ),
    Taken.RETIRED: Text(
        "策略文件是已撤回的版本，没有采用；要重新启用请运行 duban policy activate files",
        "the policy files are a version that was withdrawn; see duban policy activate files",
    ),
}


def no_trials(_configuration: Configuration) -> tuple[Text, ...]:
    """Plays no trial."""
    return ()


def mistakes_in(configuration: Configuration, renderer: Renderer, run_trials: Trials) -> tuple[Text, ...]:
    """Everything that keeps the policy files of a configuration from coming into force: templates, then trials.

    The one place where both are asked; the language itself was checked when the files were loaded.
    """
    mistakes = tuple(renderer.check(configuration.policies))
    return mistakes or run_trials(configuration)


def take_files(
    store: Store,
    configuration: Configuration,
    renderer: Renderer,
    now: datetime,
    *,
    changed: bool,
    by: str = BY_ITSELF,
    run_trials: Trials = no_trials,
) -> Taken:
    """Put the policy files of a loaded configuration forward, as far as the office's rules of release allow.

    `changed`: they changed under the eyes of this process, so that going back to an older version is meant.

    Raises:
        SettingsError: templates or trials of a version nobody has seen yet fail; nothing has been written.
    """
    version = configuration.version
    versions = store.policy_versions()
    current = in_force(versions, now)
    known = next((one for one in versions if one.version == version), None)
    kept_before_there_were_moments = current is not None and current.active_from_at is None and known is not None
    if current is None or (kept_before_there_were_moments and current.version != version):
        note = Text("首次启动", "first start").say(configuration.settings.language)
        _release(store, configuration, by, now, note)
        return Taken.ACTIVATED
    if current.version == version:
        return Taken.SAME
    if known is None:
        store.bind_unbound(current.version)  # cases of a store from before versions were kept do not follow either
        return _take_new(store, configuration, renderer, now, by, run_trials)
    return _take_known(store, configuration, known, now, by, changed=changed)


def _take_new(
    store: Store, configuration: Configuration, renderer: Renderer, now: datetime, by: str, run_trials: Trials
) -> Taken:
    mistakes = mistakes_in(configuration, renderer, run_trials)
    if mistakes:
        count = len(mistakes)
        raise SettingsError(
            Text(
                f"新策略没有通过检查（{count} 处），沿用原策略。",
                f"the new policies fail their checks ({count}); the old ones go on",
            ),
            mistakes,
        )
    if configuration.settings.release.second_person:
        store.propose_policy(configuration.version, configuration.policy_files, by, now)
        return Taken.PROPOSED
    _release(store, configuration, by, now)
    return Taken.ACTIVATED


def _take_known(
    store: Store, configuration: Configuration, known: PolicyVersion, now: datetime, by: str, *, changed: bool
) -> Taken:
    if known.state is VersionState.RETIRED:
        return Taken.RETIRED
    if known.state is VersionState.PROPOSED:
        if configuration.settings.release.second_person or not changed:
            return Taken.PROPOSED
        _release(store, configuration, by, now)
        return Taken.ACTIVATED
    if known.from_at > now:
        return Taken.SCHEDULED
    if not changed:
        return Taken.LEFT
    _release(store, configuration, by, now)
    return Taken.ACTIVATED


def _release(store: Store, configuration: Configuration, by: str, now: datetime, note: str = "") -> None:
    store.release_policy(configuration.version, configuration.policy_files, by, now, note)


# --- the rules in force -------------------------------------------------------------------------------------


def shelf_of(store: Store, configuration: Configuration) -> Shelf:
    """The kept versions, read when first asked for; one that cannot be read is told in the journal."""

    def read(version: str) -> PolicySet | None:
        if version == configuration.version:
            return configuration.policies
        files = store.policy_files(version)
        if files is None:
            return None
        try:
            return policies_of(files, version, configuration)
        except SettingsError as error:
            told = [problem.zh for problem in (*error.problems, error.message)]
            log.error(telemetry.POLICY_UNREADABLE, version=version[:SHOWN], problems=told)  # noqa: TRY400 - says all
            return None

    return Shelf(read)


def rules_in_force(store: Store, configuration: Configuration, now: datetime, faults: Faults | None = None) -> Rules:
    """The rules the store says are in force, with this configuration's calendars and channels.

    Before the first start those of the files.

    Raises:
        SettingsError: this software, or this configuration, cannot read the version in force.
    """
    shelf = shelf_of(store, configuration)
    current = in_force(store.policy_versions(), now)
    policies = configuration.policies if current is None else shelf.get(current.version)
    if policies is None:
        version = current.version[:SHOWN] if current is not None else ""
        raise SettingsError(
            Text(
                f"读不了生效的策略版本 {version}。要改用策略文件，请运行 duban policy activate files。",
                f"policy version {version} is in force and cannot be read here; to use the policy files instead run "
                "duban policy activate files",
            )
        )
    return Rules(
        policies,
        configuration.calendars,
        configuration.kinds,
        configuration.settings.office.calendar,
        shelf,
        faults or Faults(),
    )


@dataclass(frozen=True, slots=True)
class Followed:
    """What the store wants of this node now, and what had to be done on the way.

    `rules` None: the version in force cannot be read here, so this node decides nothing. `fell_back` are versions
    taken back, with the reason.
    """

    rules: Rules | None
    fell_back: tuple[tuple[str, Text], ...] = ()


def follow(store: Store, rules: Rules, renderer: Renderer, now: datetime) -> Followed:
    """The rules as the store wants them now: the same, or with another version in force.

    A version that does not prove itself is retired, its cases go back to the one before, and that is in force again:
    one whose messages cannot be written when it takes over, or under which cases fail in its first minutes.
    """
    fell_back: list[tuple[str, Text]] = []
    while True:
        released = released_by(store.policy_versions(), now)
        if not released:
            return Followed(rules)
        current, before = released[0], next(iter(released[1:]), None)
        policies = rules.policies_for(current.version)
        if policies.version != current.version:
            return Followed(None, tuple(fell_back))
        problem = _unfit(current, policies, before, rules, renderer, now)
        if problem is None or before is None:
            break
        log.error(telemetry.POLICY_FELL_BACK, version=current.version[:SHOWN], problem=problem.zh)
        store.retire_policy(current.version, BY_ITSELF, now, note=problem.zh)
        move_all(store, before.version, now, problem.zh, bound_to=current.version)
        fell_back.append((current.version, problem))
    if current.version == rules.policies.version:
        return Followed(rules, tuple(fell_back))
    store.policy_took_over(current.version, now)
    store.bind_unbound(rules.policies.version)
    rules.faults.forget(current.version)
    switched = replace(rules, policies=policies, older=_and_also(rules.older, rules.policies))
    return Followed(switched, tuple(fell_back))


def _and_also(shelf: Shelf, policies: PolicySet) -> Shelf:
    """The shelf, with the policies that were in force until now at hand."""
    return Shelf(lambda version: policies if version == policies.version else shelf.get(version))


def _unfit(
    current: PolicyVersion,
    policies: PolicySet,
    before: PolicyVersion | None,
    rules: Rules,
    renderer: Renderer,
    now: datetime,
) -> Text | None:
    """Why a version may not be in force, or nothing."""
    if current.version != rules.policies.version:
        mistakes = renderer.check(policies)
        return mistakes[0] if mistakes else None
    if now - current.from_at > ON_PROBATION or before is None:
        return None
    failed = rules.faults.of(current.version, apart_from=before.version)
    if failed <= FAULTS_ALLOWED:
        return None
    return Text(f"启用后有 {failed} 个案件无法处理", f"{failed} cases failed since it is in force")


def unreadable(store: Store, rules: Rules) -> list[str]:
    """Versions that running cases are bound to and that nobody can read any more."""
    bound = (version for version in store.cases_by_version() if version is not None)
    return [version for version in bound if rules.policies_for(version).version != version]


def move_all(store: Store, version: str, now: datetime, why: str, *, bound_to: str | None = None) -> int:
    """Bind every running case that is not (or those of one version) to that version; returns how many moved."""
    moved, after = 0, ""
    other = version if bound_to is None else None
    while keys := store.running_cases(after=after, limit=PAGE, bound_to=bound_to, other_than=other):
        moved += store.bind(keys, version, BY_ITSELF, now, why)
        after = keys[-1]
    return moved


def settle(store: Store, rules: Rules, now: datetime, *, everybody: bool) -> list[tuple[str, int]]:
    """Bind running cases to the version in force: all of them where the office wants that, else the lost ones.

    Lost are those whose own version nobody can read any more. Returns (version, how many) of them.
    """
    version = rules.policies.version
    if everybody:
        moved = move_all(store, version, now, "release.migrate: automatic")
        if moved:
            log.info(telemetry.CASES_MOVED, to=version[:SHOWN], cases=moved)
        return []
    lost: list[tuple[str, int]] = []
    for old in unreadable(store, rules):
        moved = move_all(store, version, now, UNREADABLE.zh, bound_to=old)
        log.warning(telemetry.CASES_MOVED, before=old[:SHOWN], to=version[:SHOWN], cases=moved)
        lost.append((old, moved))
    return lost


def require_templates(store: Store, rules: Rules, renderer: Renderer) -> None:
    """Refuse templates with which a version that running cases are bound to cannot write its messages.

    Raises:
        SettingsError: naming every mistake once.
    """
    bound = {rules.policies_for(version).version for version in store.cases_by_version()}
    mistakes: dict[Text, None] = {}
    for version in sorted(bound):
        mistakes.update(dict.fromkeys(renderer.check(rules.policies_for(version))))
    if mistakes:
        raise SettingsError(
            Text(
                "在办案件仍要用的模板有误，沿用原配置。",
                "templates that running cases need are wrong; the old ones go on",
            ),
            tuple(mistakes),
        )
