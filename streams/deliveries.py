"""Delivers notifications: one task a subscription, so that a dead receiver delays nobody but itself.

What is still to be delivered follows from two topics alone, notifications.v1 and deliveries.v1, so a worker that was
killed goes on where it was; at worst a notification is posted twice under the same id.
"""

import asyncio
import contextlib
import heapq
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from processors.alerts.retries import GIVE_UP_S, GONE, Answer, answer_of, wait_s
from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import Delivery, DeliveryState, Notification, Subscription
from sinks.webhook import Attempt, WebhookCaller
from streams import topics
from streams.outbox import Deliveries, Outbox
from streams.settings import Settings
from streams.subscriptions import secret_of
from streams.tail import Tail

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    """A notification and what came of it so far; first_at_ms: 0 = not tried yet."""

    notification: Notification
    attempts: int
    first_at_ms: int


@dataclass(slots=True)
class _Queue:
    """What one subscription is still to be told: (due, order of arrival, what), the next one first."""

    waiting: list[tuple[int, int, _Waiting]] = field(default_factory=list)
    failures: int = 0
    not_before_ms: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Deliverer:
    """Posts what is pending; built anew whenever notifications.v1 is assigned."""

    def __init__(self, settings: Settings, codec: Codec, outbox: Outbox) -> None:
        self._settings, self._codec, self._outbox = settings, codec, outbox
        self._caller = WebhookCaller()
        self._queues: dict[str, _Queue] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._tail = Tail(settings, codec, topics.SUBSCRIPTIONS, Subscription)
        self._before: dict[str, Delivery] | None = None
        self._seen: set[str] = set()
        self._order = 0
        self._reading = asyncio.Lock()

    @property
    def pending(self) -> int:
        """Notifications not delivered and not given up."""
        return sum(len(queue.waiting) for queue in self._queues.values())

    @property
    def failing(self) -> int:
        """Subscriptions whose receiver does not take what it is sent."""
        return sum(queue.failures > 0 for queue in self._queues.values())

    async def close(self) -> None:
        """Stop posting; what was under way is posted again by whoever goes on."""
        tasks = [queue.task for queue in self._queues.values() if queue.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._caller.close()
        self._tail.close()

    async def add(self, notifications: Iterable[Notification]) -> None:
        """Queue notifications; those that were settled before are left out. Never waits for a receiver.

        Raises Retryable when Kafka does not answer.
        """
        loop = asyncio.get_running_loop()
        if self._before is None:
            self._before = await loop.run_in_executor(None, self._load)
        await self._refresh()
        for notification in notifications:
            before = self._before.pop(notification.notification_id, None)
            settled = before is not None and before.state is not DeliveryState.RETRYING
            if not settled and notification.notification_id not in self._seen:
                self._queue(notification, before)
            self._seen.add(notification.notification_id)

    async def _refresh(self) -> None:
        """Learn of new and removed subscriptions."""
        async with self._reading:
            for one in await asyncio.get_running_loop().run_in_executor(None, self._tail.catch_up):
                self._subscriptions[one.subscription_id] = one

    def _load(self) -> dict[str, Delivery]:
        with Tail(self._settings, self._codec, topics.DELIVERIES, Delivery) as tail:
            return {one.notification_id: one for one in tail.catch_up()}

    def _queue(self, notification: Notification, before: Delivery | None) -> None:
        queue = self._queues.setdefault(notification.subscription_id, _Queue())
        self._order += 1
        one = _Waiting(notification, 0, 0)
        if before is not None:
            one = _Waiting(notification, before.attempts, before.first_at_ms)
        heapq.heappush(queue.waiting, (before.next_at_ms if before is not None else 0, self._order, one))
        queue.more.set()
        if queue.task is None or queue.task.done():
            queue.task = asyncio.get_running_loop().create_task(self._work(queue), name="webhooks")

    async def _work(self, queue: _Queue) -> None:
        while queue.waiting:
            queue.more.clear()
            due_ms = max(queue.waiting[0][0], queue.not_before_ms)
            wait_ms = due_ms - _now_ms()
            if wait_ms > 0:
                with contextlib.suppress(TimeoutError):  # a new notification may be due earlier
                    await asyncio.wait_for(queue.more.wait(), wait_ms / 1000)
                continue
            _, order, one = queue.waiting[0]
            notification = one.notification
            try:
                await self._try(queue, order, one)
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("delivering %s failed", notification.notification_id)
                queue.failures += 1
                queue.not_before_ms = _now_ms() + int(wait_s(queue.failures, notification.notification_id, None) * 1000)

    async def _try(self, queue: _Queue, order: int, one: _Waiting) -> None:
        """Post the head of a queue once and note what came of it."""
        attempt, answer = await self._post(one.notification)
        now_ms = _now_ms()
        one.attempts, one.first_at_ms = one.attempts + 1, one.first_at_ms or now_ms
        state = DeliveryState.RETRYING
        if answer is Answer.TAKEN:
            state = DeliveryState.DELIVERED
        elif answer is Answer.GONE or now_ms - one.first_at_ms > GIVE_UP_S * 1000:
            state = DeliveryState.GIVEN_UP
        down = answer is Answer.DOWN
        queue.failures = queue.failures + 1 if down else 0
        next_at_ms = 0
        if state is DeliveryState.RETRYING:
            failures = queue.failures if down else one.attempts
            wait = wait_s(failures, one.notification.notification_id, attempt.retry_after_s)
            next_at_ms = now_ms + int(wait * 1000)
        await self._note(one, attempt, state, now_ms, next_at_ms)
        if attempt.status_code == GONE:
            await self._unsubscribe(one.notification.subscription_id, now_ms)
        queue.waiting = [entry for entry in queue.waiting if entry[1] != order]
        heapq.heapify(queue.waiting)
        if down:  # the whole queue waits, in its order
            queue.not_before_ms = next_at_ms
        if state is DeliveryState.RETRYING:
            heapq.heappush(queue.waiting, (0 if down else next_at_ms, order, one))

    async def _post(self, notification: Notification) -> tuple[Attempt, Answer]:
        await self._refresh()
        subscription = self._subscriptions.get(notification.subscription_id)
        if subscription is None or subscription.removed_at_ms:
            return Attempt(0, "the subscription was removed"), Answer.GONE
        try:
            secret = secret_of(self._settings, subscription.secret_ref)
        except UsageError as error:
            return Attempt(0, str(error)), Answer.DOWN
        attempt = await self._caller.post(
            subscription.url,
            notification.notification_id,
            notification.payload,
            secret,
            _now_ms() // 1000,
            allow_private=subscription.allow_private,
        )
        return attempt, answer_of(attempt.status_code)

    async def _note(self, one: _Waiting, attempt: Attempt, state: DeliveryState, now_ms: int, next_at_ms: int) -> None:
        """Write down what came of an attempt; returns once it is durable."""
        notification = one.notification
        delivery = Delivery(
            first_at_ms=one.first_at_ms,
            at_ms=now_ms,
            next_at_ms=next_at_ms,
            attempts=one.attempts,
            status_code=attempt.status_code,
            state=state,
            notification_id=notification.notification_id,
            subscription_id=notification.subscription_id,
            incident_id=notification.incident_id,
            error=attempt.error,
        )
        sent = Deliveries()
        topic = self._settings.topic(topics.DELIVERIES)
        await self._outbox.send(topic, delivery.notification_id.encode(), self._codec.encode(delivery), sent)
        await sent.settled()

    async def _unsubscribe(self, subscription_id: str, now_ms: int) -> None:
        """End the subscription of a receiver that wants no more (Standard Webhooks: 410)."""
        standing = self._subscriptions.get(subscription_id)
        if standing is None or standing.removed_at_ms:
            return
        ended = replace(standing, removed_at_ms=now_ms)
        self._subscriptions[subscription_id] = ended
        sent = Deliveries()
        topic = self._settings.topic(topics.SUBSCRIPTIONS)
        await self._outbox.send(topic, subscription_id.encode(), self._codec.encode(ended), sent)
        await sent.settled()
        log.warning("subscription %s ended: its receiver answered 410", subscription_id)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
