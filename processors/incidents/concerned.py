"""Which rules a claim concerns: asked once for each claim, so that a rule it means nothing to costs nothing."""

from collections.abc import Iterable, Mapping, Sequence

from processors.incidents.claim_parts import share_texts
from processors.incidents.conditions import Conditions
from processors.incidents.place_kinds import Places
from schemas.records import Observation


class Concerned:
    """Rules by number, by what is known of a claim at no cost (kind, vehicle class) or at once for many (unit).

    The other conditions are asked of each claim.
    """

    def __init__(self, conditions: Mapping[int, Conditions], places: Places) -> None:
        self._places = places
        self._of_kind: dict[str, list[tuple[int, Conditions]]] = {}
        for number, one in conditions.items():
            for kind in one.kinds:
                self._of_kind.setdefault(kind, []).append((number, one))
        self._by_unit = frozenset(
            kind for kind, some in self._of_kind.items() if any(one.asks_for_unit for _, one in some)
        )
        self._known: dict[tuple[str, str, str], tuple[tuple[int, Conditions | None], ...]] = {}

    def prepare(self, claims: Sequence[Observation]) -> None:
        """Let the claims of a tick have their texts in common, for as many rules as keep them; look up their units."""
        share_texts(one for one in claims if one.kind in self._of_kind)
        if self._by_unit:
            self._places.find_units([one for one in claims if one.kind in self._by_unit])

    def of(self, one: Observation) -> Iterable[int]:
        """Yield the numbers of the rules that a claim may be evidence of or end something of, or a withdrawal undo."""
        if one.kind not in self._of_kind:
            return
        if one.withdrawn:
            yield from (number for number, _ in self._of_kind[one.kind])
            return
        unit_code = self._places.unit(one) if one.kind in self._by_unit else ""
        key = one.kind, one.vehicle_class, unit_code
        rules = self._known.get(key)
        if rules is None:
            rules = self._known[key] = tuple(self._may_concern(*key))
        for number, conditions in rules:
            if conditions is None or conditions.weigh(one):
                yield number

    def _may_concern(self, kind: str, vehicle_class: str, unit_code: str) -> Iterable[tuple[int, Conditions | None]]:
        """Yield the rules that such a claim may concern, and what is still to be asked of it."""
        for number, one in self._of_kind[kind]:
            if one.may_end(kind, vehicle_class):
                yield number, None
            elif one.may_weigh(kind, vehicle_class, unit_code):
                yield number, one
