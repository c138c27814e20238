"""The best loop that we could write by hand: confluent-kafka in batches, orjson, two dicts, few garbage collections."""

import gc

import orjson
from confluent_kafka import Consumer

from benchmarks.answer import MINUTE_MS
from benchmarks.same_task.child import RARELY, Clock, Job, Totals, given_job, tell_and_end
from streams.heap import keep_pages

BATCH = 10_000


def main(job: Job) -> None:
    """Read, decode, keep the last position and add up."""
    gc.set_threshold(*RARELY)
    keep_pages()
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap_servers,
            "group.id": job.group,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 4_194_304,
        }
    )
    consumer.subscribe([job.topic])
    clock, totals = Clock(), Totals()
    last, minutes, loads = totals.last, totals.minutes, orjson.loads
    while clock.positions < job.positions:
        messages = consumer.consume(BATCH, 0.1)
        for message in messages:
            if message.error() is not None:
                raise SystemExit(str(message.error()))
            position = loads(message.value())
            last[position["vehicle_id"]] = position
            key = position["line_id"], position["at_ms"] // MINUTE_MS
            found = minutes.get(key)
            if found is None:
                minutes[key] = [1, position["speed_mps"]]
            else:
                found[0] += 1
                found[1] += position["speed_mps"]
        if messages:
            clock.count(len(messages))
    tell_and_end(clock, totals.answer)


if __name__ == "__main__":
    main(given_job())
