from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from tests.figures import drawn_inside

from wolter.report import style
from wolter.spectra.evaluate.inference import Example
from wolter.spectra.evaluate.metrics import parameter_errors
from wolter.spectra.evaluate.plots import component_plots, predicted_true, results_plot
from wolter.spectra.schema import Parameter
from wolter.spectra.simulator import REFERENCE_PRIOR


def sample(parameters, n: int = 40):
    generator = np.random.default_rng(0)
    low = np.array([p.low for p in parameters])
    high = np.array([p.high for p in parameters])
    truth = generator.uniform(low, high, (n, len(parameters)))
    return truth, truth + 0.1 * (high - low) * generator.normal(size=truth.shape)


@pytest.mark.parametrize("n_parameters", [1, 3, 4, 7])
def test_predictions_are_drawn_for_any_number_of_parameters(n_parameters):
    parameters = REFERENCE_PRIOR[:n_parameters]
    figure = predicted_true.predicted_against_true(*sample(parameters), parameters, "title")
    assert len(figure.axes) == 2 * n_parameters + 2
    assert drawn_inside(figure)
    assert style.to_png(figure).startswith(b"\x89PNG")


def test_a_single_spectrum_and_exact_predictions_are_drawn():
    parameters = (Parameter("x", -1.0, 1.0, "mm"),)
    truth = np.array([[0.5]])
    style.to_png(predicted_true.predicted_against_true(truth, truth, parameters, ""))


def test_a_density_holds_every_spectrum_even_beyond_the_range():
    truth, predicted = sample(REFERENCE_PRIOR[:1], 500)
    figure = predicted_true.predicted_against_true(truth, 5 * predicted, REFERENCE_PRIOR[:1], "")
    assert figure.axes[0].images[0].get_array().sum() == 500


def example(n_channels: int = 24, scale: float = 1.0) -> Example:
    true_KC = scale * np.random.default_rng(0).uniform(1, 50, (3, n_channels))
    return Example(
        model="deepspectra",
        components=("powerlaw", "gaussian", "novel"),
        exposure_s=25e3,
        parameters={},
        counts_C=np.round(true_KC.sum(0)),
        background_C=np.ones(n_channels),
        true_KC=true_KC,
        predicted_KC=0.9 * true_KC,
    )


@pytest.mark.parametrize("n", [1, 3, 4])
def test_decompositions_are_drawn_in_counts_per_kev(n):
    edges = np.geomspace(0.3, 10, 25)
    figure = component_plots.decompositions([example()] * n, edges, "title")
    assert len(figure.axes) == 2 * n
    above, below = figure.axes[:2]
    assert above.get_yscale() == above.get_xscale() == "log"
    assert "keV" in above.get_ylabel()
    assert "keV" in below.get_xlabel()
    heights = above.patches[1].get_data().values
    assert np.allclose(heights, example().true_KC[0] / np.diff(edges))
    assert drawn_inside(figure)
    assert style.to_png(figure).startswith(b"\x89PNG")


def test_an_empty_spectrum_is_drawn():
    empty = example(scale=0.0)
    for background_C in (empty.background_C, 0 * empty.background_C):
        each = replace(empty, background_C=background_C)
        style.to_png(component_plots.decompositions([each], np.geomspace(0.3, 10, 25), ""))


def test_titles_of_any_length_are_drawn_inside():
    for n in (10, 100, 1000):
        text = "TNG300_1_z" + "0_x" * n
        figure = style.new_figure(6, 2)
        style.title(figure, text)
        assert drawn_inside(figure)
        shown = figure.texts[0].get_text()
        assert (shown == text) is (n == 10)
        assert shown[:5] == text[:5]
        assert shown[-5:] == text[-5:]


def test_the_result_figure_pairs_published_and_own_bars():
    truth, predicted = sample(REFERENCE_PRIOR)
    names = [p.name for p in REFERENCE_PRIOR]
    own = parameter_errors(truth, predicted, predicted, names, 20)
    figure = results_plot.result_figure({"mlp": own, "deepspectra": own})
    assert len(figure.axes) == 8
    assert all(len(axes.patches) == 4 + 2 for axes in figure.axes)
    assert drawn_inside(figure)


def test_drawing_leaves_matplotlibs_state_alone():
    before = dict(mpl.rcParams)
    truth, predicted = sample(REFERENCE_PRIOR)
    style.to_png(predicted_true.predicted_against_true(truth, predicted, REFERENCE_PRIOR, ""))
    assert dict(mpl.rcParams) == before
