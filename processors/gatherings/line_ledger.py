"""The standing claims of lines, by vehicle and by stop: what the gatherings of lines read.

Passages are kept packed, once for all gatherings. Of a vehicle that passes a stop again and has not left in between
the first passage counts alone.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from processors.gatherings.packed_claims import PackedClaims, Whose, Words, number_of
from processors.gatherings.passages import PASSAGE, SAME_MS
from processors.gatherings.schedules import Schedules
from schemas.records import Observation


class Vehicle:
    """The claims about one vehicle on one line in one direction.

    firsts: the passages that count, repeats: the others, marks: what was claimed of it besides.
    """

    __slots__ = ("firsts", "marks", "repeats", "way", "whose")

    def __init__(self, way: "Way", whose: Whose, words: Words) -> None:
        self.way, self.whose = way, whose
        self.firsts = PackedClaims(words)
        self.repeats: PackedClaims | None = None
        self.marks: PackedClaims | None = None

    @property
    def passages(self) -> tuple[PackedClaims, ...]:
        """The passages that count, and the others if there are any."""
        return (self.firsts,) if self.repeats is None else (self.firsts, self.repeats)

    @property
    def packs(self) -> tuple[PackedClaims, ...]:
        """All that there are."""
        return self.passages if self.marks is None else (*self.passages, self.marks)


class Place:
    """A stop of a line and direction, and the passages that count there in the order (time, id).

    code: the number of its name, "line/direction/stop". by: whose passages they are. Terminals know no passages.
    """

    __slots__ = ("at_ms", "by", "code", "is_terminal", "name", "number", "stop_id", "way")

    def __init__(self, way: "Way", stop_id: str, code: int, *, is_terminal: bool) -> None:
        self.way, self.stop_id, self.code, self.is_terminal = way, stop_id, code, is_terminal
        self.name = f"{way.name}/{stop_id}"
        self.at_ms = array("q")
        self.number = array("Q")
        self.by: list[Vehicle] = []

    def index(self, at_ms: int, number: int) -> int:
        """Return how many passages are before a place in the order."""
        times, index = self.at_ms, bisect_left(self.at_ms, at_ms)
        while index < len(times) and times[index] == at_ms and self.number[index] < number:
            index += 1
        return index

    def holds(self, index: int, at_ms: int, number: int) -> bool:
        """Tell whether the passage of that time and id is the one at an index."""
        return index < len(self.at_ms) and self.at_ms[index] == at_ms and self.number[index] == number

    def insert(self, at_ms: int, number: int, vehicle: Vehicle) -> int:
        """Put a passage where it belongs; return its index."""
        times = self.at_ms
        if not times or times[-1] < at_ms:
            times.append(at_ms)
            self.number.append(number)
            self.by.append(vehicle)
            return len(times) - 1
        index = self.index(at_ms, number)
        times.insert(index, at_ms)
        self.number.insert(index, number)
        self.by.insert(index, vehicle)
        return index

    def delete(self, at_ms: int, number: int) -> int:
        """Leave a passage out; return where it was."""
        index = self.index(at_ms, number)
        del self.at_ms[index], self.number[index], self.by[index]
        return index

    def forget(self, oldest_ms: int) -> None:
        """Leave out the passages before a time."""
        if self.at_ms and self.at_ms[0] < oldest_ms:
            count = bisect_left(self.at_ms, oldest_ms)
            del self.at_ms[:count], self.number[:count], self.by[:count]


class Way:
    """A line in one direction: its places by stop, its vehicles by id."""

    __slots__ = ("direction_id", "line_id", "name", "places", "prefix", "vehicles")

    def __init__(self, line_id: str, direction_id: int) -> None:
        self.line_id, self.direction_id = line_id, direction_id
        self.name = f"{line_id}/{direction_id}"
        self.prefix = f"{self.name}/"
        self.places: dict[str, Place] = {}
        self.vehicles: dict[str, Vehicle] = {}


class Reader(Protocol):
    """Is told what changes of the passages that count."""

    def came(self, vehicle: Vehicle, index: int, place: Place, place_index: int) -> None:
        """Take note of a passage, by its index in `firsts` and at the place (-1 at a terminal)."""
        ...

    def left(self, vehicle: Vehicle, index: int, place: Place, place_index: int, order: tuple[int, int]) -> None:
        """Take note of one that counts no more, by where it was; order: its time and the number of its id."""
        ...

    def marked(self, vehicle: Vehicle, at_ms: int) -> None:
        """Take note that something else was claimed of a vehicle, or is no more."""
        ...

    def forgot(self, vehicle: Vehicle, count: int) -> None:
        """Take note that the first passages of a vehicle that counted were forgotten."""
        ...


SWEEPS: Final = 16


class LineLedger:
    """Keeps the claims; `readers` hear of every change."""

    def __init__(self, schedules: Schedules, readers: Sequence[Reader]) -> None:
        self._schedules, self._readers = schedules, readers
        self._words = Words()
        self._ways: dict[tuple[str, int], Way] = {}
        self._places: dict[int, Place] = {}
        self._fresh: dict[int, Observation] = {}
        self._swept = 0

    @property
    def places(self) -> Iterator[Place]:
        """The stops that passages were claimed of."""
        return iter(self._places.values())

    @property
    def vehicles(self) -> Iterator[Vehicle]:
        """The vehicles of which something is known."""
        return (vehicle for way in self._ways.values() for vehicle in way.vehicles.values())

    def place(self, code: int) -> Place:
        """Return the stop of that number."""
        return self._places[code]

    def claim(self, vehicle: Vehicle, index: int) -> Observation:
        """Return a passage that counts."""
        found = self._fresh.get(vehicle.firsts.number(index))
        return vehicle.firsts.claim(index, vehicle.whose) if found is None else found

    def claim_at(self, place: Place, index: int) -> Observation:
        """Return a passage that counts, by its index at a stop."""
        number, vehicle = place.number[index], place.by[index]
        found = self._fresh.get(number)
        if found is None:
            firsts = vehicle.firsts
            found = firsts.claim(firsts.place(place.at_ms[index], number), vehicle.whose)
        return found

    def standing(self, oldest_ms: int) -> Iterator[Observation]:
        """Yield what stands and is not older than that."""
        for vehicle in self.vehicles:
            for pack in vehicle.packs:
                for index in range(bisect_left(pack.at_ms, oldest_ms), len(pack)):
                    yield pack.claim(index, vehicle.whose)

    def tick_over(self) -> None:
        """Hold the claims of a tick no longer as they came."""
        self._fresh.clear()

    # --- claims that come and go -------------------------------------------------------------------------------------

    def add(self, one: Observation) -> bool:
        """Take a claim; tell whether it is new."""
        vehicle = self._vehicle(one)
        number = number_of(one.observation_id)
        if one.kind != PASSAGE:
            return self._mark(vehicle, one, number)
        firsts, at_ms = vehicle.firsts, one.at_ms
        place, tail = self._place_of(vehicle.way, one)
        if vehicle.repeats is None and (not firsts.at_ms or firsts.at_ms[-1] < at_ms):
            index = len(firsts)
            is_repeat = place.code in firsts.head[bisect_left(firsts.at_ms, at_ms - SAME_MS) :]
        else:
            index = firsts.place(at_ms, number)
            if firsts.holds(index, at_ms, number) or _has(vehicle.repeats, at_ms, number):
                return False
            is_repeat = self._is_repeat(vehicle, place.code, at_ms, number)
            self._demote_next(vehicle, place, at_ms, number)
        self._fresh[number] = one
        if is_repeat:
            if vehicle.repeats is None:
                vehicle.repeats = PackedClaims(self._words)
            vehicle.repeats.insert(vehicle.repeats.place(at_ms, number), one, number, place.code, tail)
        else:
            firsts.insert(index, one, number, place.code, tail)
            self._count(vehicle, index, place, at_ms, number)
        return True

    def remove(self, one: Observation) -> bool:
        """Take a claim back; tell whether it stood."""
        way = self._ways.get((one.line_id, one.direction_id))
        vehicle = None if way is None else way.vehicles.get(one.device_id)
        if vehicle is None:
            return False
        at_ms, number = one.at_ms, number_of(one.observation_id)
        if one.kind != PASSAGE:
            if vehicle.marks is None or not _delete(vehicle.marks, at_ms, number):
                return False
            for reader in self._readers:
                reader.marked(vehicle, at_ms)
            return True
        index = vehicle.firsts.place(at_ms, number)
        if vehicle.firsts.holds(index, at_ms, number):
            place = self._places[vehicle.firsts.head[index]]
            self._count_no_more(vehicle, index, place, at_ms, number)
            self._promote_next(vehicle, place, at_ms, number)
        elif vehicle.repeats is not None and vehicle.repeats.holds(
            at := vehicle.repeats.place(at_ms, number), at_ms, number
        ):
            place = self._places[vehicle.repeats.head[at]]
            vehicle.repeats.delete(at)
            self._promote_next(vehicle, place, at_ms, number)
        else:
            return False
        return True

    def forget(self, oldest_ms: int, *, all_ways: bool = False) -> None:
        """Let go what is older, of a sixteenth of the ways at a time."""
        for way in list(self._ways.values())[self._swept :: 1 if all_ways else SWEEPS]:
            for place in way.places.values():
                place.forget(oldest_ms)
            gone = [vehicle for vehicle in way.vehicles.values() if self._forget_of(vehicle, oldest_ms)]
            for vehicle in gone:
                del way.vehicles[vehicle.whose.device_id]
        self._swept = (self._swept + 1) % SWEEPS

    def _forget_of(self, vehicle: Vehicle, oldest_ms: int) -> bool:
        """Let go what is older of a vehicle; tell whether nothing is left."""
        count = vehicle.firsts.forget(oldest_ms)
        for reader in self._readers if count else ():
            reader.forgot(vehicle, count)
        for name in ("repeats", "marks"):
            pack: PackedClaims | None = getattr(vehicle, name)
            if pack is not None:
                pack.forget(oldest_ms)
                if not pack:
                    setattr(vehicle, name, None)
        return not vehicle.firsts and vehicle.repeats is None and vehicle.marks is None

    def _vehicle(self, one: Observation) -> Vehicle:
        key = one.line_id, one.direction_id
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = Way(*key)
        vehicle = way.vehicles.get(one.device_id)
        if vehicle is None:
            vehicle = Vehicle(way, Whose(way.line_id, way.direction_id, one.device_id), self._words)
            way.vehicles[one.device_id] = vehicle
        return vehicle

    def _place_of(self, way: Way, one: Observation) -> tuple[Place, str | None]:
        """Return the stop of a passage and the trip; None: its subject does not go so far."""
        stop_id, slash, trip = one.subject.removeprefix(way.prefix).partition("/")
        place = way.places.get(stop_id)
        if place is None:
            code = self._words.code(way.prefix + stop_id)
            is_terminal = self._schedules.is_terminal(way.line_id, way.direction_id, stop_id)
            place = way.places[stop_id] = self._places[code] = Place(way, stop_id, code, is_terminal=is_terminal)
        return place, trip if slash else None

    def _mark(self, vehicle: Vehicle, one: Observation, number: int) -> bool:
        if vehicle.marks is None:
            vehicle.marks = PackedClaims(self._words)
        index = vehicle.marks.place(one.at_ms, number)
        if vehicle.marks.holds(index, one.at_ms, number):
            return False
        vehicle.marks.insert(index, one, number, self._words.code(one.subject), None)
        for reader in self._readers:
            reader.marked(vehicle, one.at_ms)
        return True

    # --- which passages count ----------------------------------------------------------------------------------------

    def _count(self, vehicle: Vehicle, index: int, place: Place, at_ms: int, number: int) -> None:
        place_index = -1 if place.is_terminal else place.insert(at_ms, number, vehicle)
        for reader in self._readers:
            reader.came(vehicle, index, place, place_index)

    def _count_no_more(self, vehicle: Vehicle, index: int, place: Place, at_ms: int, number: int) -> None:
        vehicle.firsts.delete(index)
        place_index = -1 if place.is_terminal else place.delete(at_ms, number)
        for reader in self._readers:
            reader.left(vehicle, index, place, place_index, (at_ms, number))

    def _is_repeat(self, vehicle: Vehicle, code: int, at_ms: int, number: int) -> bool:
        """Tell whether the vehicle was at the stop just before."""
        since_ms = at_ms - SAME_MS
        return any(
            code in pack.head[bisect_left(pack.at_ms, since_ms) : pack.place(at_ms, number)]
            for pack in vehicle.passages
        )

    def _next_at(self, vehicle: Vehicle, code: int, at_ms: int, number: int) -> tuple[int, int, bool] | None:
        """Return time and id of the next passage of the stop after a place in the order, and whether it counts."""
        found = []
        for pack in vehicle.passages:
            for index in range(pack.place(at_ms, number), len(pack)):
                if pack.head[index] == code and (pack.at_ms[index], pack.number(index)) != (at_ms, number):
                    found.append((pack.at_ms[index], pack.number(index), pack is vehicle.firsts))
                    break
        return min(found, default=None)

    def _demote_next(self, vehicle: Vehicle, place: Place, at_ms: int, number: int) -> None:
        """Let the next passage of the stop count no more if one at that time is just before it."""
        following = self._next_at(vehicle, place.code, at_ms, number)
        if following is not None and following[2] and following[0] - at_ms <= SAME_MS:
            self._move(vehicle, place, following[0], following[1], counts=False)

    def _promote_next(self, vehicle: Vehicle, place: Place, at_ms: int, number: int) -> None:
        """Let the next passage of the stop count if none is just before it now."""
        following = self._next_at(vehicle, place.code, at_ms, number)
        if following is None or following[2]:
            return
        if not self._is_repeat(vehicle, place.code, following[0], following[1]):
            self._move(vehicle, place, following[0], following[1], counts=True)

    def _move(self, vehicle: Vehicle, place: Place, at_ms: int, number: int, *, counts: bool) -> None:
        if vehicle.repeats is None:
            vehicle.repeats = PackedClaims(self._words)
        source, target = (vehicle.repeats, vehicle.firsts) if counts else (vehicle.firsts, vehicle.repeats)
        index = source.place(at_ms, number)
        one, tail = source.claim(index, vehicle.whose), source.tail_or_none(index)
        if counts:
            source.delete(index)
        else:
            self._count_no_more(vehicle, index, place, at_ms, number)
        index = target.place(at_ms, number)
        target.insert(index, one, number, place.code, tail)
        if counts:
            self._count(vehicle, index, place, at_ms, number)


def _has(pack: PackedClaims | None, at_ms: int, number: int) -> bool:
    return pack is not None and pack.holds(pack.place(at_ms, number), at_ms, number)


def _delete(pack: PackedClaims, at_ms: int, number: int) -> bool:
    index = pack.place(at_ms, number)
    found = pack.holds(index, at_ms, number)
    if found:
        pack.delete(index)
    return found
