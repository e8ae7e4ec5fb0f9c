"""What every command shares: the reader's language, JSON or table, and errors without a traceback."""

from __future__ import annotations

import functools
import json
import locale
import os
import sys
from datetime import date, datetime
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from daemon.errors import DaemonError, SettingsError
from policies.text import Language, Text

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

EXIT_FOUND = 1  # the command ran and found something wrong (a mistake, a broken chain)
EXIT_USAGE = 64  # sysexits.h EX_USAGE
EXIT_INTERNAL = 70  # sysexits.h EX_SOFTWARE
LARGEST = 2**63 - 1  # number a row of ours can have

json_option = click.option("--json", "as_json", is_flag=True, help="JSON 输出 / print JSON")
config_option = click.option(
    "--config",
    "-c",
    "config_path",
    type=click.Path(),
    envvar="DUBAN_CONFIG",
    default="config/duban.yaml",
    show_default=True,
    help="主配置文件 / main configuration file",
)


def language() -> Language:
    """The reader's language: Chinese, unless DUBAN_LANG or the locale asks for English."""
    wanted = (
        os.environ.get("DUBAN_LANG")
        or os.environ.get("LC_ALL")
        or os.environ.get("LC_MESSAGES")
        or os.environ.get("LANG")
        or locale.getlocale()[0]
        or ""
    )
    return "en" if wanted.lower().startswith("en") else "zh"


def speak(zh: str, en: str) -> str:
    """One of the two, by the reader's language."""
    return zh if language() == "zh" else en


def say(text: Text) -> str:
    """The text in the reader's language."""
    return text.say(language())


def to_json(value: object) -> str:
    """JSON with Chinese as it is; instants and dates in ISO 8601."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"not JSON: {type(value).__name__}")


def fail(text: Text, code: int, problems: tuple[Text, ...] = ()) -> None:
    """Print what is wrong to standard error and leave with that exit code."""
    for problem in problems:
        click.echo(say(problem), err=True)
    click.echo(say(text), err=True)
    sys.exit(code)


def no_traceback(function: Callable[P, R]) -> Callable[P, R]:
    """Turn every error of ours into its sentence and exit code; an unexpected one into a short report.

    `DUBAN_DEBUG=1` shows the traceback of unexpected errors to developers.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except DaemonError as error:
            problems = error.problems if isinstance(error, SettingsError) else ()
            fail(error.message, error.exit_code, problems)
        except BrokenPipeError:  # `duban … | head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(EXIT_FOUND)
        except (click.ClickException, click.Abort, click.exceptions.Exit, SystemExit, KeyboardInterrupt):
            raise
        except Exception as error:
            if os.environ.get("DUBAN_DEBUG"):
                raise
            kind = type(error).__name__
            fail(
                Text(
                    f"程序内部错误（{kind}）。这是 duban 的缺陷，请设 DUBAN_DEBUG=1 重新运行并报告。",
                    f"internal error ({kind}). This is a defect of duban: run again with DUBAN_DEBUG=1 and report it.",
                ),
                EXIT_INTERNAL,
            )
        raise AssertionError("unreachable")

    return wrapped
