"""Whether the account could write to the shared database: asked of the server, never tried."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import sqlalchemy as sa

from daemon.errors import SourceWritable
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.mapping import SourceMapping

HARMLESS = frozenset(
    {
        "SELECT",
        "USAGE",
        "SHOW VIEW",
        "SHOW DATABASES",
        "PROCESS",
        "REPLICATION CLIENT",
        "BINLOG MONITOR",
        "EXECUTE",
        "LOCK TABLES",
        "CREATE TEMPORARY TABLES",
        "SHOW CREATE ROUTINE",
        "SLAVE MONITOR",
        "REPLICA MONITOR",
        "DELETE HISTORY",
    },
)
GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<scope>\S+) TO ", re.IGNORECASE)
COLUMNS = re.compile(r"\([^)]*\)")
NAMED_AT_MOST = 5

POSTGRESQL_POWERS = sa.text(
    "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user",
)
POSTGRESQL_TABLES = sa.text(
    "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') "
    "AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%' "
    "AND has_schema_privilege(n.oid, 'USAGE') "
    "AND (has_table_privilege(c.oid, 'INSERT') OR has_table_privilege(c.oid, 'UPDATE') "
    "OR has_table_privilege(c.oid, 'DELETE') OR has_table_privilege(c.oid, 'TRUNCATE') "
    "OR has_any_column_privilege(c.oid, 'INSERT') OR has_any_column_privilege(c.oid, 'UPDATE')) "
    "ORDER BY 1",
)


@dataclass(frozen=True, slots=True)
class Rights:
    """What the account could do besides reading: `write` names it, empty if nothing. `known`: the server could say."""

    write: tuple[str, ...]
    how: Text
    known: bool = True


def rights_of(connection: sa.Connection, mapping: SourceMapping) -> Rights:
    """Ask the server what the account of this connection may do."""
    kind = connection.dialect.name
    if kind == "sqlite":
        return _sqlite_rights(connection)
    if kind == "postgresql":
        return _postgresql_rights(connection)
    if kind in ("mysql", "mariadb"):
        return _mysql_rights(connection, mapping)
    return Rights(
        (),
        Text(
            "这种数据库无法自动核实账号权限，请数据库管理员书面确认账号只有查询权限",
            "the rights of the account cannot be verified on this kind of database: "
            "have its administrator confirm that the account may only read",
        ),
        known=False,
    )


def refuse_writable(rights: Rights, *, allowed: bool) -> None:
    """Raise SourceWritable if the account could write, unless the mapping allows it."""
    if not rights.write or allowed:
        return
    named = list(rights.write[:NAMED_AT_MOST])
    rest = len(rights.write) - len(named)
    more_zh, more_en = (f" 等 {len(rights.write)} 项", f" and {rest} more") if rest else ("", "")
    raise SourceWritable(
        Text(
            f"共享数据库的账号能够写入（{'、'.join(named)}{more_zh}）。请换一个只有查询权限的账号；"
            "确实只能用这个账号时，在 source 下写 allow_writable: true",
            f"the account could write to the shared database ({', '.join(named)}{more_en}). Use an account that "
            "may only read; if there is no other, write allow_writable: true under source",
        ),
    )


def _sqlite_rights(connection: sa.Connection) -> Rights:
    path = connection.engine.url.database or ""
    writable = os.access(path, os.W_OK)
    zh = "文件以只读方式打开" + ("（运行账号对文件本身有写权限，建议去掉）" if writable else "")
    en = "the file is opened read-only" + (
        " (this user could write the file itself: better take that away)" if writable else ""
    )
    return Rights((), Text(zh, en))


def _postgresql_rights(connection: sa.Connection) -> Rights:
    powers = connection.execute(POSTGRESQL_POWERS).first()
    names = ("SUPERUSER", "CREATEDB", "CREATEROLE")
    held = [name for name, has in zip(names, powers or (), strict=False) if has]
    tables = [str(row[0]) for row in connection.execute(POSTGRESQL_TABLES)]
    return Rights(
        (*held, *tables),
        Text(
            "已向服务器查询角色属性和各表权限", "asked the server for the role's powers and its rights on every table"
        ),
    )


def _mysql_rights(connection: sa.Connection, mapping: SourceMapping) -> Rights:
    here = {connection.engine.url.database or ""}
    for entity in mapping.entities().values():
        schema, dot, _ = (entity.table or entity.view or "").rpartition(".")
        here |= {schema} if dot else set[str]()
    grants = [str(row[0]) for row in connection.execute(sa.text("SHOW GRANTS"))]
    return Rights(
        tuple(_mysql_write_rights(grants, here)),
        Text("已查询账号的授权（SHOW GRANTS）", "asked the server for the account's grants (SHOW GRANTS)"),
    )


def _mysql_write_rights(grants: Iterable[str], databases: Iterable[str]) -> Iterable[str]:
    for grant in grants:
        match = GRANT.match(grant)
        if match is None:
            continue
        scope = match["scope"].replace("`", "").replace("\\", "")
        pattern = scope.split(".", 1)[0].replace("%", "*").replace("_", "?")
        if not any(fnmatchcase(name, pattern) for name in databases):
            continue
        rights = {right.strip().upper() for right in COLUMNS.sub("", match["rights"]).split(",")}
        yield from (f"{right} ON {scope}" for right in sorted(rights - HARMLESS))
        if grant.upper().rstrip().endswith("WITH GRANT OPTION"):
            yield f"GRANT OPTION ON {scope}"
