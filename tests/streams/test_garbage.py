"""The search for cycles: short whatever the worker holds, and what was set aside is swept."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from streams import garbage


class Knot:
    """Refers to itself."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds, callbacks = gc.get_threshold(), gc.callbacks[:]
    garbage.tune()
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks[:] = callbacks
    gc.unfreeze()


def test_what_stays_is_searched_no_more() -> None:
    before = gc.get_freeze_count()
    kept = [[number] for number in range(garbage.NEW * (garbage.SEARCHES + 2))]
    assert gc.get_freeze_count() - before >= garbage.NEW * garbage.SEARCHES
    assert len(kept) == garbage.NEW * (garbage.SEARCHES + 2)


def test_cycles_go_while_they_are_new() -> None:
    knot = weakref.ref(Knot())
    kept = [[number] for number in range(2 * garbage.NEW)]
    assert knot() is None
    assert len(kept) == 2 * garbage.NEW


def test_cycles_that_were_set_aside_go_with_a_sweep() -> None:
    knot = Knot()
    gone = weakref.ref(knot)
    garbage.set_aside()
    del knot
    gc.collect()
    assert gone() is not None
    assert garbage.sweep() >= 1
    assert gone() is None
