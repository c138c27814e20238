import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.recorded import FAR_MS, NEAR_TICK_MS, tick_times
from processors.sources.contract import ReadOptions, SpeedUnit, device_of
from schemas.codec import local_codec
from schemas.errors import Retryable, UsageError
from schemas.ids import shard_of
from schemas.records import VehiclePosition
from streams import topics
from streams.admin import ensure_topics
from streams.reading import reading
from streams.recorded import (
    Recording,
    read_recorded,
    recorded_settings,
    refused_path,
    send_recorded,
    write_refused,
)
from streams.settings import PROJECT, Settings, settings_from_env

CAPMETRO = PROJECT.parent / "shared" / "data" / "capmetro" / "2015-09-06.csv"
HEADER = "vehicle_id,timestamp,speed,latitude,longitude\n"


def recording(*inputs: Path, options: ReadOptions | None = None) -> Recording:
    return read_recorded(inputs, options or ReadOptions(), lambda done, total: None)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_of_several_files_come_in_the_order_of_time_path_line(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", HEADER + "1,1441520002,5,30,-97\n2,1441520001,5,30,-97\n3,1441520001,5,30,-97\n")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((HEADER + "4,1441520001,5,30,-97\n").encode()))
    read = recording(tmp_path)
    assert [device_of(row.record) for row in read.rows] == ["4", "2", "3", "1"]
    assert [Path(file.path).name for file in read.files] == ["a.csv.gz", "b.csv"]


def test_every_line_is_a_row_a_refusal_or_blank(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "\ufeff" + HEADER + "1,1441520002,5,30,-97\n\n,x,5,30,-97\r\n2,1441520001,,30,-97")
    read = recording(path)
    (file,) = read.files
    assert (file.lines, file.rows, file.refused, file.blank) == (4, 2, 1, 1)
    (refused,) = read.refused
    assert (refused.line, refused.text) == (4, ",x,5,30,-97")
    settings = recorded_settings(settings_from_env(), "trial")
    target = refused_path(replace(settings, home=tmp_path))
    write_refused(target, read.refused)
    assert target == tmp_path / "runs" / "trial" / "refused.csv"
    assert target.read_text(encoding="utf-8").splitlines()[1].startswith(f"{path},4,\"no vehicle_id; at 'x'")


def test_file_of_a_folder_without_the_columns_is_skipped_and_named(tmp_path: Path) -> None:
    write(tmp_path / "stops.csv", "stop_id,name\n1,Main\n")
    write(tmp_path / "gps.csv", HEADER + "1,1441520002,5,30,-97\n")
    read = recording(tmp_path)
    assert len(read.rows) == 1
    (skipped,) = read.skipped
    assert skipped.path.endswith("stops.csv")
    assert "stop_id, name" in skipped.reason


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, "gone.csv cannot be read"),
        ("empty.csv", b"", "empty.csv is empty"),
        ("sheet.csv", "vehicle_id\tat".encode("utf-16"), "not UTF-8 text"),
        ("short.csv", HEADER.encode(), "holds no line behind its header"),
        (
            "cut.csv.gz",
            gzip.compress((HEADER + "1,1441520002,5,30,-97\n" * 9999).encode(), mtime=0)[:-9],
            "cannot be read",
        ),
        (
            "zones.csv",
            (HEADER + "".join(f"{n},2015-09-06 01:1{n},5,30,-97\n" for n in range(3))).encode(),
            r"3 of 3 because: at .* --time-zone \(line 2\)",
        ),
        ("times.csv", (HEADER + "1,2015-09-06 01:16,5,30,-97\n" * 3).encode(), "3 of 3 because: at .* --time-zone"),
    ],
)
def test_unreadable_input_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        recording(tmp_path / name)


def test_folder_without_positions_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no \.csv"):
        recording(tmp_path)
    write(tmp_path / "stops.csv", "stop_id,name\n1,Main\n")
    with pytest.raises(UsageError, match="has the columns stop_id, name"):
        recording(tmp_path)


def test_unit_is_said_aloud_and_taken_from_the_column_where_it_names_one(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.csv", HEADER + "1,1441520002,36,30,-97\n1,1441520003,0,30,-97\n")
    assert "m/s (nobody stated it" in recording(plain).speeds_in_words()
    assert "36.0 m/s = 130 km/h" in recording(plain).speeds_in_words()
    named = write(tmp_path / "named.csv", HEADER.replace("speed", "speed_kmh") + "1,1441520002,36,30,-97\n")
    assert "read as km/h: the median vehicle in motion goes 10.0 m/s" in recording(named).speeds_in_words()
    given = recording(named, options=ReadOptions(speed_unit=SpeedUnit.MPH))
    assert "read as mph: the median vehicle in motion goes 16.1 m/s" in given.speeds_in_words()


def test_reading_tells_its_progress(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER + "1,1441520002,5,30,-97\n" * 5000)
    seen: list[tuple[int, int]] = []
    read_recorded([path], ReadOptions(), lambda done, total: seen.append((done, total)))
    assert seen[-1][1] == path.stat().st_size
    assert seen == sorted(seen)
    assert len(seen) >= 5


@given(st.lists(st.integers(1_400_000_000_000, 1_400_100_000_000), min_size=1, max_size=50))
def test_ticks_increase_and_stand_behind_every_position_until_all_is_closed(at: list[int]) -> None:
    at_ms = np.array(at, dtype=np.int64)
    ticks = tick_times(at_ms)
    assert (np.diff(ticks) > 0).all()
    after = ticks[np.searchsorted(ticks, at_ms, side="left")] - at_ms
    assert ((after >= 0) & (after < NEAR_TICK_MS)).all()
    assert ticks[-1] >= at_ms.max() + FAR_MS


def test_silence_has_no_ticks() -> None:
    day_ms = 86_400_000
    ticks = tick_times(np.array([0, 30 * day_ms], dtype=np.int64) + 1_441_520_000_000)
    assert len(ticks) < 110


@pytest.mark.skipif(not CAPMETRO.exists(), reason="the CapMetro day is not in ../shared/data")
def test_capmetro_day_is_read_whole() -> None:
    read = recording(CAPMETRO)
    assert len(read.rows) == 53_569
    assert not read.refused
    assert len({device_of(row.record) for row in read.rows}) == 146
    assert read.rows[0].record.at_ms == 1_441_515_647_000
    assert [row.record.at_ms for row in read.rows] == sorted(row.record.at_ms for row in read.rows)


@pytest.mark.stack
def test_rows_arrive_in_order_with_the_same_ticks_everywhere(stack: Settings, tmp_path: Path) -> None:
    lines = [f"bus-{n % 7},{1_441_520_000 + n * 3},5,30,-97" for n in range(500)]
    read = recording(write(tmp_path / "a.csv", HEADER + "\n".join(lines)))
    settings = recorded_settings(stack, "recorded-test")
    ensure_topics(settings)
    codec = local_codec()
    with reading(settings) as log:
        begin = log.end()
    done: list[tuple[int, int]] = []
    sent = send_recorded(settings, codec, read, lambda so_far, total: done.append((so_far, total)))
    assert (sent.rows, sent.sent, sent.refused, done[-1]) == (500, 500, 0, (500, 500))
    assert sent.found == {"positions": 500}
    assert (sent.first_at_ms, sent.last_at_ms) == (1_441_520_000_000, 1_441_521_497_000)

    ticks: dict[tuple[str, int], list[int]] = {}
    positions: list[VehiclePosition] = []
    with reading(settings) as log:
        end = log.end()
        for topic in topics.INPUTS:
            for message in log.read(topic, begin, end):
                name, fields = codec.decode(message.value)
                known = ticks.setdefault((topic.name, message.partition), [])
                if name == "Tick":
                    known.append(fields["at_ms"])
                    continue
                position = codec.read(message.value or b"", VehiclePosition)
                assert message.key == position.vehicle_id.encode()
                assert message.partition == shard_of(position.vehicle_id) % 4
                assert known == [] or known[-1] < position.at_ms
                positions.append(position)
    assert len(ticks) == sum(topic.partitions for topic in topics.INPUTS)
    (same,) = {tuple(known) for known in ticks.values()}
    assert len(same) == sent.ticks
    assert sorted((one.at_ms, one.vehicle_id) for one in positions) == [
        (row.record.at_ms, device_of(row.record)) for row in read.rows
    ]


def test_unreachable_kafka_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.recorded.SEND_TIMEOUT_MS", 1_500)
    read = recording(write(tmp_path / "a.csv", HEADER + "1,1441520002,5,30,-97"))
    nowhere = replace(recorded_settings(settings_from_env(), "none"), kafka_bootstrap_servers="127.0.0.1:9")
    with pytest.raises(Retryable, match="did not take the records"):
        send_recorded(nowhere, local_codec(), read, lambda done, total: None)
