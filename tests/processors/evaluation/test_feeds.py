"""Which devices feed a kind of incident."""

from processors.city import City, Device
from processors.evaluation.feeds import QUANTITIES, RESTS_ON, WATCHED, Feed, feeds, only_feeding
from processors.incidents.rule_model import Rule
from processors.network import Bounds
from processors.observation_kinds import OBSERVATION_KINDS


def rule(kind: str, *evidence: str) -> Rule:
    return Rule.model_validate(
        {
            "id": f"{kind}_{evidence[0]}",
            "kind": kind,
            "evidence": dict.fromkeys(evidence, 0.5),
            "within": {"distance_m": 100.0, "quiet_s": 60, "lasts_s": 600},
            "suspected": {"score": 0.3},
            "confirmed": {"score": 0.5, "witnesses": 2},
            "resolve_after_s": 60,
            "severity": {"suspected": "MINOR", "confirmed": "MINOR"},
        }
    )


def city() -> City:
    sensors = {"a": ("sound_level",), "b": ("sound_level", "temperature"), "c": ("fire_alarm",), "d": ("pm2_5",)}
    return City(
        name="small",
        version="1",
        time_zone="Asia/Ho_Chi_Minh",
        bounds=Bounds(21.0, 105.0, 21.1, 105.1),
        cameras={name: Device(name, "camera", 21.0, 105.0) for name in ("x", "y", "z")},
        sensors={name: Device(name, "sensor", 21.0, 105.0, told) for name, told in sensors.items()},
    )


def test_devices_are_counted_that_can_make_what_a_rule_weighs() -> None:
    rules = [
        rule("crash", "camera_crash", "impact_sound", "hard_stop"),
        rule("fire", "smoke", "heat", "fire_alarm"),
        rule("off_route", "off_route"),
        rule("explosion", "explosion_located"),
        rule("camera_silent", "silent_camera"),
        rule("sensor_fault", "sensor_stuck", "sensor_drift"),
        rule("air_quality", "air_bad"),
        rule("bunching", "bunched"),
    ]
    assert feeds(rules, city(), 200) == {
        "crash": Feed(3, 2, 200),
        "fire": Feed(0, 2, 0),
        "off_route": Feed(0, 0, 200),
        "explosion": Feed(0, 2, 0),
        "camera_silent": Feed(3, 0, 0),
        "sensor_fault": Feed(0, 4, 0),
        "air_quality": Feed(0, 1, 0),
        "bunching": Feed(0, 0, 200),
    }


def test_rules_of_one_kind_are_fed_by_what_feeds_any_of_them() -> None:
    assert feeds([rule("fire", "smoke"), rule("fire", "camera_fire")], city(), 0) == {"fire": Feed(3, 0, 0)}


def test_every_kind_of_observation_is_traced_to_devices() -> None:
    derived = {name for name, one in OBSERVATION_KINDS.items() if one.made_by == "gathering"}
    watched = {name for name, one in OBSERVATION_KINDS.items() if one.made_by == "watch"}
    assert derived <= RESTS_ON.keys()
    assert watched <= WATCHED.keys()
    assert QUANTITIES.keys() | WATCHED.keys() | RESTS_ON.keys() <= OBSERVATION_KINDS.keys()


def test_only_devices_that_feed_a_kind_are_left_and_they_feed_it_as_before() -> None:
    rules = [rule("crash", "camera_crash", "impact_sound"), rule("fire", "smoke", "heat", "fire_alarm")]
    fire = only_feeding(rules, city(), ("fire",))
    assert (fire.cameras, sorted(fire.sensors)) == ({}, ["b", "c"])
    crash = only_feeding(rules, city(), ("crash",))
    assert (sorted(crash.cameras), sorted(crash.sensors)) == (["x", "y", "z"], ["a", "b"])
    for kind, left in (("fire", fire), ("crash", crash)):
        assert feeds(rules, left, 5)[kind] == feeds(rules, city(), 5)[kind]
    both = only_feeding(rules, city(), ("fire", "crash"))
    assert (sorted(both.cameras), sorted(both.sensors)) == (["x", "y", "z"], ["a", "b", "c"])
