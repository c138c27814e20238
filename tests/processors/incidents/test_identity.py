from processors.incidents.identity import heir_of, match_by_evidence, new_incident_id
from schemas.records import Change, IncidentState
from tests.processors.incidents.builders import Run, claim


def test_identity_follows_the_largest_share() -> None:
    old = {"i-a": {"1", "2"}, "i-b": {"3"}}
    assert match_by_evidence(old, [{"1", "2", "3"}]) == {"i-a": 0}
    assert match_by_evidence(old, [{"1"}, {"2", "3"}]) == {"i-a": 0, "i-b": 1}
    assert match_by_evidence({"i-b": {"1"}, "i-a": {"2"}}, [{"1", "2"}]) == {"i-a": 0}
    assert heir_of({"3"}, [{"1"}, {"2", "3"}]) == 1
    assert heir_of({"4"}, [{"1"}, {"2", "3"}]) is None


def test_an_id_already_taken_is_not_given_again() -> None:
    first = new_incident_id("fire", ["2", "1"], ())
    assert first == new_incident_id("fire", ["1", "2"], ())
    assert new_incident_id("fire", ["1", "2"], {first}) != first


def test_a_detector_that_changes_its_mind_does_not_change_the_incident() -> None:
    """A late frame makes the camera's claim a second older: one claim is withdrawn, another made."""
    run = Run()
    (opened,) = run.story(claim("camera_smoke", "CAM-1", 10), until_s=20)
    (changed,) = run.tick(21, [claim("camera_smoke", "CAM-1", 9), claim("camera_smoke", "CAM-1", 10, withdrawn=True)])
    assert (changed.incident.incident_id, changed.incident.revision) == (opened.incident.incident_id, 2)
    assert changed.reasons == ("new evidence: smoke by camera CAM-1", "evidence withdrawn: smoke by camera CAM-1")


def test_late_evidence_between_two_incidents_merges_them() -> None:
    """Smoke 380 m and 250 s apart is two fires, until a late alarm before both turns out to lie between them."""
    run = Run()
    run.story(claim("smoke", "W", 10), claim("smoke", "E", 60, x_m=380), claim("heat", "E", 70, x_m=380), until_s=80)
    west_id, east_id = (one.incident.incident_id for one in run.changes[:2])
    kept, gone = run.tick(81, [claim("fire_alarm", "M", 5, x_m=190)])
    assert (kept.incident.incident_id, kept.change, kept.incident.revision) == (east_id, Change.CONFIRMED, 3)
    assert [one.device_id for one in kept.incident.evidence] == ["M", "W", "E", "E"]
    assert (gone.incident.incident_id, gone.change, gone.incident.revision) == (west_id, Change.WITHDRAWN, 2)
    assert gone.incident.merged_into == east_id
    assert gone.reasons == (f"merged into {east_id}, which has most of its evidence",)
    again, less = run.tick(82, [claim("fire_alarm", "M", 5, x_m=190, withdrawn=True)])
    assert (again.incident.incident_id, again.change, again.incident.revision) == (west_id, Change.OPENED, 3)
    assert again.incident.merged_into == ""
    assert again.reasons == ("its evidence stands again",)
    assert (less.incident.incident_id, less.incident.state, less.incident.revision) == (
        east_id, IncidentState.SUSPECTED, 4,
    )  # fmt: skip
    assert less.reasons == (
        "no longer confirmed",
        "evidence withdrawn: fire alarm by M",
        "no longer evidence of it: smoke by W",
    )
