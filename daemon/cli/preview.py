"""`duban preview`: what the templates say, over every channel, before anybody gets it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.output import EXIT_FOUND, config_option, fail, json_option, no_traceback, say, speak, to_json
from policies.text import Text

if TYPE_CHECKING:
    from daemon.preview import Previewed
    from daemon.settings import Configuration
    from policies.model import Notice, Official, Policy

SAMPLE = "sample"
WIDTH = 76
STANDINGS = ("ahead", "today", "platform", "overdue")


@click.command("preview")
@click.argument("word", required=False, metavar="[SAY]")
@click.option("--case", default=SAMPLE, show_default=True, help="真实案件的编号 / number of a real case")
@click.option("--to", "person", help="读的人：人员编号 / who reads it: key of a person")
@click.option("--channel", multiple=True, help="通道名或种类，可多次 / channel or kind, may be repeated")
@click.option("--ladder", help="哪个阶梯的文字 / words of which ladder")
@click.option("--standing", type=click.Choice(STANDINGS), help="期限的情况 / how the limit stands")
@click.option("--digest", "number", type=click.IntRange(2, 200), help="几件合为一条 / so many in one message")
@click.option("--html", type=click.Path(dir_okay=False), help="邮件的 HTML 写入文件 / write the mail's HTML")
@click.option("--eml", type=click.Path(dir_okay=False), help="整封邮件写入文件 / write the whole mail")
@config_option
@json_option
@no_traceback
def preview(
    word: str | None,
    case: str,
    person: str | None,
    channel: tuple[str, ...],
    ladder: str | None,
    standing: str | None,
    number: int | None,
    html: str | None,
    eml: str | None,
    config_path: str,
    *,
    as_json: bool,
) -> None:
    """看模板写出来是什么：短信多少字、分几条，邮件的主题和正文。SAY 是策略里 say: 后的词，不写看全部。

    What the templates say: the length and parts of text messages, subject and text of mails. SAY is the word after say:
    in a policy; all of them if left out. Made-up facts, or those of a real case. Nothing is sent.
    """
    from daemon.preview import NoPreview, channels_to_show, written  # noqa: PLC0415 - loads templates and drivers
    from daemon.render import RenderError, renderer_of  # noqa: PLC0415 - loads the template library
    from daemon.settings import load  # noqa: PLC0415 - the same

    configuration = load(Path(config_path))
    renderer = renderer_of(configuration)
    shown: list[Previewed] = []
    broken: list[Text] = []
    try:
        channels = channels_to_show(configuration, channel)
        wanted = _wanted(config_path, configuration, word, case, person, ladder, standing, number)
    except NoPreview as nothing:
        fail(nothing.text, EXIT_FOUND)
        return
    for notices, reader in wanted:
        for name, kind in channels.items():
            try:
                shown += written(notices, reader, {name: kind}, renderer)
            except RenderError as error:
                broken.append(error.message)
    _write_files(shown, html, eml, configuration)
    if as_json:
        click.echo(to_json([one.as_json for one in shown]))
    else:
        _show(shown)
    for problem in dict.fromkeys(broken):
        click.echo(say(problem), err=True)
    if broken:
        sys.exit(EXIT_FOUND)


def _wanted(
    config_path: str,
    configuration: Configuration,
    word: str | None,
    case: str,
    person: str | None,
    ladder: str | None,
    standing: str | None,
    number: int | None,
) -> list[tuple[list[Notice], Official]]:
    """The notices of each message to show, and its reader."""
    from daemon.preview import of_case, sample, sample_digest  # noqa: PLC0415 - loads templates and drivers
    from daemon.titles import DIGEST  # noqa: PLC0415 - the same

    words = _words(configuration, word, ladder)
    policy = words[0][0]
    if number is not None or word == DIGEST:
        return [sample_digest(policy, number or 3, standing or "ahead")]
    if case == SAMPLE:
        return [sample(policy, rungs, said, standing or _usual(said)) for policy, rungs, said in words]
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same
    from daemon.policy_release import rules_in_force  # noqa: PLC0415 - the same
    from daemon.preview import NoPreview  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        stored = at_desk.store.cases([case]).get(case)
        if stored is None:
            raise NoPreview(Text(f"没有案件 {case}。", f"there is no case {case}"))
        now = SystemClock().now()
        rules = rules_in_force(at_desk.store, configuration, now)
        known = at_desk.store.obligations_of([case]).get(case, [])
        said_once = dict.fromkeys(said for _, _, said in words)
        return [of_case(stored, known, rules, at_desk.directory, now, said, person, standing) for said in said_once]


def _words(configuration: Configuration, word: str | None, ladder: str | None) -> list[tuple[Policy, str, str]]:
    """(policy, ladder, say) to show: what the policies say, or that one word even if no step says it."""
    from daemon.preview import NoPreview  # noqa: PLC0415 - loads templates and drivers
    from daemon.samples import used_words  # noqa: PLC0415 - the same

    used = used_words(configuration.policies)
    if ladder is not None:
        used = [one for one in used if one[1] == ladder]
        if not used:
            raise NoPreview(Text(f"没有用到阶梯“{ladder}”。", f"no ladder “{ladder}” is in use"))
    if word is None:
        return list({said: (policy, rungs, said) for policy, rungs, said in reversed(used)}.values())[::-1]
    found = [one for one in used if one[2] == word] or [(used[0][0], used[0][1], word)]
    return found[:1]


def _usual(said: str) -> str:
    """The standing in which a text is usually said."""
    return {"today": "today", "urge": "overdue", "bulletin": "overdue"}.get(said, "ahead")


def _write_files(shown: list[Previewed], html: str | None, eml: str | None, configuration: Configuration) -> None:
    """The first mail among them into the files asked for."""
    from daemon.preview import MAIL, NoPreview, mail_bytes  # noqa: PLC0415 - loads templates and drivers

    if html is None and eml is None:
        return
    mail = next((one for one in shown if one.kind == MAIL), None)
    if mail is None:
        fail(Text("没有邮件可写。", "there is no mail to write"), EXIT_FOUND)
        return
    if html is not None:
        if not mail.message.html:
            fail(Text(f"“{mail.say}”没有 HTML 模板。", f"“{mail.say}” has no HTML template"), EXIT_FOUND)
        Path(html).write_text(mail.message.html, encoding="utf-8")
    if eml is not None:
        try:
            Path(eml).write_bytes(mail_bytes(mail, configuration))
        except NoPreview as nothing:
            fail(nothing.text, EXIT_FOUND)


# --- for people ---------------------------------------------------------------------------------------------------


def _show(shown: list[Previewed]) -> None:
    from rich.box import ROUNDED  # noqa: PLC0415 - JSON is printed without it
    from rich.panel import Panel  # noqa: PLC0415 - the same
    from rich.text import Text as Line  # noqa: PLC0415 - the same

    from daemon.cli.reading import console  # noqa: PLC0415 - loads the database library

    screen = console()
    for one in shown:
        title = Line.assemble((f" {one.say} ", "bold"), (f"{one.channel} ", "cyan"))
        text = Line(one.message.text.strip())
        if one.message.subject:
            text = Line.assemble((one.message.subject, "bold"), "\n\n", text)
        below = Line(f" {_length(one)} ", style=_colour(one.parts)) if one.parts else None
        screen.print(
            Panel(
                text,
                box=ROUNDED,
                title=title,
                title_align="left",
                subtitle=below,
                subtitle_align="right",
                width=min(screen.width, WIDTH),
            )
        )


def _length(one: Previewed) -> str:
    return speak(f"{one.units} 字，{one.parts} 条", f"{one.units} units, {one.parts} part(s)")


def _colour(parts: int) -> str:
    """One part is well, two are a warning, more are too many."""
    return {0: "", 1: "green", 2: "yellow"}.get(parts, "red")
