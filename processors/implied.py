"""What a position tells without saying it: the direction of its trip, and by its line what class of vehicle it is.

Feeds of vehicle positions tell a trip and seldom more; without the direction two buses that meet would be bunched.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from processors.batches import PositionBatch, SmallArray
from processors.city import City, Located
from processors.positions_in import PerWord
from schemas.dictionary import BytesArray, DictionaryArray


class Implied:
    """Fills in what follows from trips and lines. What it keeps only saves time."""

    def __init__(self) -> None:
        """Know nothing."""
        self._ways: Mapping[str, int] = {}
        self._direction: PerWord | None = None

    def with_direction(self, batch: PositionBatch, city: City) -> PositionBatch:
        """Return n positions; those that tell a trip of the city's timetable and no direction have that of the trip."""
        if not city.trip_directions:
            return batch
        trips = batch.trip_id
        known = self._direction
        if known is None or known.dictionary is not trips.dictionary or self._ways is not city.trip_directions:
            self._ways = city.trip_directions
            known = self._direction = PerWord(trips.dictionary, self._directions, np.int8)
        direction: SmallArray = np.where(batch.direction_id >= 0, batch.direction_id, known.of(trips.numbers))
        return replace(batch, direction_id=direction)

    def with_class(self, batch: PositionBatch, located: Located, city: City) -> PositionBatch:
        """Return n positions; those that tell a line of the city and no class are of that line's mode."""
        told = batch.vehicle_class
        classes = city.streets.classes(told.numbers, located.told_line)
        return (
            batch
            if classes is told.numbers
            else replace(batch, vehicle_class=DictionaryArray(classes, told.dictionary))
        )

    def _directions(self, trips: BytesArray) -> list[int]:
        return [self._ways.get(trip.decode(errors="replace"), -1) for trip in trips.tolist()]
