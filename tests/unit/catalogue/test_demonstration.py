"""The demonstration release that ships with the package."""

import shutil

import duckdb
import numpy as np
import pytest
from tests.releases import random_release

from wolter.catalogue import demonstration, demonstration_files, quick_looks, release, samples
from wolter.catalogue.write import differing
from wolter.errors import InputError
from wolter.registry import pretrained


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return demonstration.ensure(tmp_path_factory.mktemp("releases"))


@pytest.fixture(scope="module")
def database(made):
    with duckdb.connect(str(made / release.DATABASE), read_only=True) as connection:
        yield connection


def test_it_holds_20_000_sources_over_the_sky(made, database):
    about = release.load(made)
    assert about.simulated
    assert about.rows["source"] == 20_000
    assert about.rows["detection"] == 22_001
    octants = database.execute(
        "SELECT count(*) FROM source GROUP BY floor(ra / 90), dec > 0"
    ).fetchall()
    assert len(octants) == 8
    assert min(octants)[0] > 500


def test_every_row_says_that_it_is_simulated(database):
    for table in ("source", "detection", "autoencoder", "posterior"):
        names = database.execute(f"SELECT DISTINCT release FROM {table}").fetchall()
        assert names == [(demonstration.NAME,)]
    others = database.execute("SELECT count(*) FROM source WHERE name NOT LIKE 'SIM J%'")
    assert others.fetchall() == [(0,)]


def test_it_is_of_the_weights_that_ship():
    """Weights that change need a new demonstration: run jobs/publish_demonstration.py."""
    for file in demonstration_files.SHIPPED.glob("*.estimates.parquet"):
        estimated = demonstration_files.read(file)
        assert estimated.version == pretrained.find(estimated.model, "pretrained")[1]


def test_most_estimates_are_usable(database):
    for model in ("autoencoder", "posterior"):
        ((share,),) = database.execute(f"SELECT avg(usable) FROM {model}").fetchall()
        assert share > 0.9


def test_latents_are_in_the_order_of_the_sources(made, database):
    rows = database.execute("SELECT latent_0 FROM source").fetchnumpy()["latent_0"]
    latents = np.load(made / release.LATENTS)
    assert latents.shape == (20_000, 8)
    assert np.ma.filled(rows, np.nan) == pytest.approx(
        latents[:, 0], rel=2.0**-11, abs=1e-7, nan_ok=True
    )


def test_samples_are_there(made, database):
    ((detection, low, high),) = database.execute(
        "SELECT detection_id, slope_lolim95, slope_hilim95 FROM posterior LIMIT 1"
    ).fetchall()
    slope = samples.read_samples(made, detection)["posterior"]["slope"]
    assert ((slope >= low) & (slope <= high)).mean() > 0.7


def test_every_detection_has_a_quick_look_with_a_model(made, database):
    rows = database.execute("SELECT detection_id, counts FROM detection LIMIT 300").fetchall()
    seen = quick_looks.read(made, [detection for detection, _ in rows])
    for detection, counts in rows:
        look = seen[detection].look
        assert look.counts_G.sum() == pytest.approx(counts, rel=1e-3)
    modelled = [each.look for each in seen.values() if each.look.model_G is not None]
    assert len(modelled) > 0.9 * len(rows)
    beyond = [(x.counts_G - x.model_G).sum() / np.sqrt(x.counts_G.sum()) for x in modelled]
    assert np.mean(np.abs(beyond) < 3) > 0.95
    bands = [x for x in modelled if x.low_G is not None]
    assert all((x.low_G <= 1.01 * x.model_G).all() for x in bands)


def test_it_is_whole_and_small(made):
    assert differing(made) == []
    assert sum(f.stat().st_size for f in demonstration_files.SHIPPED.iterdir()) < 5e6


def test_it_answers_where_no_release_is_current(made):
    assert demonstration.make_current(made.parent)
    assert release.current(made.parent) == made
    assert not demonstration.make_current(made.parent)


def test_it_never_takes_the_place_of_a_release_made_meanwhile(made, tmp_path, monkeypatch):
    """Of one that is built while the demonstration is made."""
    root = tmp_path / "releases"
    random_release(root, 20)
    shutil.copytree(made, root / made.name)

    def slow(_):
        release.make_current("R1", root)
        return root / made.name

    monkeypatch.setattr(demonstration, "ensure", slow)
    assert not demonstration.make_current(root)
    assert release.current(root) == root / "R1"


def test_a_current_release_that_is_being_named_is_none_yet(tmp_path):
    (tmp_path / release.CURRENT).touch()
    assert release.current(tmp_path) is None


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file"):
        demonstration.ensure(tmp_path / "file")
