"""Profiles: samples of threads weighed by what the threads took, waits left out."""

from collections.abc import Sequence

import pytest

from benchmarks.profiling import Cost, read_profile

FOLDED = [
    "thread (7): MainThread;run (base.py:1);observe (streams/engine.py:10);decode (schemas/codec.py:3) 30",
    "thread (7): MainThread;run (base.py:1);observe (streams/engine.py:12);sum (numpy/core.py:9) 10",
    "thread (8): sink_0;_worker (concurrent/futures/thread.py:81) 500",
    "thread (8): sink_0;_worker (concurrent/futures/thread.py:83);write (sinks/clickhouse/writer.py:5) 5",
]


def costs(found: Sequence[Cost]) -> dict[str, float]:
    return {one.where: one.cpu_us for one in found}


def test_profile_weighs_samples_by_what_each_thread_took() -> None:
    profile = read_profile(FOLDED, {7: 4.0, 8: 1.0, 9: 0.5}, positions=1_000_000)
    assert profile.cpu_us == pytest.approx(5.5)
    assert costs(profile.innermost) == pytest.approx(
        {
            "decode (schemas/codec.py)": 3.0,
            "observe (streams/engine.py)": 1.0,
            "write (sinks/clickhouse/writer.py)": 1.0,
            "(threads of libraries: librdkafka)": 0.5,
        }
    )
    assert profile.inclusive[0].where == "observe (streams/engine.py)"
    assert costs(profile.inclusive)["observe (streams/engine.py)"] == pytest.approx(4.0)
    assert costs(profile.by_thread)["sink_0"] == pytest.approx(1.0)
    assert "sum (numpy/core.py)" in costs(profile.library)


def test_a_name_that_was_read_wrongly_spoils_its_own_sample_alone() -> None:
    torn = ["thread (7): MainThread;containers providing", "alternatives to dict,", "", " 4 "]
    assert read_profile([*FOLDED, *torn], {7: 4.0}, 1_000_000) == read_profile(FOLDED, {7: 4.0}, 1_000_000)
