"""Real spectra in a release: found again, and unusable where they are unlike the training."""

import duckdb
import pytest

from wolter.catalogue import release
from wolter.catalogue.build import BuildConfig, build
from wolter.data.row_writer import RowWriter
from wolter.spectra.ingest import IngestConfig, read_spectra
from wolter.spectra.schema import SpectraSpec

FILES = (
    "xmm/ngc7793_ulx4/PN.pha",
    "chandra/qso/qso.pi",
    "chandra/acisf04487/acisf04487_001N023_r0009_pha3.fits.gz",
    "chandra/acisf01575/acisf01575_001N001_r0085_pha3.fits.gz",
    "chandra/low_counts/obs1.pi",
    "chandra/3c273/3c273.pi",
)


@pytest.fixture(scope="module")
def database(reference_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue")
    files = [str(reference_data / file) for file in FILES]
    datasets = []
    for grid in ("band", "acis"):
        config = IngestConfig(grid=grid)
        (folder / grid).mkdir()
        writer = RowWriter(folder / grid)
        writer.add(read_spectra(files, files, config))
        datasets.append(writer.finish("spectra", SpectraSpec(config.energy_edges), {}).path)
    models = ("autoencoder@pretrained", "posterior@pretrained")
    built = build(datasets, BuildConfig("R1", models=models), folder / "releases", folder / "kept")
    assert built.rejects == ()
    assert built.estimates == {"autoencoder": 6, "posterior": 6}
    with duckdb.connect(str(built.path / release.DATABASE), read_only=True) as connection:
        yield connection


@pytest.mark.reference
def test_sources_are_where_they_are_known_to_be(database):
    """3C 273, PKS 0537-286 and NGC 7793 ULX-4, 5.6 and 2.6 arcmin from the targets of the last."""
    for ra, dec in ((187.27792, 2.05239), (84.97618, -28.66552), (359.44958, -32.5825)):
        near = database.execute(
            "SELECT count(*) FROM source WHERE abs(ra - ?) < 0.0005 AND abs(dec - ?) < 0.0005",
            [ra, dec],
        )
        assert near.fetchall() == [(1,)]


@pytest.mark.reference
def test_a_source_has_its_own_position_or_its_regions_or_the_targets(database):
    rows = database.execute("SELECT record, pos_err, pos_origin FROM detection").fetchall()
    origins = {record: (error, origin.split(":")[0]) for record, error, origin in rows}
    assert origins["acisf01575_001N001_r0085_pha3.fits.gz"] == (1.0, "RA")
    assert origins["3c273.pi"] == (10.0, "RA_TARG")
    assert origins["acisf04487_001N023_r0009_pha3.fits.gz"] == (1.0, "DSVAL11")
    assert origins["PN.pha"] == (1.0, "SLCTEXPR")


@pytest.mark.reference
def test_what_no_parameters_explain_and_what_was_not_trained_on_is_not_published(database):
    rows = database.execute(
        "SELECT d.record, p.usable, p.reason FROM posterior p JOIN detection d USING (detection_id)"
    ).fetchall()
    told = {record: (usable, reason) for record, usable, reason in rows}
    assert told["PN.pha"] == (0, "not_explained")
    assert all(
        usable == 0 and "response_outside_training" in reason
        for record, (usable, reason) in told.items()
        if record != "PN.pha"
    )
    published = database.execute("SELECT count(nh), count(posterior_reason) FROM source")
    assert published.fetchall() == [(0, 6)]
