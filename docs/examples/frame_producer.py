"""A gateway that sends frames: JSON positions, one a line of standard input, to vehicle.frames.v1 (docs/frames.md).

pip install numpy fastavro confluent-kafka && python frame_producer.py KAFKA REGISTRY_URL [TOPIC] < positions.jsonl
"""

import json
import sys
import urllib.request
from collections import defaultdict
from io import BytesIO
from typing import Any

import fastavro
import numpy as np
from confluent_kafka import Producer

kafka, registry, topic = [*sys.argv[1:], "vehicle.frames.v1"][:3]
subject = f"{registry}/subjects/vehicle.frames.v1-cityops.VehicleFrame/versions/latest"
registered = json.load(urllib.request.urlopen(subject))  # noqa: S310
schema: Any = fastavro.parse_schema(json.loads(registered["schema"]))
columns = [field["name"] for field in schema["fields"] if field["type"] == "bytes"]
options = {"enable.idempotence": True, "partitioner": "murmur2_random", "compression.type": "zstd", "linger.ms": 50}
producer = Producer({"bootstrap.servers": kafka, **options})


def shard_of(key: bytes, m: int = 0x5BD1E995, mask: int = 0xFFFFFFFF) -> int:
    """Return Kafka's positive murmur2 of a vehicle's id, modulo 64: a frame holds vehicles of one such shard."""
    h, whole = 0x9747B28C ^ len(key), len(key) & ~3
    for k in np.frombuffer(key[:whole], "<u4").tolist():
        h = h * m & mask ^ ((k * m & mask) ^ (k * m & mask) >> 24) * m & mask
    h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask if key[whole:] else h
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 63


def send(rows: list[dict[str, Any]]) -> None:
    """Send positions of one virtual shard as one frame; its key is the first vehicle."""
    frame: dict[str, Any] = dict.fromkeys(columns, b"")  # empty = unknown, where that may be
    frame |= {"rows": len(rows), "vehicle_class": bytes([1] * len(rows))}  # 1 = bus
    for name, dtype in (("vehicle", "<u2"), ("line", "<i2")):
        number = {text: place for place, text in enumerate(dict.fromkeys(one[f"{name}_id"] for one in rows))}
        index = np.array([number[one[f"{name}_id"]] for one in rows], dtype).tobytes()
        words = np.array([text.encode() for text in number], np.bytes_)  # each padded with NUL to the longest
        frame |= {f"{name}_words": words.tobytes(), f"{name}_width": words.itemsize, f"{name}_index": index}
    frame["base_ms"] = min(one["at_ms"] for one in rows)  # docs/frames.md, Narrow columns
    frame["at_ms"] = np.array([one["at_ms"] - frame["base_ms"] for one in rows], "<u4").tobytes()
    for name, dtype, unit in (("latitude_deg", "<i4", 1e7), ("longitude_deg", "<i4", 1e7), ("speed_mps", "<u2", 1e3)):
        frame[name] = np.rint([one[name] * unit for one in rows]).astype(dtype).tobytes()
    frame["bearing_deg"] = np.full(len(rows), 65_535, "<u2").tobytes()  # 65535 = unknown
    out = BytesIO(b"\0" + registered["id"].to_bytes(4, "big"))  # Confluent's wire format: 0, schema id, Avro
    out.seek(5)
    fastavro.schemaless_writer(out, schema, frame)
    producer.produce(topic, out.getvalue(), rows[0]["vehicle_id"])


waiting = defaultdict[int, list[dict[str, Any]]](list)
for position in map(json.loads, sys.stdin):
    shard = shard_of(position["vehicle_id"].encode())
    waiting[shard].append(position)
    if len(waiting[shard]) == 500:
        send(waiting.pop(shard))
for left in waiting.values():
    send(left)
sys.exit(producer.flush(30))  # how many Kafka has not taken
