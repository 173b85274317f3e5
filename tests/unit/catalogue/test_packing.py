"""Encodings of parquet columns: the smallest ones, which change no number."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wolter.catalogue import packing


def packed(table, **how):
    file = io.BytesIO()
    pq.write_table(table, file, **how)
    return file


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    n = 5_000
    return pa.table(
        {
            "id": rng.integers(0, 2**53, n),
            "few": rng.choice(np.array([1.5, 2.5], np.float32), n),
            "rounded": rng.normal(size=n).astype(np.float16).astype(np.float32),
            "word": pa.array(["one", "two"] * (n // 2)),
            "name": [f"SIM J{i:07d}" for i in range(n)],
            "nest": pa.array([{"counts": [1.0, 2.0], "id": [i, i]} for i in range(n)]),
            "hole": pa.array([None] * n, pa.float64()),
        }
    )


def test_rows_come_back_and_take_fewer_bytes(table):
    how = packing.smallest(table)
    file = packed(table, **how)
    assert pq.read_table(file).equals(table)
    plain = packed(table, compression="zstd", compression_level=how["compression_level"])
    assert len(file.getvalue()) < 0.9 * len(plain.getvalue())


def test_numbers_are_split_and_repeated_ones_are_in_a_dictionary(table):
    how = packing.smallest(table)
    assert how["column_encoding"]["id"] == "DELTA_BINARY_PACKED"
    assert how["column_encoding"]["rounded"] == "BYTE_STREAM_SPLIT"
    assert {"few", "word"} <= set(how["use_dictionary"])


def test_a_table_without_rows_is_packed(table):
    none = table.slice(0, 0)
    assert pq.read_table(packed(none, **packing.smallest(none))).equals(none)


def test_large_tables_are_compressed_harder(table, monkeypatch):
    monkeypatch.setattr(packing, "LARGE", 5_000)
    assert packing.smallest(table)["compression_level"] > 9
    assert packing.smallest(table.slice(1))["compression_level"] == 9
