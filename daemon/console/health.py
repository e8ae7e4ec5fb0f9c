"""`GET /healthz`: whether the daemon does its work, for a load balancer or a monitor; no personal data in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute


@dataclass(frozen=True, slots=True)
class Health:
    """Whether no obligation is forgotten, and which jobs have not run for too long."""

    proof_holds: bool
    stale_jobs: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether all is well."""
        return self.proof_holds and not self.stale_jobs


def health_route(look: Callable[[], Health], calls: Mapping[str, int]) -> BaseRoute:
    """The route; `calls` are the counts of providers' calls by what became of them."""

    async def healthz(request: Request) -> JSONResponse:
        del request
        now = look()
        told = {
            "status": "ok" if now.good else "failing",
            "proof_holds": now.proof_holds,
            "stale_jobs": list(now.stale_jobs),
            "calls": {how: count for how, count in sorted(calls.items()) if "/" not in how},
        }
        return JSONResponse(told, 200 if now.good else 503)

    return Route("/healthz", healthz, methods=["GET"])
