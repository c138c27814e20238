from faust.types import TP

from streams.lookahead import AHEAD_MS, FEWEST, POLL_MS, Lookahead

CAMERAS, FRAMES, ACTIONS = TP("cameras", 0), TP("frames", 0), TP("actions", 0)


def test_a_partition_waits_for_the_slowest_that_has_more_to_read() -> None:
    lookahead = Lookahead()
    assert not lookahead.runs_ahead(CAMERAS), "nobody has told a tick"
    lookahead.reached(FRAMES, 1_000, 100, more=True)
    lookahead.reached(CAMERAS, 1_000 + AHEAD_MS, 100, more=True)
    assert not lookahead.runs_ahead(CAMERAS)
    lookahead.reached(CAMERAS, 1_001 + AHEAD_MS, 100, more=True)
    assert lookahead.runs_ahead(CAMERAS)
    assert not lookahead.runs_ahead(FRAMES), "the slowest never waits"
    lookahead.reached(FRAMES, 2_000, 100, more=True)
    assert not lookahead.runs_ahead(CAMERAS)


def test_nobody_waits_for_what_is_worked_off_or_has_not_begun() -> None:
    lookahead = Lookahead()
    lookahead.reached(CAMERAS, 10 * AHEAD_MS, 100, more=True)
    lookahead.reached(ACTIONS, None, 100, more=True)
    lookahead.reached(FRAMES, 1_000, 100, more=False)
    assert not lookahead.runs_ahead(CAMERAS)
    lookahead.reached(FRAMES, 1_000, 100, more=True)
    assert lookahead.runs_ahead(CAMERAS)
    lookahead.start_over([CAMERAS])
    assert not lookahead.runs_ahead(CAMERAS)


def test_a_poll_is_as_many_records_as_some_seconds_bring() -> None:
    lookahead = Lookahead()
    assert lookahead.most(CAMERAS) == FEWEST
    lookahead.reached(CAMERAS, 1_000, 100, more=True)
    assert lookahead.most(CAMERAS) == FEWEST, "one tick tells no rate"
    lookahead.reached(CAMERAS, 6_000, 100, more=True)
    assert lookahead.most(CAMERAS) == 100 * POLL_MS // 5_000
    lookahead.reached(CAMERAS, 6_000, 7, more=True)
    assert lookahead.most(CAMERAS) == 100 * POLL_MS // 5_000, "without a tick"
    lookahead.reached(CAMERAS, 600_000, 100, more=True)
    assert lookahead.most(CAMERAS) == FEWEST


def test_everyone_waits_for_the_first_tick_of_a_partition_that_has_begun() -> None:
    lookahead = Lookahead()
    lookahead.start_over([CAMERAS, FRAMES])
    lookahead.given(ACTIONS)  # is none of them
    lookahead.reached(CAMERAS, 1_000, 1, more=True)
    assert not lookahead.runs_ahead(CAMERAS)
    lookahead.given(FRAMES)
    assert lookahead.runs_ahead(CAMERAS)
    assert not lookahead.runs_ahead(FRAMES)
    lookahead.reached(FRAMES, None, 1, more=True)
    assert lookahead.runs_ahead(CAMERAS), "no tick yet"
    lookahead.reached(FRAMES, None, 1, more=False)
    assert not lookahead.runs_ahead(CAMERAS), "nothing more to wait for"
    lookahead.given(FRAMES)
    lookahead.reached(FRAMES, 900, 1, more=True)
    lookahead.given(FRAMES)
    assert not lookahead.runs_ahead(CAMERAS)
