"""Latents, reconstruction and pictures of spectrum files by an autoencoder."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.spectra.any_task import SpectrumFiles
from wolter.spectra.embedding_task import EmbeddingOptions, EmbeddingTask
from wolter.spectra.predict import predict_batch
from wolter.spectra.reading import read_record

TASK = EmbeddingTask()


@pytest.fixture
def model(untrained):
    return load_model(untrained("autoencoder"))


def asked(model, files, out, **options):
    chosen = EmbeddingOptions(**options)
    TASK.check_outputs(files, out, SpectrumFiles(), chosen)
    return TASK.predict(model, "7", files, out, SpectrumFiles(), chosen, lambda _: None)


def test_the_table_holds_latents_classes_and_anomaly(pha, model, tmp_path):
    asked(model, [pha], tmp_path / "out.csv")
    table = Table.read(tmp_path / "out.csv", format="ascii.csv")
    names = table.colnames
    assert names[:3] == ["file", "model_name", "model_version"]
    assert [f"latent_{i}" for i in range(8)] == [n for n in names if n.startswith("latent_")][:8]
    assert {"latent_sigma_0", "latent_sigma_7", "anomaly", "flux", "flag"} <= set(names)
    right = predict_batch(model, read_record(pha, model.card.spec).batch)
    assert table["latent_3"][0] == pytest.approx(right["latent"][0, 3], rel=1e-4)


def test_reconstruction_comes_with_its_grid_where_it_is_asked_for(pha, model, tmp_path):
    asked(model, [pha], tmp_path / "out.parquet", reconstruction=True)
    row = pq.read_table(tmp_path / "out.parquet").to_pylist()[0]
    edges = model.card.spec.energy_edges
    np.testing.assert_allclose(row["energy_edges"], edges, rtol=1e-6)
    right = predict_batch(model, read_record(pha, model.card.spec).batch)["reconstruction"][0]
    np.testing.assert_allclose(row["reconstruction"], right, rtol=1e-4)
    with pytest.raises(InputError, match="CSV holds no vectors"):
        asked(model, [pha], tmp_path / "out.csv", reconstruction=True)


def test_each_file_has_a_picture(pha, model, tmp_path):
    lines = asked(model, [pha], tmp_path / "out.csv", plots=tmp_path / "plots")
    assert lines[-1] == f"plots: {tmp_path / 'plots'}"
    pictures = list((tmp_path / "plots").glob("*-spectrum.png"))
    assert [picture.name for picture in pictures] == [f"{pha.stem}-spectrum.png"]
    assert pictures[0].read_bytes().startswith(b"\x89PNG")


def test_refined_latents_are_flagged_and_fit_better(pha, tmp_path):
    from wolter.registry.pretrained import locate

    model = load_model(locate("autoencoder", "pretrained"))
    rows = []
    for refine in (False, True):
        out = tmp_path / f"{refine}.parquet"
        asked(model, [pha], out, refine=refine, reconstruction=True)
        rows.append(pq.read_table(out).to_pylist()[0])
    plain, fitted = rows
    assert "refined" not in plain["flag"].split(";")
    assert "refined" in fitted["flag"].split(";")
    assert fitted["deviance"] < plain["deviance"]
    assert fitted["anomaly"] == plain["anomaly"]
    assert sum(fitted["reconstruction"]) == pytest.approx(fitted["counts"], rel=0.05)


def test_a_family_without_latents_cannot_be_refined(pha, untrained, tmp_path):
    other = load_model(untrained("mlp"))
    with pytest.raises(InputError, match="mlp has no latents to refine; leave out --refine"):
        asked(other, [pha], tmp_path / "out.parquet", refine=True)


def test_a_family_without_reconstruction_says_so(pha, untrained, tmp_path):
    other = load_model(untrained("mlp"))
    with pytest.raises(InputError, match="mlp does not reconstruct spectra"):
        asked(other, [pha], tmp_path / "out.parquet", reconstruction=True)
