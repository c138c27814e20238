"""The pace of a replay against a literal clock, and what is told of its progress."""

from dataclasses import dataclass
from io import StringIO
from zoneinfo import ZoneInfo

from faust.types import TP
from rich.console import Console

from schemas.codec import local_codec
from schemas.records import Heartbeat, Tick
from streams.health import SourceStatus, Status
from streams.pace import Pace
from streams.replay_progress import Meter, shown_on, told
from streams.span import Part, Span

CODEC = local_codec()
FROM_MS, TO_MS = 1_700_000_000_000, 1_700_000_010_000
FIRST, SECOND = TP("vehicle.positions.v1", 0), TP("vehicle.positions.v1", 1)


@dataclass(frozen=True, slots=True)
class Sent:
    value: bytes | None


@dataclass(slots=True)
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


def tick(after_s: float) -> Sent:
    return Sent(CODEC.encode(Tick(at_ms=FROM_MS + int(after_s * 1000))))


RECORD = Sent(CODEC.encode(Heartbeat(at_ms=FROM_MS, device_id="d")))
GARBAGE = [Sent(None), Sent(b""), Sent(b"\0\0\0\0\x63x"), Sent(tick(9.0).value[:-1])]  # type: ignore[index]


def paced(speed: float, clock: Clock) -> Pace:
    return Pace(Span(FROM_MS, TO_MS, [], speed), CODEC, clock)


def test_warm_up_is_handed_on_at_once_and_then_a_tick_at_its_time() -> None:
    clock = Clock()
    pace = paced(2.0, clock)
    found = [RECORD, tick(-60.0), RECORD, tick(-0.25), tick(0.0), RECORD, *GARBAGE, tick(1.0), RECORD, tick(2.0)]
    assert pace.due(FIRST, found) == 10  # up to the tick of the first second, which is due after half a second
    clock.now_s += 0.49
    assert pace.due(FIRST, found[10:]) == 0
    clock.now_s += 0.02
    assert pace.due(FIRST, found[10:]) == 2
    clock.now_s += 0.5
    assert pace.due(FIRST, found[12:]) == 1


def test_first_tick_of_a_topic_that_is_younger_than_the_span_holds_nothing_up() -> None:
    pace = paced(1.0, Clock())
    assert pace.due(FIRST, [tick(0.0), tick(1.0)]) == 1
    assert pace.due(SECOND, [tick(8.0), RECORD, tick(8.25)]) == 2
    assert pace.due(FIRST, [tick(1.0)]) == 0


def test_partition_that_comes_later_sets_the_clock_back() -> None:
    clock = Clock()
    pace = paced(1.0, clock)
    assert pace.due(FIRST, [tick(0.0), tick(1.0)]) == 1
    clock.now_s += 5.0
    assert pace.due(SECOND, [tick(0.0), tick(1.0)]) == 1
    assert pace.due(FIRST, [tick(1.0)]) == 0
    clock.now_s += 1.0
    assert pace.due(FIRST, [tick(1.0)]) == pace.due(SECOND, [tick(1.0)]) == 1


def test_restart_goes_on_where_the_checkpoint_stands() -> None:
    clock = Clock()
    pace = paced(1.0, clock)
    assert pace.due(FIRST, [tick(0.0)]) == 1
    pace.start_over()
    assert pace.due(FIRST, [tick(6.0), tick(7.0)]) == 1


def test_nothing_waits_for_more_than_the_span() -> None:
    clock = Clock()
    pace = paced(1.0, clock)
    assert pace.due(FIRST, [tick(0.0), tick(1e9)]) == 1  # a tick from the far future
    clock.now_s += 10.0
    assert pace.due(FIRST, [tick(1e9)]) == 1


def status(next_offset: int, tick_ms: int | None) -> Status:
    source = SourceStatus("vehicle.positions.v1", 0, next_offset, 0, None, 0, None, None)
    return Status(
        ready=True, run="r", sources=[source], records={}, rejected={}, observations={}, incident_changes={},
        rows_written={}, merged_tick_ms=tick_ms, sink_waiting=None, sink_delay_s=None,
    )  # fmt: skip


def test_meter_tells_rate_pace_and_time_left() -> None:
    meter = Meter(Span(FROM_MS, TO_MS, [Part("vehicle.positions.v1", 0, 100, 1100)]))
    assert meter.note(50.0, status(100, None)).records_per_s is None
    meter.note(51.0, status(200, FROM_MS))
    reached = meter.note(53.0, status(400, FROM_MS + 40_000))
    assert (reached.records, reached.total, reached.records_per_s) == (300, 1000, 100.0)
    assert reached.times == 20.0
    assert reached.left_s == 7.0
    words = told(reached, ZoneInfo("Asia/Ho_Chi_Minh"))
    assert words == "at 2023-11-15 05:14:00, 100 records/s, 20.0x, 0:07 left"
    assert meter.note(60.0, status(5000, None)).records == 1000


def test_progress_without_a_terminal_is_a_plain_line_every_few_seconds() -> None:
    out = StringIO()
    console = Console(width=200, file=out)
    meter = Meter(Span(FROM_MS, TO_MS, [Part("vehicle.positions.v1", 0, 0, 10)]))
    with shown_on(console, ZoneInfo("UTC"), 10) as show:
        show(meter.note(1.0, status(0, None)))
        show(meter.note(1.1, status(5, None)))
    assert out.getvalue() == "replaying: 0 of 10 records, starting\n"
