import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolter.report import table
from wolter.report.table import Column, Line, Table, format_deviation, format_known, format_value

MADE = Table(
    "Errors",
    (Column("a", "A", "%"), Column("b", "B", "", "most"), Column("c", "C", "keV", "none")),
    (
        Line("mine", "measured", {"a": 2.0, "b": 5.0, "c": 1.0}, {"a": 0.1}),
        Line("known", "published", {"a": 3.0, "b": 6.0, "c": 2.0}, {}, "a paper"),
        Line("limit", "limit", {"a": 1.0, "b": 9.0}, {}),
    ),
)


def test_the_best_of_a_column_goes_by_its_direction_and_leaves_limits_out():
    assert (MADE.best("a"), MADE.best("b"), MADE.best("c")) == (2.0, 6.0, None)


def test_html_cells_have_values_deviations_and_marks():
    mine, known, limit = (table.html_cells(MADE, line) for line in MADE.lines)
    assert mine == [("2.00", "±0.10", True), ("5.00", "", False), ("1.00", "", False)]
    assert known == [("3.00", "", False), ("6.00", "", True), ("2.00", "", False)]
    assert limit == [("1.00", "", False), ("9.00", "", False), ("–", "", False)]


def test_text_has_a_line_a_row_and_json_the_units():
    text = table.to_text(MADE)
    assert "2.00±0.10" in text
    assert "known (published)" in text
    assert table.to_json(MADE)["columns"][2] == {"name": "c", "heading": "C", "unit": "keV"}
    assert table.to_json(MADE)["rows"][1]["source"] == "a paper"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.05123, "0.0512"), (4.851, "4.85"), (40.63, "40.6"), (1234.4, "1234"), (0.0, "0")],
)
def test_three_digits(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.56, "0.56"), (2.6, "2.60"), (33.46, "33.46"), (40.6, "40.6")]
)
def test_published_figures_keep_their_digits(value, text):
    assert format_known(value) == text


def test_a_deviation_has_its_values_decimals():
    assert format_deviation(4.85, 0.123) == "±0.12"
    assert format_deviation(40.6, 3.3) == "±3.3"
    assert format_deviation(4.85, 0.004) == "±0.004"


@given(st.floats(1e-6, 1e6))
def test_formatting_keeps_half_a_percent(value):
    assert float(format_value(value)) == pytest.approx(value, rel=6e-3)
