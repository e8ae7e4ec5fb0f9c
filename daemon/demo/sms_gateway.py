"""A local SMS gateway for the demo: takes texts by HTTP POST on the loopback and writes them to a file.

Run as `python -m daemon.demo.sms_gateway FOLDER`; prints its port and runs until its standard input is closed.
`POST /send` with JSON `{"mobile": …, "text": …, "id": …}` answers `{"code": 0, "msgid": …}`; an `id` is taken once.
`GET /status?id=…` tells whether an id was taken, as real gateways can be asked.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from io import TextIOWrapper


class Gateway:
    """Takes texts, each id once, and writes them line by line to `texts.jsonl`."""

    def __init__(self, file: TextIOWrapper) -> None:
        self._file = file
        self._taken: dict[str, str] = {}

    async def send(self, request: web.Request) -> web.Response:
        """Take one text."""
        body = await request.json()
        mobile, text = body.get("mobile"), body.get("text")
        if not mobile or not text:
            return web.json_response({"code": 1, "message": "mobile and text are needed"}, status=400)
        key = str(body.get("id") or f"{mobile}{text}")
        if key not in self._taken:
            self._taken[key] = f"{len(self._taken) + 1:08}"
            self._file.write(json.dumps({"mobile": mobile, "text": text, "id": key}, ensure_ascii=False) + "\n")
            self._file.flush()
        return web.json_response({"code": 0, "msgid": self._taken[key]})

    async def status(self, request: web.Request) -> web.Response:
        """Tell whether an id was taken."""
        reference = self._taken.get(request.query.get("id", ""))
        return web.json_response({"code": 0, "msgid": reference} if reference else {"code": 404})


async def serve(folder: Path) -> None:
    """Serve until standard input is closed."""
    with (folder / "texts.jsonl").open("a", encoding="utf-8") as file:
        gateway = Gateway(file)
        application = web.Application()
        application.add_routes([web.post("/send", gateway.send), web.get("/status", gateway.status)])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)  # noqa: T201 - the parent reads it
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
