"""A local mail server for the demo: takes every mail on the loopback and keeps it as an .eml file.

Run as `python -m daemon.demo.mail_server FOLDER`; prints its port and runs until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from aiosmtpd.smtp import Envelope, Session


class EmlFolder:
    """Writes each mail it is given as `00001.eml`, `00002.eml`, …"""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep one mail."""
        del server, session
        self._count += 1
        content = envelope.content or b""
        data = content if isinstance(content, bytes) else content.encode()
        (self._folder / f"{self._count:05}.eml").write_bytes(data)
        return "250 2.0.0 OK kept"


async def serve(folder: Path) -> None:
    """Serve until standard input is closed."""
    handler = EmlFolder(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, enable_SMTPUTF8=True, hostname="mail.example.com", loop=loop), "127.0.0.1", 0
    )
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
        await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
