import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.multimodal import hats_table, rows, write_hats, write_hdf5

from wolter.data.row_writer import list_files
from wolter.errors import InputError
from wolter.spectra.mmu import tables
from wolter.spectra.mmu.tables import check_reader, find_tables, read_pieces

COLUMNS = rows(5)


def whole(path):
    return pa.concat_tables(read_pieces(path))


def lists(table, name):
    return [np.asarray(each, np.float32) for each in table[name].to_pylist()]


def assert_rows(table, columns=COLUMNS):
    pairs = {"low": "ene_lo", "high": "ene_hi", "rate": "flux", "error": "flux_err"}
    for name, word in pairs.items():
        for found, given in zip(lists(table, name), columns[f"spectrum_{word}"], strict=True):
            np.testing.assert_array_equal(found, np.asarray(given, np.float32))
    assert table["name"].to_pylist() == columns["name"]
    assert table["var_prob_b"].to_pylist() == columns["var_prob_b"]
    assert table["flux_significance_b"].to_pylist() == columns["flux_significance_b"]


def test_hdf5_and_hats_hold_the_same_rows(tmp_path):
    from_hdf5 = whole(write_hdf5(tmp_path / "healpix=1" / "001-of-001.hdf5", COLUMNS))
    pq.write_table(hats_table(COLUMNS), tmp_path / "hats.parquet")
    from_hats = whole(tmp_path / "hats.parquet")
    assert_rows(from_hdf5)
    assert_rows(from_hats)
    assert from_hdf5["obsid"].to_pylist() == COLUMNS["obsid"]
    assert "obsid" not in from_hats.column_names
    assert from_hats["file"].to_pylist()[3] == f"{tmp_path / 'hats.parquet'}#3"


def test_a_spectrum_may_be_a_list_of_structs_or_plain_columns(tmp_path):
    table = hats_table(COLUMNS)
    structs = [
        [dict(zip(fields, group, strict=True)) for group in zip(*fields.values(), strict=True)]
        for fields in table["spectrum"].to_pylist()
    ]
    nested = table.set_column(table.column_names.index("spectrum"), "spectrum", [structs])
    large = pa.large_list(nested["spectrum"].type.value_type)
    for column in (nested["spectrum"], nested["spectrum"].cast(large)):
        at = table.column_names.index("spectrum")
        pq.write_table(nested.set_column(at, "spectrum", column), tmp_path / "nested.parquet")
        assert_rows(whole(tmp_path / "nested.parquet"))
    for mark in (".", "_"):
        flat = {k: v for k, v in COLUMNS.items() if not k.startswith("spectrum_")}
        for field in ("ene_low_bin", "ene_high_bin", "flux", "flux_error"):
            flat[f"spectrum{mark}{field}"] = pc.struct_field(table["spectrum"], field)
        pq.write_table(pa.table(flat), tmp_path / "flat.parquet")
        assert_rows(whole(tmp_path / "flat.parquet"))


def test_missing_spectra_are_rows_of_their_own(tmp_path):
    table = hats_table(COLUMNS)
    spectra = table["spectrum"].to_pylist()
    spectra[2] = None
    holes = pa.array(spectra, table["spectrum"].type)
    pq.write_table(
        table.set_column(len(table.column_names) - 1, "spectrum", holes), tmp_path / "a.parquet"
    )
    found = whole(tmp_path / "a.parquet")
    assert [each is None for each in found["low"].to_pylist()] == [False, False, True, False, False]


def test_large_files_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS", 2)
    for path in (tmp_path / "a.parquet", tmp_path / "a.hdf5"):
        if path.suffix == ".hdf5":
            write_hdf5(path, COLUMNS)
        else:
            pq.write_table(hats_table(COLUMNS), path)
        pieces = list(read_pieces(path))
        assert [len(piece) for piece in pieces] == [2, 2, 1]
        assert pieces[2]["file"].to_pylist() == [f"{path}#4"]
        assert_rows(pa.concat_tables(pieces))


def test_a_catalogue_is_its_partitions_without_margin_and_thumbnail(tmp_path):
    found = find_tables(list_files([write_hats(tmp_path, COLUMNS)]))
    names = [str(file.relative_to(tmp_path)) for file in found]
    assert names == [f"chandra/dataset/Norder=2/Dir=0/Npix={i}.parquet" for i in range(2)]
    plain = tmp_path / "chandra" / "dataset" / "Norder=2" / "Dir=0"
    assert len(find_tables(list_files([plain]))) == 2


@pytest.mark.parametrize("name", ["a.parquet", "a.hdf5"])
def test_damaged_files_and_other_tables_are_told(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="not a readable"):
        whole(path)
    other = {"name": ["a"], "flux_aper_b": [1.0]}
    if name.endswith("parquet"):
        pq.write_table(pa.table(other), path)
    else:
        write_hdf5(path, other)
    with pytest.raises(InputError, match="no column spectrum_ene_low_bin or"):
        whole(path)


def test_no_row_of_hdf5_is_lost_or_stops_the_others(tmp_path):
    path = tmp_path / "a.hdf5"
    swapped = {name: np.array(COLUMNS[name], ">f8") for name in ("ra", "flux_significance_b")}
    found = whole(write_hdf5(path, COLUMNS | swapped | {"obsid": np.array([7] * 5, ">i4")}))
    assert_rows(found)
    assert found["ra"].to_pylist() == COLUMNS["ra"]
    assert found["obsid"].to_pylist() == [7] * 5
    with pytest.raises(InputError, match=r"a.hdf5: 4 rows of hard_hs and 5 of \w+; make the file"):
        whole(write_hdf5(path, COLUMNS | {"hard_hs": [0.1] * 4}))
    with pytest.raises(InputError, match=r"a.hdf5: not a readable HDF5 file \(.*'x'"):
        whole(write_hdf5(path, COLUMNS | {"obsid": ["x"] * 5}))


def test_without_h5py_the_remedy_is_told(tmp_path, monkeypatch):
    path = write_hdf5(tmp_path / "a.hdf5", COLUMNS)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"pip install 'wolter\[mmu\]'"):
        check_reader([path])
    check_reader([tmp_path / "a.parquet"])
