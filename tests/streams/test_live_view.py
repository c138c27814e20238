"""What the terminal shows of incidents."""

from processors.city import load_city
from processors.score_bounds import BOUNDS
from streams.live_view import describe
from streams.settings import PROJECT
from tests.streams.incidents import change, incident


def test_every_kind_stands_apart_from_what_happened_to_it() -> None:
    city = load_city(PROJECT / "cities" / "hanoi")
    columns = set()
    for kind in BOUNDS:
        first = describe(change(incident("i-1", kind=kind)), city).plain.splitlines()[0]
        assert f" {kind} " in first
        columns.add(first.index("opened"))
    assert len(columns) == 1
