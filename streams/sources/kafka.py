"""Reads somebody's Kafka topic; what it has read is committed only after our Kafka has it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from schemas.errors import CityopsError
from streams.kafka_access import KafkaAccess, librdkafka_settings
from streams.settings import Settings
from streams.sources.config import KafkaSource
from streams.sources.intake import Intake
from streams.watching import ERRORS_ONLY

AT_ONCE: Final = 500
WAIT_S: Final = 0.5
ANSWER_WITHIN_S: Final = 10.0


class TopicReader:
    """One topic that is read."""

    def __init__(self, source: KafkaSource, settings: Settings, intake: Intake) -> None:
        self._source, self._intake = source, intake
        access = KafkaAccess(source.bootstrap_servers) if source.bootstrap_servers else settings.kafka
        self._consumer_settings = {
            **librdkafka_settings(access),
            "group.id": source.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest" if source.from_beginning else "latest",
            "allow.auto.create.topics": False,
            "log_level": ERRORS_ONLY,
        }

    async def run(self) -> None:
        """Read for ever. Raises CityopsError when the topic cannot be read now."""
        consumer = Consumer(self._consumer_settings)
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "topic-reader") as thread:  # one: a consumer must not be closed while it reads
            try:
                await loop.run_in_executor(thread, self._open, consumer)
                self._intake.goes("running")
                while True:
                    await self._once(consumer, thread)
            except KafkaException as error:
                raise CityopsError(f"Kafka: {error.args[0].str()}") from error
            finally:
                thread.submit(consumer.close)

    def _open(self, consumer: Consumer) -> None:
        topic = self._source.topic
        found = consumer.list_topics(topic, timeout=ANSWER_WITHIN_S).topics[topic]
        if found.error is not None:
            raise CityopsError(f"there is no topic {topic}: {found.error.str()}")
        consumer.subscribe([topic])

    async def _once(self, consumer: Consumer, thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        messages = await loop.run_in_executor(thread, consumer.consume, AT_ONCE, WAIT_S)
        for message in messages:
            if message.error() is not None:
                if message.error().code() == KafkaError._PARTITION_EOF:
                    continue
                raise KafkaException(message.error())
            path = f"{message.topic()}/{message.partition()}/{message.offset()}"
            await self._intake.take(message.value() or b"", path)
        if messages:
            await self._intake.settled()
            await loop.run_in_executor(thread, partial(consumer.commit, asynchronous=False))
            self._intake.goes("running")
