"""cityops' own reading of positions, single ones and frames alike: batches from the transport, columns, numpy."""

import numpy as np
import numpy.typing as npt
from processors.positions_in import PositionReader

from benchmarks.answer import MINUTE_MS, digest
from benchmarks.same_task.batch_app import run
from benchmarks.same_task.child import Clock, Job, given_job, tell_and_end
from processors.batches import PositionBatch
from schemas.codec import local_codec
from schemas.dictionary import Dictionary
from streams.transport import Poll


class Columns:
    """The task over columns: arrays by vehicle number for the last positions, arrays by line number a minute."""

    def __init__(self, vehicles: Dictionary) -> None:
        self._vehicles, self._lines = vehicles, Dictionary()
        self._at_ms = np.zeros(0, np.int64)
        self._place = np.zeros((2, 0))
        self._minutes: dict[int, npt.NDArray[np.float64]] = {}

    def add_up(self, batch: PositionBatch) -> None:
        """Keep the last position of each vehicle, add up each line and minute."""
        missing = len(self._vehicles) - len(self._at_ms)
        if missing > 0:
            room = max(missing, len(self._at_ms))
            self._at_ms = np.pad(self._at_ms, (0, room))
            self._place = np.pad(self._place, ((0, 0), (0, room)))
        vehicle = batch.vehicle_id.numbers
        self._at_ms[vehicle] = batch.at_ms  # of several the last one stays
        self._place[0, vehicle] = batch.latitude_deg
        self._place[1, vehicle] = batch.longitude_deg
        number, words = batch.line_id.compact()
        line = self._lines.numbers(words)[number]
        minute = batch.at_ms // MINUTE_MS
        for one in range(int(minute.min()), int(minute.max()) + 1):
            of_minute = minute == one
            lines = line[of_minute]
            found = self._minutes.get(one, np.zeros((2, 0)))
            found = np.pad(found, ((0, 0), (0, len(self._lines) - found.shape[1])))
            found[0] += np.bincount(lines, minlength=len(self._lines))
            found[1] += np.bincount(lines, weights=batch.speed_mps[of_minute], minlength=len(self._lines))
            self._minutes[one] = found

    def answer(self) -> str:
        """Return the digest of what was added up."""
        seen = np.flatnonzero(self._at_ms).tolist()
        last = {
            self._vehicles.word(slot): (
                int(self._at_ms[slot]),
                float(self._place[0, slot]),
                float(self._place[1, slot]),
            )
            for slot in seen
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
