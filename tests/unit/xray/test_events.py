import numpy as np
import pytest
from tests import event_lists

from wolter.errors import InputError
from wolter.xray.events import read_events


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.fits"


def test_all_good_events_are_read(path):
    detector_N2 = event_lists.epic_pn(path, 500)
    events = read_events(path)
    assert len(events) == 500
    assert np.array_equal(events.detector_N2, detector_N2)
    assert sorted(events.times) == list(range(1, 13))
    assert events.live == pytest.approx(0.9)
    assert events.exposure_s == pytest.approx(27_000)


@pytest.mark.parametrize(
    ("column", "bad"),
    [
        ("PATTERN", 5),
        ("FLAG", 0x10000),
        ("RAWY", 12),
        ("PI", 499),
        ("PI", 2000),
        ("TIME", 18_000.0),  # between the good times
        ("TIME", 35_000.0),
        ("X", np.nan),
    ],
)
def test_bad_events_are_left_out(path, column, bad):
    def first_three(values):
        values = values.astype(float) if column in ("TIME", "X") else values
        values[:3] = bad
        return values

    event_lists.epic_pn(path, 100, change={column: first_three})
    assert len(read_events(path)) == 97


def test_the_band_is_in_kev(path):
    event_lists.epic_pn(path, 1000, change={"PI": lambda pi: np.linspace(100, 9000, len(pi))})
    assert len(read_events(path, (2.0, 4.5))) == pytest.approx(1000 * 2500 / 8900, abs=1)


def test_mos_keeps_patterns_up_to_twelve(path):
    change = {"PATTERN": lambda pattern: np.arange(len(pattern)) % 16}
    event_lists.epic_pn(path, 160, change=change, INSTRUME="EMOS1")
    assert len(read_events(path)) == 130


def test_good_times_are_those_of_the_events_own_ccd(path):
    event_lists.epic_pn(path, 4000, seed=1)
    whole = read_events(path)
    short = event_lists.good_times(late=5000)
    event_lists.epic_pn(path, 4000, seed=1)  # the same events, and the third CCD's time cut
    from astropy.io import fits

    with fits.open(path, mode="update") as hdus:
        hdus["STDGTI03"].data["START"][0] = short[3][0][0]
    cut = read_events(path)
    lost = (whole.ccd_N == 3) & (whole.time_N < 6000)
    assert len(whole) - len(cut) == lost.sum() > 0
    assert cut.ccd_exposure_s(3) == pytest.approx(0.9 * 25_000)
    assert cut.exposure_s == pytest.approx(27_000)


@pytest.mark.parametrize("seconds", [4000.0, 9000.0, 10_000.0, 27_000.0])
def test_slices_are_disjoint_and_complete(path, seconds):
    event_lists.epic_pn(path, 3000)
    events = read_events(path)
    slices = events.slices(seconds)
    assert len(slices) == int(27_000 // seconds)
    for each in slices:
        assert each.exposure_s == pytest.approx(seconds)
    rest = events.between(slices[-1].window[1], np.inf)
    parts = [*slices, rest]
    assert sum(map(len, parts)) == len(events)
    times = np.concatenate([part.time_N for part in parts])
    assert np.array_equal(np.sort(times), np.sort(events.time_N))
    assert rest.exposure_s == pytest.approx(27_000 - len(slices) * seconds, abs=1e-6)
    assert events.slices(27_001.0) == []


def test_chandra(path):
    columns = {
        "time": [10.0, 20.0, 30.0, 40.0, 50.0, 150.0, 60.0],
        "ccd_id": [7, 7, 7, 7, 7, 7, 3],
        "x": [4096.5] * 7,
        "y": [4096.5] * 7,
        "energy": [600.0, 400.0, 700.0, 700.0, 1999.0, 700.0, 700.0],
        "grade": [0, 0, 1, 2, 6, 0, 0],
        "status": [[False] * 32] * 3 + [[True] + [False] * 31] + [[False] * 32] * 3,
    }
    event_lists.chandra(path, columns, {7: [(0.0, 100.0)], 3: [(0.0, 55.0)]})
    events = read_events(path)
    assert events.time_N.tolist() == [10.0, 50.0]  # the others: band, grade, status, good times
    assert events.exposure_s == pytest.approx(98)
    assert events.detector_N2 is None


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        ({"PI": lambda pi: pi * 10}, {}, "no good photon between 0.5 and 2 keV"),
        ({}, {"TELESCOP": "ROSAT"}, "no column ENERGY"),
        ({}, {"LIVETIME": -1.0}, "LIVETIME or EXPOSURE = -1"),
    ],
)
def test_bad_lists(path, change, words, message):
    event_lists.epic_pn(path, 50, change=change, **words)
    with pytest.raises(InputError, match=message):
        read_events(path)


def test_files_that_are_no_event_lists(path, pha):
    with pytest.raises(InputError, match="no table of events"):
        read_events(pha)
    event_lists.epic_pn(path, 50)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match=r"events\.fits: .*fetch it again"):
        read_events(path)


def test_a_list_without_good_times_is_rejected(path):
    from astropy.io import fits

    event_lists.epic_pn(path, 50)
    with fits.open(path) as hdus:
        fits.HDUList([hdus[0].copy(), hdus[1].copy()]).writeto(path, overwrite=True)
    with pytest.raises(InputError, match="no good time intervals"):
        read_events(path)
