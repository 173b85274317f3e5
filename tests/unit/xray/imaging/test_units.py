import pytest

from wolter.xray.imaging.units import is_counts, seconds_in, share_in


@pytest.mark.parametrize(
    "text",
    ["", "count", "counts", "COUNTS", "ct", "Cts", "photon", "photons", "ph", "events",
     "count/pixel", "ct pix-1", "counts per pixel", "none", "[count]"],
)  # fmt: skip
def test_counts_in_every_spelling(text):
    assert is_counts(text) is True


@pytest.mark.parametrize(
    "text",
    ["ct s-1", "ct/s", "ct / s", "count s**-1", "counts s^-1", "cts/sec", "count/s/pixel",
     "counts per second", "ct*s**-1", "ct s**(-1)", "photon cm**-2 s**-1", "photon/cm**2/s",
     "photons cm^-2 s^-1", "photon/s", "ct/ks", "1/s", "erg/cm2/s", "Jy", "10**3 ct", "s", "%",
     "ct s^{-1}", "counts/hr"],
)  # fmt: skip
def test_rates_and_other_units_are_no_counts(text):
    assert is_counts(text) is False


def test_what_is_no_unit_is_neither():
    assert is_counts("something odd") is None
    assert seconds_in("something odd") is None
    assert share_in("something odd") is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("s", 1), ("sec", 1), ("SECONDS", 1), ("ks", 1e3), ("ksec", 1e3), ("min", 60), ("h", 3600),
     ("Ms", 1e6), ("ms", 1e-3), ("10**3 s", 1e3), ("d", 86400)],
)  # fmt: skip
def test_time(text, seconds):
    assert seconds_in(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["cm**2 s", "s cm2 count/photon", "", "%", "ct", "1/s"])
def test_what_is_not_time(text):
    assert seconds_in(text) is None


def test_shares():
    assert share_in("") == share_in("relative") == 1
    assert share_in("percent") == share_in("%") == pytest.approx(0.01)
    assert share_in("s") is share_in("cm2 s") is None
