"""What a search text means."""

import pytest

from wolter.errors import InputError
from wolter.serve.web.asked import Identifier, Name, Position, understand


@pytest.mark.parametrize(
    ("text", "ra", "dec"),
    [
        ("120.5 -30.25", 120.5, -30.25),
        ("120.5,-30.25", 120.5, -30.25),
        (" 120.5 ; +30.25 ", 120.5, 30.25),
        ("360 90", 0, 90),
        ("1e2 −.5", 100, -0.5),
        ("08:02:00 -00:30:00", 120.5, -0.5),
        ("08 02 00.0 -30 15 00", 120.5, -30.25),
        ("08h02m00s -30d15m00s", 120.5, -30.25),
        ("08h02m00.12s, +30°15'00\"", 120.5005, 30.25),
    ],
)
def test_positions(text, ra, dec):
    found = understand(text)
    assert isinstance(found, Position)
    assert (found.ra, found.dec) == pytest.approx((ra, dec), abs=1e-9)


def test_identifiers_and_names():
    assert understand("1000000000042") == Identifier(1_000_000_000_042)
    assert understand("  WLT   J123456.7+123456 ") == Name("WLT J123456.7+123456")
    assert understand("3C 273") == Name("3C 273")
    assert understand("9" * 30) == Name("9" * 30)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing to search for"),
        (" \t ", "nothing to search for"),
        ("361 0", "not on the sky"),
        ("0 -90.001", "not on the sky"),
        ("08:61:00 10:00:00", "from 0 to 59"),
        ("25:00:00 10:00:00", "not on the sky"),
        ("x" * 201, "at most 200"),
    ],
)
def test_others_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        understand(text)
