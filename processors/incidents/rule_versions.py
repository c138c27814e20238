"""Which rule set is in force at a tick, of those published and the one there was before any.

In force at a tick is, of the sets that the log has brought by then and whose `valid_from` is not after the tick, the
one with the latest `valid_from`; of equals the one published last. So it is a function of which sets are known, not of
the order in which they came or how often.
"""

from collections.abc import Iterable, Mapping

import msgspec

from schemas.records import PublishedRules

Rank = tuple[int, int, str]


def rank_of(one: PublishedRules) -> Rank:
    """Return what decides between two sets whose time has come: the greater one is in force."""
    return one.valid_from_ms, one.at_ms, one.version


def in_force(published: Iterable[PublishedRules], tick_ms: int) -> PublishedRules | None:
    """Return which of the sets is in force at a tick; None = none of them yet."""
    return max((one for one in published if one.valid_from_ms <= tick_ms), key=rank_of, default=None)


class RuleVersions:
    """The published set in force, and those whose time has not come; those that are over are forgotten."""

    def __init__(self, published: Iterable[PublishedRules] = ()) -> None:
        """published: before the log begins."""
        self.current: PublishedRules | None = None
        self._waiting = {rank_of(one): one for one in published}

    def take(self, published: Iterable[PublishedRules]) -> list[PublishedRules]:
        """Take what the log brings; return what was not known and may be in force at some time."""
        new = [one for one in published if rank_of(one) not in self._waiting and self._may_come(one)]
        self._waiting |= {rank_of(one): one for one in new}
        return new

    def switch(self, tick_ms: int) -> PublishedRules | None:
        """Return the set that another one gives way to at a tick; None = it stays as it is."""
        due = in_force(self._waiting.values(), tick_ms)
        if due is None:
            return None
        self.current = due
        self._waiting = {rank: one for rank, one in self._waiting.items() if self._may_come(one)}
        return due

    def _may_come(self, one: PublishedRules) -> bool:
        return self.current is None or rank_of(one) > rank_of(self.current)

    def parts(self) -> dict[str, PublishedRules]:
        """Return all that is known, the one in force first, each under the name of a checkpoint part."""
        known = [self._waiting[rank] for rank in sorted(self._waiting)]
        known = known if self.current is None else [self.current, *known]
        return {part_of(one): one for one in known}

    def restore(self, names: Iterable[str], parts: Mapping[str, bytes], tick_ms: int) -> None:
        """Go back to what was known as of a tick, by checkpoint parts. Raises KeyError when one is missing."""
        known = [msgspec.msgpack.decode(parts[name], type=PublishedRules) for name in names]
        self.current = in_force(known, tick_ms)
        self._waiting = {rank_of(one): one for one in known if self._may_come(one)}


def part_of(one: PublishedRules) -> str:
    """Return the name of the checkpoint part that holds a set."""
    return f"rules/{one.valid_from_ms}/{one.at_ms}/{one.version}"
