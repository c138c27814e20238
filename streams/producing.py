"""One message to Kafka, for those who have a producer of their own. A worker needs this and no simulation."""

from confluent_kafka import Producer


def produce(producer: Producer, topic: str, key: bytes, value: bytes, partition: int) -> None:
    """Queue one message; waits while the queue is full."""
    while True:
        try:
            producer.produce(topic, value, key, partition=partition)
            return
        except BufferError:
            producer.poll(0.1)
