"""What operators decided about incidents: which actions apply to which, now and after incidents merge.

An action names an incident. While that one is published it applies to it; from one that went on as another (a
provisional one that was replaced, one that was merged away) it follows to that other, however often, whenever that
happens; if the first one comes back, its actions come back with it. One that names nothing known waits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from schemas.records import Decision, OperatorAction

_VERDICTS: Final = (Decision.CONFIRM, Decision.DISMISS)


@dataclass(frozen=True, slots=True)
class Taken:
    """An action and the tick that brought it."""

    tick_ms: int
    action: OperatorAction


@dataclass(frozen=True, slots=True)
class Moved:
    """An incident that went on as another."""

    incident_id: str
    into: str


@dataclass(frozen=True, slots=True)
class DecisionsState:
    """Everything the book remembers, in the order in which it came."""

    taken: tuple[Taken, ...] = ()
    moved: tuple[Moved, ...] = ()


def decided(actions: Iterable[OperatorAction]) -> OperatorAction | None:
    """Return the verdict: the last action that confirms or dismisses; None = there is none.

    What was dismissed and is resolved later has happened after all: who resolves takes a dismissal back.
    """
    last = None
    for action in actions:
        if action.decision in _VERDICTS:
            last = action
        elif action.decision is Decision.RESOLVE and last is not None and last.decision is Decision.DISMISS:
            last = None
    return last


def resolved_by(actions: Iterable[OperatorAction], last_evidence_ms: int) -> OperatorAction | None:
    """Return the action that says that it is over: the last such one that no evidence and no verdict came after.

    last_evidence_ms: event time of the newest evidence; what is later than the operator's word opens it again.
    """
    last = None
    for action in actions:
        if action.decision in _VERDICTS:
            last = None
        elif action.decision is Decision.RESOLVE and action.at_ms >= last_evidence_ms:
            last = action
    return last


def assigned_to(actions: Iterable[OperatorAction]) -> str:
    """Return whom the last action named that assigns; "" = nobody."""
    named = [action.assignee for action in actions if action.decision is Decision.ASSIGN]
    return named[-1] if named else ""


def on_state(actions: Iterable[OperatorAction]) -> list[OperatorAction]:
    """Return those that have a say in the state."""
    return [action for action in actions if action.decision in (*_VERDICTS, Decision.RESOLVE)]


class Decisions:
    """The book of actions of one region, a function of the merged ticks."""

    def __init__(self) -> None:
        self._taken: dict[str, Taken] = {}
        self._into: dict[str, str] = {}

    def take(self, tick_ms: int, actions: Iterable[OperatorAction]) -> list[str]:
        """Take the actions of a tick, in their order; return the incidents that they are about now.

        An action whose id has been taken says nothing new.
        """
        about: dict[str, None] = {}
        for action in actions:
            if action.action_id not in self._taken:
                self._taken[action.action_id] = Taken(tick_ms, action)
                about[self._owner(action.incident_id)] = None
        return list(about)

    def of(self, incident_id: str) -> tuple[OperatorAction, ...]:
        """Return the actions that apply to an incident, in the order (tick, at_ms, action_id)."""
        if not self._taken:
            return ()
        return tuple(one.action for one in self._taken.values() if self._owner(one.action.incident_id) == incident_id)

    def move(self, incident_id: str, into: str) -> None:
        """Take note that an incident goes on as another."""
        self._into[incident_id] = into

    def come_back(self, incident_id: str) -> str:
        """Take note that an incident is there again; return the one that had its actions until now ("" = none)."""
        until_now = self._owner(incident_id)
        self._into.pop(incident_id, None)
        return "" if until_now == incident_id else until_now

    def forget(self, before_ms: int, is_known: Callable[[str], bool]) -> None:
        """Let go of what is about incidents that are not known (any more): at once the moves, in time the actions.

        before_ms: actions of an earlier tick do not wait for their incident any longer.
        """
        if not self._taken and not self._into:
            return
        self._taken = {
            name: one
            for name, one in self._taken.items()
            if one.tick_ms >= before_ms or is_known(self._owner(one.action.incident_id))
        }
        self._into = {name: into for name, into in self._into.items() if is_known(self._owner(name))}

    def state(self) -> DecisionsState:
        """Return the state, a function of what was taken."""
        moved = tuple(Moved(name, self._into[name]) for name in sorted(self._into))
        return DecisionsState(tuple(self._taken.values()), moved)

    def restore(self, state: DecisionsState) -> None:
        """Go back to a state."""
        self._taken = {one.action.action_id: one for one in state.taken}
        self._into = {one.incident_id: one.into for one in state.moved}

    def _owner(self, incident_id: str) -> str:
        while incident_id in self._into:
            incident_id = self._into[incident_id]
        return incident_id
