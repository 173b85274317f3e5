import numpy as np
import pytest

from wolter.report import style
from wolter.tune.pareto_plot import KINDS, front_plot


@pytest.mark.parametrize("n_metrics", [1, 3])
def test_every_kind_of_trial_is_in_the_legend_and_the_front_is_numbered(n_metrics):
    values_NM = np.random.default_rng(0).random((5, n_metrics))
    names, modes = ("deviance", "psnr", "psnr_sqrt")[:n_metrics], ("min", "max", "max")[:n_metrics]
    kinds = [*KINDS, "front"]
    figure = front_plot(values_NM, names, modes, kinds, [0, 1, 4, 7, 9], "superres: 5 trials")
    assert len(figure.axes) == max(1, n_metrics - 1)
    for axes in figure.axes:
        assert {text.get_text() for text in axes.texts} == {"4", "7", "9"}
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert [text.get_text() for text in legend.get_texts()] == list(KINDS)
    assert figure.axes[0].get_ylabel().endswith("is better)")
    assert style.to_png(figure).startswith(b"\x89PNG")
