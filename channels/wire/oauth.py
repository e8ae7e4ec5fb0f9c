"""The access token with which XOAUTH2 logs in, in place of a password (RFC 6749 6 for the refresh token)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from channels.base import OutcomeUnknown, PermanentFailure, TemporaryFailure
from channels.wire.exchange import HttpExchange
from channels.wire.status import failure_of_status
from channels.wire.token import AccessToken, Granted

if TYPE_CHECKING:
    from channels.email import OAuthSettings
    from channels.wire.exchange import Answer

_COMMAND_SECONDS = 30.0
_COMMAND_GOOD_FOR = 60.0  # a command does not say how long its token lasts; a burst of logins asks once
_GOOD_FOR = 3600.0  # where the answer does not say it
_REFUSED = 400


class LoginToken:
    """The present token of one login, shared by its connections."""

    def __init__(self, settings: OAuthSettings, *, connect_seconds: float, ca_file: str | None) -> None:
        self._settings = settings
        self._token = AccessToken(self._ask)
        self._last = ""
        self._exchange = HttpExchange(
            connections=1, connect_seconds=connect_seconds, seconds=connect_seconds, ca_file=ca_file
        )

    @property
    def known(self) -> bool:
        """Whether a token was given out before, which may have ended early."""
        return bool(self._last)

    async def value(self) -> str:
        """The token.

        Raises:
            TemporaryFailure: it cannot be had now.
            PermanentFailure: we are refused one.
        """
        self._last = await self._token.value()
        return self._last

    def forget(self) -> None:
        """The server refused it."""
        self._token.drop(self._last)
        self._last = ""

    async def close(self) -> None:
        """Stop asking."""
        await self._token.close()
        await self._exchange.close()

    async def _ask(self) -> Granted:
        if self._settings.token_file is not None:
            return Granted(await asyncio.to_thread(_read, Path(self._settings.token_file)), 0)
        if self._settings.token_command is not None:
            return Granted(await _said_by(self._settings.token_command), _COMMAND_GOOD_FOR)
        return await self._refreshed()

    async def _refreshed(self) -> Granted:
        settings = self._settings
        form = {"grant_type": "refresh_token", "client_id": settings.client_id or ""}
        form["refresh_token"] = settings.refresh_token.get_secret_value() if settings.refresh_token else ""
        if settings.client_secret is not None:
            form["client_secret"] = settings.client_secret.get_secret_value()
        if settings.scope is not None:
            form["scope"] = settings.scope
        answer = await self._exchange.ask("POST", settings.token_url or "", data=form)
        if answer.status >= _REFUSED:
            raise _refusal(answer)
        said = _tree(answer)
        token, seconds = said.get("access_token"), said.get("expires_in", _GOOD_FOR)
        if not isinstance(token, str) or not token or not isinstance(seconds, int | float | str):
            raise OutcomeUnknown("malformed_answer", "no access token in the answer")
        try:
            return Granted(token, float(seconds))
        except ValueError:
            return Granted(token, _GOOD_FOR)


def _refusal(answer: Answer) -> Exception:
    """A refresh token that ended is a matter for a human (RFC 6749 5.2)."""
    if _tree(answer).get("error") in {"invalid_grant", "invalid_client", "unauthorized_client"}:
        return PermanentFailure("oauth_refused", whole_channel=True)
    return failure_of_status(answer)


def _tree(answer: Answer) -> dict[str, object]:
    try:
        said: object = json.loads(answer.text)
    except ValueError:
        return {}
    return cast("dict[str, object]", said) if isinstance(said, dict) else {}


def _read(file: Path) -> str:
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise TemporaryFailure("token_file", "the token file cannot be read") from None
    if not token:
        raise TemporaryFailure("token_file", "the token file is empty")
    return token


async def _said_by(command: tuple[str, ...]) -> str:
    """What the command prints; it gets no input, and what it complains of is not kept: it may quote the token."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        raise PermanentFailure("token_command", "the command cannot be started") from None
    try:
        async with asyncio.timeout(_COMMAND_SECONDS):
            printed, _ = await process.communicate()
    except TimeoutError:
        raise TemporaryFailure("token_command", "the command took too long") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    token = printed.decode("ascii", "replace").strip()
    if process.returncode or not token or not token.isprintable():
        raise TemporaryFailure("token_command", "the command failed or printed no token")
    return token
