import numpy as np
import pytest
from astropy.io import fits

from wolter.spectra.header_facts import read_facts


def written(path, **cards):
    table = fits.BinTableHDU.from_columns(
        [fits.Column("CHANNEL", "J", array=np.arange(4))], name="SPECTRUM"
    )
    table.header.update({key.replace("_DASH_", "-"): value for key, value in cards.items()})
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


def test_the_position_of_the_source_goes_before_that_of_the_target(tmp_path):
    facts = read_facts(written(tmp_path / "a.pha", RA=10.5, DEC=-3.0, RA_TARG=10.0, DEC_TARG=-3.1))
    assert (facts.ra, facts.dec, facts.pos_err) == (10.5, -3.0, 1.0)
    assert facts.pos_origin == "RA: the source"


def test_a_target_is_good_to_10_arcsec(tmp_path):
    facts = read_facts(written(tmp_path / "a.pha", RA_OBJ="359.5", DEC_OBJ="89.5"))
    assert (facts.ra, facts.dec, facts.pos_err) == (359.5, 89.5, 10.0)
    assert facts.pos_origin.startswith("RA_OBJ")


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
