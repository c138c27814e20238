"""The embedded stack: a real Kafka, schema registry and ClickHouse as supervised children on loopback."""

from streams.stack.start import StackHandle, endpoints, start_stack, stop_stack
from streams.stack.state import PartReport, PartState, Phase, StackState, read_state, report

__all__ = [
    "PartReport",
    "PartState",
    "Phase",
    "StackHandle",
    "StackState",
    "endpoints",
    "read_state",
    "report",
    "start_stack",
    "stop_stack",
]
