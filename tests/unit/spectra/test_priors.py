"""Free and fixed parameters of a model expression, from options of the command line."""

import pytest
import tyro

from wolter.errors import InputError
from wolter.spectra.commands.simulate import SimulateSpectra
from wolter.spectra.grid import default_grid
from wolter.spectra.priors import free_and_fixed
from wolter.spectra.schema import Parameter
from wolter.spectra.simulator import REFERENCE_PRIOR, SimulateConfig

ULX = "tbabs * (powerlaw + diskbb)"
PRIORS = (
    ("nh", 0.05, 3.0, "log"),
    ("slope", 1.0, 4.0),
    ("pow_norm", 1e-5, 1e-3, "log"),
    ("tin", 0.1, 0.6, "normal"),
    ("disk_norm", 0.1, 100.0, "uniform"),
)


def test_parameters_have_the_units_of_their_components_in_the_order_of_the_model():
    free, fixed = free_and_fixed(ULX, PRIORS[::-1])
    assert free == (
        Parameter("nh", 0.05, 3.0, "1e22 cm^-2", "log", False),
        Parameter("slope", 1.0, 4.0, "", "uniform", False),
        Parameter("pow_norm", 1e-5, 1e-3, "photon keV^-1 cm^-2 s^-1 at 1 keV", "log", True),
        Parameter("tin", 0.1, 0.6, "keV", "normal", False),
        Parameter("disk_norm", 0.1, 100.0, "km^2 (10 kpc)^-2", "uniform", True),
    )
    assert fixed == {}


def test_the_reference_prior_has_the_units_of_the_components():
    options = [(p.name, p.low, p.high) for p in REFERENCE_PRIOR]
    assert free_and_fixed(SimulateConfig.model, options) == (REFERENCE_PRIOR, {"sigma": 0.1})


def test_a_component_that_comes_twice_has_numbered_names():
    free, _ = free_and_fixed(
        "bbody + bbody",
        [("kt", 0.1, 1.0), ("bb_norm", 0, 1), ("kt_2", 1.0, 2.0), ("bb_norm_2", 0, 1)],
    )
    assert [(p.name, p.unit, p.scales_with_flux) for p in free][2:] == [
        ("kt_2", "keV", False),
        ("bb_norm_2", "1e39 erg s^-1 (10 kpc)^-2", True),
    ]


def test_a_default_value_is_fixed_unless_it_is_given_a_prior():
    line = [("line_energy", 6.0, 7.0), ("line_norm", 1e-6, 1e-4, "log")]
    assert free_and_fixed("gaussian", line)[1] == {"sigma": 0.1}
    assert free_and_fixed("gaussian", line, [("sigma", 0.05)])[1] == {"sigma": 0.05}
    free, fixed = free_and_fixed("gaussian", [*line, ("sigma", 0.01, 1, "log")])
    assert ([p.name for p in free], fixed) == (["line_energy", "sigma", "line_norm"], {})


def test_the_latter_of_two_priors_and_the_usual_ones_of_what_is_not_named():
    free, _ = free_and_fixed(ULX, [*PRIORS, ("nh", 0.1, 1.0)])
    assert free[0] == Parameter("nh", 0.1, 1.0, "1e22 cm^-2")
    free, _ = free_and_fixed(SimulateConfig.model, [("nh", 0.1, 1.0)], (), REFERENCE_PRIOR)
    assert free == (Parameter("nh", 0.1, 1.0, "1e22 cm^-2"), *REFERENCE_PRIOR[1:])


def test_missing_priors_are_proposed():
    message = (
        r"'tbabs \* \(powerlaw \+ diskbb\)': no prior of tin, disk_norm; "
        r"give --prior NAME LOW HIGH \[log\|uniform\|normal\] "
        r"or --fixed NAME VALUE of each, for instance: "
        r"--prior tin 0.1 2 log --prior disk_norm 0.001 100 log"
    )
    with pytest.raises(InputError, match=message):
        free_and_fixed(ULX, PRIORS[:3])
    # The reference's prior is no prior of another model that shares some of its names.
    with pytest.raises(InputError, match="no prior of nh, slope, pow_norm"):
        free_and_fixed("tbabs * powerlaw", [], (), REFERENCE_PRIOR)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (("nh",), "--prior nh: give --prior NAME LOW HIGH"),
        (("nh", 0.1, "high"), "--prior nh 0.1 high: give --prior NAME"),
        (("nh", 0.1, 1.0, "flat"), "--prior nh 0.1 1 flat: give --prior NAME"),
        (("nh", 0.1, 1.0, "log", "x"), "give --prior NAME"),
        (("nh", 1.0, 0.1), "--prior nh 1 0.1: give LOW < HIGH"),
        (("nh", 0.0, 0.1, "log"), "--prior nh 0 0.1 log: give 0 < LOW < HIGH"),
        (("kt", 0.1, 1.0), "--prior kt: not a parameter of .*, which has nh, slope, pow_norm"),
    ],
)
def test_bad_priors_are_refused(prior, message):
    with pytest.raises(InputError, match=message):
        free_and_fixed(ULX, [*PRIORS, prior])


def test_bad_fixed_values_are_refused():
    with pytest.raises(InputError, match="--fixed kt: not a parameter of"):
        free_and_fixed(ULX, PRIORS, [("kt", 1.0)])
    with pytest.raises(InputError, match="--fixed nh: it has a prior as well"):
        free_and_fixed(ULX, PRIORS, [("nh", 1.0)])


def test_options_of_simulations():
    words = (
        "--prior nh 0.05 3 log --prior slope 1 4 --fixed pow_norm 1e-4 --band 0.5,8 --channels 9"
    )
    config = tyro.cli(
        SimulateSpectra, args=["--model", "tbabs * powerlaw", *words.split()]
    ).config()
    assert [(p.name, p.low, p.high, p.prior) for p in config.prior] == [
        ("nh", 0.05, 3.0, "log"),
        ("slope", 1.0, 4.0, "uniform"),
    ]
    assert config.fixed == {"pow_norm": 1e-4}
    assert (config.energy_edges[0], config.energy_edges[-1], len(config.energy_edges)) == (
        0.5,
        8,
        10,
    )
    plain = tyro.cli(SimulateSpectra, args=[]).config()
    assert (plain, plain.energy_edges) == (SimulateConfig(), default_grid())
    with pytest.raises(InputError, match=r"--band 8,0\.5"):
        tyro.cli(SimulateSpectra, args=["--band", "8,0.5"]).config()
