"""Releases from datasets: from shards to tables that readers open."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.ingested import spectra

from wolter.catalogue import nested, quick_looks, release, samples
from wolter.catalogue.build import BuildConfig, build, read_upper_limits
from wolter.catalogue.write import differing
from wolter.data.integrity import encode
from wolter.errors import InputError
from wolter.spectra.scoring import SpectraScoring


@pytest.fixture
def model(untrained):
    return f"posterior@{untrained('posterior')}"


@pytest.fixture
def at(pha, tmp_path):
    """A dataset of two spectra, and a table of their positions."""
    twin = tmp_path / "twin.pha"
    twin.write_bytes(pha.read_bytes())
    data = spectra(tmp_path / "data", [pha, twin])
    table = tmp_path / "positions.csv"
    table.write_text(
        "file,ra,dec,pos_err,identifications\n"
        "source.pha,187.2779,2.0524,0.5,SIMBAD:3C 273\n"
        "twin.pha,187.2780,2.0524,0.7,\n"
    )
    return data, table


def made(tmp_path, data, config):
    return build([data], config, tmp_path / "catalogue" / "releases", tmp_path / "scored")


def rows(path, sql):
    with duckdb.connect(str(path / release.DATABASE), read_only=True) as database:
        return database.execute(sql).fetchall()


def test_two_detections_at_one_place_are_one_source(tmp_path, at, model):
    data, table = at
    built = made(tmp_path, data, BuildConfig("R1", models=(model,), positions=table))
    assert built.about.rows["source"] == 1
    assert built.about.rows["detection"] == 2
    assert built.estimates == {"posterior": 2}
    source = rows(built.path, "SELECT name, ra, pos_err, n_detections, counts FROM source")
    assert source[0][:2] == ("WLT J122906.6+020308", 187.2779)
    assert source[0][3] == 2
    found = rows(built.path, "SELECT catalogue, identifier, source_id FROM identification")
    assert found == [("SIMBAD", "3C 273", rows(built.path, "SELECT source_id FROM source")[0][0])]
    assert rows(built.path, "SELECT DISTINCT pos_origin FROM detection") == [
        ("table of positions",)
    ]


def test_paths_of_the_machine_are_not_published(tmp_path, at, model):
    data, table = at
    built = made(tmp_path, data, BuildConfig("R1", models=(model,), positions=table))
    records = [r for (r,) in rows(built.path, "SELECT record FROM detection ORDER BY record")]
    assert records == ["source.pha", "twin.pha"]


def test_what_is_not_usable_is_kept_and_never_published_as_a_number(tmp_path, at, model):
    data, table = at
    built = made(tmp_path, data, BuildConfig("R1", models=(model,), positions=table))
    kept = rows(built.path, "SELECT usable, reason, nh FROM posterior")
    assert len(kept) == 2
    assert all(nh is not None for _, _, nh in kept)
    ((usable, reason, nh),) = rows(
        built.path, "SELECT posterior_usable, posterior_reason, nh FROM source"
    )
    assert (nh is None) == (usable == 0) == bool(reason)


def test_records_without_a_position_are_rejected_with_the_remedy(tmp_path, at, model):
    data, table = at
    table.write_text("file,ra,dec\nsource.pha,10,20\n")
    built = made(tmp_path, data, BuildConfig("R1", models=(model,), positions=table))
    ((file, reason),) = built.rejects
    assert file.endswith("twin.pha")
    assert "--positions" in reason
    assert built.about.rejects == 1
    assert pq.read_table(built.path / "rejects.parquet").num_rows == 1
    with pytest.raises(InputError, match="no record can be placed"):
        made(tmp_path, data, BuildConfig("R2", models=(model,)))


def test_a_second_build_scores_nothing_again(tmp_path, at, model):
    data, table = at
    config = BuildConfig("R1", models=(model,), positions=table)
    # The twin has the same numbers, so that it is scored with the first.
    assert made(tmp_path, data, config).new == 2
    again = made(tmp_path, data, BuildConfig("R2", models=(model,), positions=table))
    assert again.new == 0
    ids = [rows(tmp_path / "catalogue" / "releases" / name, "SELECT source_id FROM source")
           for name in ("R1", "R2")]  # fmt: skip
    assert ids[0] == ids[1]


def test_samples_of_a_release_are_those_of_the_posterior(tmp_path, at, model):
    data, table = at
    built = made(tmp_path, data, BuildConfig("R1", models=(model,), positions=table))
    detection, low, high = rows(
        built.path, "SELECT detection_id, nh_lolim95, nh_hilim95 FROM posterior"
    )[0]
    found = samples.read_samples(built.path, detection)["posterior"]["nh"]
    assert len(found) == 16
    assert np.mean((found >= low) & (found <= high)) > 0.7


def test_a_release_keeps_a_quick_look_at_each_detection(tmp_path, at, model):
    data, table = at
    built = made(tmp_path, data, BuildConfig("R1", models=(model,), positions=table))
    found = rows(built.path, "SELECT detection_id, counts FROM detection")
    seen = quick_looks.read(built.path, [detection for detection, _ in found])
    for detection, counts in found:
        assert seen[detection].look.counts_G.sum() == counts
        assert seen[detection].axis.unit == "keV"
    (nest,) = hats_column(built.path)
    assert sum(nest["counts"]) == sum(counts for _, counts in found)
    bare = BuildConfig("R2", models=(model,), positions=table, quick_looks=False)
    again = made(tmp_path, data, bare)
    assert not (again.path / quick_looks.FILE).exists()
    assert hats_column(again.path) is None


def hats_column(path):
    (file,) = (path / "hats" / "catalogue" / "dataset").rglob("Npix=*.parquet")
    rows = pq.read_table(file)
    return rows[nested.COLUMN].to_pylist() if nested.COLUMN in rows.column_names else None


def test_every_file_is_covered_by_a_checksum(tmp_path, at, model):
    data, table = at
    path = made(tmp_path, data, BuildConfig("R1", models=(model,), positions=table)).path
    assert differing(path) == []
    (path / "rejects.parquet").write_bytes(encode(pq.read_table(path / "rejects.parquet")) + b" ")
    (path / "more").touch()
    (path / samples.FILE).unlink()
    assert differing(path) == [
        (samples.FILE, "missing"),
        ("more", "not listed"),
        ("rejects.parquet", "its SHA-256 differs"),
    ]


def test_a_name_that_is_taken_is_refused_before_any_work(tmp_path, at, model):
    data, table = at
    config = BuildConfig("R1", models=(model,), positions=table)
    made(tmp_path, data, config)
    with pytest.raises(InputError, match="never changed"):
        made(tmp_path, data, config)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("file,ra\nsource.pha,1\n", "no column dec"),
        ("ra,dec\n1,2\n", "no column file or source_id"),
        ("file,ra,dec\nsource.pha,1,91\n", "-90 to 90"),
        ("file,ra,dec\nsource.pha,x,1\n", "no number"),
        ("file,ra,dec\na.pha,1,1\na.pha,2,1\n", "two positions"),
        ("file,ra,dec,identifications\na.pha,1,1,SIMBAD\n", "CATALOGUE:NAME"),
    ],
)
def test_bad_tables_of_positions_are_refused(tmp_path, at, model, text, word):
    data, table = at
    table.write_text(text)
    with pytest.raises(InputError, match=word):
        made(tmp_path, data, BuildConfig("R1", models=(model,), positions=table))


@pytest.fixture
def some_simulated(monkeypatch):
    """Datasets whose names begin with drawn are told to be simulated."""
    monkeypatch.setattr(
        SpectraScoring, "simulated", lambda _, data: data.path.name.startswith("drawn")
    )


def test_simulated_and_observed_sources_are_never_in_one_release(
    tmp_path, at, pha, model, some_simulated
):
    data, table = at
    drawn = spectra(tmp_path / "drawn", [pha])
    config = BuildConfig("R1", models=(model,), positions=table, scatter=1)
    with pytest.raises(InputError, match=r"drawn: simulated, and .*data is observed"):
        build([data, drawn], config, tmp_path / "releases", tmp_path / "scored")


def test_simulations_of_one_seed_are_not_taken_for_the_same_sources(
    tmp_path, at, pha, model, some_simulated
):
    twin = tmp_path / "twin.pha"
    one, other, again = (
        spectra(tmp_path / f"drawn-{name}", [file])
        for name, file in (("a", pha), ("b", twin), ("c", pha))
    )
    config = BuildConfig("R1", models=(model,), scatter=1)
    built = build([one, other], config, tmp_path / "releases", tmp_path / "scored")
    assert built.about.rows["detection"] == 2
    assert built.about.simulated
    config = BuildConfig("R2", models=(model,), scatter=1)
    with pytest.raises(InputError, match="another --seed"):
        build([one, again], config, tmp_path / "releases", tmp_path / "scored")


def limits(path, counts, exposure=1000.0):
    columns = {
        "source_id": [1],
        "observation_id": ["1"],
        "instrument": ["a/b/c"],
        "band_low": [0.5],
        "band_high": [7.0],
        "exposure_s": [exposure],
        "counts": [counts],
        "background": [7.0],
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_upper_limits_follow_from_counts_where_none_are_given(tmp_path):
    """Of no counts the posterior is exponential: its 95 % are -ln .05, whatever the background."""
    rows = read_upper_limits(limits(tmp_path / "limits.parquet", 0.0))
    assert rows["rate_upper"][0].as_py() == pytest.approx(-np.log(0.05) / 1000)


@pytest.mark.parametrize(("counts", "exposure"), [(-1.0, 1e3), (np.nan, 1e3), (1.0, 0.0)])
def test_counts_that_are_none_give_no_upper_limit(tmp_path, counts, exposure):
    with pytest.raises(InputError, match="must be 0 or more"):
        read_upper_limits(limits(tmp_path / "limits.parquet", counts, exposure))
