"""What the tests on the real stack share: the schemas of its registry and the city of the simulator."""

import pytest

from processors.city import City
from schemas.codec import Codec
from streams.registry import load_codec
from streams.session import city_of
from streams.settings import Settings


@pytest.fixture(scope="session")
def codec(stack_with_registry: Settings) -> Codec:
    """The ids of the session's registry."""
    return load_codec(stack_with_registry)


@pytest.fixture(scope="session")
def city(stack_with_registry: Settings) -> City:
    """Hà Nội."""
    return city_of(stack_with_registry)
