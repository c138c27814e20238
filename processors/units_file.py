"""Units with their official boundaries, from GeoJSON (RFC 7946)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from processors.areas import Polygons, polygons
from processors.batches import FloatArray
from processors.geo import Plane
from processors.network import Unit
from processors.yaml_files import Mistakes

_OUTLINE_SHARE: Final = 0.9
"""A feature around this share of the others, and of their area, is the outline of the whole, not a unit."""

_CODES: Final = ("unit_code", "code", "id")
_NAMES: Final = ("fullName", "name")


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    code: str
    name: str
    kind: str
    rings: list[tuple[FloatArray, FloatArray]]
    area_m2: float
    x_m: float
    y_m: float


def read_units(path: Path, plane: Plane, mistakes: Mistakes) -> tuple[tuple[Unit, ...], Polygons | None]:
    """Read the features of a collection as units, in their order, with the areas that tell which contains a point.

    A feature needs a Polygon or MultiPolygon, a code (property unit_code, code or id, or its own id) and a name
    (property fullName or name); property kind is taken as it is. Area and centre are computed.
    """
    shapes = _shapes(path, plane, mistakes)
    shapes = [shape for shape in shapes if not _is_outline(shape, shapes)]
    if not shapes:
        return (), None
    rings = [(index, *ring) for index, shape in enumerate(shapes) for ring in shape.rings]
    return tuple(_unit(shape, plane) for shape in shapes), polygons(rings)


def _is_outline(shape: _Shape, shapes: list[_Shape]) -> bool:
    others = [other for other in shapes if other is not shape]
    if not others or shape.area_m2 < _OUTLINE_SHARE * sum(other.area_m2 for other in others):
        return False
    own = polygons([(0, *ring) for ring in shape.rings])
    centres = own.containing(np.array([other.x_m for other in others]), np.array([other.y_m for other in others]))
    return bool((centres == 0).mean() >= _OUTLINE_SHARE)


def _shapes(path: Path, plane: Plane, mistakes: Mistakes) -> list[_Shape]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        mistakes.add(path.name, None, f"cannot be read ({error.__class__.__name__})")
        return []
    except json.JSONDecodeError as error:
        mistakes.add(path.name, error.lineno, f"is not JSON: {error.msg}")
        return []
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list) or not features:
        mistakes.add(path.name, None, "is not a GeoJSON FeatureCollection with features")
        return []
    shapes: list[_Shape] = []
    seen: set[str] = set()
    for number, feature in enumerate(features, start=1):
        try:
            shape = _shape(feature, plane)
        except ValueError as error:
            mistakes.add(path.name, None, f"feature {number}: {error}")
            continue
        except (KeyError, TypeError, IndexError, AttributeError):
            mistakes.add(path.name, None, f"feature {number}: is not a GeoJSON feature")
            continue
        if shape.code in seen:
            mistakes.add(path.name, None, f"feature {number}: code {shape.code} is already used")
        seen.add(shape.code)
        shapes.append(shape)
    return shapes


def _shape(feature: Any, plane: Plane) -> _Shape:
    geometry = feature["geometry"] if isinstance(feature, dict) else None
    if not isinstance(geometry, dict):
        raise ValueError("needs a Polygon or MultiPolygon, has none")
    if geometry.get("type") not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"needs a Polygon or MultiPolygon, has {geometry.get('type')}")
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    named = {**feature, **(feature.get("properties") or {})}
    code = next((str(named[key]) for key in _CODES if named.get(key) not in (None, "")), "")
    name = next((str(named[key]) for key in _NAMES if named.get(key) not in (None, "")), "")
    if not code or not name:
        raise ValueError("needs a code (unit_code, code or id) and a name (fullName or name)")
    rings = []
    area_m2, x_m2, y_m2 = 0.0, 0.0, 0.0
    for part in parts:
        for place, ring in enumerate(part):
            corners = np.array([corner[:2] for corner in ring], np.float64)
            if len(corners) < 4 or not (np.abs(corners) <= (180, 90)).all():
                raise ValueError(f"code {code}: a ring needs at least 4 corners of longitude, latitude in degrees")
            x_m, y_m = plane.xy(corners[:, 1], corners[:, 0])
            rings.append((x_m, y_m))
            ring_m2, ring_x_m, ring_y_m = _moments(x_m, y_m)
            sign = 1.0 if place == 0 else -1.0
            area_m2 += sign * ring_m2
            x_m2 += sign * ring_m2 * ring_x_m
            y_m2 += sign * ring_m2 * ring_y_m
    if area_m2 <= 0.0:
        raise ValueError(f"code {code}: has no area")
    return _Shape(code, name, str(named.get("kind") or "unit"), rings, area_m2, x_m2 / area_m2, y_m2 / area_m2)


def _moments(x_m: FloatArray, y_m: FloatArray) -> tuple[float, float, float]:
    """Return a ring's area and centroid (shoelace formula, taken from its first corner for the sake of precision)."""
    px_m, py_m = x_m - x_m[0], y_m - y_m[0]
    qx_m, qy_m = np.roll(px_m, -1), np.roll(py_m, -1)
    cross = px_m * qy_m - qx_m * py_m
    double_m2 = float(cross.sum())
    if double_m2 == 0.0:
        return 0.0, float(x_m[0]), float(y_m[0])
    centre_x_m = float(((px_m + qx_m) * cross).sum()) / (3 * double_m2)
    centre_y_m = float(((py_m + qy_m) * cross).sum()) / (3 * double_m2)
    return abs(double_m2) / 2, centre_x_m + float(x_m[0]), centre_y_m + float(y_m[0])


def _unit(shape: _Shape, plane: Plane) -> Unit:
    latitude_deg, longitude_deg = plane.degrees(shape.x_m, shape.y_m)
    return Unit(shape.code, shape.name, shape.kind, latitude_deg, longitude_deg, shape.area_m2 / 1e6)
