"""Populations and semi-real spectra as shard datasets."""

import pyarrow.parquet as pq
import pytest

from wolter.data.shards import REJECTS, open_dataset
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.write import SemiReal, population_dataset

pytestmark = pytest.mark.distributed
CONFIG = PopulationConfig(mix="equal", thermal="bremsstrahlung")
ROWS = """name,Fcsc_s,e_Fcsc_s,Fcsc_m,e_Fcsc_m,Fcsc_h,e_Fcsc_h,Class
a quasar,1e-14,1e-15,9e-15,1e-15,3e-14,4e-15,AGN
a star,2e-14,1e-15,4e-15,5e-16,2e-15,8e-16,LM-STAR
faint,1e-15,9e-16,1e-15,9e-16,3e-15,3e-15,AGN
"""


def test_any_number_of_workers_gives_the_same_bytes(ray_session, tmp_path):
    one, two = (
        population_dataset(CONFIG, 1100, tmp_path / str(n), 3, n, blocks_per_shard=1)
        for n in (1, 2)
    )
    assert [shard.rows for shard in one.manifest.shards] == [1024, 76]
    assert one.manifest.shards == two.manifest.shards
    assert one.spec.classes[0] == "AGN"


def test_rows_are_followed_and_rejects_lie_beside(ray_session, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text(ROWS)
    semi_real = SemiReal(CONFIG, table, 4, templates=256)
    semi_real.write(tmp_path / "out", seed=1, workers=1)
    dataset = open_dataset(tmp_path / "out", verify=True)
    assert dataset.manifest.rows == 8
    assert dataset.manifest.rejects == 1
    assert dataset.read(0)["source_id"].to_pylist() == ["a quasar", "a star"] * 4
    rejects = pq.read_table(tmp_path / "out" / REJECTS).to_pylist()
    assert rejects[0]["file"] == "faint"
    assert "fewer than 20 counts" in rejects[0]["reason"]
