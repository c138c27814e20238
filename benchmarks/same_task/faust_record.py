"""Faust as its documentation shows it: an agent over a faust.Record, one event a position."""

import sys

import faust

from benchmarks.answer import MINUTE_MS, digest
from benchmarks.same_task.child import Clock, Job, given_job, tell_and_end


class Position(faust.Record, serializer="json"):  # type: ignore[call-arg]
    """A position as it is on the topic."""

    vehicle_id: str
    line_id: str
    at_ms: int
    latitude_deg: float
    longitude_deg: float
    speed_mps: float


def app_of(job: Job) -> faust.App:
    """Return the app with its one agent."""
    app = faust.App(
        job.group, broker=f"kafka://{job.bootstrap_servers}", datadir=job.folder, autodiscover=False, web_enabled=False
    )
    topic = app.topic(job.topic, value_type=Position)
    clock = Clock()
    last: dict[str, Position] = {}
    minutes: dict[tuple[str, int], list[float]] = {}

    @app.agent(topic)
    async def add_up(positions: faust.StreamT[Position]) -> None:
        async for position in positions:
            last[position.vehicle_id] = position
            found = minutes.setdefault((position.line_id, position.at_ms // MINUTE_MS), [0, 0.0])
            found[0] += 1
            found[1] += position.speed_mps
            if clock.count(1) == job.positions:
                tell_and_end(clock, answer)

    def answer() -> str:
        return digest(
            {key: (one.at_ms, one.latitude_deg, one.longitude_deg) for key, one in last.items()},
            {key: (int(count), speed) for key, (count, speed) in minutes.items()},
        )

    return app


if __name__ == "__main__":
    given = given_job()
    sys.argv = sys.argv[:1]
    faust.Worker(app_of(given), loglevel="ERROR").execute_from_commandline()
