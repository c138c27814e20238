"""What must be claimed of one vehicle's positions in the small city, in plain Python, record by record."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from processors.geo import haversine_m

Fix = dict[str, Any]
Found = tuple[str, Fix, float]
"""kind, where it is claimed, score"""

LENGTH_M = float(haversine_m(21.0, 105.80, 21.0, 105.82))
LIMIT_KMH = {"BUS": 50.0, "TAXI": 60.0}
LANE_NORTH_DEG = 21.01
FORBIDDEN_M = 100.0
FORBIDDEN_AT = (21.0, 105.8055)


def found_of(track: list[Fix]) -> Iterator[Found]:
    """All that is claimed of fixes of one vehicle, in the order of their time."""
    yield from _hard_stops(track)
    yield from _stands(track)
    yield from _moves_on(track)
    yield from _passages(track)
    yield from _slow(track)
    yield from _doors(track)
    lasting: list[tuple[str, str, Callable[[Fix], bool], int, int, Callable[[Fix], float]]] = [
        ("speeding", "speed_normal", _fast, 3, 2, lambda fix: min(0.9, 0.6 + 0.03 * _above_mps(fix))),
        ("off_route", "back_on_route", _off, 2, 2, _off_score),
        ("sos", "sos_over", lambda fix: fix["sos"] == "ON", 1, 2, lambda _: 0.8),
        ("wrong_way", "right_way", _against, 3, 2, lambda _: 0.6),
    ]
    for begin, end, says, begins, ends, score in lasting:
        for at, begun in _edges(track, says, begins, ends):
            yield (begin, track[at], score(track[at])) if begun else (end, track[at], 1.0)


def apart_m(one: Fix, other: Fix) -> float:
    return float(haversine_m(one["latitude_deg"], one["longitude_deg"], other["latitude_deg"], other["longitude_deg"]))


def _window(track: list[Fix], at: int, most: int) -> list[Fix]:
    """Up to `most` fixes that end at one, without a silence of more than two minutes."""
    first = at
    while first > 0 and at - first + 1 < most and track[first]["at_ms"] - track[first - 1]["at_ms"] <= 120_000:
        first -= 1
    return track[first : at + 1]


def _edges(track: list[Fix], says: Callable[[Fix], bool], begins: int, ends: int) -> Iterator[tuple[int, bool]]:
    for at in range(len(track)):
        window = _window(track, at, 6)
        lasts: bool | None = None if len(window) == 6 else False
        run, was = 0, None
        edge = None
        for fix in window:
            now = says(fix)
            run, was, edge = run + 1 if now == was else 1, now, None
            if now and run >= begins and lasts is not True:
                lasts, edge = True, True
            elif not now and run >= ends and lasts is not False:
                lasts, edge = False, False
        if edge is not None:
            yield at, edge


def _doors(track: list[Fix]) -> Iterator[Found]:
    for at in range(len(track)):
        window = _window(track, at, 6)
        before, opened = window[:-1], [_door(fix) for fix in window]
        if _moved_with_it_open(window) and not _moved_with_it_open(before):
            yield "door_open_moving", track[at], 0.7
        if not opened[-1] and (_moved_with_it_open(before) or (len(before) == 5 and all(opened[:-1]))):
            yield "door_shut", track[at], 1.0


def _moved_with_it_open(fixes: list[Fix]) -> bool:
    return any(fixes[at]["speed_mps"] > 3 and all(map(_door, fixes[at:])) for at in range(len(fixes) - 1))


def _door(fix: Fix) -> bool:
    return bool(fix["door"] == "ON" and (fix["speed_mps"] > 3 or not (_at_stop(fix) or _serves(fix))))


def _offset_m(fix: Fix) -> float:
    east_m = float(haversine_m(21.0, 105.80, 21.0, fix["longitude_deg"]))
    return min(max(math.copysign(east_m, fix["longitude_deg"] - 105.80), 0.0), LENGTH_M)


def _cross_m(fix: Fix) -> float:
    north_m = abs(fix["latitude_deg"] - 21.0) * 111_195.0
    east_m = float(haversine_m(21.0, 105.80, 21.0, fix["longitude_deg"])) if fix["longitude_deg"] < 105.80 else 0.0
    return math.hypot(north_m, east_m)


def _at_end(fix: Fix) -> bool:
    return _cross_m(fix) <= 200 and (_offset_m(fix) <= 150 or _offset_m(fix) >= LENGTH_M - 150)


def _serves(fix: Fix) -> str:
    if fix["line_id"] != "L1" or _cross_m(fix) > 40:
        return ""
    return "S1" if _offset_m(fix) <= 50 else "S2" if _offset_m(fix) >= LENGTH_M - 50 else ""


def _at_stop(fix: Fix) -> bool:
    """At any stop, or at an end of the own line."""
    near = any(apart_m(fix, {"latitude_deg": 21.0, "longitude_deg": east}) <= 50 for east in (105.80, 105.82))
    return near or (fix["line_id"] == "L1" and _at_end(fix))


def _stopped(fix: Fix) -> bool:
    return not fix["speed_mps"] > 1.5


def _matters(fix: Fix) -> bool:
    return not _at_stop(fix) or _forbidden(fix)


def _forbidden(fix: Fix) -> bool:
    place = {"latitude_deg": FORBIDDEN_AT[0], "longitude_deg": FORBIDDEN_AT[1]}
    return bool(fix["vehicle_class"] == "TAXI" and _stopped(fix) and apart_m(fix, place) <= FORBIDDEN_M)


def _above_mps(fix: Fix) -> float:
    return float(fix["speed_mps"]) - LIMIT_KMH[fix["vehicle_class"]] / 3.6


def _fast(fix: Fix) -> bool:
    return bool(fix["speed_mps"] * 3.6 > LIMIT_KMH[fix["vehicle_class"]] + 5)


def _off(fix: Fix) -> bool:
    return bool(fix["line_id"] == "L1" and _cross_m(fix) > 60 and not _at_end(fix))


def _off_score(fix: Fix) -> float:
    return 0.6 + 0.3 * min(max((round(_cross_m(fix)) - 60) / 140, 0.0), 1.0)


def _against(fix: Fix) -> bool:
    """The only course goes to the east."""
    on_line = fix["line_id"] == "L1" and _cross_m(fix) <= 60 and not _at_end(fix)
    return bool(on_line and fix["speed_mps"] > 3 and math.sin(math.radians(fix["bearing_deg"])) < -0.7071)


def _hard_stops(track: list[Fix]) -> Iterator[Found]:
    for at, (last, fix) in enumerate(pairwise(track)):
        brakes = at > 0 and 3 < last["speed_mps"] < 8
        before = track[at - 1] if brakes else last
        gaps_s = [(fix["at_ms"] - last["at_ms"]) / 1000, (last["at_ms"] - before["at_ms"]) / 1000]
        gap_s, stops = sum(gaps_s), before["speed_mps"] >= 8 and fix["speed_mps"] <= 1.5
        if stops and max(gaps_s) <= 15 and gap_s <= 20 and not _serves(fix):
            yield "hard_stop", fix, min(0.9, 0.3 + 0.1 * (before["speed_mps"] - fix["speed_mps"]) / gap_s)


def _run(track: list[Fix], at: int, slow: Callable[[Fix], bool]) -> bool:
    """Whether four fixes that end at one are from one position."""
    run = _window(track, at, 4)
    return len(run) == 4 and all(map(slow, run)) and all(apart_m(run[0], fix) <= 35 for fix in run)


def _stands(track: list[Fix]) -> Iterator[Found]:
    for at, fix in enumerate(track):
        if not _matters(fix) or not _run(track, at, _stopped):
            continue
        if _run(track, at - 1, _stopped):
            continue
        came = len(_window(track, at, 5)) == 5
        if not any(map(_at_stop, track[at - 3 : at + 1])):
            yield "stationary_vehicle", fix, 0.6 if came else 0.5
        if _forbidden(fix):
            yield "forbidden_stop", fix, 0.7


def _moves_on(track: list[Fix]) -> Iterator[Found]:
    for at in range(4, len(track)):
        fix, last = track[at], track[at - 1]
        runs = fix["speed_mps"] > 3 or apart_m(fix, track[at - 4]) > 50
        soon = fix["at_ms"] - last["at_ms"] <= 240_000
        there = _matters(last) or _matters(track[at - 2])
        run = _window(track, at - 1, 4)
        stood = len(run) == 4 and all(one["speed_mps"] <= 3 for one in run) and fix["speed_mps"] > 3
        stood = stood or _run(track, at - 1, lambda one: not one["speed_mps"] > 3)
        if runs and soon and there and stood:
            yield "moved_on", fix, 1.0


def _passages(track: list[Fix]) -> Iterator[Found]:
    for at, fix in enumerate(track):
        before = _window(track, at, 2)[0] if at else fix
        came = before is fix or _serves(before) != _serves(fix)
        if _serves(fix) and came:
            yield "stop_passage", fix, 0.9


def _normal_mps(fix: Fix) -> float:
    hour = datetime.fromtimestamp(fix["at_ms"] / 1000, ZoneInfo("Asia/Ho_Chi_Minh")).hour
    return 9.0 if hour >= 21 or hour < 6 else 6.0


def _creeps(fix: Fix) -> bool:
    on_street = _cross_m(fix) <= 40 and not _at_stop(fix) and not _serves(fix)
    return bool(on_street and 0 <= fix["speed_mps"] < 0.6 * _normal_mps(fix))


def _share(run: list[Fix]) -> float:
    """The share of the usual speed over five fixes, infinite where they are not slow progress."""
    took_s = (run[-1]["at_ms"] - run[0]["at_ms"]) / 1000
    came_m = apart_m(run[0], run[-1])
    if not all(map(_creeps, run)) or took_s > 180 or came_m <= 40:
        return math.inf
    if sum(round(one["speed_mps"] * 100) for one in run) / 5 < 50:
        return math.inf
    share = round(came_m / took_s / _normal_mps(run[-1]), 3)
    return share if share < 0.4 else math.inf


def _slow(track: list[Fix]) -> Iterator[Found]:
    for at, fix in enumerate(track):
        run = _window(track, at, 6)
        if len(run) < 5 or math.isinf(_share(run[-5:])):
            continue
        segment = partial(lambda one: int(_offset_m(one) / 500))
        same = len(run) == 6 and segment(run[-2]) == segment(fix)
        if not same or math.isinf(_share(run[:5])):
            yield "slow_progress", fix, 0.8 - 0.3 * _share(run[-5:]) / 0.4
