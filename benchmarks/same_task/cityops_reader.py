"""cityops' own reading of positions, single ones and frames alike: batches from the transport, columns, numpy."""

import numpy as np
import numpy.typing as npt
from processors.positions_in import PositionReader

from benchmarks.answer import MINUTE_MS, digest
from benchmarks.same_task.batch_app import run
from benchmarks.same_task.child import Clock, Job, given_job, tell_and_end
from processors.batches import Float32Array, PositionBatch
from schemas.codec import local_codec
from schemas.dictionary import Dictionary, IndexArray
from streams.transport import Poll


class Columns:
    """The task over columns.

    Last positions by vehicle number as (m, 3): at_ms, latitude_deg, longitude_deg, so that one is written in one place.
    Counts and sums of speeds by line number as (2, lines) for each minute.
    """

    def __init__(self, vehicles: Dictionary) -> None:
        self._vehicles, self._lines = vehicles, Dictionary()
        self._last = np.zeros((0, 3))
        self._minutes: dict[int, npt.NDArray[np.float64]] = {}

    def add_up(self, batch: PositionBatch) -> None:
        """Keep the last position of each vehicle, add up each line and minute."""
        missing = len(self._vehicles) - len(self._last)
        if missing > 0:
            self._last = np.pad(self._last, ((0, max(missing, len(self._last))), (0, 0)))
        row = np.empty((len(batch), 3))
        row[:, 0], row[:, 1], row[:, 2] = batch.at_ms, batch.latitude_deg, batch.longitude_deg
        self._last[batch.vehicle_id.numbers] = row  # of several the last one stays
        number, words = batch.line_id.compact()
        line = self._lines.numbers(words)[number]
        minute = batch.at_ms // MINUTE_MS
        first, last = int(minute.min()), int(minute.max())
        if first == last:
            self._add_minute(first, line, batch.speed_mps)
            return
        for one in range(first, last + 1):
            rows = minute == one
            self._add_minute(one, line[rows], batch.speed_mps[rows])

    def _add_minute(self, minute: int, line: IndexArray, speed_mps: Float32Array) -> None:
        lines = len(self._lines)
        found = self._minutes.get(minute)
        if found is None:
            found = self._minutes[minute] = np.zeros((2, lines))
        elif found.shape[1] < lines:
            found = self._minutes[minute] = np.pad(found, ((0, 0), (0, lines - found.shape[1])))
        found[0] += np.bincount(line, minlength=lines)
        found[1] += np.bincount(line, weights=speed_mps, minlength=lines)

    def answer(self) -> str:
        """Return the digest of what was added up."""
        last = {
            self._vehicles.word(slot): (
                int(self._last[slot, 0]),
                float(self._last[slot, 1]),
                float(self._last[slot, 2]),
            )
            for slot in np.flatnonzero(self._last[:, 0]).tolist()
        }
        minutes = {
            (self._lines.word(line), minute): (int(found[0, line]), float(found[1, line]))
            for minute, found in self._minutes.items()
            for line in np.flatnonzero(found[0]).tolist()
        }
        return digest(last, minutes)


def main(job: Job) -> None:
    """Read polls until all positions are added up."""
    vehicles = Dictionary()
    reader, columns, clock = PositionReader(local_codec(), vehicles), Columns(vehicles), Clock()

    def add_up(poll: Poll) -> None:
        read = reader.read(poll.records)
        if read.refused:
            raise SystemExit(f"{len(read.refused)} records of the benchmark's own log were refused")
        columns.add_up(read.batch)
        if clock.count(len(read.batch)) == job.positions:
            tell_and_end(clock, columns.answer)

    run(job, add_up)


if __name__ == "__main__":
    main(given_job())
