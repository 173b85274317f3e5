import numpy as np
import pytest
from tests.unit.spectra.catalogue_rows.conftest import make_rows

from wolter.spectra.catalogue_rows.features import (
    GROUPS,
    features,
    galactic_latitude,
    hardness,
    outside,
)


def test_features_of_a_row_by_hand():
    rows = make_rows(
        [[1e-15, 2e-15, 6e-15]],
        [[1e-16, 4e-16, 3e-16]],
        gamma_N=np.array([1.4]),
        gamma_error_N=np.array([0.2]),
        var_intra_N=np.array([0.9]),
    )
    found = features(rows)
    values = dict(zip(found.names, found.values_NX[0], strict=True))
    assert values["hard_hm"] == pytest.approx(0.5)
    assert values["hard_hs"] == pytest.approx(5 / 7)
    assert values["hard_ms"] == pytest.approx(1 / 3)
    assert values["colour_hm"] == pytest.approx(np.log10(3))
    assert values["colour_ms"] == pytest.approx(np.log10(2))
    # 2 sqrt((2 x 0.3)^2 + (6 x 0.4)^2) / 8^2
    assert values["log_error_hard_hm"] == pytest.approx(np.log10(2 * np.hypot(0.6, 2.4) / 64))
    assert values["log_flux"] == pytest.approx(np.log10(9e-15))
    assert values["log_significance_s"] == pytest.approx(1)
    assert values["log_significance_m"] == pytest.approx(np.log10(5))
    assert values["log_significance_h"] == pytest.approx(np.log10(20))
    assert (values["gamma"], values["gamma_error"]) == (1.4, 0.2)
    assert values["var_intra"] == pytest.approx(np.log(9))
    assert np.isnan(values["var_inter"])
    assert set(found.groups) == GROUPS.keys() - {"latitude"}
    assert len(found.names) == len(found.groups) == found.values_NX.shape[1]


def test_the_error_of_a_ratio_is_that_of_many_draws():
    rng = np.random.default_rng(0)
    flux, error = np.array([[5.0, 3.0]]), np.array([[0.1, 0.05]])
    drawn = flux + error * rng.standard_normal((100_000, 2))
    ratio = (drawn[:, 0] - drawn[:, 1]) / drawn.sum(1)
    value, told = hardness(flux, error)
    assert value[0] == pytest.approx(0.25)
    assert told[0] == pytest.approx(ratio.std(), rel=0.02)


def test_zero_flux_and_certain_variability_are_finite():
    rows = make_rows(
        [[0, 1e-15, 1e-15]], [[1e-16] * 3], var_intra_N=np.array([1.0]), var_inter_N=np.array([0.0])
    )
    found = features(rows)
    known = [i for i, name in enumerate(found.names) if not name.startswith("gamma")]
    assert np.isfinite(found.values_NX[0, known]).all()
    # all CSC fluxes below the floor are the same measurement: none
    other = features(make_rows([[8e-18, 1e-15, 1e-15]], [[1e-16] * 3])).values_NX
    assert np.array_equal(found.values_NX[0, :13], other[0, :13])


def test_latitude_of_known_places():
    # the Galactic centre, the north Galactic pole, and the Orion nebula (b = -19.38)
    ra, dec = np.array([266.40499, 192.85948, 83.82208]), np.array([-28.93617, 27.12825, -5.39111])
    assert galactic_latitude(ra, dec) == pytest.approx([0, 90, 19.382], abs=2e-3)
    rows = make_rows([[1e-15] * 3], ra_N=ra[1:2], dec_N=dec[1:2])
    found = features(rows, latitude=True)
    assert found.names[-1] == "abs_b"
    assert found.columns("latitude") == [len(found.names) - 1]
    assert found.values_NX[0, -1] == pytest.approx(90, abs=1e-3)


def test_features_outside_the_training_range_are_named():
    training = np.array([[0.0, 1.0, np.nan], [2.0, 3.0, np.nan]])
    values = np.array([[1.0, 4.0, 0.0], [np.nan, 2.0, np.nan], [-1.0, 0.5, 1.0]])
    assert outside(values, training, ["a", "b", "c"]) == [["b", "c"], [], ["a", "b", "c"]]
