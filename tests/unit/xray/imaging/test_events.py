import numpy as np
import pytest
from tests import event_lists

from wolter.errors import InputError
from wolter.xray.imaging.events import read_events


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
        ("PATTERN", -1),
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
        ({}, {"TELESCOP": "ROSAT"}, "events of ROSAT/EPN"),
        ({}, {"INSTRUME": "RGS1"}, "events of XMM/RGS1"),
        ({}, {"TELESCOP": None, "INSTRUME": None}, "events of no instrument"),
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


@pytest.mark.parametrize("column", ["PATTERN", "FLAG", "RAWY", "PI"])
def test_lists_without_a_column_that_tells_bad_events_are_refused(path, column):
    from astropy.io import fits
    from astropy.table import Table

    event_lists.epic_pn(path, 50)
    with fits.open(path) as hdus:
        table = Table(hdus[1].data)
        table.remove_column(column)
        hdus = fits.HDUList([hdu.copy() for hdu in hdus])
        less = fits.BinTableHDU(table, name="EVENTS")
        less.header.update({"TELESCOP": "XMM", "INSTRUME": "EPN"})
        hdus[1] = less
        hdus.writeto(path, overwrite=True)
    with pytest.raises(InputError, match=f"no column .*{column}"):
        read_events(path)


@pytest.mark.parametrize("column", ["grade", "status"])
def test_chandra_needs_grade_and_status(path, column):
    columns = {"time": [1.0], "x": [1.0], "y": [1.0], "energy": [600.0], "grade": [0]}
    columns["status"] = [[False] * 32]
    del columns[column]
    event_lists.chandra(path, columns, {7: [(0.0, 100.0)]})
    with pytest.raises(InputError, match=f"no column {column.upper()}"):
        read_events(path)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"TELESCOP": "NuSTAR", "INSTRUME": "FPMA"}, "NUSTAR/FPMA"),
        ({"TELESCOP": "eROSITA", "INSTRUME": "TM1"}, "EROSITA/TM1"),
        ({"TELESCOP": "CHANDRA", "INSTRUME": "HRC"}, "CHANDRA/HRC"),
        ({"TELESCOP": "ROSAT", "INSTRUME": "EMOS1"}, "ROSAT/EMOS1"),
    ],
)
def test_instruments_of_other_grades_are_refused(path, words, name):
    event_lists.epic_pn(path, 50, **words)
    with pytest.raises(InputError, match=f"events of {name}, whose grades"):
        read_events(path)


@pytest.mark.parametrize("column", ["X", "Y", "DETX", "DETY"])
@pytest.mark.parametrize("words", [{"TNULL": -99999999}, {"TLMIN": -60000, "TLMAX": 60000}])
def test_events_without_a_position_are_left_out(path, column, words):
    from astropy.io import fits

    def first_three(values):
        values = np.round(values).astype(np.int64)
        values[:3] = -99999999
        return values

    event_lists.epic_pn(path, 100, change={column: first_three})
    with fits.open(path, mode="update") as hdus:
        number = hdus[1].columns.names.index(column) + 1
        for key, value in words.items():
            hdus[1].header[f"{key}{number}"] = value
    events = read_events(path)
    assert len(events) == 97
    assert np.isfinite(events.detector_N2).all()


def test_words_of_the_primary_header_count(path):
    from astropy.io import fits

    event_lists.epic_pn(path, 60, TELESCOP=None, INSTRUME=None, OBS_ID=None)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update({"TELESCOP": "XMM", "INSTRUME": "EPN", "OBS_ID": "0000000009"})
    assert read_events(path).header["OBS_ID"] == "0000000009"


def test_coordinates_of_the_columns_in_other_spellings(path):
    """TCTYn, TCRPn, TCRVn and TCDEn are FITS's short forms; a missing unit is degrees."""
    from astropy.io import fits

    event_lists.epic_pn(path, 60)
    usual = read_events(path).sky
    with fits.open(path, mode="update") as hdus:
        header = hdus[1].header
        numbers = [hdus[1].columns.names.index(name) + 1 for name in "XY"]
        for number, axis in zip(numbers, "XY", strict=True):
            for short, long in (("TCTY", "CTYP"), ("TCRP", "CRPX"), ("TCRV", "CRVL")):
                header[f"{short}{number}"] = header.pop(f"REF{axis}{long}")
            header[f"TCDE{number}"] = header.pop(f"REF{axis}CDLT")
    sky = read_events(path).sky
    assert sky.ctype == usual.ctype
    for key in ("crpix", "crval", "cdelt"):
        assert getattr(sky, key) == pytest.approx(getattr(usual, key))


def test_few_slices_of_many_are_quickly_cut(path):
    event_lists.epic_pn(path, 500)
    assert len(read_events(path).slices(1e-9, 2)) == 2


def test_damaged_ccd_numbers(path):
    event_lists.epic_pn(path, 200, change={"CCDNR": lambda ccd: np.arange(len(ccd)) * 7})
    with pytest.raises(InputError, match="CCDNR holds no numbers of CCDs"):
        read_events(path)


def test_good_times_of_ages_are_refused(path):
    event_lists.epic_pn(path, 50, times={ccd: [(0.0, 1e300)] for ccd in range(1, 13)})
    with pytest.raises(InputError, match="good time of a CCD"):
        read_events(path)
