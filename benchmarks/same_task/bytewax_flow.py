"""Bytewax at its fastest: its Kafka source, then one step a batch that decodes with orjson and adds up in dicts.

Bytewax's own keyed state would cost several times as much; without it the flow keeps nothing over a restart.
"""

import gc
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.testing import cluster_main

from benchmarks.answer import MINUTE_MS
from benchmarks.same_task.child import RARELY, Clock, Job, Totals, given_job, tell_and_end

BATCH = 10_000


def flow_of(job: Job) -> Dataflow:
    """Return the flow."""
    gc.set_threshold(*RARELY)
    clock, totals = Clock(), Totals()
    last, minutes, loads = totals.last, totals.minutes, orjson.loads

    def add_up(messages: list[Any]) -> list[Any]:
        for message in messages:
            position = loads(message.value)
            last[position["vehicle_id"]] = position
            key = position["line_id"], position["at_ms"] // MINUTE_MS
            found = minutes.get(key)
            if found is None:
                minutes[key] = [1, position["speed_mps"]]
            else:
                found[0] += 1
                found[1] += position["speed_mps"]
        if clock.count(len(messages)) == job.positions:
            tell_and_end(clock, totals.answer)
        return []

    flow = Dataflow("bench")
    source = KafkaSource([job.bootstrap_servers], [job.topic], tail=False, batch_size=BATCH)
    read = op.input("positions", flow, source)
    op.output("nothing", op.flat_map_batch("add_up", read, add_up), StdOutSink())
    return flow


if __name__ == "__main__":
    cluster_main(flow_of(given_job()), [], 0)
