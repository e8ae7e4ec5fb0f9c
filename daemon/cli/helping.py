"""Help and complaints about the command line in the reader's language.

Help texts are written in both languages, as `中文 / English` or as a Chinese paragraph followed by an English one. What
a reader sees is one of them; the framework's own few words are put into Chinese here.
"""

from __future__ import annotations

import copy
import re
from typing import IO, Any

import click

from daemon.cli.output import EXIT_USAGE, language, speak
from policies.spelling import did_you_mean

CHINESE = re.compile(r"[\u4e00-\u9fff]")
SECTIONS = {"Options": "选项", "Commands": "命令"}
PHRASES = (
    ("Show this message and exit.", "显示本说明"),
    ("Show the version and exit.", "显示版本"),
    ("[required]", "[必填]"),
    ("[default: ", "[默认："),
    ("; required]", "；必填]"),
)


class Formatter(click.HelpFormatter):
    """Help whose own words are the reader's."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The first line."""
        super().write_usage(prog, args, prefix or speak("用法：", "Usage: "))

    def write_heading(self, heading: str) -> None:
        """The name of a section."""
        super().write_heading(speak(SECTIONS.get(heading, heading), heading))

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:  # noqa: ANN401 - as its parent has it
        """A list of options or commands."""
        super().write_dl([(name, _phrase(told)) for name, told in rows], col_max, col_spacing)


class Context(click.Context):
    """Where commands of ours run."""

    formatter_class = Formatter


def _phrase(told: str) -> str:
    for english, chinese in PHRASES:
        told = told.replace(english, speak(chinese, english))
    return told


def one_language(text: str) -> str:
    """The reader's half of a text in both languages; a text in one language as it is."""
    if "\n\n" in text.strip():
        paragraphs = text.strip().split("\n\n")
        wanted = [one for one in paragraphs if bool(CHINESE.search(one)) == (language() == "zh")]
        return "\n\n".join(wanted or paragraphs)
    zh, slash, en = text.partition(" / ")
    return speak(zh, en) if slash and CHINESE.search(zh) else text


def localised(command: click.Command) -> click.Command:
    """A copy of the command, with all below it, whose help is in the reader's language."""
    told = copy.copy(command)
    told.context_class = Context
    told.help = one_language(command.help) if command.help else command.help
    told.params = [_parameter(one) for one in command.params]
    if isinstance(told, click.Group):
        told.commands = {name: localised(one) for name, one in told.commands.items()}
    return told


def _parameter(parameter: click.Parameter) -> click.Parameter:
    if not isinstance(parameter, click.Option) or not parameter.help:
        return parameter
    told = copy.copy(parameter)
    told.help = one_language(parameter.help)
    return told


class Complaint(click.UsageError):
    """A wrong command line, said in the reader's language: what is wrong, and where the right usage is told."""

    exit_code = EXIT_USAGE

    def show(self, file: IO[Any] | None = None) -> None:
        """To standard error."""
        path = self.ctx.command_path if self.ctx else "duban"
        where = speak(f"用法见 {path} --help", f"see {path} --help")
        click.echo(f"{self.format_message()}\n{where}", file=file, err=file is None)


def complaint(error: click.UsageError) -> click.UsageError:
    """The framework's complaint as ours; one that only shows the help stays what it is."""
    if isinstance(error, Complaint | click.exceptions.NoArgsIsHelpError):
        return error
    return Complaint(_told(error), error.ctx)


def _told(error: click.UsageError) -> str:
    name = getattr(error, "command_name", None)  # since click 8.4
    if name is not None and isinstance(error.ctx and error.ctx.command, click.Group):
        return no_such_command(str(name), error.ctx)
    if isinstance(error, click.NoSuchOption):
        meant = error.possibilities[0] if error.possibilities else None
        hint = speak(f"，是不是想写 {meant}？", f"; did you mean {meant}?") if meant else ""
        return speak(f"没有选项 {error.option_name}", f"there is no option {error.option_name}") + hint
    if isinstance(error, click.MissingParameter) and error.param is not None:
        what = error.param.get_error_hint(error.ctx).strip("'")
        return speak(f"缺少 {what}", f"{what} is missing")
    if isinstance(error, click.BadParameter) and (error.param or error.param_hint):
        named = error.param.get_error_hint(error.ctx).strip("'") if error.param else error.param_hint or ""
        what = named if isinstance(named, str) else " ".join(named)
        if error.param and isinstance(error.param.type, click.Choice):
            known = [str(choice) for choice in error.param.type.choices]
            return speak(f"{what} 只能是：{'、'.join(known)}", f"{what} must be one of: {', '.join(known)}")
        return speak(f"{what} 的值不对：{error.message}", f"{what}: {error.message}")
    return one_language(error.format_message())


def no_such_command(name: str, ctx: click.Context | None) -> str:
    """That there is no such command, and which was probably meant."""
    known = ctx.command.list_commands(ctx) if ctx is not None and isinstance(ctx.command, click.Group) else []
    meant = did_you_mean(name, known)
    hint = speak(f"，是不是想写 {meant}？", f"; did you mean {meant}?") if meant else ""
    return speak(f"没有命令 {name}", f"there is no command {name}") + hint
