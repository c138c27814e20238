"""Rules as data: what a rule file may say. docs/rules.md says what each key means."""

import math
from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Annotated, Final, Literal

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from processors.observation_kinds import OBSERVATION_KINDS
from processors.timetable import seconds_of
from processors.yaml_files import Entry
from schemas.records import Observation, Severity, VehicleClass

ANY_KIND: Final = "any"
"""In a story: a claim of any kind that the rule weighs."""

By = Literal["place", "device", "line", "subject"]
PlaceKind = Literal["line", "stop", "station", "school", "hospital", "market", "water", "venue", "bus_lane"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Text = Annotated[str, Field(min_length=1, max_length=120)]
Kind = Annotated[Name, WithJsonSchema({"type": "string", "enum": list(OBSERVATION_KINDS)})]
"""Of observations; rule_checks tells the unknown ones, with a hint."""
Share = Annotated[float, Field(gt=0, le=1)]
Times = Annotated[float, Field(gt=0, le=1_000)]
Metres = Annotated[float, Field(gt=0, le=5_000)]
Seconds = Annotated[int, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(gt=0, le=20)]
Names = Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]
Kinds = Annotated[tuple[Kind, ...], Field(strict=False, min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
Classes = Annotated[tuple[Annotated[VehicleClass, Field(strict=False)], ...], Field(strict=False)]
Level = Annotated[Severity, Field(strict=False)]
Nearness = Annotated[dict[PlaceKind, Metres], Field(min_length=1)]
Period = Annotated[str, Field(pattern=r"^\d\d:\d\d-\d\d:\d\d$")]


class Within(Entry):
    """Which claims belong together: up to `distance_m` from the first one, none more than `quiet_s` after the last.

    distance_m: left out (where the rule is not by place), distance parts no claims.
    lasts_s: longest time from the first claim to the last; what comes later starts anew.
    """

    distance_m: Metres | None = None
    quiet_s: Seconds
    lasts_s: Seconds

    @property
    def reach_m(self) -> float:
        """The distance, infinite where there is none."""
        return math.inf if self.distance_m is None else self.distance_m


class Passing(Entry):
    """Kinds that ordinary traffic claims all day: they join what others hold together, and never prolong it.

    Claims of these kinds alone belong together up to `distance_m` from and `quiet_s` after their first one.
    """

    kinds: Kinds
    distance_m: Metres | None = None
    quiet_s: Seconds

    @property
    def reach_m(self) -> float:
        """The distance, infinite where there is none."""
        return math.inf if self.distance_m is None else self.distance_m


class Areas(Entry):
    """Being in any one of these: units by code or kind, zones by id or kind."""

    units: Texts = ()
    unit_kinds: Texts = ()
    zones: Texts = ()
    zone_kinds: Texts = ()


class Where(Entry):
    """Which claims are evidence by their place and vehicle: all that is given must hold.

    near, not_near: kind of place -> metres; near at least one of them, near none of them.
    """

    vehicle_class: Classes = ()
    not_vehicle_class: Classes = ()
    near: Nearness | None = None
    not_near: Nearness | None = None
    in_: Areas | None = Field(default=None, alias="in")
    not_in: Areas | None = None


class When(Entry):
    """Which claims are evidence by their local time: all that is given must hold.

    hours: "22:00-05:00" goes over midnight. calendar, not_calendar: in any one, in none of the city's calendars.
    """

    days: Annotated[tuple[Day, ...], Field(strict=False)] = ()
    hours: Annotated[tuple[Period, ...], Field(strict=False)] = ()
    calendar: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    not_calendar: Annotated[tuple[Name, ...], Field(strict=False)] = ()

    @field_validator("hours")
    @classmethod
    def _are_times(cls, periods: tuple[str, ...]) -> tuple[str, ...]:
        for period in periods:
            start, end = period.split("-")
            if seconds_of(start) == seconds_of(end):
                raise ValueError(f"hours {period} is no time at all")
        return periods


class Absent(Entry):
    """No claim of these kinds after the last one of the story until `for_s` later.

    distance_m: of a rule by place, how near they would have to be; where not given, the story's distance.
    same_device: of a rule by place, only those count that come, after the claim around which the story is told, from
    that claim's device. own_devices: only those from a device that takes part, after its own last claim.
    """

    kinds: Kinds
    for_s: Seconds
    distance_m: Metres | None = None
    same_device: bool = False
    own_devices: bool = False

    @model_validator(mode="after")
    def _is_by_one_or_all(self) -> "Absent":
        if self.same_device and self.own_devices:
            raise ValueError("same_device asks one device and own_devices all that take part: leave one out")
        return self


class Episodes(Entry):
    """The claims of a story fall into at least `count` groups, `apart_s` or more between each and the next."""

    count: Annotated[int, Field(ge=2, le=20)]
    apart_s: Seconds


class Rate(Entry):
    """At least `times` as many claims in the last `over_s` as the baseline expects there at that hour of the week."""

    times: Times
    over_s: Seconds


class Story(Entry):
    """Claims that together mean something, up to `distance_m` from and `apart_s` before or after one of them.

    claims: kinds -> how many independent witnesses; "a+b" = witnesses that claim both, "any" = of any kind.
    distance_m: where not given, that of `within`.
    """

    claims: Annotated[dict[str, Count], Field(min_length=1, max_length=4)]
    distance_m: Metres | None = None
    apart_s: Seconds
    sequence: bool = False
    along: Literal["line"] | None = None
    same_direction: bool = False
    holds_s: Seconds | None = None
    absent: Absent | None = None
    episodes: Episodes | None = None
    rate: Rate | None = None

    def reach_m(self, rule: "Rule") -> float:
        """Return the distance, infinite where neither the story nor the rule has one."""
        return rule.within.reach_m if self.distance_m is None else self.distance_m

    @property
    def counts_alone(self) -> bool:
        """Whether nothing is asked of the claims but how many there are and how near they are to each other."""
        more = (self.holds_s, self.absent, self.episodes, self.rate)
        return not self.sequence and all(one is None for one in more)


Stories = Annotated[tuple[Story, ...], Field(strict=False)]


class Suspected(Entry):
    """When an incident exists: the score reached and one of the stories told (none listed: the score alone)."""

    score: Share
    any_of: Stories = ()


class Confirmed(Entry):
    """When it is confirmed: besides, at least so many independent witnesses."""

    score: Share
    witnesses: Count
    any_of: Stories = ()


class Raised(Entry):
    """A severity for incidents of which all that is given holds. near: of the incident's place."""

    to: Level
    witnesses: Count | None = None
    score: Share | None = None
    near: Nearness | None = None


class Severities(Entry):
    """CAP 1.2 severity of an incident that is only suspected, and of one confirmed.

    raised: the first of which all holds counts, if it is higher.
    """

    suspected: Level
    confirmed: Level
    raised: Annotated[tuple[Raised, ...], Field(strict=False)] = ()


class Mute(Entry):
    """Claims of other rules that an incident of this one explains, and how near in place and time they must be.

    speed_mps: that of the sound or wave that made them: they are expected later, the farther away.
    """

    rules: Names
    kinds: Kinds
    distance_m: Metres
    apart_s: Seconds
    speed_mps: Annotated[float, Field(gt=0, le=10_000)] | None = None
    from_: Literal["SUSPECTED", "CONFIRMED"] = Field(default="CONFIRMED", alias="from")


class Near(Entry):
    """How far an incident affects lines and stops, and how far ahead trips are listed."""

    line_m: Metres = 150.0
    stop_m: Metres = 150.0
    due_s: Seconds = 900


class Rule(Entry):
    """One rule: which observations, together, are which incident.

    title: what people call it; where not given, the kind.
    evidence: observation kind -> weight, the probability of the incident given one such claim of score 1.
    off_m: observation kind -> how far from the claim's place the thing itself may be; 25 where not given.
    close_after_s: how long claims count; where not given, as long as for all rules (30 min).
    """

    id: Name
    kind: Name
    title: Text | None = None
    life_safety: bool = False
    by: By = "place"
    evidence: Annotated[dict[Kind, Share], Field(min_length=1)]
    off_m: dict[Kind, Metres] = Field(default_factory=dict)
    where: Where | None = None
    when: When | None = None
    within: Within
    passing: Passing | None = None
    suspected: Suspected
    confirmed: Confirmed
    resolve_after_s: Seconds
    resolve_on: Annotated[tuple[Kind, ...], Field(strict=False)] = ()
    close_after_s: Seconds | None = None
    severity: Severities
    mutes: Annotated[tuple[Mute, ...], Field(strict=False)] = ()
    near: Near = Near()

    @property
    def name(self) -> str:
        """What people call such an incident."""
        return self.title or self.kind.replace("_", " ").capitalize()

    @property
    def stories(self) -> tuple[Story, ...]:
        """Those of suspected, then those of confirmed."""
        return (*self.suspected.any_of, *self.confirmed.any_of)

    @property
    def parting(self) -> Callable[[Observation], str] | None:
        """What tells the subject that claims must share to belong together; None: they belong together by place."""
        return None if self.by == "place" else _SUBJECTS[self.by]

    def is_passing(self, kind: str) -> bool:
        """Tell whether claims of that kind never hold an incident open."""
        return self.passing is not None and kind in self.passing.kinds


_SUBJECTS: Final[Mapping[str, Callable[[Observation], str]]] = {
    "device": attrgetter("device_id"),
    "line": attrgetter("line_id"),
    "subject": attrgetter("subject"),
}


@cache
def kinds_of(group: str) -> tuple[str, ...]:
    """Return the kinds that a story's key joins with "+"."""
    return tuple(group.split("+"))
