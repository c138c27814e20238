"""What an operator decided on the page, read from the body of a request and made a record of operator.actions.v1."""

import msgspec

from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import Decision
from streams.actions import submit
from streams.settings import Settings


class Decided(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a decision."""

    decision: Decision
    operator: str
    note: str = ""
    assignee: str = ""


class Accepted(msgspec.Struct, frozen=True):
    """The answer: the id that the incident's actions will show."""

    action_id: str


def take_decision(settings: Settings, codec: Codec, incident_id: str, body: bytes) -> Accepted:
    """Append a decision to operator.actions.v1 and return once it is there.

    Raises UsageError for a body that is none, and in a replay, whose input is another run's; Retryable when Kafka does
    not take it.
    """
    if settings.run != settings.source_run:
        raise UsageError(f"{settings.run} is a replay: its incidents are not decided on.")
    try:
        told = msgspec.json.decode(body, type=Decided)
    except msgspec.DecodeError as error:
        raise UsageError(f"The body is not a decision: {error}.") from error
    action = submit(settings, codec, incident_id, told.decision, told.operator, told.note, told.assignee)
    return Accepted(action.action_id)
