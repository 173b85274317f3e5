"""Releases of a catalogue: written once, found by name, changed in one step."""

import duckdb
import numpy as np
import pytest
from tests.releases import MODEL, random_release

from wolter.catalogue import release as releases
from wolter.errors import InputError


def test_a_release_is_read_as_written(tmp_path):
    path = random_release(tmp_path, n=300)
    about = releases.load(path)
    assert about.name == "R1"
    n = 300
    assert about.rows == {
        "source": n,
        "detection": n,
        MODEL: n,
        "identification": 0,
        "upper_limit": 0,
        "picture": 3,
    }
    with duckdb.connect(str(path / releases.DATABASE), read_only=True) as database:
        found = database.execute(
            "select ra, dec, healpix_29, kt, shapes_usable from source"
        ).fetchnumpy()
    assert (np.diff(found["healpix_29"]) >= 0).all()
    assert np.array_equal(np.ma.getmaskarray(found["kt"]), found["shapes_usable"] == 0)
    assert np.load(path / releases.LATENTS).shape == (300, 8)
    assert about.table("source").column("kt").unit == "keV"


def test_the_current_release_is_the_one_made_current(tmp_path):
    assert releases.current(tmp_path) is None
    for name in ("R1", "R2"):
        random_release(tmp_path, n=10, name=name)
    releases.make_current("R1", tmp_path)
    assert releases.current(tmp_path) == tmp_path / "R1"
    releases.make_current("R2", tmp_path)
    assert releases.current(tmp_path) == tmp_path / "R2"
    assert releases.names(tmp_path) == ("R1", "R2")


@pytest.mark.parametrize("name", ["R3", "../R1", "", ".R1.partial", "R" * 100])
def test_an_unknown_release_is_named(tmp_path, name):
    random_release(tmp_path, n=10)
    with pytest.raises(InputError, match="there are: R1"):
        releases.find(name, tmp_path)
    with pytest.raises(InputError):
        releases.make_current(name, tmp_path)


def test_a_release_is_never_written_twice(tmp_path):
    random_release(tmp_path, n=10)
    with pytest.raises(InputError, match="never changed"):
        random_release(tmp_path, n=20)
    assert releases.load(tmp_path / "R1").rows["source"] == 10
