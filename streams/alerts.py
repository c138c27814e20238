"""Raises alerts: revisions of incidents become notifications for the subscriptions in force."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from processors.alerts import Router
from processors.records_in import RawRecord
from schemas.codec import Codec
from schemas.errors import Rejected, Retryable
from schemas.records import IncidentChange, Notification, Subscription
from streams import topics
from streams.outbox import Deliveries, Outbox
from streams.settings import Settings
from streams.tail import Tail

log = logging.getLogger(__name__)

AGAIN_S: Final = 2.0


class AlertDesk:
    """Holds who was told what; built anew whenever incident.changes.v1 is assigned."""

    def __init__(self, settings: Settings, codec: Codec, outbox: Outbox) -> None:
        self._settings, self._codec, self._outbox = settings, codec, outbox
        self._router = Router()
        self._subscriptions: dict[str, Subscription] = {}
        self._tail = Tail(settings, codec, topics.SUBSCRIPTIONS, Subscription)
        self._loaded = False

    def close(self) -> None:
        """Let go of the connection."""
        self._tail.close()

    async def raise_for(self, records: Sequence[RawRecord]) -> int:
        """Send the notifications of some changes; return how many, once the brokers have them.

        A subscription that was acknowledged before a change was published is known here: the topic is read to its end
        first. While Kafka does not answer this waits.
        """
        await self._catch_up()
        sent = Deliveries()
        for one in records:
            change = self._change(one)
            for notification in self._router.route(change, self._subscriptions.values()) if change else ():
                await self._outbox.send(
                    self._settings.topic(topics.NOTIFICATIONS),
                    notification.subscription_id.encode(),
                    self._codec.encode(notification),
                    sent,
                )
        await sent.settled()
        return sent.sent

    def _change(self, record: RawRecord) -> IncidentChange | None:
        try:
            return self._codec.read(record.value or b"", IncidentChange)
        except Rejected as error:
            log.warning("offset %d of incident.changes.v1 is not a change: %s", record.offset, error)
            return None

    async def _catch_up(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                if not self._loaded:
                    await loop.run_in_executor(None, self._load)
                for one in await loop.run_in_executor(None, self._tail.catch_up):
                    self._subscriptions[one.subscription_id] = one
                return
            except Retryable as error:
                log.warning("alerts wait: %s", error)
                await asyncio.sleep(AGAIN_S)

    def _load(self) -> None:
        """Read what was told before."""
        with Tail(self._settings, self._codec, topics.NOTIFICATIONS, Notification) as tail:
            for one in tail.catch_up():
                try:
                    self._router.remember(one)
                except msgspec.MsgspecError as error:
                    log.warning("notification %s is not one of ours: %s", one.notification_id, error)
        self._loaded = True
