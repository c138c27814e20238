"""The dashboards there are."""

from typing import Final

from sinks.grafana.city_overview import CITY_OVERVIEW
from sinks.grafana.panels import Dashboard
from sinks.grafana.transit import TRANSIT

DASHBOARDS: Final[tuple[Dashboard, ...]] = (CITY_OVERVIEW, TRANSIT)
