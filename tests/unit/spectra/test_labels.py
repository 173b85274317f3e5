import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tests.synthetic import SPEC, make_dataset

from wolter.data.batches import read_split
from wolter.data.shards import write_manifest, write_shard
from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.spectra.evaluate.inference import predict_split
from wolter.spectra.labels import label_dataset, labels_of
from wolter.spectra.mixing import read_observed

NAMES = SPEC.names


def table_of(sources, **changes):
    """Fits of sources: the parameters are 1.1, 2.2 and 0.9 for all."""
    columns = {"file": sources}
    columns |= {n: np.full(len(sources), v) for n, v in zip(NAMES, (1.1, 2.2, 0.9), strict=True)}
    return pa.table(columns | {"flag": [""] * len(sources)} | changes)


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("observed"), 40, n_shards=2, seed=1)


@pytest.fixture
def label(observed, tmp_path):
    def write(table, dataset=observed, area_A=None):
        fits = tmp_path / "fits.parquet"
        pq.write_table(table, fits)
        return label_dataset(dataset, fits, tmp_path / "out", SPEC.parameters, area_A)

    return write


def test_what_an_estimate_does_not_say_is_no_label():
    flags = ["", "not_converged", "at_bound:kt;no_background", "at_prior_edge:slope", "no_counts"]
    table = table_of(list("abcde"), flag=flags)
    labels = np.stack(list(labels_of(table, SPEC.parameters).values()))
    known = [[1, 1, 1], [0, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert np.array_equal(np.isfinite(labels), np.array(known, bool))
    assert labels[0] == pytest.approx((1.1, 2.2, 0.9))


def test_an_error_beyond_the_prior_s_own_is_no_label():
    # A uniform prior from 1 to 3 has the standard deviation 2 / sqrt(12) = 0.577.
    table = table_of(list("abc"), slope_err=[0.57, 0.58, np.nan])
    labels = np.stack(list(labels_of(table, SPEC.parameters).values()))
    assert np.isfinite(labels[:, 0]).tolist() == [True, False, True]
    assert np.isfinite(labels[:, 1:]).all()


def test_labels_go_with_their_spectra_and_the_truth_does_not(observed, label):
    sources = [f"source-{i}" for i in range(0, 40, 2)]
    table = table_of(sources, slope=np.arange(20) / 10)
    done = label(table.take(np.random.default_rng(0).permutation(20)))
    assert done.rows == 20
    written, kept = done.dataset, observed.read(1)
    shard = written.read(1)
    assert set(shard.column_names) == {
        "source_id", "split_key", "counts", "background", "background_scale", "exposure", "area",
        "parameters",
    }  # fmt: skip
    assert shard["source_id"].equals(kept["source_id"])
    assert shard["split_key"].equals(kept["split_key"])
    labels = read_split(written, "all").parameters_BP[:, 0]
    assert labels[::2].tolist() == pytest.approx((np.arange(20) / 10).tolist())
    assert labels[1::2].isnan().all()
    rows = read_observed(written)
    assert rows.observed_B.all()
    assert len(rows) == len(read_split(observed, "train"))
    assert written.manifest.labels == "fits.parquet"


def test_files_are_found_by_their_absolute_path(observed, label, tmp_path, monkeypatch):
    """As ingest notes them, whereas a fit notes the path that it was given."""
    monkeypatch.chdir(tmp_path)
    made = make_dataset(tmp_path / "files", 6, n_shards=1)
    paths = [str(tmp_path / f"{i}.pha") for i in range(6)]
    shard = write_shard(made.path, 0, made.read(0).append_column("file", [paths]))
    made = write_manifest(made.path, dataclasses.replace(made.manifest, shards=(shard,)))
    assert label(table_of(["3.pha", str(tmp_path / "5.pha"), "other.pha"]), made).rows == 2


def test_an_assumed_area_takes_the_place_of_the_true_one(observed, label):
    sources = [f"source-{i}" for i in range(40)]
    area_A = torch.arange(24.0)
    written = label(table_of(sources), area_A=area_A).dataset
    assert (read_split(written, "all").area_BA == area_A).all()


def test_what_cannot_be_used_is_said(observed, label, tmp_path, untrained):
    with pytest.raises(InputError, match=r"fits\.parquet: no column kt"):
        label(table_of(["source-1"]).drop_columns(["kt"]))
    with pytest.raises(InputError, match="source-1 comes twice"):
        label(table_of(["source-1", "source-1"]))
    with pytest.raises(InputError, match="none of the spectra"):
        label(table_of(["elsewhere"]))
    with pytest.raises(InputError, match="choose another --out"):
        label_dataset(observed, tmp_path, observed.path, SPEC.parameters)
    with pytest.raises(InputError, match="not a readable parquet file"):
        label_dataset(observed, tmp_path / "missing", tmp_path / "out", SPEC.parameters)
    (tmp_path / "fits.csv").write_text("file,slope\n")
    with pytest.raises(InputError, match="not a readable parquet file"):
        label_dataset(observed, tmp_path / "fits.csv", tmp_path / "out", SPEC.parameters)


def test_nothing_is_judged_by_estimated_labels(untrained, tmp_path, observed):
    model = load_model(untrained("mlp"))
    manifest = dataclasses.replace(observed.manifest, spec=model.card.spec, labels="fits")
    dataset = write_manifest(observed.path, manifest)
    try:
        with pytest.raises(InputError, match="its labels are estimates"):
            predict_split([model], dataset)
    finally:
        write_manifest(observed.path, observed.manifest)
