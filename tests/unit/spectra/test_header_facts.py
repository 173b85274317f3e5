import numpy as np
import pytest
from astropy.io import fits

from wolter.spectra.header_facts import read_facts


def written(path, name="SPECTRUM", primary=None, **cards):
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, "J", array=np.arange(4)) for name in ("CHANNEL", "COUNTS")], name=name
    )
    table.header.update({key.replace("_DASH_", "-"): value for key, value in cards.items()})
    first = fits.PrimaryHDU()
    first.header.update(primary or {})
    fits.HDUList([first, table]).writeto(path)
    return path


def test_the_position_of_the_source_goes_before_that_of_the_target(tmp_path):
    facts = read_facts(written(tmp_path / "a.pha", RA=10.5, DEC=-3.0, RA_TARG=10.0, DEC_TARG=-3.1))
    assert (facts.ra, facts.dec, facts.pos_err) == (10.5, -3.0, 1.0)
    assert facts.pos_origin == "RA: the source"


def test_a_target_is_good_to_10_arcsec(tmp_path):
    facts = read_facts(written(tmp_path / "a.pha", RA_OBJ="359.5", DEC_OBJ="89.5"))
    assert (facts.ra, facts.dec, facts.pos_err) == (359.5, 89.5, 10.0)
    assert facts.pos_origin.startswith("RA_OBJ")


@pytest.mark.parametrize(
    "frame",
    [
        {"RADECSYS": "FK4", "EQUINOX": 1950.0},
        {"RADESYS": "FK4"},
        {"EQUINOX": 1950},
    ],
)
def test_positions_of_fk4_are_precessed(tmp_path, frame):
    """3C 273: 12 26 33.248 +02 19 43.29 (B1950) is 12 29 06.6997 +02 03 08.598 (ICRS)."""
    b1950 = {"RA": 15 * (12 + 26 / 60 + 33.248 / 3600), "DEC": 2 + 19 / 60 + 43.29 / 3600}
    facts = read_facts(written(tmp_path / "a.pha", **b1950, **frame))
    assert facts.ra == pytest.approx(15 * (12 + 29 / 60 + 6.6997 / 3600), abs=0.5 / 3600)
    assert facts.dec == pytest.approx(2 + 3 / 60 + 8.598 / 3600, abs=0.5 / 3600)


@pytest.mark.parametrize(
    "frame", [{}, {"RADECSYS": "FK5", "EQUINOX": 2000.0}, {"RADESYS": "x"}, {"EQUINOX": 0}]
)
def test_positions_of_j2000_stay(tmp_path, frame):
    facts = read_facts(written(tmp_path / "a.pha", RA=10.5, DEC=-3.0, **frame))
    assert (facts.ra, facts.dec) == (10.5, -3.0)


def test_times_are_mjd_in_utc(tmp_path):
    cards = {"DATE_DASH_OBS": "2012-05-14T03:49:58", "TIMESYS": "TT", "OBS_ID": "0693760101"}
    facts = read_facts(written(tmp_path / "a.pha", **cards))
    # 2012 May 14 is MJD 56061; TT is 66.184 s ahead of UTC.
    assert facts.t_start == pytest.approx(56061 + (3 * 3600 + 49 * 60 + 58 - 66.184) / 86_400)
    assert facts.observation_id == "0693760101"
    assert np.isnan(facts.t_stop)


@pytest.mark.parametrize(
    "cards", [{}, {"RA": 400.0, "DEC": 0.0}, {"RA": "x", "DEC": 1.0}, {"RA": 1.0}]
)
def test_what_is_no_position_stays_unknown(tmp_path, cards):
    facts = read_facts(written(tmp_path / "a.pha", DATE_DASH_OBS="never", **cards))
    assert np.isnan([facts.ra, facts.dec, facts.pos_err, facts.t_start]).all()
    assert facts.pos_origin == ""


@pytest.mark.parametrize("name", ["PHA", "Spectrum", ""])
def test_the_table_of_a_spectrum_may_have_any_name(tmp_path, name):
    facts = read_facts(written(tmp_path / "a.pha", name, RA=10.5, DEC=-3.0, OBS_ID="77"))
    assert (facts.ra, facts.dec, facts.observation_id) == (10.5, -3.0, "77")


CHANDRA = {"TELESCOP": "CHANDRA", "INSTRUME": "ACIS", "RA_NOM": 10.668403294059}
CHANDRA |= {"DEC_NOM": 41.278943379023, "RA_TARG": 10.7, "DEC_TARG": 41.3}


@pytest.mark.parametrize(
    "region",
    [
        "Ellipse(4306.12,4451.68,8.61371,5.56163,68.6984)",
        "MASK&Rectangle(4264,4401,4347,4501)&Ellipse(4306.12,4451.68,43.1,27.8,68.7)"
        "&!Ellipse(4306.12,4451.68,8.6,5.6,68.7)",
        "circle(4306.12,4451.68,10)&!circle(4310,4450,2)",
    ],
)
def test_a_chandra_spectrum_lies_where_its_region_does(tmp_path, region):
    """As the Chandra Source Catalog has it: 10.630253, 41.327479, 0.05 deg from the target."""
    facts = read_facts(written(tmp_path / "a.pha", **CHANDRA, DSVAL11=region))
    assert facts.ra == pytest.approx(10.630253454, abs=2e-6)
    assert facts.dec == pytest.approx(41.327478707, abs=2e-6)
    assert facts.pos_err == 1
    assert facts.pos_origin == "DSVAL11: the middle of the region"
    own = read_facts(written(tmp_path / "b.pha", RA=10.0, DEC=41.0, **CHANDRA, DSVAL11=region))
    assert (own.ra, own.dec) == (10.0, 41.0)


SAS = {"REFXCTYP": "RA---TAN", "REFXCRPX": 25921, "REFXCRVL": 359.430833333333}
SAS |= {"REFXCDLT": -1.38888888888889e-05, "REFYCTYP": "DEC--TAN", "REFYCRPX": 25921}
SAS |= {"REFYCRVL": -32.6147777777778, "REFYCDLT": 1.38888888888889e-05}


def test_an_xmm_spectrum_lies_where_its_region_does(tmp_path):
    """NGC 7793 ULX-4 is at 23:57:47.9, -32:34:57, 150 arcsec from the target."""
    region = "(FLAG & 0xcfa0000) == 0 && ((X,Y) IN circle(24783.467,28244.9,800))"
    cards = {"SLCTEXPR": region, "RA_OBJ": 359.4625, "DEC_OBJ": -32.6239}
    facts = read_facts(written(tmp_path / "a.pha", primary=SAS, **cards))
    assert facts.ra == pytest.approx(359.44958, abs=1e-4)
    assert facts.dec == pytest.approx(-32.5825, abs=1e-4)
    assert facts.pos_origin == "SLCTEXPR: the middle of the region"
    for other in (
        region.replace("X,Y", "DETX,DETY"),
        region.replace("&& (", "&& !("),
        region.replace("circle", "annulus"),
        f"{region} || ((X,Y) IN circle(20000,28244.9,800))",
    ):
        (tmp_path / "a.pha").unlink()
        facts = read_facts(written(tmp_path / "a.pha", primary=SAS, **cards | {"SLCTEXPR": other}))
        assert facts.pos_origin.startswith("RA_OBJ"), other


@pytest.mark.parametrize("axes", ["sky(x,y)", "POS(X,Y)", "det(detx,dety)", "POS(DETX,DETY)"])
def test_a_region_on_the_detector_is_no_position(tmp_path, axes):
    region = {"DSVAL11": "Circle(4306.12,4451.68,10)", "DSTYP11": axes}
    facts = read_facts(written(tmp_path / "a.pha", **CHANDRA, **region))
    assert facts.pos_origin.startswith("RA_TARG" if "DET" in axes.upper() else "DSVAL11")


def test_a_region_without_the_plane_of_its_pixels_is_no_position(tmp_path):
    cards = {"DSVAL11": "Circle(4306.12,4451.68,10)", "TELESCOP": "CHANDRA", "INSTRUME": "ACIS"}
    assert np.isnan(read_facts(written(tmp_path / "a.pha", **cards)).ra)
    cards |= {"INSTRUME": "HRC", "RA_NOM": 10.0, "DEC_NOM": 40.0}
    assert np.isnan(read_facts(written(tmp_path / "b.pha", **cards)).ra)
