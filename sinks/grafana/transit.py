# ruff: noqa: S608 (statements are made of constants of this module, never of input)
"""The dashboard *Transit*: how fast the lines run, with how many vehicles, and where these are."""

from typing import Final

from sinks.grafana.panels import Column, Dashboard, Panel, Query, Unit, Variable, View
from sinks.grafana.scales import PLAIN, SPEED_KM_H

DAY_S: Final = 86_400
MINUTE_S: Final = 60
HOUR_S: Final = 3600

_LINES: Final = """dimension = 'line' AND $__timeFilter(minute)
  AND $__conditionalAll(key IN (${line:singlequote}), $line)"""
_KM_H: Final = "round(3.6 * sum(speed_sum_mm_s) / sum(speeds) / 1000, 1)"

_SERVED: Final = Panel(
    "Lines served",
    "Lines with a position of a vehicle that says it serves them.",
    View.STAT,
    (Query(f"SELECT uniqExact(key) AS lines FROM minutes\nWHERE {_LINES}"),),
    width=6,
    height=4,
    scale=PLAIN,
)
_IN_SERVICE: Final = Panel(
    "Vehicles in service",
    "Different vehicles on these lines in the span, exact.",
    View.STAT,
    (Query(f"SELECT uniqExactMerge(vehicles) AS vehicles FROM minute_aggregates\nWHERE {_LINES}"),),
    width=6,
    height=4,
    scale=PLAIN,
)
_MEAN: Final = Panel(
    "Mean speed",
    "Over all known speeds of these lines in the span, standing included.",
    View.STAT,
    (Query(f"SELECT {_KM_H} AS speed FROM minutes\nWHERE {_LINES}\nHAVING sum(speeds) > 0"),),
    width=6,
    height=4,
    unit=Unit.KM_H,
    decimals=1,
    scale=SPEED_KM_H,
)
_STANDING: Final = Panel(
    "Standing",
    "Share of the positions of these lines that are slower than 1 m/s.",
    View.STAT,
    (
        Query(
            """SELECT 100 * countIf(speed_mm_s < 1000) / count() AS standing
FROM positions
WHERE $__timeFilter(at_ms) AND line_id != '' AND speed_mm_s >= 0 AND NOT startsWith(vehicle_id, 'exercise:')
  AND $__conditionalAll(line_id IN (${line:singlequote}), $line)
HAVING count() > 0"""
        ),
    ),
    width=6,
    height=4,
    unit=Unit.PERCENT,
    decimals=0,
    scale=PLAIN,
)
_SPEED: Final = Panel(
    "Mean speed per line",
    "Mean of all known speeds of a line's vehicles in each bucket, exact.",
    View.TIME_SERIES,
    (
        Query(
            f"""SELECT $__timeInterval(minute) AS time, key AS line, {_KM_H} AS speed
FROM minutes
WHERE {_LINES}
GROUP BY time, line
HAVING sum(speeds) > 0
ORDER BY time, line"""
        ),
    ),
    series="line",
    width=12,
    height=10,
    unit=Unit.KM_H,
    decimals=1,
    interval_s=MINUTE_S,
    legend_table=True,
)
_VEHICLES: Final = Panel(
    "Vehicles per line",
    "Different vehicles heard on each line in each bucket, exact.",
    View.TIME_SERIES,
    (
        Query(
            f"""SELECT $__timeInterval(minute) AS time, key AS line, uniqExactMerge(vehicles) AS vehicles
FROM minute_aggregates
WHERE {_LINES}
GROUP BY time, line
ORDER BY time, line"""
        ),
    ),
    series="line",
    width=12,
    height=10,
    interval_s=MINUTE_S,
    legend_table=True,
)
_MAP: Final = Panel(
    "Vehicles now",
    "The latest position of every vehicle on these lines, coloured by speed, on the streets where vehicles drove. "
    "The map needs no tile server.",
    View.MAP,
    (
        Query(
            """SELECT avg(latitude_deg) AS latitude, avg(longitude_deg) AS longitude
FROM positions
WHERE $__timeFilter(at_ms) AND cell != 0
GROUP BY cell
LIMIT 5000""",
            name="streets",
            size_px=2,
        ),
        Query(
            """SELECT argMax(latitude_deg, at_ms) AS latitude, argMax(longitude_deg, at_ms) AS longitude,
  round(argMax(speed_mm_s, at_ms) * 0.0036, 1) AS speed, vehicle_id AS vehicle, argMax(line_id, at_ms) AS line,
  argMax(vehicle_class, at_ms) AS class, max(at_ms) AS heard
FROM positions
WHERE $__timeFilter(at_ms) AND line_id != '' AND speed_mm_s >= 0 AND NOT startsWith(vehicle_id, 'exercise:')
  AND $__conditionalAll(line_id IN (${line:singlequote}), $line)
GROUP BY vehicle_id
ORDER BY vehicle
LIMIT 5000""",
            name="vehicles",
            size_px=5,
            coloured_by="speed",
        ),
    ),
    width=12,
    height=13,
    columns=(Column("speed", unit=Unit.KM_H, scale=SPEED_KM_H),),
)
_SLOWEST: Final = Panel(
    "Slowest lines",
    "Lines by mean speed in the span, the slowest first.",
    View.TABLE,
    (
        Query(
            f"""SELECT key AS line, {_KM_H} AS mean, round(3.6 * min(speed_min_mps), 1) AS lowest,
  round(3.6 * max(speed_max_mps), 1) AS highest, max(vehicles) AS vehicles_a_minute, sum(positions) AS positions
FROM minutes
WHERE {_LINES}
GROUP BY line
HAVING sum(speeds) > 0
ORDER BY mean, line
LIMIT 50"""
        ),
    ),
    width=12,
    height=13,
    unit=Unit.NONE,
    columns=(
        Column("mean", unit=Unit.KM_H, scale=SPEED_KM_H),
        Column("lowest", unit=Unit.KM_H),
        Column("highest", unit=Unit.KM_H),
    ),
)
_BY_HOUR: Final = Panel(
    "Speed by line and hour",
    "Mean speed of each line and hour of the last day (or of the dashboard's span, where that lies in the past).",
    View.HEAT_MAP,
    (
        Query(
            f"""SELECT $__timeInterval(minute) AS time, key AS line, {_KM_H} AS speed
FROM minutes
WHERE {_LINES}
GROUP BY time, line
HAVING sum(speeds) > 0
ORDER BY time, line"""
        ),
    ),
    series="line",
    cells="RdYlGn",
    width=16,
    height=12,
    unit=Unit.KM_H,
    interval_s=HOUR_S,
    span_s=DAY_S,
)
_CLASSES: Final = Panel(
    "Vehicles by class",
    "Vehicles heard in the span, whatever they serve.",
    View.BARS,
    (
        Query(
            """SELECT vehicle_class AS class, uniqExact(vehicle_id) AS vehicles
FROM positions
WHERE $__timeFilter(at_ms)
GROUP BY class
ORDER BY vehicles DESC, class"""
        ),
    ),
    series="class",
    width=8,
    height=12,
    columns=(Column("vehicles", bar_colour="blue"),),
)

TRANSIT: Final = Dashboard(
    "transit",
    "Transit",
    "Speeds, vehicles and positions of the city's lines.",
    (Variable("line", "Line", "SELECT DISTINCT key FROM minutes WHERE dimension = 'line' ORDER BY key"),),
    (
        (_SERVED, _IN_SERVICE, _MEAN, _STANDING),
        (_SPEED, _VEHICLES),
        (_MAP, _SLOWEST),
        (_BY_HOUR, _CLASSES),
    ),
)
