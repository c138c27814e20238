"""Alerts in a worker: raising notifications and delivering them, each where its partition is assigned.

Only a run that reads its own input tells anybody: a replay's notifications are off.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from schemas.codec import Codec
from schemas.errors import Rejected, Retryable
from schemas.records import Notification
from streams import topics
from streams.alerts import AlertDesk
from streams.deliveries import Deliverer
from streams.outbox import Outbox
from streams.settings import Settings
from streams.transport import Poll

log = logging.getLogger(__name__)


class Alerting:
    """The alert desk and the deliverer of one worker."""

    def __init__(self, settings: Settings, codec: Callable[[], Codec], outbox: Callable[[], Outbox]) -> None:
        self._settings, self._codec, self._outbox = settings, codec, outbox
        self._desk: AlertDesk | None = None
        self._deliverer: Deliverer | None = None

    def undelivered(self) -> tuple[int, int]:
        """Return how many notifications wait, and how many subscriptions have a receiver that takes nothing now."""
        return (0, 0) if self._deliverer is None else (self._deliverer.pending, self._deliverer.failing)

    async def assigned(self, names: Iterable[str]) -> None:
        """Begin anew with what the topics hold; names: the assigned topics, without a run's prefix."""
        await self.close()
        if self._settings.run != self._settings.source_run:
            return
        assigned = set(names)
        if topics.CHANGES.name in assigned:
            self._desk = AlertDesk(self._settings, self._codec(), self._outbox())
        if topics.NOTIFICATIONS.name in assigned:
            self._deliverer = Deliverer(self._settings, self._codec(), self._outbox())

    async def close(self) -> None:
        """Stop; nothing is lost."""
        if self._desk is not None:
            self._desk.close()
        if self._deliverer is not None:
            await self._deliverer.close()
        self._desk = self._deliverer = None

    async def raise_alerts(self, poll: Poll) -> None:
        """Send the notifications of a poll of changes; returns once they are durable."""
        if self._desk is not None:
            await self._desk.raise_for(poll.records)

    async def deliver(self, poll: Poll) -> None:
        """Queue a poll of notifications for their receivers."""
        while (deliverer := self._deliverer) is not None:
            try:
                await deliverer.add(self._notifications(poll))
                return
            except Retryable as error:
                log.warning("notifications wait: %s", error)
                await asyncio.sleep(error.retry_after_s)

    def _notifications(self, poll: Poll) -> list[Notification]:
        found = []
        for one in poll.records:
            try:
                found.append(self._codec().read(one.value or b"", Notification))
            except Rejected as error:
                log.warning("offset %d of notifications.v1 is not a notification: %s", one.offset, error)
        return found
