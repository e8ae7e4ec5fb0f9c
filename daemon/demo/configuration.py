"""The folder a demo leaves behind: a configuration that works, made from the shipped one with the places filled in."""

from __future__ import annotations

import re
import shutil
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.errors import DaemonError
from policies.text import Text

if TYPE_CHECKING:
    from policies.text import Language

MAIN = """\
# 演示配置。真实部署请用 duban init 生成。 / The demo's configuration; for a real one run duban init.
office: {{name: 某市信访局, signature: 某市信访局, time_zone: Asia/Shanghai, calendar: china}}
store: {{url: "sqlite:///../store.db"}}      # duban 自己的台账 / duban's own records
source: source.yaml                        # 共享数据库，只读 / the shared database, read-only
policies: policies
templates: templates
channels:
  email:
    type: email
    host: 127.0.0.1
    port: {mail_port}
    encryption: none
    from: {{name: 督办系统, address: duban@example.com}}
  sms:
    type: http
    url: http://127.0.0.1:{sms_port}/send
    body: {{format: json, content: {{mobile: "{{to}}", text: "{{text}}", id: "{{key}}"}}}}
    number: e164
    success: {{json: {{code: 0}}}}
    reference: {{json: msgid}}
administrators:
  - {{name: 系统管理员, mobile: "13800009999", email: admin@example.com}}
language: {language}
"""
URL_LINE = re.compile(r"^url:.*$", re.MULTILINE)
SECRET_LINE = re.compile(r"^password:.*\n", re.MULTILINE)


class DemoFolder:
    """Where everything of one demo lies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shared_database = folder / "shared.db"
        self.store = folder / "store.db"
        self.mails = folder / "mails"
        self.texts = folder / "texts"
        self.log = folder / "duban.log"
        self.configuration = folder / "config" / "duban.yaml"

    def create(self) -> None:
        """Make the folder.

        Raises:
            DaemonError: there is something already.
        """
        if self.folder.exists() and any(self.folder.iterdir()):
            raise DaemonError(
                Text(
                    f"文件夹 {self.folder} 不是空的，请用 --folder 另指定一个。",
                    f"the folder {self.folder} is not empty; name another one with --folder",
                )
            )
        self.folder.mkdir(parents=True, exist_ok=True)

    def write_configuration(self, mail_port: int, sms_port: int, language: Language) -> None:
        """Copy the shipped mapping, policies and templates, and write a `duban.yaml` for this demo's servers."""
        shipped, own = shipped_configuration(), self.configuration.parent
        own.mkdir()
        for name in ("policies", "templates"):
            shutil.copytree(shipped / name, own / name)
        mapping = SECRET_LINE.sub("", (shipped / "source.yaml").read_text("utf-8"))
        mapping = URL_LINE.sub('url: "sqlite:///../shared.db"', mapping, count=1)
        (own / "source.yaml").write_text(mapping, "utf-8")
        main = MAIN.format(mail_port=mail_port, sms_port=sms_port, language=language)
        self.configuration.write_text(main, "utf-8")


def shipped_configuration() -> Path:
    """The folder of shipped configuration: beside the sources, or where the wheel put it.

    Raises:
        DaemonError: it is nowhere.
    """
    beside = Path(__file__).resolve().parents[2] / "config"
    installed = Path(sysconfig.get_path("data")) / "share" / "duban" / "config"
    for folder in (beside, installed):
        if (folder / "source.yaml").is_file():
            return folder
    raise DaemonError(
        Text(
            f"找不到随附的配置（{beside}、{installed}）。",
            f"the shipped configuration is not there ({beside}, {installed})",
        )
    )
