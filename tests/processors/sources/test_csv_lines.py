import csv
import io
import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.sources.contract import Found, Item, ReadOptions, RecordName, Refused, SpeedUnit
from processors.sources.csv_columns import layout_of, parse_map, parse_unit, unit_by_name
from processors.sources.csv_lines import LINE_LIMIT, CsvReader
from processors.sources.times import read_time
from schemas.errors import UsageError
from schemas.records import CameraDetection, Heartbeat, SensorReading, VehicleClass, VehiclePosition

HEADER = "vehicle_id,timestamp,speed,route_id,trip_id,latitude,longitude,bearing,direction_id,vehicle_class"
GOOD = "2204,2015-09-06T01:16:07-05:00,36,485,1483954,30.2691,-97.74246,181.5,1,bus"
GOOD_MS = 1_441_520_167_000


def rows_of(
    *lines: str | bytes, header: str = HEADER, unit: SpeedUnit = SpeedUnit.MPS, zone: ZoneInfo | None = None
) -> list[Item]:
    raw = [line.encode() + b"\n" if isinstance(line, str) else line for line in lines]
    reader = CsvReader("a.csv", header, ReadOptions(speed_unit=unit, zone=zone))
    return [item for line, text in enumerate(raw, start=2) for item in reader.read(text, "a.csv", line)]


def only_row(line: str, unit: SpeedUnit = SpeedUnit.MPS, header: str = HEADER) -> Found:
    (row,) = rows_of(line, unit=unit, header=header)
    assert isinstance(row, Found), row
    return row


def only_position(line: str, unit: SpeedUnit = SpeedUnit.MPS, header: str = HEADER) -> VehiclePosition:
    record = only_row(line, unit, header).record
    assert isinstance(record, VehiclePosition)
    return record


def errors_of(line: str | bytes, header: str = HEADER) -> tuple[str, ...]:
    (row,) = rows_of(line, header=header)
    assert isinstance(row, Refused), row
    return row.errors


def test_line_becomes_a_position_with_every_field() -> None:
    row = only_row(GOOD)
    assert (row.path, row.line) == ("a.csv", 2)
    position = row.record
    assert isinstance(position, VehiclePosition)
    assert position.at_ms == GOOD_MS
    assert (position.vehicle_id, position.line_id, position.trip_id) == ("2204", "485", "1483954")
    assert (position.latitude_deg, position.longitude_deg) == (30.2691, -97.74246)
    assert (position.speed_mps, position.bearing_deg, position.direction_id) == (36.0, 181.5, 1)
    assert position.vehicle_class is VehicleClass.BUS
    assert math.isnan(position.accuracy_m)


@pytest.mark.parametrize(
    ("unit", "mps"), [("m/s", 36.0), ("km/h", 10.0), ("mph", 36 * 0.44704), ("knots", 36 * 1852 / 3600)]
)
def test_speed_is_converted_from_its_unit(unit: str, mps: float) -> None:
    assert only_position(GOOD, SpeedUnit(unit)).speed_mps == pytest.approx(mps, rel=1e-12)


def test_unknown_optional_cells_are_unknown_not_zero() -> None:
    position = only_position("7,2015-09-06T06:16:07Z,,null,NA,30.2,-97.7,NaN,,")
    assert math.isnan(position.speed_mps)
    assert math.isnan(position.bearing_deg)
    assert (position.line_id, position.trip_id, position.direction_id) == ("", "", -1)
    assert position.vehicle_class is VehicleClass.UNKNOWN


def test_zero_speed_is_known() -> None:
    assert only_position("7,2015-09-06T06:16:07Z,0.0,1,2,0,-97.7,0,0,").speed_mps == 0.0


def test_refusal_names_line_text_and_every_error() -> None:
    line = ",yesterday,fast,485,1,north,,twelve,2,tram"
    (refused,) = rows_of(line)
    assert isinstance(refused, Refused)
    assert (refused.path, refused.line, refused.text) == ("a.csv", 2, line)
    assert len(refused.errors) == 8
    told = "; ".join(refused.errors)
    for part in ("no vehicle_id", "lat 'north'", "no lon", "speed 'fast'", "bearing 'twelve'", "direction '2'", "tram"):
        assert part in told
    assert "at 'yesterday' is not a time" in told


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('7,"2015-09-06T06:16:07Z,1,2,3,30,-97,0,0,', "not CSV"),
        ("7,2015-09-06T06:16:07Z", "2 fields where the header has 10"),
        (GOOD + ",stray", "11 fields where the header has 10"),
        ("x" * (LINE_LIMIT + 1), f"{LINE_LIMIT + 1} characters"),
        (b"7,2015-09-06T06:16:07Z,1,\xff\xfe,3,30,-97,0,0,\n", "not UTF-8"),
        ("7,2015-09-06T06:16:07Z,inf,2,3,30,-97,0,0,", "speed 'inf' is not a number"),
        ("7,2015-09-06T06:16:07Z,1_0,2,3,30,-97,0,0,", "speed '1_0' is not a number"),
        ("7,,1,2,3,30,-97,0,0,", "no at"),
        (HEADER, "not a time"),
    ],
)
def test_broken_line_is_refused(line: str | bytes, error: str) -> None:
    assert error in "; ".join(errors_of(line))


def test_stray_quote_does_not_swallow_the_next_line() -> None:
    first, second = rows_of('"7,2015-09-06T06:16:07Z,1,2,3,30,-97,0,0,', GOOD)
    assert isinstance(first, Refused)
    assert isinstance(second, Found)
    assert (first.line, second.line) == (2, 3)


def test_blank_lines_give_nothing_and_keep_the_numbers() -> None:
    rows = rows_of("", GOOD, "  ", GOOD)
    assert [row.line for row in rows] == [3, 5]


def test_semicolons_quotes_and_trailing_empty_fields_are_read() -> None:
    header = "vehicle;at;lat;lon;route"
    position = only_position('"12;a";2015-09-06 06:16:07Z;30.1;-97.2;"say ""hi""";', header=header)
    assert (position.vehicle_id, position.line_id) == ("12;a", 'say "hi"')


@pytest.mark.parametrize(
    "text",
    [
        "2015-09-06T01:16:07-05:00",
        "2015-09-06T06:16:07Z",
        "2015-09-06 06:16:07.000+00:00",
        "2015-09-06 06:16:07 UTC",
        "2015-09-06 06:16:07+00",
        "20150906T061607Z",
        "1441520167",
        "1441520167.0",
        "1441520167000",
        "Sun, 06 Sep 2015 01:16:07 -0500",
        "Sun, 06 Sep 2015 06:16:07 GMT",
    ],
)
def test_time_with_one_meaning_needs_no_zone(text: str) -> None:
    assert read_time(text, None) == GOOD_MS


@pytest.mark.parametrize(
    "text",
    ["2015-09-06 01:16:07", "2015/09/06 01:16:07", "20150906011607", "2015-09-06T01:16:07", "06 Sep 2015 01:16:07"],
)
def test_time_without_offset_is_read_in_the_zone(text: str) -> None:
    assert read_time(text, ZoneInfo("America/Chicago")) == GOOD_MS
    with pytest.raises(ValueError, match="give --time-zone"):
        read_time(text, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("06/09/2015 01:16", "year first"),
        ("9-6-15 01:16", "year first"),
        ("2015-09-06", "no time of day"),
        ("20150906", "neither epoch"),
        ("86400", "neither epoch"),
        ("-5", "not a time"),
        ("2015-13-06T01:16:07Z", "not a time"),
        ("soon", "not a time"),
        ("2015-11-01 01:30:00", "came twice"),
        ("2015-03-08 02:30:00", "was skipped"),
    ],
)
def test_time_without_one_meaning_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_time(text, ZoneInfo("America/Chicago"))


@given(st.datetimes(datetime(2001, 9, 10), datetime(2199, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)))  # noqa: DTZ001
def test_any_iso_time_is_its_own_epoch_millisecond(at: datetime) -> None:
    expected = int(at.timestamp()) * 1000 + at.microsecond // 1000
    assert read_time(at.isoformat(), None) == expected
    assert read_time(str(expected), None) == expected


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12), max_size=12))
def test_any_line_of_text_is_a_row_a_refusal_or_blank(cells: list[str]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    text = out.getvalue().rstrip("\n")
    rows = rows_of(text)
    assert len(rows) == (1 if text.strip() else 0)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_row_a_refusal_or_blank(line: bytes) -> None:
    rows = rows_of(line)
    assert len(rows) <= 1
    assert all(isinstance(row, Refused) and row.errors for row in rows)


def test_map_is_read() -> None:
    assert parse_map('vehicle_id=bus, "at=time, local",lat=y=1') == {
        "vehicle_id": "bus",
        "at": "time, local",
        "lat": "y=1",
    }


@pytest.mark.parametrize("text", ["vehicle_id", "vehicle_id=", "colour=red", "at=a,at=b", "at=a,,lat=b"])
def test_mistaken_map_is_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"--map"):
        parse_map(text)


def test_layout_is_guessed_and_given_names_win() -> None:
    layout = layout_of("a.csv", "ID,Time,Lat,Lng,speed_kmh,heading,line,gps", {"at": "GPS"})
    assert layout.named() == {
        "vehicle_id": "ID",
        "at": "gps",
        "lat": "Lat",
        "lon": "Lng",
        "speed": "speed_kmh",
        "bearing": "heading",
        "line": "line",
    }
    assert unit_by_name(layout) is SpeedUnit.KMH
    assert unit_by_name(layout_of("a.csv", HEADER, {})) is None


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("Van toc (km/h)", SpeedUnit.KMH),
        ("speed [m/s]", SpeedUnit.MPS),
        ("SPEED_MPH", SpeedUnit.MPH),
        ("Speed knots", SpeedUnit.KNOTS),
        ("groundspeed", None),
        ("speed (rounded)", None),
    ],
)
def test_unit_stands_at_the_end_of_the_column_name(column: str, unit: SpeedUnit | None) -> None:
    layout = layout_of("a.csv", f"id;at;lat;lon;{column}", {"speed": column})
    assert unit_by_name(layout) is unit


def test_missing_column_lists_what_the_file_has() -> None:
    with pytest.raises(UsageError, match=r"no column 'bus'.* it has vehicle_id, timestamp, speed"):
        layout_of("a.csv", HEADER, {"vehicle_id": "bus"})
    with pytest.raises(UsageError, match=r"add at=COLUMN,lat=COLUMN to --map: a.csv has the columns bus, when, lon"):
        layout_of("a.csv", "bus,when,lon", {"vehicle_id": "bus"})
    with pytest.raises(UsageError, match="has 2 columns 'at'"):
        layout_of("a.csv", "id,at,at,lat,lon", {"at": "at"})


def test_unit_is_read_as_people_write_it() -> None:
    names = ["m/s", "mps", "km/h", "KMH", "kph", "mph", "kn", "knots", ""]
    mps, kmh, mph, knots = SpeedUnit
    assert [parse_unit(name) for name in names] == [mps, mps, kmh, kmh, kmh, mph, knots, knots, None]
    with pytest.raises(UsageError, match="not one of m/s, km/h, mph, knots"):
        parse_unit("furlongs")


def test_detections_and_readings_are_told_by_their_columns() -> None:
    header = "camera_id,timestamp,kind,confidence,lat,lon,track_id,label"
    detection = only_row("C1,1441520167,smoke,0.8,,,t7,car", header=header).record
    assert isinstance(detection, CameraDetection)
    assert (detection.camera_id, detection.kind, detection.confidence) == ("C1", "smoke", 0.8)
    assert (detection.at_ms, detection.track_id, detection.object_class) == (GOOD_MS, "t7", "car")
    assert math.isnan(detection.latitude_deg)
    header = "sensor_id,at,quantity,value,unit,lat,lon"
    reading = only_row("S1,1441520167,sound_level,81.5,dB,21.0,105.8", header=header).record
    assert isinstance(reading, SensorReading)
    assert (reading.sensor_id, reading.quantity, reading.value, reading.measure_unit) == (
        "S1",
        "sound_level",
        81.5,
        "dB",
    )
    assert (reading.latitude_deg, reading.longitude_deg) == (21.0, 105.8)


def test_record_can_be_named_instead() -> None:
    reader = CsvReader("a.csv", "id;at", ReadOptions(record=RecordName.HEARTBEAT))
    (item,) = reader.read(b"C1;1441520167", "a.csv", 2)
    assert item == Found(Heartbeat(at_ms=GOOD_MS, device_id="C1"), "a.csv", 2)
    with pytest.raises(UsageError, match="names lat, which a heartbeat does not have"):
        CsvReader("a.csv", "id;at", ReadOptions(record=RecordName.HEARTBEAT, columns={"lat": "id"}))


def test_number_that_no_record_can_hold_is_refused() -> None:
    assert errors_of("7,2015-09-06T06:16:07Z,1e300,2,3,30,-97,0,0,") == ("speed_mps 1e+300 is not a number",)
    assert "line_id has 5000 characters" in errors_of(f"7,2015-09-06T06:16:07Z,1,{'x' * 5000},3,30,-97,0,0,")[0]
