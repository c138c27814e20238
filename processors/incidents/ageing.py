"""Claims by the second at which they are looked at again."""

import heapq

from schemas.records import Observation


class Ageing:
    """Claims that may be forgotten when they are old enough."""

    def __init__(self) -> None:
        self._claims: dict[int, list[tuple[int, Observation]]] = {}
        self._seconds: list[int] = []

    def add(self, one: Observation, at_ms: int | None = None) -> None:
        """Put a claim in, as of its own time where no other is given."""
        at_ms = one.at_ms if at_ms is None else at_ms
        second = at_ms // 1000
        if second not in self._claims:
            self._claims[second] = []
            heapq.heappush(self._seconds, second)
        self._claims[second].append((at_ms, one))

    def first_ms(self) -> list[int]:
        """Return the beginning of the first second that has a claim, if there is one."""
        return [self._seconds[0] * 1000] if self._seconds else []

    def before(self, until_ms: int) -> list[Observation]:
        """Take out and return the claims of before."""
        found: list[Observation] = []
        while self._seconds and self._seconds[0] * 1000 < until_ms:
            second = heapq.heappop(self._seconds)
            claims = self._claims.pop(second)
            found += [one for at_ms, one in claims if at_ms < until_ms]
            if (second + 1) * 1000 > until_ms:
                for at_ms, one in claims:
                    if at_ms >= until_ms:
                        self.add(one, at_ms)
                return found
        return found
