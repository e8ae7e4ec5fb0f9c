from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import SettingsError
from daemon.settings import Configuration, load
from policies.model import Bound, Via
from support import bad_config

REPOSITORY = Path(__file__).resolve().parents[2]
MAIN = (bad_config.CORPUS / "good" / "duban.yaml").read_text("utf-8")
SOURCE = (bad_config.CORPUS / "good" / "source.yaml").read_text("utf-8")


def load_with(
    folder: Path, main: str, environment: dict[str, str] | None = None, source: str = SOURCE
) -> Configuration:
    """A good office with another `duban.yaml`, loaded."""
    bad_config.assemble(bad_config.CORPUS / "good", folder / "office")
    (folder / "office" / "duban.yaml").write_text(main, "utf-8")
    (folder / "office" / "source.yaml").write_text(source, "utf-8")
    return load(folder / "office" / "duban.yaml", environment or {})


@pytest.mark.parametrize("case", bad_config.cases(), ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_each_broken_configuration_says_exactly_what_is_wrong(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The corpus: every mistake with file, line, column, key, what was found and expected, word for word."""
    bad_config.assemble(case, tmp_path / "office")
    monkeypatch.chdir(tmp_path / "office")
    with pytest.raises(SettingsError) as caught:
        load(Path("duban.yaml"), {})
    expected = case if case.is_dir() else case.with_suffix("")
    said = "".join(f"{problem.zh}\n" for problem in caught.value.problems)
    assert said == Path(f"{expected}.zh.txt").read_text("utf-8")
    english = Path(f"{expected}.en.txt")
    if english.exists():
        assert "".join(f"{problem.en}\n" for problem in caught.value.problems) == english.read_text("utf-8")
    count = len(caught.value.problems)
    assert caught.value.message.zh == f"配置有 {count} 处错误，改正后再运行 duban check。"
    assert "hunter2" not in said


def test_the_corpus_is_worth_its_name() -> None:
    """At least forty mistakes, and no expected text without its file."""
    stems = {str(case if case.is_dir() else case.with_suffix("")) for case in bad_config.cases()}
    assert len(stems) >= 40
    assert {str(path).removesuffix(".zh.txt") for path in bad_config.CORPUS.rglob("*.zh.txt")} == stems


def test_the_shipped_configuration_is_right() -> None:
    """What an administrator finds after installation loads as it is."""
    configuration = load(REPOSITORY / "config" / "duban.yaml", {})
    assert configuration.kinds == {"email": "email", "sms": "sms"}
    limits = {limit.id: limit for limit in configuration.policies.policies["xinfang"].limits}
    assert [limit.id for limit in limits.values() if limit.enabled] == ["sort", "notify", "object", "finish"]
    assert limits["sort"].platform_due == (Bound("transfer_limit_at"),)
    assert limits["finish"].platform_due == (Bound("limit_at"),)
    assert all("信访工作条例第" in limit.basis for limit in limits.values())


def test_the_shipped_examples_are_right_and_not_in_force(tmp_path: Path) -> None:
    """`…-example.yaml` is not read until it is copied to another name; then it is a good calendar.

    The policies are looked at in `test_shipped_policies.py`.
    """
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    examples = sorted((tmp_path / "config" / "calendars").glob("*-example.yaml"))
    assert examples
    before = load(tmp_path / "config" / "duban.yaml", {})
    assert set(before.policies.policies) == {"xinfang"}
    assert set(before.calendars) == {"china"}
    for example in examples:
        example.rename(example.with_name(example.name.replace("-example", "")))
    after = load(tmp_path / "config" / "duban.yaml", {})
    assert len(after.calendars) == 1 + len(examples)


def test_defaults_and_paths(tmp_path: Path) -> None:
    """What is left out has the documented value; relative paths are beside the file they stand in."""
    configuration = load_with(tmp_path, MAIN)
    office = tmp_path / "office"
    assert configuration.settings.office.signature == "某市信访局"
    assert configuration.zone.key == "Asia/Shanghai"
    assert configuration.settings.language == "zh"
    assert configuration.settings.schedule.audit == 60
    assert configuration.settings.store.url == f"sqlite:///{office}/duban.db"
    assert configuration.settings.source.url == f"sqlite:///{office}/platform.db"
    assert configuration.channel_settings["sms"].model_dump()["directory"] == office / "spool"
    assert configuration.channel_types["sms"].name == "spool"
    assert configuration.kinds == {"sms": "sms"}
    assert configuration.policies.policies["office"].via == Via(("sms",))
    assert configuration.version == configuration.policies.version
    assert set(configuration.policy_files) == {"office.yaml"}
    assert configuration.policy_files["office.yaml"].startswith("policy: office\n")
    assert "china" in configuration.calendars


@pytest.mark.parametrize(
    "url",
    ["sqlite:////var/lib/duban/duban.db", "sqlite://", "sqlite:///:memory:", "postgresql+psycopg://duban@db/duban"],
)
def test_other_store_urls_stay_as_they_are(tmp_path: Path, url: str) -> None:
    """Only a relative SQLite file is put beside the configuration."""
    assert load_with(tmp_path, MAIN.replace("sqlite:///duban.db", f'"{url}"')).settings.store.url == url


def test_a_store_url_that_is_none_is_refused(tmp_path: Path) -> None:
    """An address no library could take apart is a mistake at its key, password or not."""
    main = MAIN.replace("sqlite:///duban.db", "'postgresql://[/duban', password: x")
    with pytest.raises(SettingsError) as caught:
        load_with(tmp_path, main)
    [problem] = caught.value.problems
    assert "store.url: 应为 sqlite:///文件" in problem.zh


def test_a_password_given_apart_goes_into_the_url_and_nowhere_else(tmp_path: Path) -> None:
    """It is percent-encoded, and no repr of the configuration tells it."""
    main = MAIN.replace("sqlite:///duban.db", "postgresql+psycopg://duban@db:5432/duban, password: {env: PW}")
    configuration = load_with(tmp_path, main, {"PW": "p:w@d/hunter2"})
    assert configuration.settings.store.url == "postgresql+psycopg://duban:p%3Aw%40d%2Fhunter2@db:5432/duban"
    assert "hunter2" not in repr(configuration)
    assert "hunter2" not in repr(configuration.settings)
    assert "hunter2" not in repr(configuration.settings.store)


def test_a_wrong_secret_is_not_shown(tmp_path: Path) -> None:
    """A value that came from a secret is never quoted, even if it is what is wrong."""
    main = MAIN.replace("directory: spool", "directory: spool, kind: {env: KIND}")
    with pytest.raises(SettingsError) as caught:
        load_with(tmp_path, main, {"KIND": "hunter2"})
    [problem] = caught.value.problems
    assert problem.zh.endswith("channels.sms.kind: 应为 sms、email 之一，实为 ***")
    assert problem.en.endswith("channels.sms.kind: expected sms or email, found ***")


def test_the_source_may_be_written_inline(tmp_path: Path) -> None:
    """A small office needs no second file."""
    inline = "source:\n" + "".join(f"  {line}\n" for line in SOURCE.splitlines())
    configuration = load_with(tmp_path, MAIN.replace("source: source.yaml\n", inline))
    assert configuration.settings.source.cases.table == "xfjxx"


def test_administrators_become_officials_with_addresses(tmp_path: Path) -> None:
    """They are the last resort of every chain: a mobile is normalised, and hidden from repr."""
    main = MAIN.replace("email: admin@example.com", "mobile: 138 0000 0001, email: admin@example.com")
    [administrator] = load_with(tmp_path, main).administrators
    assert administrator.addresses == {"sms": "+8613800000001", "email": "admin@example.com"}
    assert "13800000001" not in repr(administrator)


def test_the_offices_own_calendar_can_be_named(tmp_path: Path) -> None:
    """A file in `calendars/` is known by its stem, to the office and to policies."""
    bad_config.assemble(bad_config.CORPUS / "good", tmp_path / "office")
    (tmp_path / "office" / "calendars").mkdir()
    (tmp_path / "office" / "calendars" / "ours.yaml").write_text("base: china\ndays_off: [2026-03-03]\n", "utf-8")
    main = tmp_path / "office" / "duban.yaml"
    main.write_text(MAIN.replace("{name: 某市信访局}", "{name: 某市信访局, calendar: ours}"), "utf-8")
    assert set(load(main, {}).calendars) == {"china", "ours"}


def test_roles_of_the_mapping_may_be_used_in_policies(tmp_path: Path) -> None:
    """A role the posts are translated to is known without being declared again."""
    posts = "posts: {table: gw, unit: jg, official: ry, role: {column: zw, values: {热线办主任: chief}}}\n"
    policy = bad_config.CORPUS / "good" / "policies" / "office.yaml"
    bad_config.assemble(bad_config.CORPUS / "good", tmp_path / "office")
    (tmp_path / "office" / "policies" / "office.yaml").write_text(
        policy.read_text("utf-8").replace("cc: inspector", "cc: chief"), "utf-8"
    )
    (tmp_path / "office" / "source.yaml").write_text(SOURCE + posts, "utf-8")
    steps = load(tmp_path / "office" / "duban.yaml", {}).policies.policies["office"].ladders["standard"].steps
    assert steps[-1].cc == ("chief",)


def test_loading_needs_no_database_library() -> None:
    """Start-up time matters: SQLAlchemy and the clients of the channels are not imported to load a configuration."""
    code = (
        "import sys; from pathlib import Path; from daemon.settings import load; load(Path('config/duban.yaml'));"
        "print(sorted({'sqlalchemy', 'aiohttp', 'twilio', 'aiosmtplib', 'rich', 'structlog'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("guide", ["policies.md", "policies.zh-CN.md"])
def test_the_policies_of_the_guide_are_right(guide: str, tmp_path: Path) -> None:
    """Every example an administrator may copy from the manual can be used as it stands."""
    text = (REPOSITORY / "docs" / guide).read_text("utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    source = SOURCE.replace("litigation: sfssbz}", "litigation: sfssbz, level: jb, area: dq}")
    bad_config.assemble(bad_config.CORPUS / "good", tmp_path / "office")
    (tmp_path / "office" / "source.yaml").write_text(source, "utf-8")
    (tmp_path / "office" / "policies" / "office.yaml").write_text("\n".join(blocks), "utf-8")
    policy = load(tmp_path / "office" / "duban.yaml", {}).policies.policies["office"]
    assert [condition.field for condition in policy.applies_to] == ["kind", "level", "area", "litigation"]


PIECES = """a|1|-1|null|true|''|[]|{}|[null]|{a: 1}|{env: X}|{file: ''}|{file: .}|..|/|"\\0"|{type: email}|[[]]|日|
{type: spool, directory: ''}|2026-01-01|sqlite:///|"http://["|postgresql://[/duban|{url: 'sqlite:///', password: 1}"""
SECTIONS = "office store source policies calendars templates channels administrators schedule language"


@settings(max_examples=150)
@given(
    st.dictionaries(st.sampled_from(SECTIONS.split()), st.sampled_from(PIECES.split("|")), min_size=1, max_size=3),
    st.sampled_from(PIECES.split("|")),
)
def test_whatever_is_written_only_a_settings_error_comes_back(
    tmp_path_factory: pytest.TempPathFactory, sections: dict[str, str], inner: str
) -> None:
    """No value of any section, and none inside one, ends in a traceback."""
    office = tmp_path_factory.getbasetemp() / "any-office"
    if not office.exists():
        bad_config.assemble(bad_config.CORPUS / "good", office)
    whole = MAIN.replace("email: admin@example.com", f"email: {inner}").replace("name: 某市信访局", f"name: {inner}")
    kept = [line for line in whole.splitlines() if line.split(":")[0] not in sections]
    text = "\n".join([*kept, *(f"{key}: {value}" for key, value in sections.items())])
    (office / "duban.yaml").write_text(text, "utf-8")
    try:
        outcome: object = load(office / "duban.yaml", {})
    except SettingsError as error:
        outcome = error.problems
    assert outcome


def test_nobody_means_a_provider_behind_a_shared_channel_without_naming_it(tmp_path: Path) -> None:
    """A policy that says `sms` without a name means the shared channel; those behind it can still be named."""
    shared = "  north: {type: spool, directory: spool}\n  both: {type: shared, providers: {north: 3, sms: 1}}\n"
    configuration = load_with(tmp_path, MAIN.replace("administrators:", f"{shared}administrators:"))
    assert list(configuration.kinds) == ["both", "sms", "north"]
    assert set(configuration.kinds.values()) == {"sms"}
    assert configuration.known.channels == ["sms", "north", "both"]
    assert set(configuration.channel_settings) == {"sms", "north"}
    assert dict(configuration.sharing["both"].providers) == {"north": 3, "sms": 1}


def test_a_provider_is_believed_of_its_own_messages_and_its_companys(tmp_path: Path) -> None:
    """Two gateways described in YAML are strangers, two spools one company; what shares a channel is heard of it."""
    body = "{format: json, content: {to: '{to}', text: '{text}'}}"
    gateway = f"{{type: http, url: 'https://sms.example.com', body: {body}, success: {{json: {{code: '0'}}}}}}"
    more = f"  east: {gateway}\n  west: {gateway}\n  north: {{type: spool, directory: spool}}\n"
    more += "  both: {type: shared, providers: {east: 1, north: 1}}\n"
    one = load_with(tmp_path, MAIN.replace("administrators:", f"{more}administrators:"))
    assert one.may_tell("east", "east")
    assert one.may_tell("east", "both", "north")
    assert one.may_tell("sms", "north")
    assert one.may_tell("sms", "both", "north")
    assert not one.may_tell("west", "both", "east")
    assert not one.may_tell("west", "east")
    assert not one.may_tell("west", "north")
    assert not one.may_tell("gone", "east")
