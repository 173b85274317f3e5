import numpy as np
import pyarrow.parquet as pq
import pytest

from wolter import cli
from wolter.data import fits
from wolter.data.batches import read_split
from wolter.data.fits import FitConfig, FromPrior, fit_batch, fit_dataset
from wolter.data.ingest import ingest_dataset
from wolter.data.simulate import simulate_dataset
from wolter.data.simulator import SimulateConfig, Simulator
from wolter.errors import InputError

pytestmark = pytest.mark.distributed
CONFIG = SimulateConfig(n_backgrounds=2)
QUICK = FitConfig(intervals=False)


@pytest.fixture(scope="module")
def dataset(ray_session, tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    return simulate_dataset(CONFIG, 1100, folder, seed=5, workers=1, blocks_per_shard=1)


def test_the_job_gives_the_fits_of_one_process_in_order(dataset, monkeypatch):
    monkeypatch.setattr(fits, "ROWS_PER_TASK", 16)
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


def test_what_cannot_be_fitted_is_said(dataset, pha, tmp_path):
    observed = ingest_dataset([pha], tmp_path / "observed").dataset
    with pytest.raises(InputError, match="not simulated; give the PHA files"):
        fit_dataset(observed, QUICK)
    plain = SimulateConfig(n_backgrounds=2, components=False)
    bare = simulate_dataset(plain, 30, tmp_path / "bare")
    with pytest.raises(InputError, match="use --statistic wstat"):
        fit_dataset(bare, QUICK)
    assert fit_dataset(bare, FitConfig("wstat", intervals=False), split="all").num_rows == 30
    with pytest.raises(InputError, match="unknown split"):
        fit_dataset(dataset, QUICK, split="tests")
