"""The typed records: one dataclass a record of schemas/avsc, field for field (a test holds them equal)."""

from dataclasses import dataclass
from enum import StrEnum


class VehicleClass(StrEnum):
    """Symbols of the Avro enum of that name, in its order."""

    UNKNOWN = "UNKNOWN"
    BUS = "BUS"
    BRT = "BRT"
    METRO = "METRO"
    TAXI = "TAXI"
    RIDE_HAILING = "RIDE_HAILING"
    COACH = "COACH"
    RENTAL = "RENTAL"
    OTHER = "OTHER"


class Switch(StrEnum):
    """Symbols of the Avro enum of that name, in its order."""

    UNKNOWN = "UNKNOWN"
    OFF = "OFF"
    ON = "ON"


class Change(StrEnum):
    """Symbols of the Avro enum of that name, in its order."""

    OPENED = "OPENED"
    CONFIRMED = "CONFIRMED"
    CHANGED = "CHANGED"
    RESOLVED = "RESOLVED"
    CLOSED = "CLOSED"
    DISMISSED = "DISMISSED"
    WITHDRAWN = "WITHDRAWN"


class IncidentState(StrEnum):
    """Symbols of the Avro enum of that name, in its order."""

    SUSPECTED = "SUSPECTED"
    CONFIRMED = "CONFIRMED"
    RESOLVED = "RESOLVED"
    CLOSED = "CLOSED"
    DISMISSED = "DISMISSED"
    WITHDRAWN = "WITHDRAWN"


class Severity(StrEnum):
    """Symbols of the Avro enum of that name, in its order."""

    MINOR = "MINOR"
    MODERATE = "MODERATE"
    SEVERE = "SEVERE"
    EXTREME = "EXTREME"


class DeviceKind(StrEnum):
    """Symbols of the Avro enum of that name, in its order."""

    CAMERA = "CAMERA"
    SENSOR = "SENSOR"
    VEHICLE = "VEHICLE"


class Decision(StrEnum):
    """Symbols of the Avro enum of that name, in its order."""

    ACKNOWLEDGE = "ACKNOWLEDGE"
    CONFIRM = "CONFIRM"
    DISMISS = "DISMISS"
    ASSIGN = "ASSIGN"
    RESOLVE = "RESOLVE"
    COMMENT = "COMMENT"


class DeliveryState(StrEnum):
    """Symbols of the Avro enum of that name, in its order."""

    RETRYING = "RETRYING"
    DELIVERED = "DELIVERED"
    GIVEN_UP = "GIVEN_UP"


@dataclass(frozen=True, slots=True, kw_only=True)
class VehiclePosition:
    """One GPS ping of one vehicle."""

    at_ms: int
    latitude_deg: float
    longitude_deg: float
    speed_mps: float
    bearing_deg: float
    accuracy_m: float
    vehicle_class: VehicleClass = VehicleClass.UNKNOWN
    ignition: Switch = Switch.UNKNOWN
    door: Switch = Switch.UNKNOWN
    sos: Switch = Switch.UNKNOWN
    direction_id: int = -1
    vehicle_id: str
    line_id: str = ""
    trip_id: str = ""
    operator_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleFrame:
    """Many positions from one gateway as packed little-endian columns."""

    rows: int
    at_ms: bytes
    latitude_deg: bytes
    longitude_deg: bytes
    speed_mps: bytes
    bearing_deg: bytes
    vehicle_class: bytes
    vehicle_index: bytes
    line_index: bytes
    gateway_id: str = ""
    direction_id: bytes = b""
    accuracy_m: bytes = b""
    ignition: bytes = b""
    door: bytes = b""
    sos: bytes = b""
    trip_index: bytes = b""
    operator_index: bytes = b""
    vehicle_words: bytes = b""
    vehicle_width: int = 0
    line_words: bytes = b""
    line_width: int = 0
    trip_words: bytes = b""
    trip_width: int = 0
    operator_words: bytes = b""
    operator_width: int = 0
    base_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraDetection:
    """What a camera's analytics claims it saw in one frame. Key: camera_id."""

    at_ms: int
    latitude_deg: float
    longitude_deg: float
    confidence: float
    speed_mps: float
    bearing_deg: float
    box_left: float
    box_top: float
    box_right: float
    box_bottom: float
    camera_id: str
    kind: str
    track_id: str = ""
    object_class: str = ""
    model_version: str = ""
    snapshot_url: str = ""
    clip_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorReading:
    """One value of one sensor. Key: sensor_id."""

    at_ms: int
    latitude_deg: float
    longitude_deg: float
    value: float
    sensor_id: str
    quantity: str
    measure_unit: str
    host_camera_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A device says that it is alive. Key: device_id."""

    at_ms: int
    device_id: str
    firmware_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time as a record: appended to every input partition, strictly increasing per partition."""

    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRegistration:
    """A device of the estate as of one moment. Key: device_id."""

    registered_at_ms: int
    qualified_until_ms: int = 0
    latitude_deg: float
    longitude_deg: float
    bearing_deg: int = -1
    view_deg: int = 0
    range_m: int = 0
    retired: bool = False
    revoked: bool = False
    kind: DeviceKind
    vehicle_class: VehicleClass = VehicleClass.UNKNOWN
    device_id: str
    name: str = ""
    owner: str = ""
    host_camera_id: str = ""
    line_id: str = ""
    operator_id: str = ""
    quantities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAction:
    """What an operator decided about an incident. Key: incident_id."""

    at_ms: int
    decision: Decision
    action_id: str
    incident_id: str
    operator: str
    note: str = ""
    assignee: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """One file of a rule set."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRules:
    """A rule set, whole and unchangeable, and from when on it judges. Key: version."""

    at_ms: int
    valid_from_ms: int
    version: str
    publisher: str
    note: str = ""
    files: tuple[RuleFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One located, timed, scored claim made by one detector."""

    at_ms: int
    latitude_deg: float
    longitude_deg: float
    score: float
    withdrawn: bool = False
    source_offset: int
    source_partition: int
    source_topic: str
    observation_id: str
    kind: str
    device_id: str
    witness_id: str
    line_id: str = ""
    snapshot_url: str = ""
    direction_id: int = -1
    line_offset_m: float = -1.0
    value: float = 0.0
    subject: str = ""
    vehicle_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationBlock:
    """Everything one input partition observed between two ticks; an empty one announces the tick."""

    tick_ms: int
    source_partition: int
    source_topic: str
    observations: tuple[Observation, ...]
    actions: tuple[OperatorAction, ...] = ()
    revoked: tuple[str, ...] = ()
    published: tuple[PublishedRules, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedLine:
    """A line that passes an incident."""

    distance_m: float
    direction_id: int
    line_id: str
    line_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTrip:
    """A trip due at an affected stop soon."""

    due_at_ms: int
    direction_id: int
    line_id: str
    stop_id: str
    trip_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One observation's part in an incident."""

    at_ms: int
    latitude_deg: float
    longitude_deg: float
    score: float
    weight: float
    distance_m: float
    observation_id: str
    kind: str
    device_id: str
    witness_id: str
    snapshot_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What the rules conclude from observations, as of one revision."""

    opened_at_ms: int
    last_evidence_at_ms: int
    tick_ms: int
    latitude_deg: float
    longitude_deg: float
    radius_m: float
    score: float
    revision: int
    witnesses: int
    provisional: bool = False
    exercise: bool = False
    state: IncidentState
    severity: Severity
    incident_id: str
    kind: str
    rule_id: str
    rules_version: str
    city_version: str
    unit_code: str
    unit_name: str
    place: str
    merged_into: str = ""
    replaces: tuple[str, ...] = ()
    lines: tuple[AffectedLine, ...] = ()
    stop_ids: tuple[str, ...] = ()
    due_trips: tuple[DueTrip, ...] = ()
    evidence: tuple[Evidence, ...]
    actions: tuple[OperatorAction, ...] = ()
    assigned_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """One revision of one incident and why it was made. Key: incident_id."""

    tick_ms: int
    change: Change
    reasons: tuple[str, ...] = ()
    incident: Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of n values."""

    name: str
    dtype: str
    values: bytes
    ends: bytes = b""
    dictionary: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFrame:
    """Rows for one ClickHouse table, with the source offsets they cover."""

    tick_ms: int
    first_offset: int
    last_offset: int
    source_partition: int
    rows: int
    source_topic: str
    table: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A Kafka header."""

    name: str
    value: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A record that was refused, or one position of a frame (its source_index), with its reason and original bytes."""

    tick_ms: int
    source_offset: int
    source_index: int = -1
    source_partition: int
    source_topic: str
    reason: str
    errors: tuple[str, ...] = ()
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resent:
    """A rejected record that was sent again, and where its copy stands. Key: that of the reject."""

    source_offset: int
    source_index: int = -1
    source_partition: int
    source_topic: str
    to_offset: int
    to_partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What the simulator scripted. Only the report may read it. Key: truth_id."""

    at_ms: int
    latitude_deg: float
    longitude_deg: float
    truth_id: str
    kind: str
    line_ids: tuple[str, ...] = ()
    ends_at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who wants to be told of which incidents, and where. Key: subscription_id."""

    created_at_ms: int
    removed_at_ms: int = 0
    allow_private: bool = False
    exercises: bool = True
    min_severity: Severity = Severity.MINOR
    subscription_id: str
    url: str
    secret_ref: str
    name: str = ""
    kinds: tuple[str, ...] = ()
    line_ids: tuple[str, ...] = ()
    unit_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One alert to one subscriber: a revision of an incident that a subscription asks for. Key: subscription_id."""

    tick_ms: int
    revision: int
    exercise: bool = False
    notification_id: str
    subscription_id: str
    incident_id: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How far the delivery of one notification is. Key: notification_id."""

    first_at_ms: int
    at_ms: int
    next_at_ms: int = 0
    attempts: int
    status_code: int = 0
    state: DeliveryState
    notification_id: str
    subscription_id: str
    incident_id: str
    error: str = ""
