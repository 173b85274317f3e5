import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from wolter import cli
from wolter.data.batches import read_split
from wolter.data.shards import open_dataset
from wolter.errors import InputError
from wolter.spectra.fitting import datasets
from wolter.spectra.fitting.datasets import FitConfig, FromPrior, fit_batch, fit_dataset
from wolter.spectra.ingest import ingest_dataset
from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import SimulateConfig, Simulator

pytestmark = pytest.mark.distributed
CONFIG = SimulateConfig(n_backgrounds=2)
QUICK = FitConfig(intervals=False)
WSTAT = FitConfig("wstat", intervals=False)


@pytest.fixture(scope="module")
def dataset(ray_session, tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    return simulate_dataset(CONFIG, 1100, folder, seed=5, workers=1, blocks_per_shard=1)


def test_the_job_gives_the_fits_of_one_process_in_order(dataset, monkeypatch):
    monkeypatch.setattr(datasets, "ROWS_PER_TASK", 16)
    seen = []
    table = fit_dataset(dataset, QUICK, split="all", n=40, workers=2, on_fits=seen.append)
    assert table["file"].to_pylist() == [f"sim-5-{i}" for i in range(40)]
    assert sorted(seen) == [8, 16, 16]
    batch, simulator = read_split(dataset, "all", 40), Simulator(CONFIG)
    start = FromPrior(CONFIG.prior)(batch)
    alone = fit_batch(simulator.forward, batch, CONFIG.prior, start, QUICK)
    assert set(table["statistic"].to_pylist()) == {"cstat"}
    # Another number of threads rounds otherwise, and a descent may end 1e-3 elsewhere.
    close = np.abs(table["stat"].to_numpy() - alone["stat"]) < 0.01
    assert close.mean() > 0.9


def test_the_command_fits_a_dataset_from_a_network(dataset, untrained, tmp_path, capsys):
    out = tmp_path / "fits.fits"
    words = ["--start", "network", "--checkpoint", str(untrained("mlp")), "--statistic", "wstat"]
    source = ["--data", str(dataset.path), "--n", "5"]
    assert cli.main(["fit", *source, *words, "--no-intervals", "--out", str(out)]) == 0
    assert "5 spectra" in capsys.readouterr().out
    assert out.is_file()
    job = tmp_path / "fits.parquet"
    assert cli.main(["fit", *source, "--split", "all", "--out", str(job)]) == 0
    table = pq.read_table(job)
    assert table.num_rows == 5
    assert "nh_lolim" in table.column_names


@pytest.mark.slow
def test_a_shifted_dataset_is_fitted_as_another_and_labelled(dataset, tmp_path, capsys):
    """The part of real spectra: what they were simulated with is not to be known."""
    other = dataclasses.replace(CONFIG, filter="thick")
    shifted = simulate_dataset(other, 60, tmp_path / "shifted", seed=9)
    datasets, out = tmp_path / "fits.parquet", tmp_path / "labelled"
    words = ["--data", str(shifted.path), "--assume-dataset", str(dataset.path)]
    options = ["--split", "all", "--no-intervals", "--n", "40"]
    assert cli.main(["fit", *words, *options, "--out", str(datasets)]) == 0
    assert cli.main(["label", *words, "--fits", str(datasets), "--out", str(out)]) == 0
    assert "of 60 spectra labelled" in capsys.readouterr().out
    batch, truth = read_split(open_dataset(out), "all"), read_split(shifted, "all")
    assert batch.parameters_BP[40:].isnan().all()
    assert batch.expected_BKC is None
    assert torch.equal(batch.counts_BC, truth.counts_BC)
    # The fit's own answer with the wrong response, and not the truth.
    alone = fit_dataset(dataset=shifted, config=WSTAT, split="all", n=40, assumed=dataset)
    known_B = ~batch.parameters_BP[:40, 1].isnan()
    assert known_B.float().mean() > 0.5
    slope_B = alone["slope"].to_numpy()[known_B]
    assert batch.parameters_BP[:40, 1][known_B].numpy() == pytest.approx(slope_B, abs=0.02)
    # A thick filter takes soft photons away, which looks like absorption.
    right = fit_dataset(dataset=shifted, config=WSTAT, split="all", n=40)
    assert np.median(alone["nh"].to_numpy() - right["nh"].to_numpy()) > 0.01
    # The area of the thin filter, not the thick one's.
    area = read_split(dataset, "all", 1).area_BA[0]
    torch.testing.assert_close(batch.area_BA, area.expand(60, -1))
    assert (truth.area_BA[:, 0] < 0.9 * area[0]).all()


def test_what_cannot_be_fitted_is_said(dataset, pha, tmp_path):
    observed = ingest_dataset([pha], tmp_path / "observed").dataset
    with pytest.raises(InputError, match="not simulated; give the PHA files"):
        fit_dataset(observed, QUICK)
    plain = SimulateConfig(n_backgrounds=2, components=False)
    bare = simulate_dataset(plain, 30, tmp_path / "bare")
    with pytest.raises(InputError, match="use --statistic wstat"):
        fit_dataset(bare, QUICK)
    assert fit_dataset(bare, FitConfig("wstat", intervals=False), split="all").num_rows == 30
    with pytest.raises(InputError, match="--as is not to know"):
        fit_dataset(bare, QUICK, assumed=dataset)
    with pytest.raises(InputError, match="unknown split"):
        fit_dataset(dataset, QUICK, split="tests")
