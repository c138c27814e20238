"""Third parties' cameras: each item of the checklist, the verdicts, and until when they hold."""

from datetime import date
from pathlib import Path

import pytest

from processors.city_files import CityInvalid
from processors.placement import read_placement
from processors.qualification import (
    FILE,
    Declaration,
    Judgement,
    Verdict,
    device_file,
    judge,
    read_checklist,
    read_declarations,
)
from schemas.errors import UsageError

CHECKLIST = read_checklist(Path(__file__).parents[2] / "cities" / "hanoi" / FILE)
TODAY = date(2026, 11, 23)
GOOD = {
    "camera_id": "MALL-1", "height_px": "1080", "frames_per_s": "25", "codec": "h.265", "clock_sync": "NTP",
    "clock_offset_ms": "40", "transport": "TLS", "own_credentials": "yes", "firmware_updated_on": "2026-09-01",
    "latitude_deg": "21.02", "longitude_deg": "105.85", "bearing_deg": "90", "view_deg": "80", "range_m": "50",
    "place_proof": "survey", "owner": "A mall", "owner_consent": "yes", "consent_until": "2028-12-31",
}  # fmt: skip


def judged(**fields: str) -> Judgement:
    told = GOOD | fields
    return judge(Declaration(2, told["camera_id"], told), CHECKLIST, TODAY)


def test_a_camera_that_meets_everything_is_qualified_for_a_year() -> None:
    found = judged()
    assert (found.verdict, found.failing, found.qualified_until) == (Verdict.QUALIFIED, (), date(2027, 11, 23))


def test_a_qualification_ends_with_the_owners_consent() -> None:
    assert judged(consent_until="2027-03-31").qualified_until == date(2027, 3, 31)
    assert judged(consent_until="2026-11-23").qualified_until == date(2026, 11, 23)
    gone = judged(consent_until="2026-11-22")
    assert (gone.verdict, gone.qualified_until) == (Verdict.REFUSED, None)
    assert [one.reason for one in gone.failing] == ["consent_until 2026-11-22 has passed"]


@pytest.mark.parametrize(
    ("field", "value", "item", "words"),
    [
        ("height_px", "480", "height", "height_px 480 is below 720"),
        ("frames_per_s", "5", "frame_rate", "frames_per_s 5 is below 10"),
        ("frames_per_s", "many", "frame_rate", "frames_per_s many is no number"),
        ("codec", "MJPEG", "codec", "codec MJPEG is none of H.264"),
        ("clock_sync", "none", "clock", "clock_sync none is none of NTP"),
        ("clock_offset_ms", "5000", "clock_offset", "clock_offset_ms 5000 is above 1000"),
        ("transport", "RTSP", "transport", "transport RTSP is none of TLS"),
        ("own_credentials", "no", "credentials", "own_credentials is no, not yes"),
        ("place_proof", "", "proof_of_place", "place_proof is not declared"),
        ("owner_consent", "", "consent", "owner_consent is not declared"),
        ("latitude_deg", "", "latitude", "latitude_deg is not declared"),
        ("owner", "", "owner", "owner is not declared"),
        ("consent_until", "soon", "consent_until", "consent_until soon is no day such as 2027-06-30"),
    ],
)
def test_what_a_camera_does_not_meet_refuses_it_with_its_reason(field: str, value: str, item: str, words: str) -> None:
    found = judged(**{field: value})
    assert (found.verdict, found.qualified_until) == (Verdict.REFUSED, None)
    reason = next(one for one in found.failing if one.item == item)
    assert reason.reason.startswith(words)


def test_small_failings_make_a_camera_conditional_for_sixty_days() -> None:
    found = judged(height_px="720", firmware_updated_on="")
    assert [one.item for one in found.failing] == ["height_wanted", "firmware"]
    assert (found.verdict, found.qualified_until) == (Verdict.CONDITIONAL, date(2027, 1, 22))


def test_every_reason_is_told_at_once() -> None:
    found = judged(height_px="480", codec="MJPEG", firmware_updated_on="")
    assert [one.item for one in found.failing] == ["height", "height_wanted", "codec", "firmware"]
    assert found.verdict is Verdict.REFUSED


def test_declarations_are_read_from_csv_and_json() -> None:
    from_csv = read_declarations("camera_id,height_px,own_credentials\n\nA,1080,yes\nB,720\n")
    from_json = read_declarations(
        '[{"camera_id": "A", "height_px": 1080, "own_credentials": true}, {"camera_id": "B", "height_px": 720}]'
    )
    assert [(one.camera_id, dict(one.fields)) for one in from_csv] == [
        (one.camera_id, dict(one.fields)) for one in from_json
    ]
    assert [one.line for one in from_csv] == [3, 4]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,height_px\nA,1\n", "no column camera_id"),
        ("camera_id,codec\n,H264\n", "line 2: a declaration needs a camera_id"),
        ("camera_id\nA\nA\n", "line 3: A is already on line 2"),
        ("[{]", "are not JSON"),
        ("[3]", "declaration 1 is not an object"),
    ],
)
def test_declarations_with_mistakes_are_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_declarations(text)


def test_what_is_not_refused_can_be_imported() -> None:
    declared = [Declaration(line, name, GOOD | {"camera_id": name}) for line, name in enumerate("AB", 2)]
    refused = Judgement("B", 3, Verdict.REFUSED, (), None)
    text = device_file(declared, [judge(declared[0], CHECKLIST, TODAY), refused])
    ((one,), nothing) = read_placement(text.splitlines(keepends=True))
    assert nothing == ()
    camera = one.registration
    assert (camera.device_id, camera.latitude_deg, camera.bearing_deg, camera.range_m, camera.owner) == (
        "A", 21.02, 90, 50, "A mall",
    )  # fmt: skip
    assert camera.qualified_until_ms == 1_827_014_399_999  # the end of 2027-11-23, UTC


def test_mistakes_in_a_checklist_are_told_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "version: '1'\nvalid_from: 2026-01-01\nvalid_days: 0\nconditional_days: 1\nitems:\n"
        "  - {id: a, field: x, fails: refused, why: w, source: ours}\n"
    )
    with pytest.raises(CityInvalid) as caught:
        read_checklist(file)
    assert any("valid_days must be at least 1" in one for one in caught.value.mistakes)
    assert any("line 6" in one and "only one of the three" in one for one in caught.value.mistakes)
