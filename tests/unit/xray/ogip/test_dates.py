"""Dates and mission clocks as MJD in UTC."""

import math

import pytest
from astropy.time import Time

from wolter.xray.ogip import dates

TT = {"TIMESYS": "TT"}
LEAP_S = 37 + 32.184  # TT less UTC, s, since 2017


def test_dates_are_told_in_utc():
    header = {"DATE-OBS": "2018-10-22T11:53:53", **TT}
    utc = Time("2018-10-22T11:53:53").mjd
    assert dates.mjd_of_date({"DATE-OBS": header["DATE-OBS"]}, "DATE-OBS") == pytest.approx(utc)
    found = dates.mjd_of_date(header, "DATE-OBS")
    assert (utc - found) * 86_400 == pytest.approx(LEAP_S, abs=1e-4)
    assert math.isnan(dates.mjd_of_date(header, "DATE-END"))
    assert math.isnan(dates.mjd_of_date({"DATE-END": "soon"}, "DATE-END"))


@pytest.mark.parametrize(
    "clock", [{"MJDREF": 50_814.0}, {"MJDREFI": 50_814, "MJDREFF": 0.0}, {"MJDREFI": 50_814}]
)
def test_seconds_count_from_the_reference_of_the_clock(clock):
    found = dates.mjd_of_clock({**clock, **TT}, 656_596_433.0)  # days after 2017
    assert found == pytest.approx(50_814 + (656_596_433.0 - LEAP_S) / 86_400, abs=1e-9)
    late = dates.mjd_of_clock({**clock, **TT, "TIMEZERO": 86_400.0}, 656_596_433.0)
    assert late - found == pytest.approx(1)


@pytest.mark.parametrize("header", [{}, {"MJDREF": "x"}, {"MJDREFF": 0.5}])
def test_a_clock_without_reference_tells_nothing(header):
    assert math.isnan(dates.mjd_of_clock(header, 5.0))
