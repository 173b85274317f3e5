from tests.figures import drawn_inside

from wolter.outputs import Metric
from wolter.report.training_curves import training_curves

METRICS = (
    Metric("error", "lower", unit="%"),
    Metric("error_two", "lower"),
    Metric("gain", "higher"),
)


def test_curves_show_what_there_is():
    history = {
        "train/loss": [(1, 3.0), (2, -1.0)],
        "train/part": [(1, 3.0), (2, 1.0)],
        "validation/error": [(2, 40.0), (1, 50.0)],
        "validation/error_x": [(1, 60.0), (2, float("nan"))],
        "validation/error_two": [(1, 0.1), (2, 0.05)],
        "learning_rate": [(1, 1e-3)],
    }
    figure = training_curves(history, METRICS, "title")
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "training loss",
        "parts of the loss",
        "validation error [%]",
        "validation error_two",
    ]
    assert drawn_inside(figure)
    part, whole = figure.axes[2].lines
    assert (part.get_label(), list(part.get_xdata())) == ("x", [1])
    assert (list(whole.get_xdata()), list(whole.get_ydata())) == ([1, 2], [50.0, 40.0])


def test_nothing_known_is_an_empty_figure():
    assert training_curves({}, METRICS).axes == []
