"""Labels of parameters in figures."""

import pytest

from wolter.spectra.evaluate.plots import naming
from wolter.spectra.schema import Parameter


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("slope", r"photon index $\Gamma$"),
        ("tin", r"disk $kT_\mathrm{in}$"),
        ("kt_2", "blackbody $kT$ 2"),
        ("abundance", "abundance"),
        ("mine_2", "mine_2"),
    ],
)
def test_a_parameter_has_its_label_and_a_repeated_one_its_number(name, label):
    assert naming.label(Parameter(name, 0.1, 1.0, "keV")).name == label


def test_a_label_keeps_its_factor_when_numbered():
    one, two = (naming.label(Parameter(n, 0.1, 1.0, "")) for n in ("pow_norm", "pow_norm_2"))
    assert (one.factor, one.unit) == (two.factor, two.unit) == (1e-3, one.unit)
