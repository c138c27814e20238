"""A gateway that sends frames: JSON positions, one a line of standard input, to vehicle.frames.v1 (docs/frames.md).

pip install numpy fastavro confluent-kafka && python frame_producer.py KAFKA REGISTRY_URL [TOPIC] < positions.jsonl
"""

import json
import sys
import urllib.request
from io import BytesIO
from typing import Any

import fastavro
import numpy as np
from confluent_kafka import Producer, murmur2

NAN, BUS, ROWS = float("nan"), 1, 500
kafka, registry, topic = [*sys.argv[1:], "vehicle.frames.v1"][:3]
subject = f"{registry}/subjects/vehicle.frames.v1-cityops.VehicleFrame/versions/latest"
registered = json.load(urllib.request.urlopen(subject))  # noqa: S310
schema = fastavro.parse_schema(json.loads(registered["schema"]))
options = {"enable.idempotence": True, "partitioner": "murmur2_random", "compression.type": "zstd", "linger.ms": 50}
producer = Producer({"bootstrap.servers": kafka, **options})
failed: list[Any] = []
waiting: dict[int, list[dict[str, Any]]] = {}


def send(rows: list[dict[str, Any]]) -> None:
    """Send positions of one virtual shard as one frame; its key is the first vehicle."""
    frame: dict[str, Any] = {"rows": len(rows), "vehicle_class": bytes([BUS] * len(rows))}
    for name, unsigned in (("vehicle", True), ("line", False)):
        words = list(dict.fromkeys(one[f"{name}_id"] for one in rows if one.get(f"{name}_id")))
        number = {word: place for place, word in enumerate(words)}
        index = [number.get(one.get(f"{name}_id"), -1) for one in rows]
        frame |= {f"{name}_ids": words, f"{name}_index": np.array(index, "<u4" if unsigned else "<i4").tobytes()}
    for name, dtype in (("at_ms", "<i8"), ("latitude_deg", "<f8"), ("longitude_deg", "<f8")):
        frame[name] = np.array([one[name] for one in rows], dtype).tobytes()
    for name in ("speed_mps", "bearing_deg"):
        frame[name] = np.array([one.get(name, NAN) for one in rows], "<f4").tobytes()
    out = BytesIO()
    fastavro.schemaless_writer(out, schema, frame)
    value = b"\0" + registered["id"].to_bytes(4, "big") + out.getvalue()  # Confluent's wire format
    producer.produce(topic, value, rows[0]["vehicle_id"], on_delivery=lambda error, _: failed.append(error))


for position in map(json.loads, sys.stdin):
    shard = murmur2(position["vehicle_id"].encode(), 64)  # a frame holds vehicles of one of 64 shards
    waiting.setdefault(shard, []).append(position)
    if len(waiting[shard]) == ROWS:
        send(waiting.pop(shard))
for left in waiting.values():
    send(left)
producer.flush()
sys.exit(any(failed))
