"""`wolter catalogue use`: the current release, and the watchlists that it answers."""

import numpy as np
import pytest
from tests.releases import random_release

from wolter.catalogue import release as releases
from wolter.catalogue.position_lists import PositionList
from wolter.catalogue.watchlists import Watchlists
from wolter.commands.catalogue_use import CatalogueUse
from wolter.errors import MissingError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WOLTER_HOME", str(tmp_path))
    for name in ("R1", "R2"):
        random_release(releases.folder(), n=50, name=name)
    return tmp_path


def test_a_release_answers_from_now_on(home, capsys):
    for name in ("R2", "R1"):
        assert CatalogueUse(name).run() == 0
        assert releases.current() == releases.folder() / name
        assert capsys.readouterr().out == f"{name} is the current release\n"
    assert not Watchlists().path.exists()


def test_watchlists_are_answered_in_each_release(home, capsys):
    places = PositionList(("a",), np.array([10.0]), np.array([20.0]))
    Watchlists().keep("me", "mine", 1.0, places)
    for name in ("R1", "R2"):
        CatalogueUse(name).run()
        assert capsys.readouterr().out.endswith("1 watchlists answered\n")
    assert Watchlists().get("me", "mine").answered == ("R1", "R2")


def test_an_unknown_release_is_named(home):
    with pytest.raises(MissingError, match="there are: R1, R2"):
        CatalogueUse("R3").run()
