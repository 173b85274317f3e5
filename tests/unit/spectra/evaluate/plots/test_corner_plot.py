"""Figures of posteriors: what is drawn is what was given, in the units of the labels."""

import numpy as np
import pytest
from scipy import stats
from tests.figures import drawn_inside

from wolter.errors import InputError
from wolter.report import style
from wolter.spectra.evaluate.plots.calibration_plots import coverage_plot, rank_plot
from wolter.spectra.evaluate.plots.corner_plot import corner
from wolter.spectra.evaluate.plots.predictive_plot import (
    Quoted,
    group_starts,
    least_counts,
    predictive,
)
from wolter.spectra.evaluate.plots.sample_density import (
    SampleSet,
    density,
    levels_of_mass,
    quantiles,
    quoted,
)
from wolter.spectra.schema import Parameter
from wolter.spectra.simulator import REFERENCE_PRIOR

NAMES = tuple(p.name for p in REFERENCE_PRIOR)


def draws(parameters, n: int = 600, seed: int = 0):
    """Gaussian samples in the middle of the prior, a tenth of it wide."""
    low, high = np.array([[p.low, p.high] for p in parameters]).T
    normal = np.random.default_rng(seed).normal(size=(n, len(parameters)))
    return (low + high) / 2 + 0.1 * (high - low) * normal


@pytest.mark.parametrize("n_parameters", [1, 2, 4, 7])
def test_corner_has_a_panel_for_every_pair_and_two_sets_fit_in(n_parameters):
    parameters = REFERENCE_PRIOR[:n_parameters]
    samples = {"network": draws(parameters), "refined": draws(parameters, seed=1)}
    truth = samples["refined"].mean(0)
    fit = np.stack([truth, 0.05 * truth])
    figure = corner(samples, parameters, truth, {"our fit": fit, "Sherpa fit": truth}, title="one")
    assert len(figure.axes) == n_parameters * (n_parameters + 1) // 2
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[:5] == ["network", "refined", "our fit", "Sherpa fit", "truth"]
    assert drawn_inside(figure)
    assert style.to_png(figure).startswith(b"\x89PNG")


def test_corner_is_in_the_units_of_its_labels():
    parameters = REFERENCE_PRIOR[2:4]  # the power law's norm is shown in 1e-3
    samples = draws(parameters)
    figure = corner({"posterior": samples}, parameters, samples.mean(0))
    low, high = figure.axes[0].get_xlim()
    assert low < 1e3 * samples[:, 0].mean() < high < 5
    titles = [text.get_text() for text in figure.axes[0].texts]
    assert any("10^{-3}" in title for title in titles)
    assert any(r"\pm" in title or "^{+" in title for title in titles)


def test_axes_stay_inside_the_prior_and_hold_what_lies_outside():
    parameter = Parameter("x", 0.0, 1.0, "mm")
    at_edge = np.abs(np.random.default_rng(0).normal(0, 0.2, (500, 1))).clip(max=1)
    low, _ = corner({"a": at_edge}, [parameter]).axes[0].get_xlim()
    assert low == 0
    points = {"fit": np.array([-0.5])}
    low, _ = corner({"a": at_edge}, [parameter], points=points).axes[0].get_xlim()
    assert low < -0.5


def test_a_corner_of_hardly_any_samples_is_drawn():
    one = draws(REFERENCE_PRIOR, 1)
    style.to_png(corner({"a": one}, REFERENCE_PRIOR))
    style.to_png(corner({"a": np.repeat(one, 5, 0)}, REFERENCE_PRIOR))


@pytest.mark.parametrize("bad", [np.zeros((5, 3)), np.zeros(2), np.zeros((0, 2))])
def test_samples_of_other_parameters_are_refused(bad):
    with pytest.raises(InputError, match="samples of a"):
        corner({"a": bad}, REFERENCE_PRIOR[:2])


def test_weights_that_do_not_fit_are_refused():
    samples = draws(REFERENCE_PRIOR[:2])
    with pytest.raises(InputError, match="weights of a"):
        corner({"a": samples}, REFERENCE_PRIOR[:2], weights={"a": np.ones(3)})


def test_contours_hold_their_mass():
    generator = np.random.default_rng(0)
    samples = generator.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 20_000)
    one = SampleSet(samples, np.full(20_000, 1 / 20_000), "k")
    (x, y), density_XY = density(one, [0, 1], [(-4.5, 4.5)] * 2)
    outer, inner = levels_of_mass(density_XY)
    assert outer < inner < density_XY.max()
    column = np.abs(samples[:, :1] - x).argmin(1)
    row = np.abs(samples[:, 1:] - y).argmin(1)
    at_S = density_XY[column, row]
    # The binomial error is 0.3 %; smoothing by Scott's rule widens each axis by 2 %.
    assert (at_S > inner).mean() == pytest.approx(0.68, abs=0.04)
    assert (at_S > outer).mean() == pytest.approx(0.95, abs=0.02)


def test_a_density_stays_high_at_the_end_of_the_prior():
    samples = np.random.default_rng(0).uniform(0, 1, (5000, 1))
    _, density_X = density(SampleSet(samples, np.full(5000, 1 / 5000), "k"), [0], [(0.0, 1.0)])
    assert density_X.min() > 0.8 * density_X.mean()


def test_quantiles_weigh_values():
    values = np.random.default_rng(0).normal(size=20_000)
    flat = np.full(len(values), 1 / len(values))
    percentiles = (15.87, 50, 84.13)
    assert quantiles(values, percentiles, flat) == pytest.approx([-1, 0, 1], abs=0.03)
    tilted = np.exp(values)  # moves the mean by 1
    assert quantiles(values, percentiles, tilted) == pytest.approx([0, 1, 2], abs=0.08)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((1.68, 1.70, 1.72), r"$1.700 \pm 0.020$"),
        ((1.0, 3.08, 6.2), "$3.1^{+3.1}_{-2.1}$"),
        ((100.0, 170.0, 200.0), "$170^{+30}_{-70}$"),
        ((2.0, 2.0, 2.0), "$2$"),
    ],
)
def test_intervals_are_quoted_to_two_digits_of_their_smaller_error(interval, text):
    assert quoted(*interval) == text


def spectrum(n_channels: int = 60, scale: float = 1.0):
    generator = np.random.default_rng(0)
    edges = np.geomspace(0.3, 10, n_channels + 1)
    shape = scale * np.exp(-np.linspace(0, 4, n_channels)) * 400
    components = np.stack([0.7 * shape, 0.3 * shape])
    background = np.full(n_channels, 0.5 * scale)
    strength = 1 + 0.01 * generator.normal(size=(200, 1))
    expected = strength * shape + background
    counts = generator.poisson(shape + background).astype(float)
    return counts, background, edges, expected, components


def test_predictive_shows_data_bands_components_and_residuals():
    counts, background, edges, expected, components = spectrum()
    figure = predictive(
        counts, background, 25e3, edges, expected, components, ("powerlaw", "bbody"), title="one"
    )
    above, below = figure.axes
    assert above.get_yscale() == above.get_xscale() == "log"
    assert above.get_ylabel() == "counts keV$^{-1}$"
    assert "keV" in below.get_xlabel()
    assert above.get_xlim() == pytest.approx((0.3, 10))
    line = above.lines[-1].get_ydata()
    assert np.allclose(line, components[1] / np.diff(edges))
    heading = " ".join(text.get_text() for text in figure.texts)
    assert "C-stat" in heading
    assert "expected" in heading
    assert "25 ks" in heading
    assert drawn_inside(figure)
    assert style.to_png(figure).startswith(b"\x89PNG")


def test_residuals_are_those_of_the_groups():
    counts, background, edges, expected, _ = spectrum()
    figure = predictive(counts, background, 25e3, edges, expected)
    starts = group_starts(expected.mean(0), 20)
    assert 1 < len(starts) < len(counts)
    mean = np.add.reduceat(expected.mean(0), starts)
    residual = (np.add.reduceat(counts, starts) - mean) / np.sqrt(mean)
    assert np.allclose(figure.axes[1].lines[0].get_ydata(), residual)


def test_a_spectrum_without_counts_or_with_few_samples_is_drawn():
    counts, background, edges, expected, _ = spectrum(scale=1e-4)
    style.to_png(predictive(0 * counts, 0 * background, 1.0, edges, expected[:1]))


def flat(n_counts, channel_kev=0.0146, seed=0):
    """Even counts of a flat spectrum in ACIS's channels, in 20 eV; widths of what fell in."""
    edges = np.arange(0.5, 7, channel_kev)
    grid = np.arange(0.6, 6.01, 0.02)
    centres = (edges[1:] + edges[:-1]) / 2
    each = n_counts / ((centres > grid[0]) & (centres < grid[-1])).sum()
    expected = np.histogram(centres, grid, weights=np.full(len(centres), each))[0]
    widths = np.histogram(centres, grid, weights=np.diff(edges))[0]
    counts = np.random.default_rng(seed).poisson(expected).astype(float)
    return counts, grid, expected, widths


def test_channels_that_do_not_nest_draw_no_fence():
    """1 or 2 of 14.6 eV fall into bins of 20 eV."""
    counts, grid, expected, widths = flat(1e6)
    assert expected.max() == pytest.approx(2 * expected.min())
    lines = []
    for each in (None, widths):
        figure = predictive(
            counts, expected / 100, 25e3, grid, expected[None], expected[None], widths_kev=each
        )
        lines.append(figure.axes[0].lines[-1].get_ydata())
    assert lines[0].max() / lines[0].min() > 1.9
    assert lines[1].max() / lines[1].min() == pytest.approx(1, rel=1e-6)
    assert lines[1].mean() == pytest.approx(1e6 / widths.sum(), rel=1e-6)
    points = figure.axes[0].lines[0].get_ydata()
    assert points.max() / points.min() < 1.3


def test_bins_without_a_channel_are_bridged():
    """Channels of 50 eV in bins of 20 eV."""
    counts, grid, expected, widths = flat(1e5, channel_kev=0.05)
    assert (widths == 0).any()
    figure = predictive(
        counts, expected, 25e3, grid, expected[None], expected[None], widths_kev=widths
    )
    points = figure.axes[0].lines[0].get_ydata()
    assert len(points) > 50
    assert points.max() / points.min() < 1.3
    for line in figure.axes[0].lines[-2:]:
        assert np.allclose(line.get_ydata(), 1e5 / widths.sum(), rtol=1e-6)
    style.to_png(figure)


@pytest.mark.parametrize(("n_counts", "least", "most"), [(58, 6, 14), (5, 2, 5), (1e4, 100, 270)])
def test_faint_spectra_have_more_than_one_point(n_counts, least, most):
    counts, grid, expected, widths = flat(n_counts)
    figure = predictive(counts, 0 * counts, 25e3, grid, expected[None], widths_kev=widths)
    residuals = figure.axes[1].lines[0].get_xdata()
    assert least <= len(residuals) <= most
    style.to_png(figure)


def test_the_least_of_a_group_follows_the_counts():
    assert least_counts(np.array([1e4])) == 20
    assert least_counts(np.array([58.0])) == pytest.approx(58 / 12)
    assert least_counts(np.array([0.5])) == 1
    assert least_counts(np.array([1e4]), 5001) == 20
    assert least_counts(np.array([1e4]), 30) == pytest.approx(1e4 / 12)


def test_what_lies_beyond_the_frame_is_marked_at_it():
    counts, background, edges, expected, _ = spectrum()
    counts[40:45] *= 100
    figure = predictive(counts, background, 25e3, edges, expected)
    below = figure.axes[1]
    residuals, limit = below.lines[0].get_ydata(), below.get_ylim()[1]
    marked = {line.get_marker(): len(line.get_xdata()) for line in below.lines[1:]}
    assert (residuals > limit).sum() == marked["^"] > 0
    assert (residuals < -limit).sum() == marked["v"] == 0
    assert drawn_inside(figure)


def test_groups_in_which_nothing_was_seen_have_upper_limits():
    counts, background, edges, expected, _ = spectrum()
    figure = predictive(0 * counts, background, 25e3, edges, expected)
    starts = group_starts(expected.mean(0), least_counts(expected.mean(0), 0))
    widths = np.diff(np.append(edges[starts], edges[-1]))
    assert len(widths) > 5
    limits = next(line for line in figure.axes[0].lines if line.get_marker() == "v")
    assert np.allclose(limits.get_ydata(), 1.84 / widths)


@pytest.mark.parametrize(
    ("p_value", "words"), [(None, ""), (0.25, "p=0.25"), (0.004, "p=0.004"), (0.0, "p<0.003")]
)
def test_the_heading_quotes_what_it_is_given(p_value, words):
    counts, background, edges, expected, _ = spectrum()
    quoted = Quoted(123.44, 150.2, 15.1, 99, p_value, 1 / 400)
    figure = predictive(counts, background, 25e3, edges, expected, quoted=quoted)
    heading = " ".join(text.get_text() for text in figure.texts)
    assert r"C-stat $123.4$, expected $150 \pm 15$ (99 channels)" in heading
    assert words in heading
    assert ("posterior" in heading) is (p_value is not None)
    assert drawn_inside(figure)


def test_groups_hold_the_least_counts_and_every_channel():
    counts = np.array([5.0, 20, 3, 3, 30, 1, 1])
    assert group_starts(counts, 20).tolist() == [0, 2]
    assert group_starts(np.zeros(4), 20).tolist() == [0]
    assert group_starts(np.array([25.0, 25]), 20).tolist() == [0, 1]


@pytest.mark.parametrize("n_parameters", [1, 4, 7])
def test_ranks_are_drawn_with_their_bands(n_parameters):
    ranks = np.random.default_rng(0).integers(0, 101, (300, n_parameters)).astype(float)
    figure = rank_plot(ranks, 100, NAMES[:n_parameters])
    assert len(figure.axes) == 2 * n_parameters
    histogram = figure.axes[0].patches[-1].get_data()
    # Bins hold a rank more or less, and are shown at one width.
    width = np.diff(histogram.edges) * len(histogram.values)
    assert (histogram.values * width).sum() == pytest.approx(300)
    assert "KS" in figure.axes[0].get_title(loc="right")
    assert drawn_inside(figure)
    assert style.to_png(figure).startswith(b"\x89PNG")


def test_coverage_curve_is_the_share_inside_each_interval():
    # Ranks of a posterior half as wide as it should be.
    normal = np.random.default_rng(0).normal(size=(4000, 2))
    ranks = np.floor(1001 * stats.norm.cdf(2 * normal))
    figure = coverage_plot(ranks, 1000, NAMES[:2])
    above, below = figure.axes
    level, share = above.lines[1].get_data()
    assert share[np.searchsorted(level, 68)] == pytest.approx(38.2, abs=3)
    assert below.get_xlabel() == "level of the interval [%]"
    assert drawn_inside(figure)
    assert drawn_inside(coverage_plot(np.tile(ranks, 4)[:, :7], 1000, NAMES))
