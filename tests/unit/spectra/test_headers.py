"""Sources of archive files, by which records are split."""

import numpy as np
import pytest
from astropy.io import fits

from wolter.spectra.headers import FileKind, classify


@pytest.mark.parametrize(
    ("cards", "source"),
    [
        ({"OBJECT": "3C 273", "OBS_ID": "459"}, "3C 273"),
        ({"OBJECT": "CSC", "OBS_ID": "1575"}, "observation 1575"),  # of a whole catalogue
        ({"OBS_ID": "459"}, "a.pha"),
    ],
)
def test_the_source_of_a_spectrum(tmp_path, cards, source):
    columns = [fits.Column(name, "J", array=np.arange(4)) for name in ("CHANNEL", "COUNTS")]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "a.pha")
    found = classify(tmp_path / "a.pha")
    assert (found.kind, found.source) == (FileKind.SPECTRUM, source)
