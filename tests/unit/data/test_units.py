"""Units of parameters in tables that FITS and VOTable readers understand."""

import pytest
from astropy.units import Unit

from wolter.data.tables import vo_unit
from wolter.xray.emission.components import COMPONENTS


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("keV", "keV"),
        ("1e22 cm^-2", "1e22 cm-2"),
        ("1e39 erg s^-1 (10 kpc)^-2", "1e37 erg s-1 kpc-2"),
        ("photon keV^-1 cm^-2 s^-1 at 1 keV", "photon keV-1 cm-2 s-1"),
    ],
)
def test_units_that_standards_know(text, unit):
    assert vo_unit(text) == Unit(unit)


@pytest.mark.parametrize("text", ["", "km^2 (10 kpc)^-2", "3.02e-15 cm^-5", "10^22", "solar"])
def test_units_that_standards_do_not_know_are_left_to_the_description(text):
    assert vo_unit(text) is None


def test_units_of_all_components_can_be_written():
    for component in COMPONENTS.values():
        assert set(component.quantities) == set(component.parameters)
        for quantity in component.quantities.values():
            unit = vo_unit(quantity.unit)
            assert unit is None or unit.to_string("fits")
