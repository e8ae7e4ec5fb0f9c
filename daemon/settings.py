"""Load the whole configuration: `duban.yaml`, the source mapping, every policy and calendar, every channel section.

Nothing is connected and no database library loaded. Either everything is right and a `Configuration` comes back,
or one `SettingsError` names every mistake of every file with its place; a broken configuration never half-applies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast, get_args
from urllib.parse import quote, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from channels.registry import channel_types, kind_of
from channels.spool import SpoolSettings
from daemon.calendars import load_calendars
from daemon.clock import PRACTICE_NOW, practice_now
from daemon.errors import SettingsError
from daemon.mapping import SourceMapping
from daemon.medium import KEYS as KEYS_OF_EVERY_CHANNEL
from daemon.medium import Medium
from daemon.sharing import SHARED, Sharing, mistakes_in
from daemon.yamlfile import SecretText, YamlFile, located, parse_yaml, read_yaml, reveal_secrets
from policies.complaints import Mistake, problems_of, shown
from policies.errors import KeyPath, PolicyError, Problem
from policies.language import KnownNames, parse_policies
from policies.model import Official, PolicySet
from policies.spelling import suggestion
from policies.text import Language, Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from channels.base import ChannelType
    from policies.calendar import Calendar

BUILT_IN_CALENDAR = "china"
EXAMPLE = "-example"
DESCRIBED = "http"  # the type of channels that can be any company's
FIELDS_OF_EVERY_CASE = frozenset({"unit", "handler", "restricted"})


# --- the schema of duban.yaml -------------------------------------------------------------------------------


def _zone_exists(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        found = shown(name)
        raise Mistake(
            Text(f"应为时区名，如 Asia/Shanghai，实为{found.zh}", f"expected a time zone, found {found.en}")
        ) from None
    return name


_STORE_URL = re.compile(r"(sqlite|postgresql)(\+\w+)?://.*")


def _store_url(url: str) -> str:
    if _STORE_URL.fullmatch(url) and _splits(url):
        return url
    raise Mistake(
        Text(
            "应为 sqlite:///文件 或 postgresql+psycopg://用户@主机/库",
            "expected sqlite:///file or postgresql+psycopg://user@host/database",
        )
    )


def _splits(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


_CHINESE_MOBILE = re.compile(r"1[3-9]\d{9}")
_INTERNATIONAL = re.compile(r"\+\d{6,15}")


def _mobile(written: str) -> str:
    """The number in E.164."""
    digits = re.sub(r"[\s-]", "", written)
    if _CHINESE_MOBILE.fullmatch(digits):
        return f"+86{digits}"
    if _INTERNATIONAL.fullmatch(digits):
        return digits
    raise Mistake(
        Text(
            "应为 11 位手机号，或以 + 开头的国际号码",
            "expected an 11-digit mobile number, or an international one beginning with +",
        )
    )


_MAILBOX = re.compile(r"[^@\s]+@[^@\s]+")


def _mailbox(written: str) -> str:
    if _MAILBOX.fullmatch(written):
        return written
    raise Mistake(Text("应为邮箱地址，如 duban@example.com", "expected a mail address such as duban@example.com"))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, str_strip_whitespace=True)


class OfficeSettings(_Part):
    """The office: its name and SMS signature, its time zone, the calendar policies use unless they name another."""

    name: str = Field(min_length=1)
    signature: str = ""
    time_zone: Annotated[str, AfterValidator(_zone_exists)] = "Asia/Shanghai"
    calendar: str = BUILT_IN_CALENDAR


class StoreSettings(_Part):
    """Our own database. The password may be given apart, as a secret."""

    url: Annotated[str, AfterValidator(_store_url)] = Field(repr=False)
    password: SecretStr | None = None


class AdministratorSettings(_Part):
    """Who is told when nobody else can be reached, or when the daemon itself is in trouble."""

    name: str = Field(min_length=1)
    mobile: Annotated[str, AfterValidator(_mobile)] | None = Field(default=None, repr=False)
    email: Annotated[str, AfterValidator(_mailbox)] | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _can_be_reached(self) -> AdministratorSettings:
        if self.mobile is None and self.email is None:
            raise Mistake(
                Text("管理员至少要写 mobile 或 email 之一", "an administrator needs a mobile or an email at least")
            )
        return self


_Seconds = Annotated[float, Field(gt=0, le=604_800)]


class ScheduleSettings(_Part):
    """The rhythm, in seconds."""

    sync: _Seconds = 30
    full_sync: _Seconds = 21_600
    tick: _Seconds = 5
    pump: _Seconds = 2
    collect: _Seconds = 60
    audit: _Seconds = 60
    seal: _Seconds = 3_600


class ReleaseSettings(_Part):
    """How changed policies come into force.

    `second_person`: somebody else must approve a changed set of files first. `migrate`: whether running cases follow
    a new version by themselves (`automatic`) or keep theirs until `duban policy migrate`. `watch`: whether changed
    files are noticed without a reload.
    """

    second_person: bool = False
    migrate: Literal["never", "automatic"] = "never"
    watch: bool = True


_LISTEN = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^\s:/]+):(?P<port>\d{1,5})")
_PUBLIC_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")


def _listen(written: str) -> str:
    found = _LISTEN.fullmatch(written)
    if found is not None and int(found["port"]) <= 65_535:  # noqa: PLR2004 - the highest port there is
        return written
    raise Mistake(Text("应为 地址:端口，如 127.0.0.1:8765", "expected address:port, such as 127.0.0.1:8765"))


def _public_url(written: str) -> str:
    if _PUBLIC_URL.fullmatch(written) and "@" not in written.split("/")[2]:  # a login would stand in every link
        return written.rstrip("/")
    raise Mistake(
        Text("应为网址，如 https://duban.example.com", "expected an address such as https://duban.example.com")
    )


class ConsoleSettings(_Part):
    """The web side: acknowledgement links, and where providers bring receipts and replies.

    `public_url` is how phones and providers reach it, through whatever proxy stands in front. `secret` signs the links;
    links signed with `old_secret` are still good. `link_days` is how long a link is good.
    """

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8765"
    public_url: Annotated[str, AfterValidator(_public_url)]
    secret: SecretStr = Field(min_length=16)
    old_secret: Annotated[SecretStr, Field(min_length=16)] | None = None
    link_days: int = Field(default=30, ge=1, le=365)


class _Main(_Part):
    office: OfficeSettings
    store: StoreSettings
    source: Any
    policies: str = "policies"
    calendars: str | None = None
    templates: str = "templates"
    channels: dict[str, dict[str, Any]] = Field(min_length=1)
    administrators: list[AdministratorSettings] = Field(min_length=1)
    schedule: ScheduleSettings = ScheduleSettings()
    language: Literal["zh", "en"] = "zh"
    release: ReleaseSettings = ReleaseSettings()
    console: ConsoleSettings | None = None
    dark: bool = False
    sandbox: bool = False


def console_in_place(old: ConsoleSettings | None, new: ConsoleSettings | None) -> ConsoleSettings | None:
    """What a reload makes of the web side: it stays where it is (or closed), and signs by the new secrets."""
    if old is None or new is None:
        return old
    return new.model_copy(update={"listen": old.listen, "public_url": old.public_url})


# --- what comes out -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settings:
    """What `duban.yaml` and the source mapping say, paths and secrets resolved."""

    office: OfficeSettings
    store: StoreSettings = field(repr=False)
    source: SourceMapping = field(repr=False)
    schedule: ScheduleSettings
    language: Language
    release: ReleaseSettings = field(default_factory=ReleaseSettings)
    dark: bool = False  # the whole office decides everything and sends nothing
    console: ConsoleSettings | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole configuration that was found right.

    `channel_settings`, `channel_types`, `kinds` (`email` or `sms`) and `media` are by the channel's name in the YAML.
    `sharing` are the channels with several providers behind them; these are channels too, but come last in `kinds`, so
    that a message for a kind of address never takes one of them for the first. `kinds` and `media` have both.
    `policy_files` holds the text of each policy file by its name, `policy_paths` where it lies; `version` is the hash
    of what they say.
    `administrators` are officials with keys of their own, the last resort of every chain. `known` are the names
    policies may use here; `watched` the folders whose files a running daemon looks at for changes.
    """

    path: Path
    settings: Settings
    policies: PolicySet
    calendars: Mapping[str, Calendar]
    channel_settings: Mapping[str, BaseModel] = field(repr=False)
    channel_types: Mapping[str, ChannelType] = field(repr=False)
    kinds: Mapping[str, str]
    policy_files: Mapping[str, str] = field(repr=False)
    version: str
    templates: Path
    administrators: tuple[Official, ...]
    known: KnownNames = field(default_factory=KnownNames, repr=False)
    watched: tuple[Path, ...] = ()
    policy_paths: Mapping[str, Path] = field(default_factory=dict[str, Path], repr=False)
    media: Mapping[str, Medium] = field(default_factory=dict[str, Medium])
    sharing: Mapping[str, Sharing] = field(default_factory=dict[str, Sharing])

    @property
    def behind(self) -> Mapping[str, str]:
        """Provider -> the shared channel it is behind."""
        return {provider: name for name, shared in self.sharing.items() for provider in shared.providers}

    def may_tell(self, channel: str, sent_over: str, provider: str = "") -> bool:
        """Whether what a channel's calls tell is believed of a message sent over that channel, by that provider.

        Of its own, of the shared channel it is behind, and of other channels of its company: their accounts have but
        one address to call. What `type: http` describes may be anybody.
        """
        if channel in {sent_over, provider} or self.behind.get(channel) == sent_over:
            return True
        told, had = (self.channel_types.get(name) for name in (channel, provider or sent_over))
        return told is not None and had is not None and told.name == had.name != DESCRIBED

    def ways(self, channel: str) -> tuple[str, ...]:
        """By which channels a message for that channel may really leave: its providers, if it is shared."""
        return tuple(self.sharing[channel].providers) if channel in self.sharing else (channel,)

    @property
    def zone(self) -> ZoneInfo:
        """The office's time zone."""
        return ZoneInfo(self.settings.office.time_zone)


def policies_of(files: Mapping[str, str], version: str, configuration: Configuration) -> PolicySet:
    """A version of the policies from the text of its files, as it was kept.

    What a policy asks of the shared database and of the channels is not checked again: a column may be gone that only
    old cases had, and a message for a channel that is gone goes up the chain.

    Raises:
        SettingsError: this software, or this configuration, cannot read it.
    """
    trees = {name: parse_yaml(text, Path(name)).tree for name, text in files.items()}
    known = replace(configuration.known, milestones=None, fields=None, channels=None)
    try:
        parsed = parse_policies(trees, known)
    except PolicyError as error:
        message = Text(f"读不了策略版本 {version[:12]}", f"policy version {version[:12]} cannot be read")
        raise SettingsError(message, [each.message for each in error.problems]) from None
    return _darkened(replace(parsed, version=version), dark=configuration.settings.dark)


def _darkened(policies: PolicySet, *, dark: bool) -> PolicySet:
    """All policies dark, where the whole office only looks on; the version stays what the files say."""
    if not dark:
        return policies
    return replace(policies, policies={key: replace(one, dark=True) for key, one in policies.policies.items()})


def load(
    path: Path,
    environment: Mapping[str, str] | None = None,
    *,
    policies: Path | None = None,
    without_policies: bool = False,
) -> Configuration:
    """Read and check everything the file leads to. Relative paths are relative to the file they stand in.

    `environment` is used for secrets instead of the process's own, the folder `policies` instead of the one named;
    `without_policies` reads none, for who wants only what surrounds them.

    Raises:
        SettingsError: `problems` names every mistake of every file.
    """
    return _Loading(path, environment, policies, without_policies=without_policies).run()


def store_url(path: Path, environment: Mapping[str, str] | None = None) -> str:
    """Where our own database is, whatever is wrong elsewhere in the configuration.

    Raises:
        SettingsError: the main file, or its section `store`, cannot be used.
    """
    file, missing = reveal_secrets(read_yaml(path), environment)
    try:
        store = StoreSettings.model_validate(file.tree.get("store"))
    except ValidationError:
        raise SettingsError(Text("duban.yaml 的 store 有误。", "section store of duban.yaml is wrong")) from None
    pretended = wrong_time(sandbox=file.tree.get("sandbox") is True)
    if pretended is not None:
        raise SettingsError(pretended)
    if any(problem.path[:1] == ("store",) for problem in missing):
        raise SettingsError(Text("取不到 store 的口令。", "the password of store cannot be fetched"))
    return _with_password(_sqlite_beside(store.url, path.parent), store.password)


# --- reading ------------------------------------------------------------------------------------------------

_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _ChannelPart:
    name: str
    type: ChannelType
    settings: BaseModel
    medium: Medium


class _Loading:
    """One load: collects problems file by file while reading on."""

    def __init__(
        self,
        path: Path,
        environment: Mapping[str, str] | None,
        policies: Path | None,
        *,
        without_policies: bool = False,
    ) -> None:
        self._path = path
        self._without_policies = without_policies
        self._environment = environment
        self._other_policies = policies
        self._problems: list[Text] = []
        self._sharing: dict[str, Sharing] = {}

    def run(self) -> Configuration:
        file = self._read(self._path)
        if file is None:
            raise self._refusal()
        mistakes: list[Problem] = []
        file, missing = reveal_secrets(file, self._environment)
        mistakes += missing
        main = self._check(_Main, file.tree, (), mistakes, missing)
        channels = self._channels(file, mistakes)
        mapping = self._source(file, mistakes)
        calendars = self._calendars(file, mistakes)
        if main is not None and calendars is not None:
            mistakes += _unknown_calendar(main.office.calendar, calendars)
        policy_files = {} if self._without_policies else self._policy_files(file, mistakes)
        templates = self._folder(file, "templates", "templates", mistakes)
        mistakes += _practice(channels, sandbox=main is not None and main.sandbox)
        self._note(file, mistakes)
        zone = KnownNames().zone if main is None else ZoneInfo(main.office.time_zone)
        known = _known_names(mapping, calendars, channels, zone, self._sharing)
        if main is not None and set(main.channels) - set(known.channels or ()):
            known = replace(known, channels=None)  # policies may name those that could not be read
        policies = self._policies(policy_files, known)
        if self._problems or main is None or mapping is None or calendars is None or policies is None:
            raise self._refusal()
        return Configuration(
            path=self._path,
            settings=_settings(main, mapping, self._path.parent),
            policies=_darkened(policies, dark=main.dark),
            calendars=calendars,
            channel_settings={each.name: each.settings for each in channels},
            channel_types={each.name: each.type for each in channels},
            kinds=_kinds(channels, self._sharing, main.channels),
            policy_files={name: each.text for name, each in policy_files.items()},
            version=policies.version,
            templates=templates,
            administrators=_officials(main.administrators),
            known=known,
            policy_paths={name: each.path for name, each in policy_files.items()},
            watched=tuple(
                file.path.parent / name for name in (main.policies, main.calendars or "calendars", main.templates)
            ),
            media=_media(channels, self._sharing),
            sharing=self._sharing,
        )

    def _refusal(self) -> SettingsError:
        count = len(self._problems)
        return SettingsError(
            Text(
                f"配置有 {count} 处错误，改正后再运行 duban check。",
                f"{count} mistake{'s' if count != 1 else ''} in the configuration; correct and run duban check again",
            ),
            self._problems,
        )

    def _read(self, path: Path) -> YamlFile | None:
        try:
            return read_yaml(path)
        except SettingsError as error:
            self._problems += error.problems
            return None

    def _note(self, file: YamlFile, mistakes: Sequence[Problem]) -> None:
        """Add the mistakes of one file, in the order of its lines."""
        for problem in sorted(mistakes, key=lambda each: file.mark(each.path)):
            self._problems.append(located(problem, file))

    def _check(
        self,
        model: type[_M],
        tree: object,
        under: KeyPath,
        mistakes: list[Problem],
        missing: Sequence[Problem],
        beside: Collection[str] = (),
    ) -> _M | None:
        """The tree as that model; what a missing secret broke is not reported a second time.

        `beside` are keys that may stand there too.
        """
        try:
            return model.model_validate(tree)
        except ValidationError as error:
            told = {problem.path for problem in missing}
            found = problems_of(error, model, tree, under=under, hidden=_is_secret, beside=sorted(beside))
            mistakes += [problem for problem in found if problem.path not in told]
            return None

    # channels

    def _channels(self, file: YamlFile, mistakes: list[Problem]) -> list[_ChannelPart]:
        sections = file.tree.get("channels")
        if not isinstance(sections, dict):
            return []
        try:
            types = channel_types()
        except Exception as error:  # noqa: BLE001 - the channel of another package may fail in any way at import
            mistakes.append(_broken_channel(error))
            return []
        parts: list[_ChannelPart] = []
        for name, section in cast("dict[str, dict[str, object] | None]", sections).items():
            if isinstance(section, dict) and section.get("type") == SHARED:
                self._shared(name, section, mistakes)
            elif (part := self._channel(name, section, types, file, mistakes)) is not None:
                parts.append(part)
        kinds = {each.name: kind_of(each.type, each.settings) for each in parts}
        mistakes += mistakes_in(self._sharing, list(cast("dict[str, object]", sections)), kinds)
        return parts

    def _shared(self, name: str, section: Mapping[str, object], mistakes: list[Problem]) -> None:
        misplaced = [key for key in section if key in KEYS_OF_EVERY_CHANNEL]
        mistakes += [Problem(("channels", name, key), _WITH_EACH_PROVIDER) for key in misplaced]
        entries = {key: value for key, value in section.items() if key not in {"type", *misplaced}}
        shared = self._check(Sharing, entries, ("channels", name), mistakes, mistakes)
        if shared is not None:
            self._sharing[name] = shared

    def _channel(
        self, name: str, section: object, types: Mapping[str, ChannelType], file: YamlFile, mistakes: list[Problem]
    ) -> _ChannelPart | None:
        path: KeyPath = ("channels", name)
        if not isinstance(section, dict):
            return None  # the main schema has said so
        entries = dict(cast("dict[str, object]", section))
        type_name = entries.pop("type", None)
        if not isinstance(type_name, str) or type_name not in types:
            mistakes.append(_unknown_type(path, type_name, types))
            return None
        chosen = types[type_name]
        told = [problem for problem in mistakes if problem.path[:2] == path]
        common = {key: entries.pop(key) for key in KEYS_OF_EVERY_CHANNEL & entries.keys()}
        medium = self._check(Medium, common, path, mistakes, told)
        entries = _paths_beside(file.path.parent, chosen.settings, entries)
        settings = self._check(chosen.settings, entries, path, mistakes, told, KEYS_OF_EVERY_CHANNEL)
        return None if settings is None or medium is None else _ChannelPart(name, chosen, settings, medium)

    # the source mapping

    def _source(self, file: YamlFile, mistakes: list[Problem]) -> SourceMapping | None:
        written = file.tree.get("source")
        if written is None:
            if "source" in file.tree:
                mistakes.append(Problem(("source",), _SOURCE_EXPECTED))
            return None
        if isinstance(written, dict):
            mapping = self._check(SourceMapping, cast("object", written), ("source",), mistakes, mistakes)
            return _beside(mapping, file.path.parent)
        if not isinstance(written, str) or isinstance(written, SecretText):
            mistakes.append(Problem(("source",), _SOURCE_EXPECTED))
            return None
        return self._source_file(file.path.parent / written)

    def _source_file(self, path: Path) -> SourceMapping | None:
        file = self._read(path)
        if file is None:
            return None
        file, missing = reveal_secrets(file, self._environment)
        mistakes = list(missing)
        mapping = self._check(SourceMapping, file.tree, (), mistakes, missing)
        self._note(file, mistakes)
        return _beside(mapping, path.parent)

    # folders

    def _folder(self, file: YamlFile, key: str, default: str, mistakes: list[Problem]) -> Path:
        written = file.tree.get(key, default)
        folder = file.path.parent / (written if isinstance(written, str) else default)
        if not folder.is_dir() and (written is default or isinstance(written, str)):
            mistakes.append(Problem((key,), Text(f"没有文件夹 {folder}", f"there is no folder {folder}")))
        return folder

    def _calendars(self, file: YamlFile, mistakes: list[Problem]) -> Mapping[str, Calendar] | None:
        files: list[Path] = []
        if "calendars" in file.tree or (file.path.parent / "calendars").is_dir():
            files = _yaml_files(self._folder(file, "calendars", "calendars", mistakes))
        try:
            return load_calendars(files)
        except SettingsError as error:
            self._problems += error.problems or (error.message,)
            return None

    def _policy_files(self, file: YamlFile, mistakes: list[Problem]) -> dict[str, YamlFile]:
        before = len(mistakes)
        folder = self._other_policies or self._folder(file, "policies", "policies", mistakes)
        paths = _yaml_files(folder)
        if not paths and len(mistakes) == before:
            mistakes.append(
                Problem(("policies",), Text(f"{folder} 里没有 .yaml 策略文件", f"no .yaml policy file in {folder}"))
            )
        read = {path.name: self._read(path) for path in paths}
        return {name: each for name, each in read.items() if each is not None}

    def _policies(self, files: Mapping[str, YamlFile], known: KnownNames) -> PolicySet | None:
        try:
            return parse_policies({name: each.tree for name, each in files.items()}, known)
        except PolicyError as error:
            for name, file in files.items():
                own = [each for each in error.problems if each.path[0] == name]
                self._note(file, [Problem(each.path[1:], each.message, each.hint) for each in own])
            return None


def _kinds(channels: Sequence[_ChannelPart], sharing: Mapping[str, Sharing], names: Iterable[str]) -> dict[str, str]:
    """The kind of address of each channel; those behind a shared one last, as nobody means them without naming them."""
    kinds = {each.name: kind_of(each.type, each.settings) for each in channels}
    behind = {provider for shared in sharing.values() for provider in shared.providers}
    kinds |= {name: kinds[next(iter(shared.providers))] for name, shared in sharing.items()}
    return {name: kinds[name] for name in sorted(names, key=behind.__contains__)}


def _media(channels: Sequence[_ChannelPart], sharing: Mapping[str, Sharing]) -> dict[str, Medium]:
    """What each channel lets by; a shared one, where one word has to do for all its providers, as its largest does."""
    own = {each.name: each.medium for each in channels}
    largest = {name: max(shared.providers, key=shared.providers.__getitem__) for name, shared in sharing.items()}
    return {**own, **{name: own[provider] for name, provider in largest.items()}}


def _practice(channels: Sequence[_ChannelPart], *, sandbox: bool) -> list[Problem]:
    """In a sandbox nothing may leave the machine; outside of one the time may not be pretended."""
    wrong = wrong_time(sandbox=sandbox)
    mistakes = [] if wrong is None else [Problem((), wrong)]
    real = [each.name for each in channels if sandbox and not isinstance(each.settings, SpoolSettings)]
    return mistakes + [Problem(("channels", name, "type"), _ONLY_FILES) for name in real]


def wrong_time(*, sandbox: bool) -> Text | None:
    """What is wrong with the time that `DUBAN_NOW` pretends, if anything."""
    try:
        pretended = practice_now()
    except ValueError:
        return Text(
            f"{PRACTICE_NOW} 应为时刻，如 2026-11-23 09:00",
            f"{PRACTICE_NOW} must be an instant such as 2026-11-23 09:00",
        )
    return None if pretended is None or sandbox else _PRETENDED


_WITH_EACH_PROVIDER = Text(
    "不写在这里：写到各服务商自己的通道里", "does not belong here: write it in the section of each provider"
)
_ONLY_FILES = Text(
    "练习环境（sandbox: true）只能用 spool 通道：消息写成文件，什么也不真发",
    "a sandbox (sandbox: true) may only have spool channels: messages become files, nothing is really sent",
)
_PRETENDED = Text(
    f"设了 {PRACTICE_NOW}（假定的时间），只能用于 duban init --sandbox 建的练习环境；请先 unset {PRACTICE_NOW}",
    f"{PRACTICE_NOW} pretends a time, which only a sandbox of duban init --sandbox may do; unset {PRACTICE_NOW} first",
)
_SOURCE_EXPECTED = Text(
    "应为映射文件名（如 source.yaml）或映射本身",
    "expected the name of a mapping file (such as source.yaml) or the mapping",
)


def _is_secret(value: object) -> bool:
    return isinstance(value, SecretText)


def _unknown_type(path: KeyPath, type_name: object, types: Mapping[str, ChannelType]) -> Problem:
    names = sorted({*types, SHARED})
    known = Text(f"可写的有：{'、'.join(names)}", f"known are: {', '.join(names)}")
    if type_name is None:
        return Problem((*path, "type"), Text("缺少必填项“type”", '"type" is missing'), known)
    found = shown(type_name)
    message = Text(f"没有名为{found.zh}的通道类型", f"there is no channel type named {found.en}")
    return Problem((*path, "type"), message, suggestion(str(type_name), names) or known)


def _broken_channel(error: Exception) -> Problem:
    name = type(error).__name__
    return Problem(
        ("channels",),
        Text(f"另装的通道扩展加载失败（{name}）", f"a channel of another package cannot be loaded ({name})"),
    )


def _unknown_calendar(name: str, calendars: Mapping[str, Calendar]) -> list[Problem]:
    if name in calendars:
        return []
    found = shown(name)
    known = Text(f"可写的有：{'、'.join(sorted(calendars))}", f"known are: {', '.join(sorted(calendars))}")
    message = Text(f"没有名为{found.zh}的日历", f"there is no calendar named {found.en}")
    return [Problem(("office", "calendar"), message, suggestion(name, calendars) or known)]


def _known_names(
    mapping: SourceMapping | None,
    calendars: Mapping[str, Calendar] | None,
    channels: Sequence[_ChannelPart],
    zone: ZoneInfo,
    shared: Collection[str] = (),
) -> KnownNames:
    """What policies may refer to; what could not be read is not checked, so that no mistake follows from another."""
    kinds = tuple(dict.fromkeys(kind_of(each.type, each.settings) for each in channels))
    return KnownNames(
        milestones=None if mapping is None or _names_any_milestone(mapping) else mapping.milestone_names(),
        fields=None if mapping is None else mapping.field_names() | FIELDS_OF_EVERY_CASE,
        calendars=None if calendars is None else calendars.keys(),
        kinds=kinds or KnownNames().kinds,
        roles=frozenset() if mapping is None else _mapped_roles(mapping),
        channels=[*(each.name for each in channels), *shared],
        zone=zone,
    )


def _names_any_milestone(mapping: SourceMapping) -> bool:
    return mapping.milestones is not None and not mapping.milestones.name.values


def _mapped_roles(mapping: SourceMapping) -> frozenset[str]:
    return frozenset() if mapping.posts is None else frozenset(map(str, mapping.posts.role.values.values()))


def _yaml_files(folder: Path) -> list[Path]:
    """The files of a folder that count: not hidden ones, and not the shipped `…-example.yaml`, there to be copied."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"})
    return sorted(path for path in found if path.name[0] != "." and not path.stem.endswith(EXAMPLE))


# --- paths, URLs, people ------------------------------------------------------------------------------------


def _settings(main: _Main, mapping: SourceMapping, folder: Path) -> Settings:
    office = main.office.model_copy(update={"signature": main.office.signature or main.office.name})
    url = _with_password(_sqlite_beside(main.store.url, folder), main.store.password)
    store = main.store.model_copy(update={"url": url})
    return Settings(office, store, mapping, main.schedule, main.language, main.release, main.dark, main.console)


def _beside(mapping: SourceMapping | None, folder: Path) -> SourceMapping | None:
    return None if mapping is None else mapping.model_copy(update={"url": _sqlite_beside(mapping.url, folder)})


_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^/:?][^:?]*)(\?.*)?")


def _sqlite_beside(url: str, folder: Path) -> str:
    """A SQLite URL with a relative file as one with an absolute file beside the configuration."""
    found = _SQLITE.fullmatch(url)
    return url if found is None else f"{found[1]}{(folder / found[2]).absolute()}{found[3] or ''}"


def _with_password(url: str, password: SecretStr | None) -> str:
    parts = urlsplit(url)
    if password is None or parts.scheme.startswith("sqlite"):
        return url
    user, _, host = parts.netloc.rpartition("@")
    login = f"{user.partition(':')[0]}:{quote(password.get_secret_value(), safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{host}"))


def _paths_beside(folder: Path, model: type[BaseModel], entries: Mapping[str, object]) -> dict[str, object]:
    """Relative files and folders of a channel section as absolute ones beside the configuration."""
    files = {
        name
        for name, each in model.model_fields.items()
        if each.annotation is Path or Path in get_args(each.annotation) or name.endswith("_file")
    }
    return {
        name: str(folder / value) if name in files and isinstance(value, str) else value
        for name, value in entries.items()
    }


def _officials(written: Sequence[AdministratorSettings]) -> tuple[Official, ...]:
    return tuple(
        Official(
            key=f"administrator-{number}",
            name=each.name,
            addresses={
                kind: address for kind, address in (("sms", each.mobile), ("email", each.email)) if address is not None
            },
        )
        for number, each in enumerate(written, start=1)
    )
