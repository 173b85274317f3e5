"""No flipped byte of a shard goes unnoticed."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.synthetic import make_dataset

from wolter.data.batches import BatchConfig, count_rows, fits, local_reader, read_split
from wolter.data.integrity import encode, read_schema, read_shard, verify
from wolter.data.shards import finished_shard, open_dataset
from wolter.errors import InputError

COLUMNS = ["split_key", "counts", "background", "exposure"]


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path / "data", 60, n_shards=2)


def test_scalars_have_statistics_and_tensors_none(dataset):
    """Queries skip rows by them; those of a tensor's values take as long as compression."""
    group = pq.read_metadata(dataset.files[0]).row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    having = {each.path_in_schema: each.statistics is not None for each in columns}
    assert having["split_key"]
    assert having["exposure"]
    assert not having["counts.list.element"]


def flip(file, position, mask=0x01):
    data = bytearray(file.read_bytes())
    data[position] ^= mask
    file.write_bytes(data)


def regions(file):
    """Some offset of each kind of place: magic, page header, page, footer, its length, magic."""
    size = file.stat().st_size
    data = file.read_bytes()
    footer = size - 8 - int.from_bytes(data[-8:-4], "little")
    chunk = pq.read_metadata(file).row_group(0).column(1)
    start = chunk.data_page_offset
    end = start + chunk.total_compressed_size
    return {
        "first magic": 1,
        "page header": start + 2,
        "end of a page": end - 1,
        "footer": footer + 3,
        "end of the footer": size - 12,
        "length of the footer": size - 8,
        "last magic": size - 2,
    }


PLACES = ("first magic", "page header", "end of a page", "footer", "end of the footer",
          "length of the footer", "last magic")  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_flipped_byte_ends_every_reading_with_one_line(dataset, place):
    file = dataset.files[1]
    flip(file, regions(file)[place])
    told = r"part-00001.parquet: its SHA-256 differs from the one in dataset.json; run the command"
    readings = {
        "shard": lambda: dataset.read(1),
        "split": lambda: read_split(dataset, "all"),
        "epoch": lambda: list(local_reader(dataset, "train", BatchConfig())(0)),
        "whole": lambda: open_dataset(dataset.path, verify=True),
    }
    for reading in readings.values():
        with pytest.raises(InputError, match=told) as caught:
            reading()
        assert "\n" not in str(caught.value)
    assert finished_shard(dataset.path, 1) is None
    assert finished_shard(dataset.path, 0) is not None


def test_a_flip_after_the_first_reading_is_noticed(dataset):
    file, stamp = dataset.files[0], dataset.files[0].stat()
    read_shard(file)
    flip(file, regions(file)["end of a page"])
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as decay on the disk would
    with pytest.raises(InputError, match=r"part-00000.parquet: damaged \(.*CRC"):
        read_shard(file)
    os.utime(file)
    with pytest.raises(InputError, match="SHA-256 differs"):
        read_shard(file)


def test_any_flipped_bit_is_noticed_and_a_page_s_by_its_checksum_too(dataset, monkeypatch):
    file = dataset.files[0]
    data, whole = file.read_bytes(), read_shard(file)
    chunks = [pq.read_metadata(file).row_group(0).column(i) for i in range(len(whole.columns))]
    ends = [c.data_page_offset + c.total_compressed_size for c in chunks]
    for position in map(int, np.random.default_rng(0).permutation(len(data))[:300]):
        flip(file, position, 1 << position % 8)
        with pytest.raises(InputError, match="SHA-256 differs"):
            read_shard(file)
        file.write_bytes(data)
    # A page's header takes up to a hundred bytes here.
    monkeypatch.setattr("wolter.data.integrity.verify", lambda _: None)
    for start, stop in zip([c.data_page_offset + 100 for c in chunks], ends, strict=True):
        for position in range(start, stop, max(1, (stop - start) // 20)):
            flip(file, position)
            with pytest.raises(InputError, match=r"damaged \(.*CRC checksum"):
                read_shard(file)
            file.write_bytes(data)


def test_what_is_counted_before_reading_names_a_damaged_shard_too(dataset):
    assert count_rows(dataset, "all") == 60
    for file in dataset.files:
        flip(file, file.stat().st_size - 8)
    for reading in (lambda: count_rows(dataset, "all"), lambda: fits(dataset, 1)):
        with pytest.raises(InputError, match=r"part-0000.\.parquet: its SHA-256 differs"):
            reading()


def test_a_shard_that_is_gone(dataset):
    dataset.files[0].unlink()
    for reading in (read_shard, read_schema, verify):
        with pytest.raises(InputError, match=r"part-00000.parquet: missing; run the command"):
            reading(dataset.files[0])


def test_a_shard_is_hashed_once_while_it_stays_as_it_is(dataset, monkeypatch):
    hashed = []

    def sha256_of(path):
        hashed.append(path)
        return real(path)

    from wolter.data import integrity

    real = integrity.sha256_of
    monkeypatch.setattr(integrity, "sha256_of", sha256_of)
    for _ in range(3):
        read_split(dataset, "all")
    assert sorted(hashed) == sorted(dataset.files)
    dataset.files[0].touch()
    read_split(dataset, "all")
    assert len(hashed) == 3


def test_a_shard_of_another_dataset_is_not_this_one(dataset, tmp_path):
    other = make_dataset(tmp_path / "other", 60, n_shards=2, seed=1)
    dataset.files[0].write_bytes(other.files[0].read_bytes())
    with pytest.raises(InputError, match="SHA-256 differs"):
        read_shard(dataset.files[0])


def test_a_manifest_without_shards_is_said(dataset):
    manifest = dataset.path / "dataset.json"
    for text in ("[]", "{}", '{"shards": [1]}', "{"):
        manifest.write_text(text)
        with pytest.raises(InputError, match=r"dataset.json: not a manifest of shards"):
            read_shard(dataset.files[0])


def test_a_damaged_record_beside_a_shard_has_it_written_again(dataset):
    record = dataset.path / ".part-00000.parquet.json"
    for text in ("{", "[]", json.dumps({"name": "part-00000.parquet"})):
        record.write_text(text)
        assert finished_shard(dataset.path, 0) is None


def test_columns_come_in_the_order_asked_for(dataset):
    table = read_shard(dataset.files[0], ["exposure", "none", "counts"])
    assert table.column_names == ["exposure", "counts"]
    assert read_schema(dataset.files[0]).equals(read_shard(dataset.files[0]).schema)


def test_folders_with_an_equals_sign_add_no_column(tmp_path):
    made = make_dataset(tmp_path / "seed=3", 20, n_shards=1)
    assert "seed" not in made.read(0).column_names


def test_reading_needs_no_torch():
    code = "import sys, wolter.data.stream; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_table_gives_the_same_bytes(dataset):
    table = dataset.read(0)
    assert encode(table) == encode(table) == dataset.files[0].read_bytes()
