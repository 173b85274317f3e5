"""Sources of archive files, by which records are split."""

import numpy as np
import pytest
from astropy.io import fits

from wolter.data.row_writer import folder_of
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


def test_files_of_one_name_that_name_no_object_are_sources_of_their_own(tmp_path):
    columns = [fits.Column(name, "J", array=np.arange(4)) for name in ("CHANNEL", "COUNTS")]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    files = [tmp_path / obs_id / "pps" / "source.pha" for obs_id in ("0001", "0002")]
    for file in files:
        file.parent.mkdir(parents=True)
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(file)
    found = [classify(file, folder_of(files)).source for file in files]
    assert found == ["0001/pps/source.pha", "0002/pps/source.pha"]
