import numpy as np
import pytest

from wolter.report import table
from wolter.spectra.evaluate.error_tables import MEAN, component_tables, mfe_table, rmse_table
from wolter.spectra.evaluate.metrics import component_errors, parameter_errors
from wolter.spectra.schema import Parameter
from wolter.spectra.simulator import REFERENCE_PRIOR


def errors(parameters=REFERENCE_PRIOR, factor: float = 1.1):
    low = np.array([p.low for p in parameters])
    high = np.array([p.high for p in parameters])
    truth = np.linspace(low, high, 20)
    names = [p.name for p in parameters]
    return parameter_errors(truth, factor * truth, factor * truth, names, 20)


def test_mfe_table_has_the_published_and_limit_rows():
    made = mfe_table({"mine": errors()}, REFERENCE_PRIOR)
    assert [line.label for line in made.lines] == [
        "mine",
        "spectral fitting",
        "MLP",
        "CNN",
        "DeepSpectra",
        "exact, median, 25 ks",
        "exact, MFE-optimal, 25 ks",
        "best constant guess",
    ]
    mine, published = made.lines[0], made.lines[4]
    assert mine.values["nh"] == pytest.approx(10.0)
    assert mine.values[MEAN] == pytest.approx(10.0)
    assert published.values[MEAN] == pytest.approx(9.69)
    assert all(line.source for line in made.lines[1:])


def test_rmse_table_is_in_the_references_units():
    made = rmse_table({"mine": errors()}, REFERENCE_PRIOR)
    factors = {
        "nh": 1e-2,
        "slope": 1e-2,
        "pow_norm": 1e-5,
        "line_energy": 1e-1,
        "line_norm": 1e-6,
        "kt": 1e-2,
        "bb_norm": 1e-6,
    }
    own = errors().rmse
    for name, factor in factors.items():
        assert made.lines[0].values[name] * factor == pytest.approx(own[name].value)
    guess = made.lines[-1]
    assert guess.values["kt"] == pytest.approx(0.08 / 12**0.5 / 1e-2)


def test_other_parameters_have_no_published_rows():
    parameters = (Parameter("gamma", 1.0, 2.0, ""), Parameter("flux", -1.0, 1.0, "erg"))
    made = rmse_table({"mine": errors(parameters)}, parameters)
    assert [line.group for line in made.lines] == ["measured", "limit"]
    assert made.columns[1].unit == "erg"
    mfe = mfe_table({"mine": errors(parameters)}, parameters)
    assert MEAN not in mfe.lines[-1].values
    assert "-" in table.to_text(mfe).rstrip().splitlines()[-1]


def test_text_and_json_say_the_same():
    made = mfe_table({"a < b": errors(), "c": errors(factor=1.2)}, REFERENCE_PRIOR)
    text, plain = table.to_text(made), table.to_json(made)
    for published in ("33.46", "77.83", "0.56", "10.5"):
        assert published in text
    assert plain["rows"][0]["values"]["nh"] == pytest.approx(10.0)
    assert plain["columns"][-1] == {"name": "mean", "heading": "mean", "unit": "%"}
    assert all(len(line) <= 150 for line in text.splitlines())


def test_the_smallest_error_is_marked_and_limits_are_not():
    made = mfe_table({"mine": errors(factor=1.02)}, REFERENCE_PRIOR)
    assert made.best("nh") == pytest.approx(2.0)
    assert made.best("slope") == pytest.approx(1.47)
    marked = {line.label: table.html_cells(made, line)[1] for line in made.lines}
    assert marked["DeepSpectra"] == ("1.47", "", True)
    assert marked["exact, MFE-optimal, 25 ks"] == ("1.29", "", False)


def test_component_tables():
    ones = np.ones((5, 2))
    made = component_tables({"mine": component_errors(0.1 * ones, 0.09 * ones, ("p", "g"))})
    assert made[0].lines[0].values == pytest.approx({"p": 10.0, "g": 10.0})
    assert made[1].lines[0].values == pytest.approx({"p": 0.3, "g": 0.3})
    assert made[0].best("p") is None
    assert component_tables({}) == ()
