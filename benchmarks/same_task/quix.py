"""Quix Streams as it comes: its JSON (orjson), its RocksDB state by vehicle with the changelog, the sums in a dict.

With "stateless" after the job the last positions are in a dict as well. Sums by line in Quix's state would need a
second topic with every position in it again, by line; that is spared.
"""

import sys
from typing import Any

from quixstreams import Application, State

from benchmarks.answer import MINUTE_MS
from benchmarks.same_task.child import Clock, Job, Totals, given_job, tell_and_end


def main(job: Job, *, stateful: bool) -> None:
    """Run the application until everything is added up."""
    clock, totals = Clock(), Totals()
    last, minutes = totals.last, totals.minutes

    def add_up(position: dict[str, Any]) -> None:
        last[position["vehicle_id"]] = position
        key = position["line_id"], position["at_ms"] // MINUTE_MS
        found = minutes.get(key)
        if found is None:
            minutes[key] = [1, position["speed_mps"]]
        else:
            found[0] += 1
            found[1] += position["speed_mps"]
        if clock.count(1) == job.positions:
            tell_and_end(clock, totals.answer)

    def keep_and_add_up(position: dict[str, Any], state: State) -> None:
        before = state.get("last")
        if before is None or before["at_ms"] <= position["at_ms"]:
            state.set("last", position)
        add_up(position)

    app = Application(
        broker_address=job.bootstrap_servers,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        state_dir=job.folder,
        loglevel="ERROR",
    )
    frame = app.dataframe(app.topic(job.topic, value_deserializer="json"))
    if stateful:
        frame.update(keep_and_add_up, stateful=True)
    else:
        frame.update(add_up)
    app.run()


if __name__ == "__main__":
    main(given_job(), stateful="stateless" not in sys.argv[2:])
