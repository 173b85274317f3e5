"""Rows as a person reads them."""

import math

from tests.releases import OWN

from wolter.catalogue import tables
from wolter.catalogue.columns import Column
from wolter.serve.web.shown import estimate, shown, text_of

TABLE = tables.estimates("shapes", "Estimates.", OWN)
FIXED = {
    "detection_id": 5,
    "source_id": 4,
    "model_name": "shapes",
    "model_version": "3",
    "release": "R1",
    "usable": 1,
    "reason": "",
    "flags": "",
}


def test_numbers_have_the_digits_that_mean_something():
    assert text_of(120.123456789, tables.DETECTION.column("ra")) == "120.123457"
    assert text_of(0.000123456, Column("kt", "temperature", "float", "keV")) == "0.0001235"
    assert text_of(10**15 + 1, tables.DETECTION.column("source_id")) == "1000000000000001"
    assert text_of(21_543.2, tables.DETECTION.column("exposure_s")) == "21543"
    assert text_of(2.5e7, tables.DETECTION.column("exposure_s")) == "2.5e+07"
    assert text_of(None, tables.DETECTION.column("ra")) == ""
    assert text_of(math.nan, tables.DETECTION.column("pos_err")) == ""


def test_identifiers_lead_to_sources():
    columns = (tables.DETECTION.column("source_id"), tables.DETECTION.column("instrument"))
    found = shown(columns, [{"source_id": 7, "instrument": None}])
    number, text = found.rows[0]
    assert (number.shown, number.link, number.text) == ("7", "/source/7", False)
    assert (text.shown, text.link, text.text) == ("", "", True)


def test_estimates_are_grouped():
    own = {column.name: 0.25 for column in OWN}
    row = {**FIXED, **own, "kt_lolim": 0.1, "kt_hilim": 0.5, "p_agn": 0.25, "p_star": 0.75}
    found = estimate(TABLE, OWN, row)
    assert [each.name for each in found.probabilities] == ["star", "agn"]
    assert [each.width for each in found.probabilities] == [150.0, 50.0]
    first = found.quantities[0]
    assert (first.name, first.value, first.intervals, first.unit) == (
        "kt",
        "0.25",
        ("0.1 to 0.5", ""),
        "keV",
    )
    names = [each.name for each in found.quantities]
    assert "kt_lolim" not in names
    assert names[1] == "anomaly"
    assert found.usable
    assert found.intervals


def test_missing_estimates_are_empty():
    row = {**FIXED, **dict.fromkeys((column.name for column in OWN), None), "usable": 0}
    found = estimate(TABLE, OWN, row)
    assert found.quantities[0].value == ""
    assert found.quantities[0].intervals == ("", "")
    assert [each.width for each in found.probabilities] == [0.0, 0.0]
    assert not found.usable
    assert not found.intervals
