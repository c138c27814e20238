"""The worker's one producer: idempotent, patient, and able to tell a source when all it sent has arrived."""

import asyncio
import threading
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from streams.kafka_access import KafkaAccess, librdkafka_settings

FOREVER_MS: Final = 2_147_483_647
FULL_WAIT_S: Final = 0.05
SETTLE_WAIT_S: Final = 0.002


def producer_settings(access: KafkaAccess) -> dict[str, Any]:
    """Return librdkafka settings: exactly-in-order, Kafka's own partitioner, and no message ever given up."""
    return {
        **librdkafka_settings(access),
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 5,
        "message.max.bytes": 16_000_000,
        "message.timeout.ms": 0,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 262_144,
        "log.connection.close": False,
    }


class Deliveries:
    """What one source sent and what of it the brokers have acknowledged."""

    def __init__(self) -> None:
        self.sent = 0
        self.arrived = 0
        self.failure: str | None = None

    async def settled(self) -> None:
        """Wait until everything sent so far has arrived. Raises KafkaException for a message that never can."""
        while self.arrived < self.sent and self.failure is None:
            await asyncio.sleep(SETTLE_WAIT_S)
        if self.failure is not None:
            raise KafkaException(self.failure)

    def note(self, error: Any, _: Any) -> None:
        """Count one delivery report (called by the polling thread alone)."""
        if error is not None:
            self.failure = str(error)
        self.arrived += 1


class Outbox:
    """Sends without waiting; a source waits for its own `Deliveries` when it must be durable."""

    def __init__(self, access: KafkaAccess) -> None:
        self._producer = Producer(producer_settings(access))
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="outbox", daemon=True)
        self._poller.start()

    async def send(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        deliveries: Deliveries,
        *,
        partition: int = -1,
        headers: list[tuple[str, bytes | None]] | None = None,
    ) -> None:
        """Queue one message; waits only while the queue is full, which is the back-pressure."""
        deliveries.sent += 1
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition=partition, headers=headers or None, on_delivery=deliveries.note
                )
                return
            except BufferError:
                await asyncio.sleep(FULL_WAIT_S)

    def close(self) -> None:
        """Send what is queued, for at most three seconds, and stop."""
        self._stop.set()
        self._poller.join()
        self._producer.flush(3.0)

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.1)
