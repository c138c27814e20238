import h3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.batches import FloatArray
from processors.hexagons import CellArray, Hexagons
from processors.network import Bounds

RECTANGLES = {
    "Hanoi": Bounds(20.50, 105.24, 21.43, 106.07),
    "Austin": Bounds(30.0, -98.1, 30.6, -97.4),
    "on the equator, over two base cells": Bounds(-0.852, 167.986, 0.208, 169.046),
    "in the far north": Bounds(76.3, -38.0, 77.3, -37.0),
    "across a side of the icosahedron": Bounds(31.41, -76.38, 32.01, -75.77),
    "around a pentagon": Bounds(64.6, 10.3, 64.8, 10.8),
    "on the date line": Bounds(-18.3, 178.2, -17.5, 180.0),
    "around the pole": Bounds(89.0, 10.0, 90.0, 12.0),
    "too wide": Bounds(10.0, 100.0, 14.0, 104.0),
}


def library(latitude_deg: FloatArray, longitude_deg: FloatArray) -> CellArray:
    """Ask h3 for every point by itself, by its text interface."""
    pairs = zip(latitude_deg.tolist(), longitude_deg.tolist(), strict=True)
    return np.array([h3.str_to_int(h3.latlng_to_cell(*pair, 9)) for pair in pairs], np.uint64)


@pytest.mark.parametrize("name", RECTANGLES)
def test_cells_are_those_of_the_library(name: str) -> None:
    bounds = RECTANGLES[name]
    chance = np.random.default_rng(5)
    latitude_deg = chance.uniform(bounds.south_deg, bounds.north_deg, 20_000)
    longitude_deg = chance.uniform(bounds.west_deg, bounds.east_deg, 20_000)
    found = Hexagons(bounds).cells(latitude_deg, longitude_deg)
    assert (found == library(latitude_deg, longitude_deg)).all()


HANOI = Hexagons(RECTANGLES["Hanoi"])


def test_cells_along_their_edges_and_at_their_corners_are_those_of_the_library() -> None:
    corners = np.array(h3.cell_to_boundary(h3.latlng_to_cell(21.03, 105.84, 9)))
    share = np.linspace(0.0, 1.0, 200)[:, None, None]
    edges = (corners + share * (np.roll(corners, -1, axis=0) - corners)).reshape(-1, 2)
    for off in (0.0, 1e-12, 1e-9, 1e-6, -1e-6):
        latitude_deg, longitude_deg = np.ascontiguousarray((edges + off).T)
        assert (HANOI.cells(latitude_deg, longitude_deg) == library(latitude_deg, longitude_deg)).all()


def test_few_points_within_the_rectangle_are_looked_up() -> None:
    chance = np.random.default_rng(6)
    latitude_deg, longitude_deg = chance.uniform(20.50, 21.43, 10_000), chance.uniform(105.24, 106.07, 10_000)
    _, open_ = HANOI._computed(latitude_deg - 20.965, longitude_deg - 105.655)
    assert open_.mean() < 0.02


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=20))
def test_cells_of_points_anywhere_on_earth_are_those_of_the_library(points: list[tuple[float, float]]) -> None:
    opposite = (-20.965, 105.655 - 180.0)  # falls on the middle of the same plane
    latitude_deg, longitude_deg = np.ascontiguousarray(np.array([*points, (21.0, 105.8), opposite]).T)
    assert (HANOI.cells(latitude_deg, longitude_deg) == library(latitude_deg, longitude_deg)).all()
