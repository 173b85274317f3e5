"""HATS collections: partitions, margin and index."""

import csv

import astropy.table
import cdshealpix.nested
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import Latitude, Longitude, SkyCoord
from astropy.units import deg
from tests.releases import LOOK_AXIS, look, random_release

from wolter.answering.quick_look import QuickLook
from wolter.catalogue import hats, quick_looks, release, voparquet
from wolter.catalogue.nested import nested_looks


@pytest.fixture(scope="module")
def sources():
    """Sources over the sky, a dense patch around a corner of cells, and the poles."""
    rng = np.random.default_rng(3)
    ra = np.concatenate([rng.uniform(0, 360, 500), 45 + rng.normal(0, 0.02, 3000), [0, 0]])
    dec = np.concatenate([np.degrees(np.arcsin(rng.uniform(-1, 1, 500))),
                          rng.normal(0, 0.02, 3000), [90, -90]])  # fmt: skip
    ra %= 360
    cell = cdshealpix.nested.lonlat_to_healpix(Longitude(ra * deg), Latitude(dec * deg), 29)
    order = np.argsort(cell)
    table = {"source_id": np.arange(len(ra)) * 7, "ra": ra[order], "dec": dec[order]}
    return pa.table(table | {"healpix_29": cell[order].astype(np.int64)})


@pytest.fixture(scope="module")
def written(tmp_path_factory, sources):
    folder = tmp_path_factory.mktemp("collection") / "hats"
    about = release.Release("R1", "2026-01-01T00:00:00Z", True, "random", (), {}, {})
    hats.write_hats(folder, about, sources, rows=400)
    return folder


def pixels(folder):
    with (folder / "partition_info.csv").open() as file:
        return [(int(row["Norder"]), int(row["Npix"])) for row in csv.DictReader(file)]


def read(folder, pixel):
    order, npix = pixel
    name = f"Norder={order}/Dir={npix // 10_000 * 10_000}/Npix={npix}.parquet"
    return pq.read_table(folder / "dataset" / name)


def test_every_source_is_in_the_partition_of_its_cell(written, sources):
    found = []
    for order, npix in pixels(written / "catalogue"):
        table = read(written / "catalogue", (order, npix))
        assert 0 < len(table) <= 400
        assert set(table["_healpix_29"].to_numpy() >> 2 * (29 - order)) == {npix}
        found += table["source_id"].to_pylist()
    assert sorted(found) == sources["source_id"].to_pylist()


def test_the_margin_holds_all_sources_within_10_arcsec_of_a_partition(written, sources):
    """By brute force: two sources of different partitions that are nearer than that."""
    places = SkyCoord(sources["ra"].to_numpy() * deg, sources["dec"].to_numpy() * deg)
    one, other, _, _ = places.search_around_sky(places, 9.9 / 3600 * deg)
    cell = sources["healpix_29"].to_numpy()
    listed = pixels(written / "catalogue")
    at = np.zeros(len(cell), int)
    for i, (order, npix) in enumerate(listed):
        at[cell >> 2 * (29 - order) == npix] = i
    across = [(a, b) for a, b in zip(one, other, strict=True) if at[a] != at[b]]
    assert len(across) > 20
    margin = {p: set(read(written / "catalogue_10arcs", p)["source_id"].to_pylist())
              for p in pixels(written / "catalogue_10arcs")}  # fmt: skip
    ids = sources["source_id"].to_numpy()
    for a, b in across:
        assert ids[b] in margin[listed[at[a]]]


def test_the_margin_holds_nothing_of_its_own_partition(written):
    for order, npix in pixels(written / "catalogue_10arcs"):
        cell = read(written / "catalogue_10arcs", (order, npix))["_healpix_29"].to_numpy()
        assert npix not in set(cell >> 2 * (29 - order))


def test_the_index_leads_to_the_partition(written, sources):
    index = pq.read_table(written / "catalogue_source_id/dataset/index/part.000.parquet")
    assert index["source_id"].to_pylist() == sorted(sources["source_id"].to_pylist())
    row = index.slice(1234, 1).to_pylist()[0]
    table = read(written / "catalogue", (row["Norder"], row["Npix"]))
    assert row["source_id"] in table["source_id"].to_pylist()


def test_the_collection_is_told(written):
    text = (written / "collection.properties").read_text()
    assert "hats_primary_table_url=catalogue\n" in text
    assert "obs_description=simulated: random\n" in text


def test_bins_of_all_detections_are_nested_with_their_source():
    rng = np.random.default_rng(4)
    looks = [look(rng, 5), None, look(rng, 3), QuickLook(np.array([1.0, 2, 4]), np.array([6.0, 0]),
             np.zeros(2), 50.0)]  # fmt: skip
    ids = np.array([11, 12, 13, 14])
    encoded = quick_looks.encode(looks)
    reasons = pa.array(["", "", "not_explained", ""])
    part = quick_looks.Part("one", LOOK_AXIS, ids, reasons, encoded)
    kept = quick_looks.chosen([part])
    detections = pa.table({"detection_id": ids[::-1], "source_id": [7, 5, 6, 7]})
    found = nested_looks(kept, detections, np.array([5, 6, 7])).to_pylist()
    assert found[1] is None  # its only detection has none
    assert found[0]["counts"] == looks[2].counts_G.tolist()
    assert np.isnan(found[0]["model"]).all()  # its estimate is not usable
    assert np.isnan(found[0]["model_high"]).all()
    assert found[0]["flagged_model"] == pytest.approx(looks[2].model_G, rel=4e-3)
    both = found[2]
    assert both["detection_id"] == [11] * 5 + [14] * 2
    assert both["counts"] == [*looks[0].counts_G, 6.0, 0.0]
    assert both["bin_low"] == pytest.approx([*looks[0].edges_G1[:-1], 1, 2], rel=1e-6)
    assert both["bin_high"] == pytest.approx([*looks[0].edges_G1[1:], 2, 4], rel=1e-6)
    assert np.isnan(both["model"]).tolist() == [False] * 5 + [True] * 2
    assert np.isnan(both["flagged_model"]).all()
    assert {len(values) for values in both.values()} == {7}


def test_numbers_are_those_of_the_table_to_a_part_in_four_thousand(tmp_path, sources):
    rng = np.random.default_rng(5)
    flux = rng.lognormal(-25, 5, len(sources)).astype(np.float32)
    table = sources.append_column("flux", pa.array(flux, mask=rng.random(len(flux)) < 0.2))
    about = release.Release("R1", "2026-01-01T00:00:00Z", True, "random", (), {}, {})
    names, first = hats.write_hats(tmp_path / "hats", about, table, rows=400)
    found = pa.concat_tables([pq.read_table(tmp_path / "hats" / name) for name in names])
    assert pq.read_table(tmp_path / "hats" / names[3])["ra"][0] == table["ra"][int(first[3])]
    assert found["ra"].equals(table["ra"])
    assert found["flux"].is_null().equals(table["flux"].is_null())
    error = np.abs(found["flux"].to_numpy() / table["flux"].to_numpy() - 1)
    assert 1e-4 < np.nanmax(error) <= 2.0**-12


def test_one_parquet_file_opens_with_units_and_descriptions(tmp_path):
    path = random_release(tmp_path, 50)
    about = release.load(path)
    rows = pa.table({c.name: pa.nulls(3, c.arrow) for c in about.table("source").columns})
    voparquet.write_voparquet(tmp_path / "c.parquet", about, about.table("source"), rows)
    table = astropy.table.Table.read(tmp_path / "c.parquet", format="parquet.votable")
    assert str(table["ra"].unit) == "deg"
    assert table["kt"].description == "temperature"
    assert table["ra"].meta["ucd"] == "pos.eq.ra;meta.main"
