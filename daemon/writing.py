"""From the notices of a letter to the message itself: words, offer of acknowledgement, and what cannot be written."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from daemon import telemetry
from daemon.letters import Letter, as_of
from daemon.offers import NO_OFFER
from daemon.render import LinkForbidden, PrivateContent, RenderError
from daemon.store.values import DeliveryResult, DeliveryState

if TYPE_CHECKING:
    from datetime import datetime

    from channels.base import Message
    from daemon.engine import Engine
    from daemon.offers import Offer
    from daemon.render import Renderer
    from daemon.ways import WayOut

log = telemetry.logger(__name__)

LINK = "link_forbidden"  # the error of a text that holds a link where the channel takes none
PRIVATE = "private_content"  # the error of what was stopped because it would have told of a person
REMEMBERED = timedelta(days=2)  # how long it is remembered which cases that were: the administrators hear of a day's


class Writing:
    """Writes the messages of letters, for one sender.

    `stopped`: case -> when a message about it was last stopped because it would have told of a person.
    """

    def __init__(self, engine: Engine, renderer: Renderer) -> None:
        self._engine = engine
        self._renderer = renderer
        self.stopped: dict[str, datetime] = {}

    def write(
        self, way: WayOut, letter: Letter, now: datetime
    ) -> tuple[list[tuple[Letter, Message]], list[DeliveryResult]]:
        """The message of a letter, or how its notices failed; a digest that cannot be written goes notice by notice."""
        try:
            return [(letter, self.message(way, letter))], []
        except LookupError:
            problem = "no_address"
        except Exception as error:  # noqa: BLE001 - one that cannot be rendered must not stop the others
            told = error.message.zh if isinstance(error, RenderError) else type(error).__name__
            log.warning(telemetry.NOT_RENDERED, notice=letter.key, problem=told)
            problem = LINK if isinstance(error, LinkForbidden) else f"render:{type(error).__name__}"
            if letter.digest:
                parts = [self.write(way, single, now) for single in letter.singly()]
                return [one for written, _ in parts for one in written], [one for _, lost in parts for one in lost]
            if isinstance(error, PrivateContent):
                return [], self.stop(letter, now)
            for one in letter.deliveries:
                self._engine.rules.faults.note(one.policy_version, one.notice.case_key)
        return [], [DeliveryResult(one, DeliveryState.FAILED, now, error=problem) for one in letter.deliveries]

    def message(self, way: WayOut, letter: Letter) -> Message:
        """The message of a letter over that way.

        Raises:
            LookupError: its reader is in the directory no more.
            RenderError: it cannot be written.
        """
        first = letter.deliveries[0]
        official = self._engine.directory.officials[first.notice.person]
        if letter.digest:
            stamps = [stamp for one in letter.deliveries if (stamp := as_of(one)) is not None]
            return self._renderer.digest(
                [(one.notice, one.created_at) for one in letter.deliveries],
                official,
                way.kind,
                key=letter.digest,
                possible_duplicate=letter.possible_duplicate,
                as_of=min(stamps, default=None),
                offer=self._offer(way, letter),
                medium=way.medium,
            )
        return self._renderer.render(
            first.notice,
            official,
            way.kind,
            possible_duplicate=first.possible_duplicate,
            as_of=as_of(first),
            decided_at=first.created_at,
            offer=self._offer(way, letter),
            medium=way.medium,
        )

    def _offer(self, way: WayOut, letter: Letter) -> Offer:
        """How its reader may acknowledge it, if he is one of those who should."""
        asked = [one for one in letter.deliveries if self._engine.wants_acknowledgement(one)]
        if not asked:
            return NO_OFFER
        first, decided_at = min(one.id for one in letter.deliveries), max(one.created_at for one in letter.deliveries)
        return self._renderer.offers.of(way.name, letter.key, first, decided_at)

    def stop(self, letter: Letter, now: datetime) -> list[DeliveryResult]:
        """Its notices go another way or upward, and the administrators hear of it."""
        self.stopped = {case: at for case, at in self.stopped.items() if now - at < REMEMBERED}
        self.stopped.update((one.notice.case_key, now) for one in letter.deliveries if one.notice.case_key)
        return [DeliveryResult(one, DeliveryState.FAILED, now, error=PRIVATE) for one in letter.deliveries]
