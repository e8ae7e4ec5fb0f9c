"""The command `duban`. Subcommands are imported when they are called, so that `--help` stays quick."""

from __future__ import annotations

import importlib
from typing import Any

import click

from daemon.cli.helping import Complaint, Context, complaint, localised, no_such_command
from daemon.cli.output import EXIT_USAGE, speak

click.UsageError.exit_code = EXIT_USAGE  # not click's own 2: systemd is told not to restart on 64

# command -> (module, attribute, one line of help in both languages)
COMMANDS: dict[str, tuple[str, str, str, str]] = {
    "run": ("daemon.cli.run", "run", "运行守护进程", "run the daemon"),
    "check": (
        "daemon.cli.check",
        "check",
        "检查全部配置，一次列出所有错误",
        "check all configuration, every mistake at once",
    ),
    "status": ("daemon.cli.status", "status", "看现在的情况", "how things stand"),
    "explain": (
        "daemon.cli.explain",
        "explain",
        "讲清一个案件：期限怎么来的、发过什么、为什么",
        "one case: its limits, what was sent, and why",
    ),
    "simulate": (
        "daemon.cli.simulate",
        "simulate",
        "预演今后会发什么，不发送",
        "what will be sent in the days ahead; sends nothing",
    ),
    "forecast": (
        "daemon.cli.forecast",
        "forecast",
        "预测今后一天各通道要发多少、多少钱、超预算多少",
        "how much will be sent tomorrow, its cost, what exceeds a budget",
    ),
    "outbox": (
        "daemon.cli.outbox",
        "outbox",
        "待发箱：列出、重发、取消、核发",
        "the outbox: list, retry, cancel, release",
    ),
    "acknowledge": (
        "daemon.cli.acknowledge",
        "acknowledge",
        "代录签收：某人已知悉某案件",
        "record that somebody acknowledged a case",
    ),
    "stops": (
        "daemon.cli.stops",
        "stops",
        "退订：谁不再收哪个通道的消息、解除",
        "who stopped messages over a channel; lift it",
    ),
    "ledger": (
        "daemon.cli.ledger",
        "ledger",
        "责任台账：案件、单位、个人，核验",
        "the ledger: of a case, a unit, a person; verify",
    ),
    "who": ("daemon.cli.who", "who", "某一时刻谁负责：首办、承办、协办、领导", "who was answerable, and when"),
    "reach": (
        "daemon.cli.reach",
        "reach_command",
        "今后要通知的人里，谁通知不到、为什么",
        "who will be needed and cannot be told, and why",
    ),
    "correct": ("daemon.cli.correct", "correct", "更正超期记录，只加不删", "correct a recorded breach; it stays"),
    "backtest": (
        "daemon.cli.backtest",
        "backtest",
        "用真实的历史案件回放策略",
        "play the policies over the real past",
    ),
    "calc": ("daemon.cli.calc", "calc", "按法律规则计算期限", "count a period as the law does"),
    "source": (
        "daemon.cli.source",
        "source",
        "共享数据库：检查映射",
        "the shared database: check the mapping",
    ),
    "init": (
        "daemon.cli.init",
        "init",
        "写一份带注释的配置，并猜测映射",
        "write a commented configuration, guessing the mapping",
    ),
    "preview": (
        "daemon.cli.preview",
        "preview",
        "看模板写出来是什么：短信几条、邮件全文",
        "what the templates say, over every channel",
    ),
    "channels": (
        "daemon.cli.channels",
        "channels_command",
        "有哪些通道、要写什么、能做什么",
        "the channels there are, what they take and can do",
    ),
    "send-test": (
        "daemon.cli.send_test",
        "send_test",
        "经真实通道发一条测试消息",
        "send a test message through a real channel",
    ),
    "drill": (
        "daemon.cli.drill",
        "drill",
        "通道演练：给所有人发一条演练消息，看谁收得到",
        "a fire drill: a marked test to everybody, and who got it",
    ),
    "policy": (
        "daemon.cli.policy",
        "policy",
        "策略的版本：比较、核准、启用、撤回、迁移案件",
        "versions of the policies: compare, approve, activate, withdraw, migrate cases",
    ),
    "reload": (
        "daemon.cli.reload",
        "reload",
        "让运行中的守护进程重新读取配置",
        "let the running daemons read their configuration again",
    ),
    "dark": ("daemon.cli.dark", "dark", "试运行期间本会发出什么", "what a dark launch would have sent"),
    "migrate": (
        "daemon.cli.migrate",
        "migrate",
        "建立或升级自己的数据表",
        "create or upgrade our own tables",
    ),
    "demo": ("daemon.cli.demo", "demo", "演示：快进四周", "demo: four weeks in a minute"),
}


class LazyGroup(click.Group):
    """Knows its commands by name and imports one only when it is called."""

    context_class = Context

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - as its parent has it
    ) -> click.Context:
        """Read the command line; complain in the reader's language."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise complaint(error) from None

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for; complain in the reader's language."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise complaint(error) from None
        except click.Abort:
            click.echo(speak("\n没有确认，什么也没有改。", "\nnot confirmed: nothing was changed"), err=True)
            ctx.exit(1)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a misspelt one say which was probably meant."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise Complaint(no_such_command(args[0], ctx), ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return localised(command)

    def get_help(self, ctx: click.Context) -> str:
        """The help in the reader's language."""
        shown = localised(self)
        return super(LazyGroup, shown).get_help(ctx) if isinstance(shown, LazyGroup) else super().get_help(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, speak(zh, en)) for name, (_, _, zh, en) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="duban", message="duban %(version)s")
def main() -> None:
    """督办: 期限督办守护进程 / the deadline-enforcement daemon."""
