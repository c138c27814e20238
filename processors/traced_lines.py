"""Lines traced from recorded trips: the courses that their vehicles took, where nobody gives a network.

Reports that are minutes apart do not say which way a vehicle went between them; those of all its fellows do. A course
is the way of one usual run, led from report to report along the reports of all runs of that line and direction.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.geo import Plane, Segments
from processors.network import Bounds, Stop
from schemas.records import VehiclePosition

NODE_M: Final = 30.0
"""Reports of one square of this side are one node."""


@dataclass(frozen=True, slots=True)
class TraceRule:
    """What is enough to trace a line, and how near is near."""

    reports: int = 6
    length_m: float = 1_000.0
    runs: int = 3
    pause_ms: int = 1_200_000
    candidates: int = 4
    near_m: float = 60.0
    ways_m: float = 400.0
    detour: float = 1.5
    smooth_m: float = 12.0
    stop_m: float = 40.0


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a vehicle reported on one trip, n places on the plane in the order of time."""

    line_id: str
    trip_id: str
    x_m: FloatArray
    y_m: FloatArray

    @property
    def length_m(self) -> float:
        """Return the sum of the straight ways from report to report."""
        return float(np.hypot(np.diff(self.x_m), np.diff(self.y_m)).sum())


@dataclass(frozen=True, slots=True, eq=False)
class TracedCourse:
    """One direction of a line: k corners, the stops beside it in their order, and the trips that ran so.

    near: the share of the reports of its runs that are within `TraceRule.near_m` of it.
    """

    line_id: str
    direction_id: int
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    length_m: float
    stop_ids: tuple[str, ...]
    trip_ids: tuple[str, ...]
    near: float


def trace_lines(
    positions: Iterable[VehiclePosition], stops: Sequence[Stop], bounds: Bounds, rule: TraceRule, right: bool = True
) -> Iterator[tuple[str, list[TracedCourse]]]:
    """Yield each line that positions tell, and its courses: none where too little is known of it.

    positions: in the order of time. right: whether vehicles keep to the right, where their stops are too.
    """
    plane = bounds.plane()
    by_line: dict[str, list[Run]] = defaultdict(list)
    for run in runs_of(positions, plane, rule.pause_ms):
        by_line[run.line_id].append(run)
    for line_id, runs in sorted(by_line.items()):
        ways = _ways(runs, rule)
        yield line_id, [_traced(runs, way, stops, plane, rule, right) for way, runs in ways.items()]


def runs_of(positions: Iterable[VehiclePosition], plane: Plane, pause_ms: int) -> list[Run]:
    """Return the runs of positions that tell a line and a trip; a longer pause begins another run."""
    found: dict[tuple[str, str, str], list[list[VehiclePosition]]] = defaultdict(list)
    for one in positions:
        if not one.line_id or not one.trip_id or not np.isfinite(one.latitude_deg + one.longitude_deg):
            continue
        parts = found[one.vehicle_id, one.line_id, one.trip_id]
        if not parts or one.at_ms - parts[-1][-1].at_ms > pause_ms:
            parts.append([])
        parts[-1].append(one)
    runs = []
    for (_, line_id, trip_id), parts in found.items():
        for part in parts:
            latitude_deg = np.array([one.latitude_deg for one in part])
            x_m, y_m = plane.xy(latitude_deg, np.array([one.longitude_deg for one in part]))
            runs.append(Run(line_id, trip_id, x_m, y_m))
    return runs


def _ways(runs: Sequence[Run], rule: TraceRule) -> dict[int, list[Run]]:
    """Return the runs of a line by direction: along a long one of them, or against it."""
    long = sorted((run for run in runs if _is_run(run, rule)), key=lambda run: run.length_m)
    if len(long) < rule.runs:
        return {}
    reference = long[int(0.9 * (len(long) - 1))]
    ways: dict[int, list[Run]] = {0: [], 1: []}
    for run in long:
        away_m, offset_m = _projected(reference.x_m, reference.y_m, run.x_m, run.y_m)
        steps_m = np.diff(offset_m[away_m <= rule.ways_m])
        if len(steps_m) >= 2:
            ways[int(steps_m.sum() < 0)].append(run)
    return {way: found for way, found in ways.items() if len(found) >= rule.runs}


def _is_run(run: Run, rule: TraceRule) -> bool:
    return len(run.x_m) >= rule.reports and run.length_m >= rule.length_m


def _traced(
    runs: Sequence[Run], way: int, stops: Sequence[Stop], plane: Plane, rule: TraceRule, right: bool
) -> TracedCourse:
    x_m, y_m = (np.concatenate([getattr(run, axis) for run in runs]) for axis in ("x_m", "y_m"))
    nodes = _Nodes.of(x_m, y_m)
    best: tuple[float, FloatArray, FloatArray] | None = None
    for run in _candidates(runs, rule):
        course_x_m, course_y_m = _lengthened(*nodes.way(run.x_m, run.y_m, rule), runs, nodes, rule)
        near = float((_projected(course_x_m, course_y_m, x_m, y_m)[0] <= rule.near_m).mean())
        if best is None or near > best[0]:
            best = near, course_x_m, course_y_m
    assert best is not None, "there is a candidate of every direction"
    near, course_x_m, course_y_m = best
    corners = _smoothed(course_x_m, course_y_m, rule.smooth_m)
    course_x_m, course_y_m = course_x_m[corners], course_y_m[corners]
    places = [plane.degrees(*corner) for corner in zip(course_x_m.tolist(), course_y_m.tolist(), strict=True)]
    return TracedCourse(
        line_id=runs[0].line_id,
        direction_id=way,
        latitude_deg=np.array([latitude_deg for latitude_deg, _ in places]),
        longitude_deg=np.array([longitude_deg for _, longitude_deg in places]),
        length_m=float(np.hypot(np.diff(course_x_m), np.diff(course_y_m)).sum()),
        stop_ids=_stops_beside(course_x_m, course_y_m, stops, plane, rule.stop_m, right),
        trip_ids=tuple(sorted({run.trip_id for run in runs})),
        near=near,
    )


def _candidates(runs: Sequence[Run], rule: TraceRule) -> list[Run]:
    """Return some of the longer runs, those with most reports first; the very longest may have strayed."""
    by_length = sorted(runs, key=lambda run: run.length_m)
    long_m = 0.8 * by_length[int(0.9 * (len(by_length) - 1))].length_m
    good = [run for run in by_length[: max(1, int(0.95 * len(by_length)))] if run.length_m >= long_m]
    return sorted(good or by_length[-1:], key=lambda run: (-len(run.x_m), run.trip_id))[: rule.candidates]


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    """The reports of many runs, thinned out to one a square."""

    x_m: FloatArray
    y_m: FloatArray

    @classmethod
    def of(cls, x_m: FloatArray, y_m: FloatArray) -> "_Nodes":
        square = np.stack([np.floor(x_m / NODE_M), np.floor(y_m / NODE_M)])
        _, which, count = np.unique(square, axis=1, return_inverse=True, return_counts=True)
        which = which.ravel()
        return cls(np.bincount(which, x_m) / count, np.bincount(which, y_m) / count)

    def way(self, x_m: FloatArray, y_m: FloatArray, rule: TraceRule) -> tuple[FloatArray, FloatArray]:
        """Return the way through n places, led along the nodes between each and the next."""
        found_x_m, found_y_m = [x_m[:1]], [y_m[:1]]
        for index in range(len(x_m) - 1):
            ends = x_m[index : index + 2], y_m[index : index + 2]
            some = self._between(*ends, rule)
            leg_x_m, leg_y_m = (
                np.concatenate([end[:1], all_m[some], end[1:]])
                for end, all_m in zip(ends, (self.x_m, self.y_m), strict=True)
            )
            along = _least_squares_way(leg_x_m, leg_y_m)[1:]
            found_x_m.append(leg_x_m[along])
            found_y_m.append(leg_y_m[along])
        return np.concatenate(found_x_m), np.concatenate(found_y_m)

    def _between(self, x_m: FloatArray, y_m: FloatArray, rule: TraceRule) -> BoolArray:
        to_m = [np.hypot(self.x_m - x_m[end], self.y_m - y_m[end]) for end in (0, 1)]
        apart_m = float(np.hypot(np.diff(x_m), np.diff(y_m))[0])
        return np.asarray(to_m[0] + to_m[1] <= rule.detour * apart_m + NODE_M)


def _least_squares_way(x_m: FloatArray, y_m: FloatArray) -> list[int]:
    """Return the nodes from the first to the last of n by which the squares of the steps are least.

    Squares make many short steps, along a street that many took, cheaper than one across. Dijkstra's algorithm.
    """
    count = len(x_m)
    cost, before = np.full(count, np.inf), np.zeros(count, np.int64)
    cost[0], left = 0.0, np.ones(count, bool)
    while left[-1]:
        at = int(np.where(left, cost, np.inf).argmin())
        left[at] = False
        reached = cost[at] + (x_m - x_m[at]) ** 2 + (y_m - y_m[at]) ** 2
        better = left & (reached < cost)
        cost[better], before[better] = reached[better], at
    way = [count - 1]
    while way[-1] != 0:
        way.append(int(before[way[-1]]))
    return way[::-1]


def _lengthened(
    x_m: FloatArray, y_m: FloatArray, runs: Sequence[Run], nodes: _Nodes, rule: TraceRule
) -> tuple[FloatArray, FloatArray]:
    """Return the course from where runs begin to where they end, if several begin before it or end behind it."""
    for _ in range(2):
        begins = np.array([(run.x_m[0], run.y_m[0]) for run in runs])
        place = _beyond(x_m, y_m, begins, rule)
        if place is not None:
            ahead_x_m, ahead_y_m = nodes.way(np.array([place[0], x_m[0]]), np.array([place[1], y_m[0]]), rule)
            x_m, y_m = np.concatenate([ahead_x_m[:-1], x_m]), np.concatenate([ahead_y_m[:-1], y_m])
        x_m, y_m = x_m[::-1], y_m[::-1]
        runs = [Run(run.line_id, run.trip_id, run.x_m[::-1], run.y_m[::-1]) for run in runs]
    return x_m, y_m


def _beyond(x_m: FloatArray, y_m: FloatArray, places: FloatArray, rule: TraceRule) -> tuple[float, float] | None:
    """Return the place beyond the first point of a course around which most of m places (m, 2) lie; None if few do."""
    away_m, offset_m = _projected(x_m, y_m, places[:, 0], places[:, 1])
    out = places[(offset_m < 1.0) & (away_m > rule.near_m) & (away_m < 2_000.0)]
    if len(out) < max(2, 0.1 * len(places)):
        return None
    fellows = (np.hypot(*(out[:, None] - out[None]).transpose(2, 0, 1)) <= 100.0).sum(axis=1)
    most = int(fellows.argmax())
    return (float(out[most, 0]), float(out[most, 1])) if fellows[most] >= 2 else None


def _projected(
    course_x_m: FloatArray, course_y_m: FloatArray, x_m: FloatArray, y_m: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return how far n places are from a course and where along it, both in metres."""
    dx_m, dy_m = np.diff(course_x_m), np.diff(course_y_m)
    segments, steps_m = Segments(course_x_m[:-1], course_y_m[:-1], dx_m, dy_m), np.hypot(dx_m, dy_m)
    starts_m = np.cumsum(steps_m) - steps_m
    count = len(steps_m)
    items = np.tile(np.arange(count), len(x_m))
    away_m, share = segments.project(items, np.repeat(x_m, count), np.repeat(y_m, count))
    nearest = away_m.reshape(-1, count).argmin(axis=1)
    at = np.arange(len(x_m)) * count + nearest
    return away_m[at], starts_m[nearest] + share[at] * steps_m[nearest]


def _smoothed(x_m: FloatArray, y_m: FloatArray, within_m: float) -> IntArray:
    """Return which of n corners are left if none that goes is further from what is left (Douglas and Peucker)."""
    keep = np.zeros(len(x_m), bool)
    keep[[0, -1]] = True
    spans = [(0, len(x_m) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        inner = slice(first + 1, last)
        away_m, _ = _projected(x_m[[first, last]], y_m[[first, last]], x_m[inner], y_m[inner])
        farthest = int(away_m.argmax())
        if away_m[farthest] > within_m:
            keep[first + 1 + farthest] = True
            spans += [(first, first + 1 + farthest), (first + 1 + farthest, last)]
    return np.flatnonzero(keep)


def _stops_beside(
    x_m: FloatArray, y_m: FloatArray, stops: Sequence[Stop], plane: Plane, within_m: float, right: bool
) -> tuple[str, ...]:
    """Return the stops on the side where vehicles of a course stop, in their order."""
    if not stops:
        return ()
    stop_x_m, stop_y_m = plane.xy(
        np.array([stop.latitude_deg for stop in stops]), np.array([stop.longitude_deg for stop in stops])
    )
    box = (stop_x_m >= x_m.min() - within_m) & (stop_x_m <= x_m.max() + within_m)
    box &= (stop_y_m >= y_m.min() - within_m) & (stop_y_m <= y_m.max() + within_m)
    some = np.flatnonzero(box)
    away_m, offset_m = _projected(x_m, y_m, stop_x_m[some], stop_y_m[some])
    steps_m = np.hypot(np.diff(x_m), np.diff(y_m))
    segment = np.searchsorted(np.cumsum(steps_m), offset_m, side="left").clip(0, len(steps_m) - 1)
    dx_m, dy_m = np.diff(x_m)[segment], np.diff(y_m)[segment]
    left_m = dx_m * (stop_y_m[some] - y_m[segment]) - dy_m * (stop_x_m[some] - x_m[segment])
    beside = (away_m <= within_m) & ((left_m <= 0 if right else left_m >= 0) | (away_m <= within_m / 5))
    order = np.lexsort((some, offset_m))
    return tuple(stops[int(some[index])].stop_id for index in order if beside[index])


def gtfs_tables(
    courses: Mapping[str, Sequence[TracedCourse]], stops: Sequence[Stop]
) -> dict[str, list[tuple[str, ...]]]:
    """Return traced lines as tables of a GTFS feed, header first: routes and trips without times."""
    tables: dict[str, list[tuple[str, ...]]] = {
        "stops.txt": [("stop_id", "stop_name", "stop_lat", "stop_lon")],
        "routes.txt": [("route_id", "route_short_name", "route_type")],
        "trips.txt": [("route_id", "service_id", "trip_id", "direction_id", "shape_id")],
        "stop_times.txt": [("trip_id", "arrival_time", "departure_time", "stop_id", "stop_sequence")],
        "shapes.txt": [("shape_id", "shape_pt_lat", "shape_pt_lon", "shape_pt_sequence")],
    }
    tables["stops.txt"] += [
        (stop.stop_id, stop.name, str(stop.latitude_deg), str(stop.longitude_deg)) for stop in stops
    ]
    for line_id, ways in sorted(courses.items()):
        told = Counter(trip_id for course in ways for trip_id in course.trip_ids)
        some = [course for course in ways if len(course.stop_ids) >= 2]
        if some:
            tables["routes.txt"].append((line_id, line_id, "3"))
        for course in some:
            shape_id = f"{line_id}_{course.direction_id}"
            trips = [trip_id for trip_id in course.trip_ids if told[trip_id] == 1] or [shape_id]
            way = str(course.direction_id)
            tables["trips.txt"] += [(line_id, "recorded", trip_id, way, shape_id) for trip_id in trips]
            tables["stop_times.txt"] += [
                (trips[0], "", "", stop_id, str(number)) for number, stop_id in enumerate(course.stop_ids, 1)
            ]
            corners = zip(course.latitude_deg.tolist(), course.longitude_deg.tolist(), strict=True)
            tables["shapes.txt"] += [
                (shape_id, f"{latitude_deg:.6f}", f"{longitude_deg:.6f}", str(number))
                for number, (latitude_deg, longitude_deg) in enumerate(corners, 1)
            ]
    return tables
