from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from daemon.cli import main
from daemon.cli.check import foreign_owners
from support import bad_config

SHIPPED = Path(__file__).resolve().parents[2] / "config"


def check(configuration: Path, *options: str, language: str = "zh") -> Result:
    """Run `duban check` as a reader of that language."""
    runner = CliRunner(env={"DUBAN_LANG": language, "DUBAN_CONFIG": None, "COLUMNS": "120"})
    return runner.invoke(main, ["check", "-c", str(configuration), *options])


def test_a_right_configuration_is_shown_in_short() -> None:
    """Exit 0, with what was loaded: limits on and off, ladders, channels, calendars, version."""
    result = check(SHIPPED / "duban.yaml")
    assert result.exit_code == 0
    for part in (
        "xinfang",
        "60 日",
        "未设",
        "未启用",
        "standard (5)",
        "短信",
        "2026-12-31",
        "china",
        "配置正确",
    ):
        assert part in result.stdout
    assert result.stderr == ""


def test_it_speaks_english_to_an_english_locale() -> None:
    """The same table, in English."""
    result = check(SHIPPED / "duban.yaml", language="en")
    assert result.exit_code == 0
    assert "policy version" in result.stdout
    for word in ("not set", "off", "60 days", "SMS", "holidays known until"):
        assert word in result.stdout
    for word in ("未设", "未启用", "短信", "阶梯"):
        assert word not in result.stdout
    assert "the configuration is right" in result.stdout


def test_the_table_is_aligned_at_80_columns() -> None:
    """The columns of limits stand below their headings, a Chinese character counting as two."""
    shown = CliRunner(env={"DUBAN_LANG": "zh", "COLUMNS": "80"}).invoke(
        main, ["check", "-c", str(SHIPPED / "duban.yaml")]
    )
    lines = shown.stdout.splitlines()
    heading, limits = lines[1], lines[3:13]
    assert max(map(cell_len, lines)) <= 80
    assert heading.startswith("时限")
    ladder_at = cell_len(heading.partition("阶梯")[0])
    names = [re.match(r".*?((?:standard|finish|sorting|short) \(\d\))", line) for line in limits]
    assert {cell_len(found[0].removesuffix(found[1])) for found in names if found} == {ladder_at}
    assert all(names)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_mistake_of_every_file_is_listed(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 78, all of them on standard error, then how many."""
    case = bad_config.CORPUS / "several" / "every_file"
    bad_config.assemble(case, tmp_path / "office")
    monkeypatch.chdir(tmp_path / "office")
    result = check(Path("duban.yaml"), language=language)
    assert result.exit_code == 78
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[:-1] == Path(f"{case}.{language}.txt").read_text("utf-8").splitlines()
    assert lines[-1] == ("共 6 处错误。" if language == "zh" else "6 mistakes")


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """No traceback reaches an administrator."""
    result = check(tmp_path / "none.yaml")
    assert result.exit_code == 78
    assert result.stderr == f"{tmp_path}/none.yaml: 没有这个文件\n共 1 处错误。\n"


def test_json_for_programs(tmp_path: Path) -> None:
    """The same facts, right or wrong, with both languages of each problem."""
    right = check(SHIPPED / "duban.yaml", "--json")
    assert right.exit_code == 0
    report = json.loads(right.stdout)
    assert report["ok"] is True
    assert report["policies"][0]["ladders"] == {"standard": 5, "finish": 4, "sorting": 3, "short": 2}
    wrong = check(tmp_path / "none.yaml", "--json")
    assert wrong.exit_code == 78
    report = json.loads(wrong.stdout)
    assert report["ok"] is False
    assert [sorted(problem) for problem in report["problems"]] == [["en", "zh"]]


def test_templates_are_tried_too(tmp_path: Path) -> None:
    """A policy that names a text nobody wrote is found before a message is due."""
    shutil.copytree(SHIPPED, tmp_path / "config")
    policy = tmp_path / "config" / "policies" / "xinfang.yaml"
    policy.write_text(policy.read_text("utf-8").replace("say: today", "say: tomorrow", 1), "utf-8")
    result = check(tmp_path / "config" / "duban.yaml")
    assert result.exit_code == 78
    assert "tomorrow.sms.txt" in result.stderr
    assert "tomorrow.email.txt" in result.stderr


def test_another_owner_of_our_package_names_is_reported() -> None:
    """`daemon`, `channels` and `policies` are common words: two distributions would overwrite each other."""
    owners = {"daemon": ["duban", "python-daemon"], "channels": ["channels"], "policies": ["duban"], "yaml": ["PyYAML"]}
    found = [problem.zh for problem in foreign_owners(owners)]
    assert len(found) == 2
    assert "daemon 也被 python-daemon 占用" in found[0]
    assert "channels 也被 channels 占用" in found[1]
    assert foreign_owners({"daemon": ["duban"]}) == []


@pytest.mark.parametrize(
    ("token", "remarked"), [("", True), ("\n    callback_token: not-a-real-callback-token", False)]
)
def test_a_channel_that_could_hear_and_cannot_is_remarked_on(tmp_path: Path, token: str, remarked: bool) -> None:
    """With a console and no callback_token every call of a cloud would be refused: that is said beforehand."""
    bad_config.assemble(bad_config.CORPUS / "good", tmp_path / "office")
    main_file = tmp_path / "office" / "duban.yaml"
    cloud = "  cloud:\n    type: tencent\n    secret_id: k\n    secret_key: s\n    app_id: '1'\n    sign_name: 某局\n"
    cloud += f"    templates: {{'*': {{id: '1', state: approved}}}}{token}\n"
    text = main_file.read_text("utf-8").replace("channels:\n", f"channels:\n{cloud}")
    main_file.write_text(
        f"{text}\nconsole:\n  public_url: https://duban.example.com\n  secret: not-a-real-secret\n", "utf-8"
    )
    told = json.loads(check(main_file, "--json").stdout)
    said = [one for one in told["remarks"] if "channels.cloud" in one["zh"]]
    assert len(said) == remarked
    if remarked:
        assert "没有 callback_token" in said[0]["zh"]
        assert "without callback_token" in said[0]["en"]


def test_a_gateway_that_is_told_of_an_address_there_is_not_is_remarked_on(tmp_path: Path) -> None:
    """`{callback}` in a request without a console: receipts would have nowhere to go."""
    bad_config.assemble(bad_config.CORPUS / "good", tmp_path / "office")
    main_file = tmp_path / "office" / "duban.yaml"
    gateway = """  gateway:
    type: http
    url: http://127.0.0.1:13013/cgi-bin/sendsms
    query: {dlr-url: "{callback}?token={callback_token}"}
    secrets: {callback_token: not-a-real-callback-token}
    success: {status: [202]}
    calls:
      proof: {query: token, equals: "{callback_token}"}
      receipts: {ours: {query: ours}, status: {query: type}, delivered: [1]}
"""
    text = main_file.read_text("utf-8").replace("channels:\n", f"channels:\n{gateway}")
    main_file.write_text(text, "utf-8")
    (said,) = [
        one for one in json.loads(check(main_file, "--json").stdout)["remarks"] if "channels.gateway" in one["en"]
    ]
    assert "{callback}" in said["zh"]
    assert "console" in said["en"]


GATEWAY = """  gateway:
    type: http
    url: http://127.0.0.1:13013/cgi-bin/sendsms
    success: {status: [202]}
    replies: true
    secrets: {callback_token: not-a-real-callback-token}
"""
CALLS = """    calls:
      proof: {query: token, equals: "{callback_token}"}
      replies: {sender: {query: from}, text: {query: text}}
"""
SPOOL = "  spool: {type: spool, directory: out, replies: true}\n"
MAIL = "  post: {type: email, host: localhost, encryption: none, from: {address: a@example.com}, replies: true}\n"
TALK = "  talk: {type: wecom, corp_id: ww, agent_id: 1, secret: not-a-real-secret, replies: true}\n"
CONSOLE = "\nconsole: {public_url: 'https://duban.example.com', secret: not-a-real-secret}\n"


@pytest.mark.parametrize(
    ("channel", "console", "wanting"),
    [
        (GATEWAY, CONSOLE, "write calls.replies"),
        (GATEWAY + CALLS, "", "write the section console"),
        (GATEWAY + CALLS, CONSOLE, ""),
        (SPOOL, "", ""),
        (MAIL, CONSOLE, "write reply_mailbox or bounce_mailbox"),
        (TALK, CONSOLE, "channels of type wecom bring none"),
    ],
)
def test_nobody_is_asked_to_reply_where_no_reply_comes_in(
    tmp_path: Path, channel: str, console: str, wanting: str
) -> None:
    """`replies: true` where nothing brings replies would accuse whoever replied of not having signed: a mistake."""
    main_file = _with_channel(tmp_path, channel, console)
    result = check(main_file, "--json", language="en")
    said = [one["en"] for one in json.loads(result.stdout)["problems"] if ".replies: " in one["en"]]
    assert [one.rpartition(": ")[2] for one in said] == ([wanting] if wanting else [])


def test_an_address_without_https_is_remarked_on(tmp_path: Path) -> None:
    """Links and secrets would cross the network in the open; within one's own network that may be meant."""
    plain = CONSOLE.replace("https://", "http://")
    (said,) = json.loads(check(_with_channel(tmp_path, "", plain), "--json").stdout)["remarks"]
    assert "console.public_url" in said["zh"]
    assert "https://" in said["en"]


def test_an_address_with_a_login_is_refused_and_not_shown(tmp_path: Path) -> None:
    """What stands before the @ would stand in every link and in what providers are given."""
    login = CONSOLE.replace("//duban", "//somebody:hush-hush@duban")
    result = check(_with_channel(tmp_path, "", login))
    assert result.exit_code == 78
    assert "console.public_url" in result.stderr
    assert "hush-hush" not in result.output


def _with_channel(tmp_path: Path, channel: str, console: str) -> Path:
    """The good office with one more channel and a console; its main file."""
    bad_config.assemble(bad_config.CORPUS / "good", tmp_path / "office")
    main_file = tmp_path / "office" / "duban.yaml"
    main_file.write_text(
        main_file.read_text("utf-8").replace("channels:\n", f"channels:\n{channel}") + console, "utf-8"
    )
    return main_file


def test_no_mistake_of_a_policy_follows_from_one_of_a_channel(tmp_path: Path) -> None:
    """A channel with a mistake in it is written all the same: a step that names it is right."""
    main_file = _with_channel(tmp_path, "  mail: {type: spool, directory: out, kind: email, links: nein}\n", "")
    policy = main_file.parent / "policies" / "office.yaml"
    policy.write_text(policy.read_text("utf-8").replace("say: today", "say: today, via: [mail]"), "utf-8")
    (said,) = json.loads(check(main_file, "--json").stdout)["problems"]
    assert "channels.mail.links" in said["en"]


@pytest.mark.parametrize("replies", [True, False])
def test_answers_need_an_approved_template_too(tmp_path: Path, replies: bool) -> None:
    """Where people can reply over a cloud, the words of every answer are named that have no template."""
    cloud = "  cloud: {type: tencent, secret_id: k, secret_key: s, app_id: '1', sign_name: 某局, "
    cloud += f"templates: {{assigned: {{id: '1', state: approved}}}}, replies: {str(replies).lower()}}}\n"
    told = json.loads(check(_with_channel(tmp_path, cloud, CONSOLE), "--json").stdout)
    (said,) = [one["en"] for one in told["remarks"] if "no approved template" in one["en"]]
    assert ("answer_taken (none)" in said, "answer_stopped (none)" in said) == (replies, replies)
