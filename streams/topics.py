"""The only list of topics: what is on each, by what key, in how many partitions, for how long, from whom to whom."""

from dataclasses import dataclass, field
from typing import Final

DAY_MS: Final = 86_400_000
FOREVER: Final = -1


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. Partition counts never change (docs/partitions.md) and divide the 64 virtual shards."""

    name: str
    records: tuple[str, ...]
    key: str
    partitions: int
    retention_ms: int
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    compacted: bool = False
    ticked: bool = False
    max_message_bytes: int = 1_048_588
    settings: dict[str, str] = field(default_factory=dict)


POSITIONS: Final = Topic(
    "vehicle.positions.v1", ("VehiclePosition", "DeviceRegistration", "Tick"), "vehicle_id", 4, 7 * DAY_MS,
    ("gateways", "ingest", "simulate", "demo --input", "register_devices", "ticker"), ("watch_fleet",), ticked=True,
)  # fmt: skip
FRAMES: Final = Topic(
    "vehicle.frames.v1", ("VehicleFrame", "DeviceRegistration", "Tick"), "the frame's first vehicle_id", 4, 7 * DAY_MS,
    ("gateways", "ingest --frames", "simulate --frames", "register_devices", "ticker"), ("watch_frames",), ticked=True,
)  # fmt: skip
DETECTIONS: Final = Topic(
    "camera.detections.v1", ("CameraDetection", "Heartbeat", "DeviceRegistration", "Tick"), "camera_id", 4, 7 * DAY_MS,
    ("camera analytics", "ingest", "simulate", "demo --input", "register_devices", "ticker"),
    ("watch_cameras",), ticked=True,
)  # fmt: skip
READINGS: Final = Topic(
    "sensor.readings.v1", ("SensorReading", "Heartbeat", "DeviceRegistration", "Tick"), "sensor_id", 4, 7 * DAY_MS,
    ("sensor gateways", "ingest", "simulate", "demo --input", "register_devices", "ticker"),
    ("watch_sensors",), ticked=True,
)  # fmt: skip
OBSERVATIONS: Final = Topic(
    "observations.v1", ("ObservationBlock",), "region", 1, 7 * DAY_MS,
    ("watch_fleet", "watch_frames", "watch_cameras", "watch_sensors", "watch_actions"), ("conclude_incidents",),
    max_message_bytes=8_388_608,
)  # fmt: skip
ROWS: Final = Topic(
    "rows.v1", ("RowFrame",), "source_topic/source_partition/table", 4, 7 * DAY_MS,
    ("watch_fleet", "watch_frames", "watch_cameras", "watch_sensors", "watch_actions", "conclude_incidents"),
    ("write_rows",),
    max_message_bytes=16_777_216,
)  # fmt: skip
INCIDENTS: Final = Topic(
    "incidents.v1", ("Incident",), "incident_id", 1, FOREVER,
    ("conclude_incidents",), ("pages and apps",), compacted=True, max_message_bytes=8_388_608,
)  # fmt: skip
CHANGES: Final = Topic(
    "incident.changes.v1", ("IncidentChange",), "incident_id", 1, 30 * DAY_MS,
    ("conclude_incidents",), ("demo", "alerts"), max_message_bytes=8_388_608,
)  # fmt: skip
REJECTED: Final = Topic(
    "records.rejected.v1", ("Rejected",), "source_topic/source_partition/source_offset[/source_index]", 1, 30 * DAY_MS,
    ("watch_fleet", "watch_frames", "watch_cameras", "watch_sensors", "watch_actions"), ("rejected list|show|replay",),
    max_message_bytes=4_194_304,
)  # fmt: skip
RESENT: Final = Topic(
    "records.resent.v1", ("Resent",), "source_topic/source_partition/source_offset[/source_index]", 1, 30 * DAY_MS,
    ("rejected replay", "register_devices"), ("rejected list|show|replay",),
)  # fmt: skip
CHECKPOINTS: Final = Topic(
    "checkpoints.v1", (), "source_topic/source_partition/part", 1, FOREVER,
    ("watch_fleet", "watch_frames", "watch_cameras", "watch_sensors", "watch_actions", "conclude_incidents"),
    ("the same, on start",),
    compacted=True, settings={"segment.bytes": "16777216", "segment.ms": "60000", "delete.retention.ms": "60000"},
)  # fmt: skip
TRUTH: Final = Topic(
    "truth.v1", ("Truth",), "truth_id", 1, 30 * DAY_MS,
    ("simulate",), ("the report of demo, and nothing else",),
)  # fmt: skip

ACTIONS: Final = Topic(
    "operator.actions.v1", ("OperatorAction", "PublishedRules", "Tick"), "incident_id", 1, 30 * DAY_MS,
    ("the page", "incidents acknowledge|confirm|dismiss", "carry_rules", "ticker"), ("watch_actions",), ticked=True,
)  # fmt: skip
RULES: Final = Topic(
    "rules.v1", ("PublishedRules",), "version", 1, FOREVER,
    ("rules publish",), ("carry_rules", "rules versions", "replay"),
)  # fmt: skip
DEVICES: Final = Topic(
    "devices.v1", ("DeviceRegistration",), "device_id", 1, FOREVER,
    ("estate import",), ("register_devices", "estate list|show"), compacted=True,
)  # fmt: skip
SUBSCRIPTIONS: Final = Topic(
    "subscriptions.v1", ("Subscription",), "subscription_id", 1, FOREVER,
    ("subscribe", "subscriptions remove"), ("raise_alerts", "deliver_notifications"), compacted=True,
)  # fmt: skip
NOTIFICATIONS: Final = Topic(
    "notifications.v1", ("Notification",), "subscription_id", 1, 7 * DAY_MS,
    ("raise_alerts",), ("deliver_notifications", "alerts deliveries"),
)  # fmt: skip
DELIVERIES: Final = Topic(
    "deliveries.v1", ("Delivery",), "notification_id", 1, FOREVER,
    ("deliver_notifications",), ("deliver_notifications", "alerts deliveries"), compacted=True,
)  # fmt: skip

OF_DEVICES: Final = (POSITIONS, FRAMES, DETECTIONS, READINGS)
"""The topics that devices write, equally partitioned: a device's shard is its partition on each."""

INPUTS: Final = (*OF_DEVICES, ACTIONS)
"""Everything that is judged: ticks are appended to each partition."""

CATALOGUE: Final = (
    *INPUTS, DEVICES, RULES, OBSERVATIONS, ROWS, INCIDENTS, CHANGES, REJECTED, RESENT, CHECKPOINTS, TRUTH,
    SUBSCRIPTIONS, NOTIFICATIONS, DELIVERIES,
)  # fmt: skip
