import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from wolter.data.shards import (
    Manifest,
    claim_folder,
    finished_shard,
    open_dataset,
    table_to_numpy,
    to_batch,
    to_table,
    write_manifest,
    write_shard,
)
from wolter.errors import InputError
from wolter.files import make_folder
from wolter.spectra.schema import SpectraBatch, SpectraSpec


def table(n: int = 6, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    batch = SpectraBatch(
        counts_BC=torch.poisson(torch.full((n, 3), 5.0), generator=generator),
        background_BC=torch.zeros(n, 3),
        background_scale_B=torch.ones(n),
        exposure_B=torch.full((n,), 1e3),
        expected_BKC=torch.rand(n, 2, 3, generator=generator),
    )
    return batch, to_table(batch, {"split_key": np.linspace(0, 1, n, endpoint=False)})


def dataset(folder, n_shards: int = 2):
    shards = tuple(write_shard(folder, i, table(seed=i)[1]) for i in range(n_shards))
    spec = SpectraSpec((0.3, 1.0, 2.0, 3.0))
    return write_manifest(folder, Manifest("spectra", spec, {}, 0, "", shards))


def test_a_shard_gives_back_what_went_in(tmp_path):
    batch, rows = table()
    write_shard(tmp_path, 0, rows)
    (tmp_path / "elsewhere").mkdir()
    read = to_batch(table_to_numpy(dataset(tmp_path, 1).read(0)), "spectra")
    assert torch.equal(read.counts_BC, batch.counts_BC)
    assert torch.equal(read.expected_BKC, batch.expected_BKC)
    assert read.parameters_BP is None


def test_the_same_rows_give_the_same_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = write_shard(tmp_path / "a", 0, table()[1])
    assert write_shard(tmp_path / "b", 0, table()[1]) == first
    assert write_shard(tmp_path / "b", 0, table(seed=1)[1]) != first


def test_a_finished_shard_is_known_by_its_checksum(tmp_path):
    assert finished_shard(tmp_path, 0) is None
    shard = write_shard(tmp_path, 0, table()[1])
    assert finished_shard(tmp_path, 0) == shard
    (tmp_path / shard.name).write_bytes(b"cut short")
    assert finished_shard(tmp_path, 0) is None


def test_open_dataset_checks_what_it_opens(tmp_path):
    with pytest.raises(InputError, match=r"no dataset.json there; make one with `wolter simulate`"):
        open_dataset(tmp_path)
    opened = dataset(tmp_path)
    assert opened.manifest.rows == 12
    assert open_dataset(tmp_path, verify=True).spec == opened.spec
    opened.files[1].write_bytes(opened.files[0].read_bytes())
    with pytest.raises(InputError, match=r"part-00001.parquet: its SHA-256 differs"):
        open_dataset(tmp_path, verify=True)
    opened.files[1].unlink()
    with pytest.raises(InputError, match=r"part-00001.parquet: missing"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("version", [0, 99])
def test_another_schema_is_refused(tmp_path, version):
    dataset(tmp_path)
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema_version": version}))
    with pytest.raises(InputError, match=f"schema version {version}, this wolter reads 1"):
        open_dataset(tmp_path)


def test_shards_of_two_runs_never_mix(tmp_path):
    claim_folder(tmp_path, {"seed": 1, "exposure": 2})
    claim_folder(tmp_path, {"exposure": 2, "seed": 1})
    with pytest.raises(InputError, match="another config or seed"):
        claim_folder(tmp_path, {"seed": 2, "exposure": 2})
    with pytest.raises(InputError, match="another config or seed"):
        claim_folder(tmp_path, {"seed": 0, "exposure": 2})
    (tmp_path / ".claim.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match="another config or seed"):
        claim_folder(tmp_path, {"seed": 1})


def test_an_output_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be created"):
        make_folder(tmp_path / "file" / "out")


def test_a_manifest_that_was_changed_is_refused(tmp_path):
    """Every value of it, one digit or letter at a time; not its order and spacing."""
    opened = dataset(tmp_path)
    file = tmp_path / "dataset.json"
    text = file.read_text()
    for old, new in (
        ("0.3", "0.7"), ('"rows": 6', '"rows": 7'), ('"seed": 0', '"seed": 1'),
        ('"spectra"', '"images"'), ('"labels": ""', '"labels": "x"'),
    ):  # fmt: skip
        assert old in text
        file.write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match=r"dataset\.json: "):
            open_dataset(tmp_path)
    values = json.loads(text)
    file.write_text(json.dumps(dict(reversed(values.items()))))
    assert open_dataset(tmp_path).manifest == opened.manifest
    del values["sha256"]  # as data sets have it that were made before
    file.write_text(json.dumps(values))
    assert open_dataset(tmp_path).manifest.rows == 12


def test_a_flipped_bit_of_a_manifest_is_refused_or_changes_nothing(tmp_path):
    opened = dataset(tmp_path)
    file = tmp_path / "dataset.json"
    data, told = file.read_bytes(), []
    for position in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 7
        file.write_bytes(damaged)
        try:
            assert open_dataset(tmp_path).manifest == opened.manifest
        except InputError as error:
            told.append(str(error))
    assert len(told) > len(data) / 3 / 2
    assert not any("\n" in each for each in told)


def test_what_is_beside_a_shard_alone_is_no_finished_shard(tmp_path):
    shard = write_shard(tmp_path, 7, table()[1])
    assert shard.name == "part-00007.parquet"
    assert finished_shard(tmp_path, 7) == shard
    (tmp_path / shard.name).rename(tmp_path / "kept")
    assert finished_shard(tmp_path, 7) is None
    (tmp_path / "kept").rename(tmp_path / shard.name)
    (tmp_path / ".part-00007.parquet.json").unlink()
    assert finished_shard(tmp_path, 7) is None


def test_tensors_that_come_as_objects_are_stacked(tmp_path):
    batch, rows = table()
    columns = table_to_numpy(rows)
    ragged = dict(columns)
    for name in ("counts", "expected"):
        ragged[name] = np.empty(len(batch), object)
        ragged[name][:] = list(columns[name])
    for given in (columns, ragged):
        read = to_batch(given, "spectra")
        assert torch.equal(read.counts_BC, batch.counts_BC)
        assert torch.equal(read.expected_BKC, batch.expected_BKC)
        assert read.counts_BC.dtype == torch.float32


def test_text_and_missing_numbers_become_arrays():
    rows = pa.table({"name": ["a", None], "n": [1, None], "flag": [True, False]})
    arrays = table_to_numpy(rows)
    assert arrays["name"].tolist() == ["a", None]
    assert np.isnan(arrays["n"][1])
    assert arrays["flag"].tolist() == [True, False]


def test_vectors_become_tensors_and_numbers_stay_plain():
    batch, rows = table()
    assert isinstance(rows.schema.field("counts").type, pa.FixedShapeTensorType)
    assert rows.schema.field("counts").type.shape == [3]
    assert rows.schema.field("expected").type.shape == [2, 3]
    assert rows.schema.field("exposure").type == pa.float32()
    assert rows.column_names[0] == "split_key"
    assert "parameters" not in rows.column_names
    assert len(rows) == len(batch)


def test_a_dataset_is_named_by_the_hash_of_its_manifest(tmp_path):
    opened = dataset(tmp_path)
    expected = hashlib.sha256((tmp_path / "dataset.json").read_bytes()).hexdigest()
    assert opened.sha256() == expected
    assert opened.files == tuple(tmp_path / f"part-0000{i}.parquet" for i in (0, 1))
    assert opened.manifest.schema_version == 1
    assert "files=" not in repr(opened)  # there may be thousands
    assert (opened.manifest.rejects, opened.manifest.labels) == (0, "")
