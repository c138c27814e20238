from processors.detect.linear_road import Accident, Report, accidents, section_mean_mps, stopped, too_fast

HERE, THERE = (1, 27_000, 0), (1, 27_010, 0)


def reports(
    vehicle_id: str, *positions: tuple[int, int, int], from_s: int = 0, segment: int = 54, speed_mps: float = 0.0
) -> list[Report]:
    """Reports every 30 s from positions."""
    return [
        Report(from_s + 30 * number, vehicle_id, position, segment, speed_mps)
        for number, position in enumerate(positions)
    ]


def test_a_vehicle_is_stopped_at_its_fourth_report_from_one_position() -> None:
    assert [one.at_s for one in stopped(reports("a", *[HERE] * 6))] == [90, 120, 150]
    assert stopped(reports("a", *[HERE] * 3)) == []


def test_a_report_from_elsewhere_begins_to_count_anew() -> None:
    assert stopped(reports("a", HERE, HERE, HERE, THERE, HERE, HERE, HERE)) == []
    assert [one.at_s for one in stopped(reports("a", THERE, HERE, HERE, HERE, HERE, THERE))] == [120]


def test_a_lane_and_a_direction_are_part_of_a_position() -> None:
    assert stopped(reports("a", HERE, HERE, (2, 27_000, 0), HERE)) == []
    assert stopped(reports("a", HERE, HERE, (1, 27_000, 1), HERE)) == []


def test_two_stopped_vehicles_at_one_position_are_an_accident() -> None:
    two = reports("a", *[HERE] * 8) + reports("b", *[HERE] * 6, from_s=10)
    assert accidents(two) == [Accident(100, HERE, ("a", "b"))]


def test_two_stopped_vehicles_apart_or_one_after_the_other_are_none() -> None:
    assert accidents(reports("a", *[HERE] * 6) + reports("b", *[THERE] * 6)) == []
    gone = reports("a", *[HERE] * 4, THERE)
    assert accidents(gone + reports("b", *[HERE] * 6, from_s=60)) == []


def test_an_accident_that_clears_can_happen_again() -> None:
    first = reports("a", *[HERE] * 4, THERE) + reports("b", *[HERE] * 12)
    again = reports("c", *[HERE] * 4, from_s=200)
    assert accidents(first + again) == [Accident(90, HERE, ("a", "b")), Accident(290, HERE, ("b", "c"))]


def test_the_order_in_which_reports_come_does_not_matter() -> None:
    two = reports("a", *[HERE] * 8) + reports("b", *[HERE] * 6, from_s=10)
    assert accidents(two[::-1]) == accidents(two)


def passage(*speeds_mps: float, first_segment: int = 51) -> list[Report]:
    """One report from each segment."""
    return [
        Report(30 * number, "a", (1, 500 * segment, 0), segment, speed_mps)
        for number, (segment, speed_mps) in enumerate(zip(range(first_segment, 99), speeds_mps, strict=False))
    ]


def test_the_mean_is_taken_over_segments_52_to_56() -> None:
    assert section_mean_mps(passage(99.0, 20.0, 22.0, 24.0, 26.0, 28.0, 99.0)) == 24.0
    assert section_mean_mps(passage(30.0, first_segment=57)) is None


def test_who_is_too_fast_on_the_mean_of_the_section_is_too_fast() -> None:
    assert too_fast(passage(0.0, 20.0, 30.0, 20.0, 30.0, 26.0), limit_mps=25.0)
    assert not too_fast(passage(0.0, 20.0, 30.0, 20.0, 30.0, 25.0), limit_mps=25.0), "at the limit"
    assert not too_fast(passage(40.0, 20.0, 40.0, 20.0, 20.0, 20.0, 40.0), limit_mps=25.0), "fast only now and then"
    assert not too_fast(passage(40.0, first_segment=51), limit_mps=25.0), "not in the section"
