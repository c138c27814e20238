import gzip
import json
from collections.abc import Sequence

import pytest
from google.transit import gtfs_realtime_pb2 as gtfs

from processors.sources.contract import Format, Found, ReadOptions
from processors.sources.formats import guessed, reader_of
from schemas.errors import UsageError
from streams.settings import PROJECT

DEEPSTREAM = PROJECT.parent / "shared" / "data" / "deepstream" / "demo-1.jsonl"
EXAMPLES = PROJECT.parent / "shared" / "data" / "schema_examples"


def feed() -> bytes:
    message = gtfs.FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = 1_772_434_800
    return bytes(message.SerializeToString())


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b'{"mdsversion": "1.0", "@timestamp": "..."}\n', Format.DEEPSTREAM),
        (b'{"version": "4.0", "sensorId": "C", "objects": []}\n', Format.DEEPSTREAM),
        (b'{\n "type": "new",\n "before": {},\n "after": {"camera"', Format.FRIGATE),
        (b'{"msgType": "MsgType_WayPoint", "msgWayPoint": {}}', Format.UFMS),
        (b'[{"vehicle": "v", "datetime": 1, "x": 1, "y": 2}]', Format.UFMS),
        (b'{"header": {"gtfsRealtimeVersion": "2.0"}, "entity": []}', Format.GTFS_RT),
        (feed(), Format.GTFS_RT),
        (b'\xef\xbb\xbf{"vehicle_id": "v", "at_ms": 1}', Format.JSONL),
        (b"vehicle_id,at,lat,lon\n1,2,3,4\n", Format.CSV),
        (b"id;at;lat;lon\n", Format.CSV),
    ],
)
def test_format_is_told_by_its_content(head: bytes, form: Format) -> None:
    assert guessed("x", head) is form


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b'{"colour": "red"}', "JSON of an unknown format .*colour.*--format"),
        (b"# A title\n", "begins like no known format.*csv, gtfs-rt, deepstream"),
        (gzip.compress(b"a,b\n", mtime=0), "begins like no known format"),
        (b"v\0e,\0", "begins like no known format"),
    ],
)
def test_unknown_format_is_one_sentence(head: bytes, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        guessed("x", head)


def read(form: Format, messages: Sequence[bytes]) -> list[object]:
    reader = reader_of(form, ReadOptions(), "x")
    return [item for number, message in enumerate(messages, 1) for item in reader.read(message, "x", number)]


@pytest.mark.skipif(not DEEPSTREAM.exists(), reason="DeepStream's messages are not part of the repository")
def test_every_real_deepstream_message_is_read() -> None:
    lines = DEEPSTREAM.read_bytes().splitlines()
    assert guessed("x", lines[0]) is Format.DEEPSTREAM
    items = read(Format.DEEPSTREAM, lines)
    assert len(items) == 3_028
    assert all(isinstance(item, Found) for item in items)


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the examples of messages are not part of the repository")
def test_examples_of_public_specifications_are_read() -> None:
    event = (EXAMPLES / "frigate_events.json").read_bytes()
    assert guessed("x", event) is Format.FRIGATE
    point = json.dumps(json.loads((EXAMPLES / "vietnam_ufms.json").read_bytes())["example"]).encode()
    assert guessed("x", point) is Format.UFMS
    assert all(isinstance(item, Found) for item in (*read(Format.FRIGATE, [event]), *read(Format.UFMS, [point])))
