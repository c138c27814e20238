"""Operator actions: what a person decided about an incident, checked; the correlator folds them in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from processors.batches import Batch, BoolArray, HashArray, IntArray, TextArray
from processors.city import City
from processors.domain import Domain, Findings, Message, Mistakes, Rows, domain_of
from processors.ingest import content_hashes, device_mistake, one_line, read_messages, read_times, text_mistake
from processors.key_blocks import SlotArray
from processors.records_in import RawRecord
from processors.rows import Columns, texts
from processors.tracks import Track
from schemas.codec import Codec
from schemas.dictionary import Dictionary
from schemas.errors import Reason, UsageError
from schemas.ids import content_id
from schemas.records import Decision, OperatorAction

OPERATOR_CHARACTERS: Final = 64
ASSIGNEE_CHARACTERS: Final = 64
NOTE_CHARACTERS: Final = 500
_LONGEST: Final = {"operator": OPERATOR_CHARACTERS, "note": NOTE_CHARACTERS, "assignee": ASSIGNEE_CHARACTERS}


@dataclass(frozen=True, slots=True)
class ActionBatch(Batch):
    """n operator actions in log order."""

    offset: IntArray
    at_ms: IntArray
    content_hash: HashArray
    action_id: TextArray
    incident_id: TextArray
    decision: TextArray
    operator: TextArray
    note: TextArray
    assignee: TextArray

    def records(self) -> list[OperatorAction]:
        """Return them as records."""
        return [
            OperatorAction(
                at_ms=at_ms,
                decision=Decision(decision),
                action_id=action_id,
                incident_id=incident_id,
                operator=operator,
                note=note,
                assignee=assignee,
            )
            for at_ms, decision, action_id, incident_id, operator, note, assignee in zip(
                self.at_ms.tolist(),
                self.decision.tolist(),
                self.action_id.tolist(),
                self.incident_id.tolist(),
                self.operator.tolist(),
                self.note.tolist(),
                self.assignee.tolist(),
                strict=True,
            )
        ]


@dataclass(frozen=True, slots=True)
class ActionForm:
    """Operator actions. One action has one history: what comes again under its id and time is a duplicate."""

    record: str = "OperatorAction"
    table: str = "actions"
    device_field: str = "incident_id"

    @property
    def remembered(self) -> dict[str, Any]:
        """Return no columns."""
        return {}

    @property
    def whole_ms(self) -> int:
        """Return 0: no record needs the whole history."""
        return 0

    def read(self, records: Sequence[RawRecord], codec: Codec, keys: Dictionary, city: City) -> Rows[ActionBatch]:
        """Return n actions as columns."""
        return read_messages(records, codec, self.device_field, "incident", _read_actions)

    def slots(self, batch: ActionBatch, keys: Dictionary) -> SlotArray:
        """Return the numbers of the actions' ids."""
        return keys.numbers([action_id.encode() for action_id in batch.action_id.tolist()])

    def ties(self, batch: ActionBatch) -> HashArray:
        """Return zeros: an action is there once."""
        return np.zeros(len(batch), np.uint64)

    def needs_whole(self, batch: ActionBatch) -> BoolArray:
        """Return no row."""
        return np.zeros(len(batch), bool)

    def place(self, batch: ActionBatch, city: City) -> tuple[Columns, Columns]:
        """Return the table's columns; there is nothing to remember."""
        rows: Columns = {
            "source_offset": batch.offset,
            "at_ms": batch.at_ms,
            **{name: getattr(batch, name) for name in _TEXTS},
        }
        return rows, {}

    def candidates(self, batch: ActionBatch, remembered: Columns) -> BoolArray:
        """Return no row: nothing is claimed of an action."""
        return np.zeros(len(batch), bool)

    def detect(self, track: Track) -> Findings:
        """Return nothing: an action is no claim of a detector."""
        return Findings(np.zeros(0, np.int64), (), np.zeros(0))


def _read_actions(messages: Sequence[Message], mistakes: Mistakes) -> ActionBatch:
    """Return n actions as columns; every text of theirs is for people to read and has to be sound."""
    told = [message.fields for message in messages]
    wrong = [action_mistakes(fields) for fields in told]
    mistakes.note(np.array([bool(one) for one in wrong], bool), Reason.BAD_ID, lambda row: "; ".join(wrong[row]))
    return ActionBatch(
        offset=np.array([message.raw.offset for message in messages], dtype=np.int64),
        at_ms=read_times(told, mistakes),
        content_hash=content_hashes(messages),
        **{name: texts([str(fields[name]) for fields in told]) for name in _TEXTS},
    )


_TEXTS: Final = ("action_id", "incident_id", "decision", "operator", "note", "assignee")


def action_domain() -> Domain:
    """Return what operator.actions.v1 is made of."""
    return replace(domain_of(ActionForm()), publishes=True)


def action_mistakes(fields: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the texts of an action; the incident's id is judged by the partition engine."""
    mistakes = [device_mistake(fields["action_id"], "action")]
    if not fields["operator"].strip():
        mistakes.append("operator is empty: an action is somebody's")
    if fields["decision"] == Decision.COMMENT and not fields["note"].strip():
        mistakes.append("note is empty: a comment says something")
    if (fields["decision"] == Decision.ASSIGN) != bool(fields["assignee"].strip()):
        mistakes.append("an assignee goes with ASSIGN, and with nothing else")
    for name, characters in _LONGEST.items():
        words = text_mistake(fields[name], characters)
        mistakes.append(words and f"{name} {words}")
    return [words for words in mistakes if words]


def new_action(
    incident_id: str, decision: Decision, operator: str, note: str, at_ms: int, assignee: str = ""
) -> OperatorAction:
    """Return an action of that moment; its id depends on all of it, so the same one sent again is a duplicate.

    assignee: of ASSIGN alone. Line breaks in operator, note and assignee become spaces, white space at their ends goes.
    Raises UsageError that names every mistake.
    """
    operator, note, assignee = (one_line(text).strip() for text in (operator, note, assignee))
    action = OperatorAction(
        at_ms=at_ms,
        decision=decision,
        action_id=content_id("a", incident_id, decision, operator, note, assignee, at_ms),
        incident_id=incident_id,
        operator=operator,
        note=note,
        assignee=assignee,
    )
    fields = {name: str(getattr(action, name)) for name in _TEXTS}
    mistakes = [words for words in (device_mistake(incident_id, "incident"), *action_mistakes(fields)) if words]
    if mistakes:
        raise UsageError("; ".join(mistakes))
    return action
