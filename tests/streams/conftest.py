"""What the tests on the real stack share: the schemas of its registry and the city of the simulator."""

import pytest

from processors.city import City
from schemas.codec import Codec
from streams.registry import load_codec
from streams.session import city_of
from streams.settings import Settings
from tests.streams.commands import FinishedDemo, cityops, finished
from tests.streams.running import feed, make_ready, run_settings, simulated, work_off

ORIGINAL_S = 60.0


@pytest.fixture(scope="session")
def codec(stack_with_registry: Settings) -> Codec:
    """The ids of the session's registry."""
    return load_codec(stack_with_registry)


@pytest.fixture(scope="session")
def city(stack_with_registry: Settings) -> City:
    """Hà Nội."""
    return city_of(stack_with_registry)


@pytest.fixture(scope="session")
def original(stack_with_registry: Settings, codec: Codec, city: City) -> Settings:
    """A run whose log, ORIGINAL_S long and with its truth, is worked off: many crashes and fires, all the time."""
    settings = run_settings(stack_with_registry, "original", block_ms=4000, checkpoint_ms=4000)
    make_ready(settings)
    often = {"crashes_per_hour": 400.0, "fires_per_hour": 400.0}
    feed(settings, codec, simulated(city, 21, ORIGINAL_S, vehicles=200, quiet_end_s=10.0, **often), ORIGINAL_S)
    work_off(settings)
    return settings


@pytest.fixture(scope="session")
def minutes_of_the_city(stack_with_registry: Settings, tmp_path_factory: pytest.TempPathFactory) -> FinishedDemo:
    """Five minutes of a demo's event time, four times as fast as the clock, as a run named `minutes`."""
    report = tmp_path_factory.mktemp("minutes") / "report.json"
    arguments = ("demo", "--for", "75s", "--speed", "4", "--vehicles", "300", "--seed", "3", "--run", "minutes")
    output = finished(cityops(*arguments, "--report", str(report), stack=stack_with_registry), 360)
    run = stack_with_registry.with_run("minutes", "minutes")
    return FinishedDemo(run, report.read_text(encoding="utf-8"), output)
