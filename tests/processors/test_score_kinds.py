"""The kinds of a run in words."""

from processors.score import KindScore
from processors.score_bounds import TOLD_S
from processors.score_kinds import in_words, kinds_found

SCORES = {
    "crash": KindScore(3, 2, 1, 4.0, not_judged=1),
    "fight": KindScore(1, 0, 0, None),
    "camera_clock": KindScore(8, 0, 0, None, not_judged=8),
    "bunching": KindScore(0, 0, 4, None),
}


def test_every_kind_is_found_missed_not_judged_or_not_played() -> None:
    found = kinds_found(SCORES, lasted_s=60.0)
    assert found.played == ("camera_clock", "crash", "fight")
    assert found.detected == ("crash",)
    assert found.missed == ("fight",)
    assert found.not_judged == {"camera_clock": "takes up to 4 min"}
    assert found.not_played["bunching"] == "takes up to 20 min"
    assert found.not_played["stopped_vehicle"] == "takes up to 120 s"
    assert found.not_played["sos"] == "no place or time for it"
    told = {*found.detected, *found.missed, *found.not_judged, *found.not_played}
    assert told == TOLD_S.keys()


def test_words_name_them_by_reason() -> None:
    lines = in_words(kinds_found(SCORES, lasted_s=60.0))
    assert lines[:3] == [
        "kinds: 3 played, 1 detected",
        "missed: fight",
        "not judged, the run ended before: camera_clock (takes up to 4 min)",
    ]
    assert lines[3].startswith("not played: ")
    assert "congestion, encroachment, flood, street_vending (takes up to 4 min)" in lines[3]
    assert len(in_words(kinds_found({kind: KindScore(1, 1, 0, 1.0) for kind in TOLD_S}, 60.0))) == 1
