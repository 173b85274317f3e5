"""Our HATS collections, read by hats and lsdb in an environment of their own (`make hats`)."""

import json
import subprocess
from pathlib import Path

import cdshealpix.nested
import duckdb
import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import Latitude, Longitude, SkyCoord
from astropy.units import arcsec, deg, rad

from wolter.catalogue import demonstration, hats, quick_looks, release
from wolter.catalogue.cone import cone
from wolter.catalogue.nested import COLUMN
from wolter.catalogue.store import Store

pytestmark = pytest.mark.peers

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-hats"
RADIUS_ARCSEC = 5.0
CONES = [[180.0, 0.0, 4.0], [0.0, 0.3, 3.0], [359.9, -45.0, 2.5], [12.0, 90.0, 5.0],
         [0.0, -90.0, 3.0], [83.6, 22.0, 0.001]]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def at_hand():
    if not list(ENVIRONMENT.glob(".setup-*")):
        pytest.skip("hats and lsdb are not at hand; `make hats` installs them into .venv-hats")


def ask(**questions):
    """Answers of `tests/hats_reader.py`, by the names of the questions."""
    asked = [{"name": name, "what": what, "with": values}
             for name, (what, values) in questions.items()]  # fmt: skip
    command = [str(ENVIRONMENT / "bin" / "python"), str(ROOT / "tests" / "hats_reader.py")]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def places(ra, dec):
    return SkyCoord(ra * deg, dec * deg)


def collection(folder, source_id, at):
    """Collection of sources, in partitions of 400; what is told of each, by its identifier."""
    ra, dec = at.ra.deg, at.dec.deg
    cell = cdshealpix.nested.lonlat_to_healpix(Longitude(ra * deg), Latitude(dec * deg), 29)
    order = np.argsort(cell)
    table = {"source_id": source_id[order], "ra": ra[order], "dec": dec[order]}
    table = pa.table(table | {"healpix_29": cell[order].astype(np.int64)})
    about = release.Release("R1", "2026-01-01T00:00:00Z", True, "random", (), {}, {})
    hats.write_hats(folder, about, table, rows=400)
    return str(folder)


@pytest.fixture(scope="module")
def crowd():
    """Places over the sky, dense around a corner of cells and on the meridian, and the poles."""
    rng = np.random.default_rng(3)
    ra = np.concatenate([rng.uniform(0, 360, 500), 45 + rng.normal(0, 0.02, 3000),
                         rng.normal(0, 0.01, 300), [0, 0]])  # fmt: skip
    dec = np.concatenate([np.degrees(np.arcsin(rng.uniform(-1, 1, 500))),
                          rng.normal(0, 0.02, 3300), [90, -90]])  # fmt: skip
    at = places(ra % 360, dec)
    moved = at.directional_offset_by(rng.uniform(0, 2 * np.pi, len(at)) * rad, 3 * arcsec)
    return at, moved


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory):
    root = tmp_path_factory.mktemp("releases")
    return demonstration.ensure(root)


@pytest.fixture(scope="module")
def chosen(demonstrated):
    """Sources with a quick look and without, whose estimates are usable, are not, and are none."""
    with duckdb.connect(str(demonstrated / release.DATABASE), read_only=True) as database:
        every = database.sql("SELECT * FROM source").to_arrow_table().to_pylist()
    groups = {}
    for row in every:
        groups.setdefault((row["posterior_usable"], row["autoencoder_usable"]), []).append(row)
    assert len(groups) >= 4
    return {row["source_id"]: row for rows in groups.values() for row in rows[:5]}


@pytest.fixture(scope="module")
def answers(demonstrated, chosen, crowd, tmp_path_factory):
    folder, shown = tmp_path_factory.mktemp("crowd"), str(demonstrated / hats.FOLDER)
    at, moved = crowd
    one = collection(folder / "one", np.arange(len(at)), at)
    two = collection(folder / "two", np.arange(len(at)) + 1_000_000, moved)
    of = {"radius_arcsec": RADIUS_ARCSEC}
    return ask(
        valid_one=("valid", {"folder": one}),
        valid_shown=("valid", {"folder": shown}),
        itself=("matches", {"folder": shown, "other": shown, **of}),
        moved=("matches", {"folder": one, "other": two, **of}),
        cones=("cones", {"folder": shown, "places": CONES}),
        rows=("rows", {"folder": shown, "source_ids": list(chosen)}),
    )


def test_collections_are_strictly_valid(answers):
    assert answers["valid_one"]
    assert answers["valid_shown"]


def test_a_crossmatch_with_a_moved_copy_finds_the_nearest_across_all_borders(answers, crowd):
    at, moved = crowd
    nearest, separation, _ = at.match_to_catalog_sky(moved)
    near = separation < RADIUS_ARCSEC * arcsec
    assert near.all()  # its own copy is at 3 arcsec
    found = {int(one): (int(two), apart) for one, two, apart in answers["moved"]}
    assert len(found) == len(answers["moved"]) == len(at)
    assert [found[i][0] - 1_000_000 for i in range(len(at))] == nearest.tolist()
    apart = [found[i][1] for i in range(len(at))]
    assert apart == pytest.approx(separation.arcsec, abs=1e-6)
    assert np.mean(nearest == np.arange(len(at))) < 0.5  # so that the nearest is another one


def test_a_crossmatch_with_itself_finds_every_source_where_it_is(answers, demonstrated):
    about = release.load(demonstrated)
    assert len(answers["itself"]) == about.rows["source"] == 20_000
    assert all(one == two and apart < 1e-6 for one, two, apart in answers["itself"])


def test_cones_hold_the_sources_of_our_own_cone_search(answers, demonstrated):
    store = Store(demonstrated.parent)
    with store.open(demonstrated.name) as snapshot:
        column = snapshot.about.table("source").columns[:1]
        ours = [sorted(cone(snapshot, *place, column, 20_000).rows["source_id"].to_pylist())
                for place in CONES]  # fmt: skip
    store.close()
    assert answers["cones"] == ours
    assert [len(ids) > 5 for ids in ours] == [True] * 5 + [False]


def test_rows_are_those_of_the_database_with_their_quick_looks_nested(
    answers, demonstrated, chosen
):
    with duckdb.connect(str(demonstrated / release.DATABASE), read_only=True) as database:
        listed = ", ".join(map(str, chosen))
        sql = f"SELECT detection_id, source_id, counts FROM detection WHERE source_id IN ({listed})"
        detections = database.execute(sql).fetchall()
    described = release.load(demonstrated).table("source").columns
    short = {column.name for column in described if column.datatype == "float"}
    looks = quick_looks.read(demonstrated, [detection for detection, _, _ in detections])
    lengths = set()
    found = {int(source): row for source, row in answers["rows"].items()}
    assert found.keys() == chosen.keys()
    for source, row in chosen.items():
        told = found[source]
        bins = told.pop(COLUMN)
        same = {name: value for name, value in row.items() if name != "healpix_29"}
        assert told.keys() - {"_healpix_29"} == same.keys()
        for name, value in same.items():
            if isinstance(value, float):
                rel = 2.0**-12 if name in short else 1e-15  # see `hats.MANTISSA`
                value = pytest.approx(value, rel=rel * (1 + 1e-6), nan_ok=True)
            assert told[name] == value, name
        seen = {
            detection: (looks[detection].look, counts)
            for detection, its_source, counts in detections
            if its_source == source and detection in looks
        }
        assert (bins is None) == (not seen)
        n = sum(len(look.counts_G) for look, _ in seen.values())
        assert bins is None or {len(values) for values in bins.values()} == {n}
        for detection, (look, counts) in seen.items():
            its = np.array(bins["detection_id"]) == detection
            assert np.array(bins["counts"])[its].tolist() == look.counts_G.tolist()
            assert look.counts_G.sum() == pytest.approx(counts, rel=1e-3)  # rounded
            for name, expected in (
                ("bin_low", look.edges_G1[:-1]),
                ("bin_high", look.edges_G1[1:]),
            ):
                assert np.array(bins[name])[its] == pytest.approx(expected, rel=1e-6)
        lengths.add(len(seen))
    assert max(lengths) > 1
