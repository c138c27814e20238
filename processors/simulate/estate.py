"""The cameras or sensors of a city in a fixed order, and which of them are near a place."""

from collections.abc import Mapping

import numpy as np

from processors.batches import FloatArray
from processors.city import Device
from processors.geo import haversine_m


class Estate:
    """n devices by id; `devices`, all columns (n,) and indices are in that order."""

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self.devices = tuple(devices[name] for name in sorted(devices))
        self.device_ids = tuple(device.device_id for device in self.devices)
        self.latitude_deg = np.array([device.latitude_deg for device in self.devices], np.float64)
        self.longitude_deg = np.array([device.longitude_deg for device in self.devices], np.float64)

    def __len__(self) -> int:
        """Return n."""
        return len(self.devices)

    def near(self, latitude_deg: float, longitude_deg: float, within_m: float) -> list[int]:
        """Return the indices of the devices within a distance, nearest first."""
        away_m = haversine_m(latitude_deg, longitude_deg, self.latitude_deg, self.longitude_deg)
        return [index for index in np.argsort(away_m, kind="stable").tolist() if away_m[index] <= within_m]

    def distance_m(self, index: int, latitude_deg: float, longitude_deg: float) -> float:
        """Return how far a device is from a place."""
        return float(haversine_m(latitude_deg, longitude_deg, self.latitude_deg[index], self.longitude_deg[index]))

    def distances_m(self, index: int, latitude_deg: FloatArray, longitude_deg: FloatArray) -> FloatArray:
        """Return how far a device is from n places, float64 (n,)."""
        here = self.latitude_deg[index], self.longitude_deg[index]
        return np.asarray(haversine_m(*here, latitude_deg, longitude_deg))
