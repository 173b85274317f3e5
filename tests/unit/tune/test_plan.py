import pytest

from wolter import family as families
from wolter.errors import InputError
from wolter.tune.plan import _chosen


def test_the_family_says_which_way_a_metric_is_better():
    mlp, superres = families.load("mlp"), families.load("superres")
    measured = ("squared_error", "mfe_percent", "loss")
    assert _chosen((), mlp, measured) == {"mfe_percent": "min", "squared_error": "min"}
    assert _chosen((), superres, ("psnr", "deviance")) == {"deviance": "min", "psnr": "max"}


def test_a_direction_that_is_given_comes_before_the_familys():
    mlp, measured = families.load("mlp"), ("mfe_percent", "loss")
    given = _chosen(("loss:max", "mfe_percent:max"), mlp, measured)
    assert given == {"loss": "max", "mfe_percent": "max"}
    for bad in ("loss", "loss:up", "none:min"):
        with pytest.raises(InputError, match=f"--metrics {bad.split(':')[0]}"):
            _chosen((bad,), mlp, measured)
    with pytest.raises(InputError, match="give --metrics"):
        _chosen((), mlp, ("loss",))
