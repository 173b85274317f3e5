"""Coverage maps hold exactly the cells with sources."""

import io
import json

import numpy as np
from astropy.io import fits
from mocpy import MOC

from wolter.serve.web.coverage import ORDER, coverage

CELLS = np.random.default_rng(4).integers(0, 12 * 4**29, 300)
WANTED = set((CELLS >> 2 * (29 - ORDER)).tolist())


def test_all_forms_hold_the_same_cells(tmp_path):
    (tmp_path / "moc.fits").write_bytes(coverage(CELLS, "fits"))
    ascii_form = coverage(CELLS, "ascii").decode()
    json_form = json.loads(coverage(CELLS, "json"))
    for moc in (
        MOC.from_fits(tmp_path / "moc.fits"),
        MOC.from_string(ascii_form, "ascii"),
        MOC.from_json(json_form),
    ):
        assert set(moc.flatten().tolist()) == WANTED
        assert moc.max_order == ORDER


def test_the_fits_form_names_its_standard():
    with fits.open(io.BytesIO(coverage(CELLS, "fits"))) as hdus:
        assert hdus[1].header["MOCORD_S"] == ORDER


def test_nothing_is_covered_without_sources():
    assert MOC.from_json(json.loads(coverage(CELLS[:0], "json"))).empty()
