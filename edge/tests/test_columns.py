import pytest

from edge.columns import DriveError, layout_of, parse_mapping, parse_option


@pytest.mark.parametrize(
    ("text", "cell", "value"),
    [
        ("speed", 12.5, 12.5),
        ("speed*3.6", 10, 36),
        ("outdoor_temperature-32/1.8", 212, 100),
        ("outdoor_temperature-32/1.8", -40, -40),
        ("current*-1", -8, 8),
        ("battery/10000", 965388, 96.5388),
        ("charging>0", 3, 1),
        ("charging>0", 0, 0),
        ("odometer*1e-3+5", 2000, 7),
    ],
)
def test_operations_apply_from_left_to_right(text: str, cell: float, value: float) -> None:
    assert parse_mapping(text).convert(cell) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["", "Speed", "speed*", "speed**2", "speed*x", "speed%3", "velocity", "speed/0"]
)
def test_a_mapping_that_makes_no_sense_is_explained(text: str) -> None:
    with pytest.raises(DriveError, match=r"is not FIELD|is no signal|divides by zero"):
        parse_mapping(text)


def test_a_column_may_contain_anything_but_needs_a_field() -> None:
    column, mapping = parse_option("a=b [km/h]=speed*3.6")
    assert (column, mapping.field) == ("a=b [km/h]", "speed")
    with pytest.raises(DriveError, match="is not COLUMN=FIELD"):
        parse_option("speed")


def test_an_option_replaces_what_is_known_about_its_field_and_column() -> None:
    header = ["t_s", "speed", "gps_speed", "battery"]
    layout = layout_of(header, [parse_option("gps_speed=speed*3.6")], keep_extra=False)
    assert layout.columns["gps_speed"] == parse_mapping("speed*3.6")
    assert "speed" not in layout.columns and "battery" in layout.columns


def test_an_option_may_name_the_clock() -> None:
    layout = layout_of(["ms", "speed_kmh"], [parse_option("ms=elapsed/1000")], keep_extra=False)
    assert layout.columns["ms"] == parse_mapping("elapsed/1000")


@pytest.mark.parametrize(
    ("header", "option", "complaint"),
    [
        (["t_s", "a"], None, "no column is a known signal: t_s, a"),
        (["speed"], None, "no column tells the time"),
        (["t_s", "speed"], "tempo=speed", "there is no column tempo"),
    ],
)
def test_a_header_that_says_too_little_is_explained(
    header: list[str], option: str | None, complaint: str
) -> None:
    with pytest.raises(DriveError, match=complaint):
        layout_of(header, [parse_option(option)] if option else [], keep_extra=False)
