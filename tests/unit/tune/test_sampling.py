import dataclasses

import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

from wolter import config as configs
from wolter import family as families
from wolter.commands import train as train_command
from wolter.commands.tune import options
from wolter.errors import InputError
from wolter.family import Choice, Range
from wolter.tune.sampling import draw, subspace

SUPERRES, MLP = families.load("superres"), families.load("mlp")


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.integers(1, 30))
def test_trials_are_different_valid_configs_of_the_space_and_the_first_is_the_given(seed, n):
    space = subspace(SUPERRES, ("l1", "poisson", "interval"))
    base = {"blocks": 1, "adversarial": 0.01}
    drawn = draw(SUPERRES, base, space, n, seed)
    assert len(drawn) == n
    assert drawn[0] == configs.to_dict(SUPERRES.config(**base))
    for i, config in enumerate(drawn):
        assert config not in drawn[:i]
        assert configs.to_dict(configs.from_dict(SUPERRES.config, config)) == config
        assert (config["blocks"], config["adversarial"]) == (1, 0.01)
    assert drawn == draw(SUPERRES, base, space, n, seed)


def test_the_whole_space_is_searched_unless_some_keys_are_named():
    assert subspace(MLP) == MLP.search_space
    assert list(subspace(MLP, ("depth",))) == ["depth"]


def test_factors_are_drawn_as_often_above_as_below_their_mean():
    space = {"dropout": Range(0.001, 0.1, log=True)}
    drawn = [config["dropout"] for config in draw(MLP, {}, space, 400)[1:]]
    assert all(0.001 <= each <= 0.1 for each in drawn)
    assert sum(each < 0.01 for each in drawn) == pytest.approx(200, abs=40)


def test_bad_spaces_are_errors():
    with pytest.raises(InputError, match=r"--over width, colour: not in the search space of supe"):
        subspace(SUPERRES, ("l1", "width", "colour"))
    with pytest.raises(InputError, match="mlp: has no search space"):
        subspace(dataclasses.replace(MLP, search_space={}))
    with pytest.raises(InputError, match="6 trials, and depth give 4 different configs; use fewer"):
        draw(MLP, {}, {"depth": Choice((2, 3, 4, 5))}, 6)
    with pytest.raises(InputError, match="an interval is learnt from photons"):
        draw(SUPERRES, {}, {"poisson": Choice((0.0,))}, 3)


@pytest.mark.parametrize("name", families.names())
def test_the_command_line_of_a_trial_gives_its_config(name):
    family = families.load(name)
    usual = configs.to_dict(family.config())
    for config in draw(family, {}, family.search_space, 12, seed=1):
        words = options("model", {k: v for k, v in config.items() if v != usual[k]})
        made = tyro.cli(train_command.command([name]), args=[name, *words])
        assert configs.to_dict(made.model) == config
