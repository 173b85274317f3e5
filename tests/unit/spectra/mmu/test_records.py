from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tests.multimodal import draw, hats_table, rows

from wolter import config as configs
from wolter import family as families
from wolter.data.shards import table_to_numpy, to_batch
from wolter.registry.checkpoint import Card, Model
from wolter.spectra.flags import record_flags
from wolter.spectra.grid import AREA_EDGES
from wolter.spectra.mmu.records import CATALOGUE, LOST, records_of, spec
from wolter.spectra.mmu.tables import read_pieces
from wolter.spectra.predict import predict_batch
from wolter.train.loop import build


@pytest.fixture
def records(tmp_path):
    """Records of a table with a bad row in the middle."""

    def make(columns):
        pq.write_table(hats_table(columns), tmp_path / "a.parquet")
        return records_of(pa.concat_tables(read_pieces(tmp_path / "a.parquet")))

    return make


def test_a_record_has_the_counts_exposure_and_catalogue_of_its_row(records):
    columns = rows(4, counts=500)
    columns["hard_hs"][1] = float("nan")
    columns["flux_aper_b"][2] = 0.0
    table = records(columns)
    batch = to_batch(table_to_numpy(table), "spectra")
    truths = [draw(seed, counts=500) for seed in range(4)]
    total = torch.tensor([float(each.counts_G.sum()) for each in truths])
    torch.testing.assert_close(batch.counts_BC.sum(1), total, rtol=1e-5, atol=0.01)
    assert batch.exposure_B.tolist() == pytest.approx([30_000.0] * 4, rel=2e-3)
    assert (batch.background_scale_B == 1).all()
    assert batch.background_BC.sum(1).tolist() == pytest.approx([5.0] * 4, abs=2.5)
    assert batch.class_B.isnan().all()
    assert batch.area_BA is None
    assert batch.folding_area_BF is None
    features = dict(zip(CATALOGUE, batch.catalogue_BX.T, strict=True))
    assert features["log_flux_b"][:2].tolist() == pytest.approx([-14.0, -13.69897])
    assert features["log_flux_b"][2].isnan()
    assert features["hard_hs"][0] == pytest.approx(0.2)
    assert features["hard_hs"][1].isnan()
    assert features["var_intra_prob"].tolist() == [0.5] * 4
    assert table["source_id"].to_pylist() == columns["name"]
    assert table["significance"].to_pylist() == columns["flux_significance_b"]
    assert spec().n_channels == batch.counts_BC.shape[1] == 155


def test_one_bad_row_does_not_stop_the_others(records):
    columns = rows(3)
    columns["spectrum_flux_err"][1] = -columns["spectrum_flux_err"][1]
    table = records(columns)
    reasons = table["reason"].to_pylist()
    assert reasons[0] == reasons[2] == ""
    assert "is not above 0" in reasons[1]
    values = table_to_numpy(table)
    assert np.isnan(values["exposure"][1])
    assert np.isfinite(values["exposure"][[0, 2]]).all()
    assert values["counts"][1].sum() == 0


def test_a_source_without_a_name_is_its_row(records):
    columns = rows(2)
    del columns["name"], columns["object_id"]
    table = records(columns)
    assert table["source_id"].to_pylist() == table["file"].to_pylist()


@pytest.mark.parametrize("name", ["autoencoder", "vago2025"])
def test_latents_of_records_without_a_response_are_finite_and_flagged(name, records):
    batch = to_batch(table_to_numpy(records(rows(8, counts=200))), "spectra")
    family = families.load(name)
    config = family.config(width=16, layers=1, heads=2)
    module = build(family, config, spec(), seed=0).eval()
    family.normalise(module, batch)
    if family.settle:
        more = to_batch(table_to_numpy(records(rows(200, counts=200))), "spectra")
        with torch.inference_mode():
            family.settle(module, iter([more]))
    model = Model(family, Card(name, configs.to_dict(config), spec()), module)
    values = predict_batch(model, batch)
    assert all(np.isfinite(value).all() for value in values.values())
    assert all("area_unknown" in flags for flags in record_flags(model.card, batch, values))
    known = replace(batch, area_BA=torch.ones(8, len(AREA_EDGES) - 1))
    assert not any("area_unknown" in flags for flags in record_flags(model.card, known, values))


def test_what_is_lost_is_said():
    told = " ".join(LOST)
    for word in ("channel", "background", "response", "exposure", "class"):
        assert word in told
