"""Spectra that fits went wrong on."""

import pyarrow.parquet as pq
import pytest

from wolter import cli

pytestmark = pytest.mark.reference


@pytest.mark.parametrize("start", ["prior", "random"])
def test_a_fit_that_never_moved(reference_data, tmp_path, capsys, start):
    """The middle of the prior, at 11,367.6, was told as the converged best fit."""
    pha = reference_data.parent / "field" / "spectra" / "61_fit_never_moves" / "src.pha"
    if not pha.is_file():
        pytest.skip(f"{pha} not found")
    out = tmp_path / "fit.parquet"
    words = ["--statistic", "cstat", "--start", start, "--no-intervals"]
    assert cli.main(["fit", str(pha), "--out", str(out), *words]) == 0
    assert "converged" not in capsys.readouterr().out
    row = pq.read_table(out).to_pylist()[0]
    assert row["stat"] == pytest.approx(254.53, abs=0.05)
    assert row["converged"] is True
    # The values of a file that was made with nh 0.244, slope 1.055, pow_norm 5.19e-4, a line of
    # 2.7e-5 at 5.08 keV, and a black body of 7.7e-6 at 0.154 keV.
    assert row["slope"] == pytest.approx(1.055, abs=0.08)
    assert row["pow_norm"] == pytest.approx(5.19e-4, rel=0.1)
    assert row["line_energy"] == pytest.approx(5.08, abs=0.04)
    assert row["line_norm"] == pytest.approx(2.7e-5, rel=0.2)
