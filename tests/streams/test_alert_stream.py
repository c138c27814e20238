"""The alert stream of apps: what a query asks for, and what a connection is told."""

import json

import pytest
from aiohttp.test_utils import make_mocked_request

from processors.alerts import AlertFilter, alert_bytes
from schemas.errors import UsageError
from schemas.records import AffectedLine, Severity
from streams.web.alert_stream import alert_encoder, asked_for
from streams.web.incident_book import Published
from tests.streams.web_running import a_change

LINE = AffectedLine(distance_m=10.0, direction_id=0, line_id="09", line_name="Tuyến 09")


def query(text: str) -> AlertFilter:
    return asked_for(make_mocked_request("GET", f"/api/alerts/stream?{text}"))


def test_a_query_asks_for_what_it_says() -> None:
    assert query("") == AlertFilter()
    assert query("kind=crash,fire&line=09&line=16&unit=00004&severity=severe&exercises=no&after=12") == AlertFilter(
        frozenset({"crash", "fire"}), frozenset({"09", "16"}), frozenset({"00004"}), Severity.SEVERE, False
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kinds=crash", "kinds is not a parameter"),
        ("severity=bad", "BAD is not a severity: there are MINOR"),
        ("exercises=maybe", "give yes or no"),
    ],
)
def test_a_mistyped_query_is_told_and_hides_nothing(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        query(text)


def test_a_connection_is_told_what_matches_and_how_that_goes_on() -> None:
    encode = alert_encoder(query("line=09"))
    first, second = a_change("i-1", 1, lines=(LINE,)), a_change("i-1", 2)
    other = a_change("i-2", 1)
    assert encode(Published(0, first)) == alert_bytes(first)
    assert encode(Published(1, other)) is None
    told = encode(Published(2, second))
    assert told is not None
    assert json.loads(told)["data"]["revision"] == 2
