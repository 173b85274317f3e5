"""Rows that come in pieces become shards of the size that was asked for, and rejects."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.synthetic import SPEC

from wolter.data.row_writer import RowWriter
from wolter.data.shards import table_to_numpy, tensor_column
from wolter.data.split import name_keys


def piece(first, n, bad=(), **extra):
    names = [f"s{i}" for i in range(first, first + n)]
    reasons = ["cut short" if i in bad else "" for i in range(first, first + n)]
    return pa.table({"file": names, "source_id": names, "reason": reasons, **extra})


@pytest.mark.parametrize(
    ("pieces", "sizes"),
    [
        ([9], [9]),
        ([10], [10]),
        ([11], [10, 1]),
        ([4, 6], [10]),
        ([4, 7, 9], [10, 10]),
        ([35], None),
    ],
)
def test_shards_are_full_but_the_last(tmp_path, pieces, sizes):
    writer, first = RowWriter(tmp_path, 10), 0
    for n in pieces:
        writer.add(piece(first, n))
        first += n
    made = writer.finish("spectra", SPEC, {})
    assert [shard.rows for shard in made.manifest.shards] == (sizes or [10, 10, 10, 5])
    names = [name for i in range(len(made.files)) for name in made.read(i)["file"].to_pylist()]
    assert names == [f"s{i}" for i in range(first)]
    assert made.manifest.rejects == 0
    assert pq.read_table(tmp_path / "rejects.parquet").num_rows == 0


def test_rows_with_a_reason_are_rejected_and_counted(tmp_path):
    writer = RowWriter(tmp_path, 10)
    writer.add(piece(0, 12, bad=(3, 11)))
    made = writer.finish("spectra", SPEC, {})
    assert (made.manifest.rows, made.manifest.rejects) == (10, 2)
    table = pq.read_table(tmp_path / "rejects.parquet")
    assert table.to_pylist() == [{"file": f"s{i}", "reason": "cut short"} for i in (3, 11)]
    assert "reason" not in made.read(0).column_names


def test_nothing_but_rejects_makes_no_shard(tmp_path):
    writer = RowWriter(tmp_path, 10)
    writer.add(piece(0, 2, bad=(0, 1)))
    made = writer.finish("spectra", SPEC, {})
    assert made.files == ()
    assert made.manifest.rejects == 2


def test_a_split_follows_from_the_source_or_its_parent(tmp_path):
    writer = RowWriter(tmp_path, 10)
    writer.add(piece(0, 3))
    writer.add(piece(3, 2))
    made = writer.finish("spectra", SPEC, {})
    expected = name_keys([f"s{i}" for i in range(5)]).tolist()
    assert made.read(0)["split_key"].to_pylist() == expected
    (tmp_path / "pairs").mkdir()
    writer = RowWriter(tmp_path / "pairs", 10)
    writer.add(piece(0, 3, parent=["p", "q", "p"]))
    keys = writer.finish("spectra", SPEC, {}).read(0)["split_key"].to_pylist()
    assert keys == name_keys(["p", "q", "p"]).tolist()


def test_tensors_that_only_some_pieces_have_are_nan_in_the_others(tmp_path):
    known = tensor_column(np.ones((2, 3), np.float32))
    writer = RowWriter(tmp_path, 10)
    writer.add(piece(0, 2))
    writer.add(piece(2, 2, seen=known))
    writer.add(piece(4, 1, bad=(4,)))
    made = writer.finish("spectra", SPEC, {})
    seen_N3 = table_to_numpy(made.read(0))["seen"]
    assert np.isnan(seen_N3[:2]).all()
    assert seen_N3[2:].tolist() == [[1, 1, 1]] * 2
    assert made.manifest.rejects == 1
