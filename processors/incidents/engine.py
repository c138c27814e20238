"""The correlator of one region: blocks of observations in, incident revisions, rows and checkpoints out.

Each rule has two evaluators, one for real observations and one for those of exercises: they never meet. Before them
stand the gatherings, as many times: what they derive from the claims of several devices the rules see in the same tick.
A published rule set takes over at the first tick at or after the time from which it is valid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, TypeVar

import msgspec
import numpy as np

from processors.checkpoint import Checkpoint
from processors.city import City
from processors.gatherings.city_gatherings import city_gatherings
from processors.gatherings.contract import Gathering
from processors.gatherings.stage import GathererState, GatheringStage
from processors.incidents.clusters import canonical
from processors.incidents.decisions import Decisions, DecisionsState
from processors.incidents.evaluator import RuleState
from processors.incidents.merge import Merge, MergedTick, MergeState, SourceId
from processors.incidents.parties import Listener
from processors.incidents.rows import log_columns
from processors.incidents.rule_versions import RuleVersions, part_of
from processors.incidents.rules import RuleSet, rules_of
from processors.incidents.rules_at_work import Parts, RulesAtWork, Terms
from processors.observation_rows import observation_columns
from processors.rows import RowBuffer
from schemas.ids import is_exercise
from schemas.records import Incident, IncidentChange, Observation, ObservationBlock, PublishedRules, RowFrame
from schemas.tables import INCIDENT_LOG, OBSERVATIONS

STATE_FORMAT: Final = 4
"""1 knew neither operator actions nor exercises, 2 no muted claims, 3 no published rules: there were none, so they are
read as they are."""
SOURCE_TOPIC: Final = "observations.v1"

Observed = TypeVar("Observed", ObservationBlock, MergedTick)


@dataclass(frozen=True, slots=True)
class CorrelationRule:
    """How far back observations count, and when rows and checkpoints are cut.

    lateness_ms: how late observations may come; what they cannot change any more is forgotten. None = the horizon.
    provisional_after_ms: how long the merge may wait before life-safety incidents are published early; 0 = never.
    block_rows, block_ms: rows are cut by the first tick with so many, or when tick // block_ms changes.
    """

    horizon_ms: int = 1_800_000
    lateness_ms: int | None = None
    provisional_after_ms: int = 2_000
    block_rows: int = 20_000
    block_ms: int = 2_000
    checkpoint_ms: int = 2_000


@dataclass(frozen=True, slots=True)
class IncidentOutcome:
    """What some blocks led to: revisions in order, rows, and the last checkpoint if one was due."""

    changes: tuple[IncidentChange, ...]
    frames: tuple[RowFrame, ...]
    checkpoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class _State:
    format: int
    rules_version: str
    next_offset: int
    tick_ms: int
    merge: MergeState
    rules: tuple[RuleState, ...]
    decisions: DecisionsState = field(default_factory=DecisionsState)
    gatherings: tuple[GathererState, ...] = ()
    city_version: str = ""
    published: tuple[str, ...] = ()


class IncidentEngine:
    """Concludes incidents; everything is a function of the blocks in the order of their offsets.

    sources: every input topic and partition whose blocks are merged.
    """

    def __init__(
        self,
        rules: RuleSet,
        city: City,
        sources: Sequence[SourceId],
        rule: CorrelationRule,
        gatherings: Sequence[Gathering] | None = None,
        listener: Listener | None = None,
        published: Sequence[PublishedRules] | None = (),
    ) -> None:
        """rules: in force until a published set is. gatherings: the city's where not given.

        listener: is told what every revision is made of. published: rule sets published before the log begins; None =
        `rules` stay in force, whatever is published.
        Raises RulesInvalid when a rule resolves its incidents later than the horizon forgets them.
        """
        self._rule, self._city = rule, city
        self._merge = Merge(sources)
        self._decisions = Decisions()
        kept = city_gatherings(city) if gatherings is None else tuple(gatherings)
        self._stages = [GatheringStage(kept, rule.horizon_ms, exercise=exercise) for exercise in (False, True)]
        self._terms = Terms(rule.horizon_ms, rule.lateness_ms, rule.provisional_after_ms > 0, listener)
        self._versions = None if published is None else RuleVersions(published)
        self._rules = RulesAtWork(rules, city, self._decisions, self._terms)
        self._next_offset = 0
        self._tick_ms: int | None = None
        self._rows = RowBuffer(SOURCE_TOPIC, 0, 0)
        self._live: tuple[str, ...] = ()
        self._unsaved = {part_of(one): msgspec.msgpack.encode(one) for one in published or ()}

    @property
    def next_offset(self) -> int:
        """The first offset of observations.v1 not taken yet."""
        return self._next_offset

    @property
    def tick_ms(self) -> int | None:
        """The last tick that every source has reached; None before the first."""
        return self._tick_ms

    @property
    def rules_version(self) -> str:
        """The version of the rule set in force."""
        return self._rules.rules.version

    def open_incidents(self) -> tuple[Incident, ...]:
        """Return the incidents that are not closed or withdrawn, as published last, oldest first; none provisional."""
        return tuple(sorted(self._rules.incidents(), key=lambda one: (one.opened_at_ms, one.incident_id)))

    def push(self, blocks: Sequence[tuple[int, ObservationBlock]]) -> IncidentOutcome:
        """Take blocks with their offsets in observations.v1, ascending; offsets taken before are left out."""
        changes: list[IncidentChange] = []
        frames: list[RowFrame] = []
        state: _State | None = None
        for offset, block in blocks:
            if offset < self._next_offset:
                continue
            self._next_offset = offset + 1
            tick_before_ms = self._tick_ms
            made = self._take(block)
            if made:
                self._rows.add(INCIDENT_LOG.name, log_columns(made, offset))
                changes += made
            if self._cuts(tick_before_ms):
                assert self._tick_ms is not None
                frames += self._rows.cut(self._tick_ms, offset)
            if self._changes_slot(tick_before_ms, self._rule.checkpoint_ms):
                state = self._state()
        checkpoint = None if state is None else self._checkpoint(state)
        return IncidentOutcome(tuple(changes), tuple(frames), checkpoint)

    def restore(
        self, checkpoint_parts: Mapping[str, bytes], live: Sequence[str], next_offset: int, tick_ms: int
    ) -> None:
        """Go back to a checkpoint; call it on a new engine. Other rules than then are applied at the next tick.

        Raises ValueError when the checkpoint is not one of this format, of these sources, of that offset and tick.
        """
        state = msgspec.msgpack.decode(checkpoint_parts[live[-1]], type=_State)
        if state.format not in (1, 2, 3, STATE_FORMAT) or (state.next_offset, state.tick_ms) != (next_offset, tick_ms):
            raise ValueError(f"checkpoint {live[-1]} is not what its head says, or of another format")
        self._merge.restore(state.merge)
        self._next_offset, self._tick_ms = state.next_offset, state.tick_ms
        self._rows = RowBuffer(SOURCE_TOPIC, 0, state.next_offset)
        self._live = tuple(live)
        if self._versions is not None and state.published:
            self._versions.restore(state.published, checkpoint_parts, tick_ms)
            if self._versions.current is not None:
                self._rules = self._at_work(self._versions.current)
        same_rules = state.rules_version == self.rules_version and state.city_version in ("", self._city.version)
        self._decisions.restore(state.decisions)
        for stage in self._stages:
            stage.restore(state.gatherings, checkpoint_parts, tick_ms)
        self._rules.restore(state.rules, checkpoint_parts, tick_ms, same_rules=same_rules)
        self._wait_again()

    def _at_work(self, published: PublishedRules) -> RulesAtWork:
        return RulesAtWork(rules_of(published.files), self._city, self._decisions, self._terms)

    def _wait_again(self) -> None:
        """Let new evaluators know what waits for the merge."""
        if self._is_stalled():
            for block in self._merge.waiting():
                self._rules.wait(_parted(block))

    def _take(self, block: ObservationBlock) -> list[IncidentChange]:
        if self._merge.repeats(block):
            return []
        stalled = self._is_stalled()
        parts = _parted(block) if stalled else None
        if parts is not None:
            self._rules.wait(parts)
        changes: list[IncidentChange] = []
        for tick in self._merge.push(block):
            changes += self._advance(tick)
        if self._is_stalled():
            changes += self._look_ahead(parts)
        elif stalled:
            self._rules.stall_over()
        return changes

    def _look_ahead(self, parts: Parts | None) -> list[IncidentChange]:
        """Return what a block during a stall makes of life-safety rules; None: the stall begins."""
        if parts is None:
            self._wait_again()
        fastest_ms = self._merge.fastest_ms
        assert fastest_ms is not None
        return self._rules.look_ahead(fastest_ms, parts)

    def _advance(self, tick: MergedTick) -> list[IncidentChange]:
        self._switch(tick)
        self._tick_ms = tick.tick_ms
        acted = self._decisions.take(tick.tick_ms, tick.actions)
        tick = self._revoke(tick) if tick.revoked else tick
        parts = tuple(map(self._gather, self._stages, _parted(tick)))
        changes = self._rules.conclude(tick.tick_ms, [part.observations for part in parts], acted)
        before_ms = tick.tick_ms - self._rule.horizon_ms
        self._decisions.forget(before_ms, self._rules.knows)
        return changes

    def _switch(self, tick: MergedTick) -> None:
        """Let the rule set take over whose time has come with a tick, before anything is judged at it."""
        if self._versions is None:
            return
        for one in self._versions.take(tick.published):
            self._unsaved[part_of(one)] = msgspec.msgpack.encode(one)
        new = self._versions.switch(tick.tick_ms)
        if new is None or new.version == self.rules_version:
            return
        before = self._rules
        self._rules = self._at_work(new)
        # Before the first tick nothing is judged, but provisional incidents of a stall may stand.
        self._rules.take_over(before.hand_over(), {}, tick.tick_ms if self._tick_ms is None else self._tick_ms)
        self._wait_again()

    def _revoke(self, tick: MergedTick) -> MergedTick:
        """Return a tick in which all that its revoked devices claimed up to it is taken back.

        Gatherings take back by themselves what they derived from that.
        """
        standing = chain(*(one.standing() for one in self._stages), self._rules.standing())
        taken_back = {
            one.observation_id: replace(one, withdrawn=True) for one in standing if one.device_id in tick.revoked
        }
        if taken_back:
            self._note(canonical(taken_back.values()), tick.tick_ms)
        left = [one for one in tick.observations if one.withdrawn or one.device_id not in tick.revoked]
        return replace(tick, observations=tuple(canonical([*left, *taken_back.values()])))

    def _gather(self, stage: GatheringStage, tick: MergedTick) -> MergedTick:
        """Return a tick with what gatherings derive, and keep that for the rows."""
        tick, derived = stage.advance(tick)
        if derived:
            self._note(derived, tick.tick_ms)
        return tick

    def _note(self, observations: Sequence[Observation], tick_ms: int) -> None:
        """Keep observations, which no partition made, for the rows."""
        offsets = np.full(len(observations), self._next_offset - 1)  # of the block that completed the tick
        self._rows.add(OBSERVATIONS.name, observation_columns(observations, tick_ms, offsets, self._city))

    def _is_stalled(self) -> bool:
        return self._rules.is_urgent and self._merge.lead_ms > self._rule.provisional_after_ms

    def _cuts(self, tick_before_ms: int | None) -> bool:
        if self._tick_ms == tick_before_ms:
            return False
        full = self._rows.rows >= self._rule.block_rows
        aged = self._changes_slot(tick_before_ms, self._rule.block_ms)
        return full or aged or self._changes_slot(tick_before_ms, self._rule.checkpoint_ms)

    def _changes_slot(self, tick_before_ms: int | None, slot_ms: int) -> bool:
        if tick_before_ms is None or self._tick_ms is None:
            return False
        return self._tick_ms // slot_ms != tick_before_ms // slot_ms

    def _state(self) -> _State:
        assert self._tick_ms is not None
        self._unsaved |= self._rules.seal(self._next_offset)
        for stage in self._stages:
            self._unsaved |= stage.seal(self._next_offset)
        return _State(
            format=STATE_FORMAT,
            rules_version=self.rules_version,
            city_version=self._city.version,
            next_offset=self._next_offset,
            tick_ms=self._tick_ms,
            merge=self._merge.state(),
            rules=self._rules.states(),
            decisions=self._decisions.state(),
            gatherings=tuple(each for stage in self._stages for each in stage.state()),
            published=() if self._versions is None else tuple(self._versions.parts()),
        )

    def _checkpoint(self, state: _State) -> Checkpoint:
        """Return the last checkpoint of a push; parts that an earlier one of the push began are in it."""
        key = f"state/{state.next_offset}"
        kept = [each.claims for each in state.gatherings] + [rule.claims for rule in state.rules]
        claims = [part.key for each in kept for part in each.sealed]
        named = (*state.published, *claims)
        live = (*named, key)
        new_parts = {part: self._unsaved[part] for part in named if part in self._unsaved}
        new_parts[key] = msgspec.msgpack.encode(state)
        dropped = tuple(part for part in self._live if part not in set(live))
        self._unsaved, self._live = {}, live
        return Checkpoint(state.next_offset, state.tick_ms, new_parts, live, dropped)


def _parted(one: Observed) -> tuple[Observed, Observed]:
    """Return it with its real observations alone, and with those of exercises."""
    if not one.observations:
        return one, one
    drill = tuple(each for each in one.observations if is_exercise(each.device_id))
    if not drill:
        return one, replace(one, observations=())
    real = tuple(each for each in one.observations if not is_exercise(each.device_id))
    return replace(one, observations=real), replace(one, observations=drill)
