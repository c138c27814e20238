"""Where vehicles are now: filled by the thread that tails rows.v1, read by whoever asks."""

import threading
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from processors.gtfs_realtime import VehicleNow, vehicles_of
from schemas.records import RowFrame

KNOWN_FOR_MS: Final = 120_000


class Told(NamedTuple):
    """A `vehicles` event's body and its number; a later one has a greater number."""

    number: int
    body: bytes


class VehicleTable:
    """The newest position of each vehicle of the last two minutes, by the newest tick seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[str, VehicleNow] = {}
        self._changed: set[str] = set()
        self._clock_ms = 0
        self._number = 0
        self._encode = msgspec.json.Encoder().encode

    @property
    def clock_ms(self) -> int:
        """Event time: the newest tick of a frame; 0 = none yet."""
        return self._clock_ms

    def take(self, frame: RowFrame) -> None:
        """Take the positions of one frame; an older position than the known one of its vehicle is left out."""
        found = vehicles_of(frame)
        with self._lock:
            self._clock_ms = max(self._clock_ms, frame.tick_ms)
            for vehicle in found:
                known = self._now.get(vehicle.vehicle_id)
                if known is None or known.at_ms < vehicle.at_ms:
                    self._now[vehicle.vehicle_id] = vehicle
                    self._changed.add(vehicle.vehicle_id)

    def changes(self) -> Told:
        """Return the event of what changed since the last call, and forget who has not been heard of for long."""
        with self._lock:
            self._forget()
            changed = [self._now[vehicle_id] for vehicle_id in self._changed if vehicle_id in self._now]
            self._changed.clear()
            self._number += 1
            number, clock_ms = self._number, self._clock_ms
        return Told(number, self._body(clock_ms, changed))

    def everything(self) -> Told:
        """Return the event of all that is known; it holds every change up to its number."""
        with self._lock:
            self._forget()
            number, clock_ms, known = self._number, self._clock_ms, list(self._now.values())
        return Told(number, self._body(clock_ms, known))

    def since(self, at_ms: int) -> list[VehicleNow]:
        """Return the vehicles with a position at or after a time, by id."""
        with self._lock:
            known = list(self._now.values())
        return sorted(one for one in known if one.at_ms >= at_ms)

    def _forget(self) -> None:
        gone = [one.vehicle_id for one in self._now.values() if one.at_ms < self._clock_ms - KNOWN_FOR_MS]
        for vehicle_id in gone:
            del self._now[vehicle_id]

    def _body(self, clock_ms: int, vehicles: Iterable[VehicleNow]) -> bytes:
        return self._encode({"at_ms": clock_ms, "vehicles": [vehicle[:8] for vehicle in vehicles]})
