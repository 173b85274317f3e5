"""Every format holds the same rows and nulls, and is read by independent readers."""

import io
import json
import shutil
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table as AstropyTable
from hypothesis import given, settings
from hypothesis import strategies as st

from wolter.catalogue.columns import Column
from wolter.catalogue.formats import FORMATS, choose, encode
from wolter.catalogue.votable import error
from wolter.errors import InputError

COLUMNS = (
    Column("name", 'a "name" & <more>', "text", "", "meta.id;meta.main"),
    Column("s", "short", "short", "", "meta.code"),
    Column("i", "int", "int"),
    Column("k", "long", "long"),
    Column("note", "text at the end of numbers", "text"),
    Column("f", "float", "float", "keV", "phys.temperature"),
    Column("ra", "double", "double", "deg", "pos.eq.ra;meta.main"),
)
INFOS = (("release", "R1"), ("simulated", "true"))
text_of = st.text(st.characters(codec="utf-8", exclude_characters="\x00", max_codepoint=0xFFFF))
row_of = st.tuples(
    st.none() | text_of,
    st.none() | st.integers(-(2**15) + 1, 2**15 - 1),
    st.none() | st.integers(-(2**31) + 1, 2**31 - 1),
    st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
    st.none() | text_of,
    st.none() | st.floats(width=32),
    st.none() | st.floats(),
)


def table(rows):
    schema = pa.schema([(c.name, c.arrow) for c in COLUMNS])
    columns = list(zip(*rows, strict=True)) or [[] for _ in COLUMNS]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)


EXAMPLE = table(
    [
        ("a & <b>", 1, 2, 3, "", 0.1, 1e-7),
        (None, None, None, None, None, None, None),
        ("né\u4e2d", -1, -2, 2**62, 'x "y", z', float("inf"), float("nan")),
    ]
)


def same(found, expected):
    """Equal values, nulls among them; NaN equals NaN."""
    assert found.column_names == expected.column_names
    for name in expected.column_names:
        for one, other in zip(found[name].to_pylist(), expected[name].to_pylist(), strict=True):
            both_nan = one is not None and other is not None and one != one and other != other
            assert one == other or both_nan, (name, one, other)


def from_votable(data):
    """Rows as astropy reads them: a masked text is read as empty."""
    array = parse(io.BytesIO(data)).get_first_table().array
    columns = []
    for column in COLUMNS:
        values = array[column.name]
        mask = np.ma.getmaskarray(values)
        if column.datatype == "text":
            columns.append(pa.array([str(v) for v in values.data], pa.string()))
            continue
        plain = np.asarray(values.data).astype(column.arrow.to_pandas_dtype())
        columns.append(pa.array(plain, column.arrow, mask=mask))
    return pa.table(columns, [c.name for c in COLUMNS])


def as_votables_can(rows):
    """Text is never null in TABLEDATA, and astropy takes NaN for null."""
    for i, column in enumerate(COLUMNS):
        values = rows[i]
        if column.datatype == "text":
            values = values.fill_null("")
        if column.datatype in ("float", "double"):
            values = pc.if_else(pc.is_nan(values), None, values)
        rows = rows.set_column(i, column.name, values)
    return rows


@settings(max_examples=40)
@given(st.lists(row_of, max_size=20))
def test_binary2_is_read_as_written(rows):
    data = encode(table(rows), COLUMNS, "votable/b2", "OK", INFOS)
    same(from_votable(data), as_votables_can(table(rows)))


@settings(max_examples=60)
@given(st.lists(row_of, max_size=20))
def test_json_is_read_as_written(rows):
    told = json.loads(encode(table(rows), COLUMNS, "json", "OVERFLOW", INFOS))
    assert told["release"] == "R1"
    assert told["status"] == "OVERFLOW"
    assert [c["name"] for c in told["columns"]] == [c.name for c in COLUMNS]
    back = [[row[c.name] for c in COLUMNS] for row in told["rows"]]
    no = float("nan"), float("inf"), -float("inf")
    plain = [[None if v in no or v != v else v for v in row] for row in rows]
    for one, other in zip(back, plain, strict=True):
        assert one[:5] == other[:5]
        assert [v if v is None else np.float32(v) for v in one[5:6]] == other[5:6]
        assert one[6] == other[6]


def test_tabledata_is_read_as_written_and_has_no_literal_null():
    data = encode(EXAMPLE, COLUMNS, "votable/td", "OK", INFOS)
    same(from_votable(data), as_votables_can(EXAMPLE))
    assert b"null" not in data.lower()
    control = table([("a\x01\r\nb", 1, 1, 1, "\ufffe", 1.0, 1.0)])
    read = from_votable(encode(control, COLUMNS, "votable/td"))
    assert read["name"].to_pylist() == ["a?\r\nb"]
    assert read["note"].to_pylist() == ["?"]


def test_characters_beyond_16_bits_are_replaced_in_binary2():
    rows = table([("a\U0001f600b", 1, 1, 1, "c", 1.0, 1.0)])
    assert from_votable(encode(rows, COLUMNS, "votable/b2"))["name"].to_pylist() == ["a\ufffdb"]


def test_many_rows_are_packed_as_few(snapshot):
    columns = snapshot.source.columns
    rows = snapshot.query("SELECT * FROM source ORDER BY rowid")
    rows = pa.concat_tables([rows] * 5)  # more than are packed together
    data = encode(rows, columns, "votable")
    assert b"<BINARY2>" in data
    read = parse(io.BytesIO(data)).get_first_table().array
    assert len(read) == 15_000
    for name in ("source_id", "ra", "healpix_29", "latent_7"):
        column = rows[name]
        mask = np.ma.getmaskarray(read[name])
        assert np.array_equal(mask, column.combine_chunks().is_null().to_numpy(False))
        assert np.array_equal(
            np.asarray(read[name])[~mask], column.drop_null().to_numpy(), equal_nan=True
        )
    assert [str(v) for v in read["name"]] == rows["name"].to_pylist()
    assert b"<TABLEDATA>" in encode(rows.slice(0, 999), columns, "votable")


def test_csv_fits_and_parquet_hold_the_same():
    plain = pyarrow.csv.read_csv(
        io.BytesIO(encode(EXAMPLE, COLUMNS, "csv")),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=EXAMPLE.schema,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    same(plain, EXAMPLE)
    file = io.BytesIO(encode(EXAMPLE, COLUMNS, "parquet", "OVERFLOW", INFOS))
    read = pq.read_table(file)
    same(read, EXAMPLE)
    document = read.schema.metadata[b"IVOA.VOTable-Parquet.content"]
    described = parse(io.BytesIO(document)).get_first_table()
    assert [str(f.unit or "") for f in described.fields] == [c.unit for c in COLUMNS]
    with fits.open(io.BytesIO(encode(EXAMPLE, COLUMNS, "fits", "OVERFLOW", INFOS))) as hdus:
        assert "QUERY_STATUS = OVERFLOW" in list(hdus[1].header["COMMENT"])
        assert hdus[1].header["TUCD7"] == "pos.eq.ra;meta.main"
        hdus.verify("exception")
    told = AstropyTable.read(io.BytesIO(encode(EXAMPLE, COLUMNS, "fits")), hdu=1)
    assert told["k"].tolist() == [3, None, 2**62]
    assert told["s"].tolist() == [1, None, -1]
    assert told["name"].tolist()[0] == "a & <b>"
    assert told["f"].unit == "keV"


@pytest.mark.parametrize("each", [f.name for f in FORMATS])
def test_no_rows_are_an_answer_too(each, snapshot):
    source = snapshot.source
    assert encode(source.schema.empty_table(), source.columns, each, "OK", INFOS)
    data = encode(table([]), COLUMNS, each, "OK", INFOS)
    assert data
    if each.startswith("votable"):
        assert len(parse(io.BytesIO(data)).get_first_table().array) == 0


@pytest.mark.parametrize(
    ("asked", "accept", "name"),
    [
        ("", "", "json"),
        ("csv", "application/json", "csv"),
        ("application/x-votable xml", "", "votable"),
        ("TEXT/XML", "", "votable"),
        ("text/csv; header=present", "", "csv"),
        ("application/x-votable+xml;serialization=BINARY2", "", "votable/b2"),
        ("", "text/csv;q=0.5, application/fits", "fits"),
        ("", "text/html,application/xml;q=0.9,*/*;q=0.8", "json"),
        ("", "*/*", "json"),
        ("", "application/fits;q=0", "json"),
        ("", "csv", "json"),
        ("", "text/csv;q=x", "json"),
    ],
)
def test_the_format_is_chosen_by_parameter_then_header(asked, accept, name):
    assert choose(asked, accept).name == name


def test_an_unknown_format_is_refused():
    with pytest.raises(InputError, match="choose one of json, votable"):
        choose("xlsx")


@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
def test_votlint_finds_no_fault(tmp_path, snapshot):
    rows, columns = snapshot.query("SELECT * FROM source LIMIT 5"), snapshot.source.columns
    for data in (
        encode(EXAMPLE, COLUMNS, "votable/td", "OVERFLOW", INFOS),
        encode(rows, columns, "votable/b2", "OK", INFOS),
        error('no "such" <thing>'),
    ):
        assert votlint(data, tmp_path) == ""


def votlint(data, folder):
    (folder / "answer.vot").write_bytes(data)
    told = subprocess.run(
        ["stilts", "votlint", f"votable={folder / 'answer.vot'}"], capture_output=True, text=True
    )
    return (told.stdout + told.stderr).strip()
