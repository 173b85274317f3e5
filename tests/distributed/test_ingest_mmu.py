import json
import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.multimodal import draw, rows, write_hats, write_hdf5
from tests.processes import PYTHON, environment

from wolter.data.batches import read_split
from wolter.errors import InputError
from wolter.spectra.mmu.ingest import MmuConfig, ingest_mmu

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Folder with a HATS catalogue, an HDF5 file with a bad row, and a damaged file."""
    folder = tmp_path_factory.mktemp("archive")
    write_hats(folder / "hats", rows(6))
    columns = rows(4)
    columns["name"] = [f"hdf5 {i}" for i in range(4)]
    columns["spectrum_flux"][1] = columns["spectrum_flux"][1][:-2]
    write_hdf5(folder / "healpix=7" / "001-of-001.hdf5", columns)
    (folder / "short.parquet").write_bytes(b"PAR1")
    return folder


def test_every_row_is_read_or_rejected_with_its_reason(ray_session, archive, tmp_path):
    result = ingest_mmu([archive], tmp_path)
    assert result.read == 9
    assert result.errors == {"gehrels": 9}
    assert result.insignificant == 0
    assert result.other_files == 9
    reasons = {file.rsplit("/", 1)[1]: reason for file, reason in result.rejects}
    assert set(reasons) == {"001-of-001.hdf5#1", "short.parquet"}
    assert "lengths differ" in reasons["001-of-001.hdf5#1"]
    assert "not a readable parquet" in reasons["short.parquet"]
    assert pq.read_table(tmp_path / "rejects.parquet").num_rows == 2
    batch = read_split(result.dataset, "all")
    truth = [float(draw(seed).counts_G.sum()) for seed in (*range(6), 0, 2, 3)]
    np.testing.assert_allclose(batch.counts_BC.sum(1), truth, rtol=1e-4)
    config = json.loads((tmp_path / "dataset.json").read_text())["config"]
    assert any("response" in each for each in config["lost"])


def test_rows_below_the_significance_are_counted_and_left_out(ray_session, archive, tmp_path):
    result = ingest_mmu([archive], tmp_path, MmuConfig(significance=6.5))
    assert result.read == 4
    assert result.insignificant == 6
    assert [file.rsplit("/", 1)[1] for file, _ in result.rejects] == ["short.parquet"]


@pytest.mark.slow
def test_the_command_accounts_for_every_row_and_says_what_is_lost(archive, tmp_path):
    words = ("ingest", "mmu", str(archive), "--out", str(tmp_path / "out"), "--significance", "5")
    done = subprocess.run(
        [*PYTHON, *words], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert "7 spectra read, 2 rejected, 2 below significance 5, 9 other files" in done.stdout
    assert "not in these rows:" in done.stdout
    assert "the response: effective area" in done.stdout


def test_a_folder_without_tables_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match="no tables there; give parquet files"):
        ingest_mmu([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()
