"""ADQL 2.1 is answered, and its columns described."""

import math

import pytest

from wolter.catalogue.adql.names import Named, Tables
from wolter.catalogue.adql.translate import translate
from wolter.catalogue.columns import Column, Table
from wolter.errors import InputError


@pytest.mark.parametrize(
    ("adql", "expected"),
    [
        ("SELECT TOP 1 5 / 3600., 5 / 2, 1 - -1, - -1 FROM source", (5 / 3600, 2.5, 2, 1)),
        ("SELECT TOP 1 LOG(10), LOG10(100), MOD(7, 3) FROM source", (math.log(10), 2, 1)),
        ("SELECT TOP 1 POWER(2, 3), ROUND(1.25, 1), CEILING(1.2) FROM source", (8, 1.3, 2)),
        ("SELECT TOP 1 TRUNCATE(1.567, 2), TRUNCATE(-1.5), ABS(-2) FROM source", (1.56, -1, 2)),
        ("SELECT TOP 1 DEGREES(PI()), RADIANS(180) FROM source", (180, math.pi)),
        ("SELECT TOP 1 ATAN2(1, 1), COT(1) FROM source", (math.pi / 4, 1 / math.tan(1))),
        ("SELECT TOP 1 UPPER('a') || LOWER('B'), COALESCE(NULL, 3) FROM source", ("Ab", 3)),
        ("SELECT TOP 1 CAST(3.7 AS INTEGER), CAST(12 AS CHAR(1)) FROM source", (4, "1")),
        ("SELECT TOP 1 CAST('2.5' AS DOUBLE PRECISION), 'it''s' FROM source", (2.5, "it's")),
        ("SELECT TOP 1 CASE WHEN 1 = 2 THEN 3 ELSE 4 END AS n FROM source", (4,)),
        ("SELECT TOP 1 IVO_INTERVAL_OVERLAPS(1, 3, 2, 5) FROM source", (1,)),
        ("SELECT TOP 1 IVO_HASHLIST_HAS('a#b', 'b') FROM source", (1,)),
        ("SELECT TOP 1 'a' FROM source WHERE name ILIKE 'wlt%' -- a comment", ("a",)),
        ("SELECT TOP 1 \"Name\" FROM (SELECT 1 AS \"Name\" FROM source) AS q;", (1,)),
        ("SELECT COUNT(*), COUNT(DISTINCT instrument) FROM wolter.source", (3000, 1)),
        ("SELECT COUNT(*) FROM source WHERE wolter.source.ra >= 0", (3000,)),
        ("WITH q (n) AS (SELECT 1 FROM source) SELECT SUM(n) FROM q", (3000,)),
        ("SELECT COUNT(*) FROM source NATURAL JOIN detection", (3000,)),
        ("SELECT COUNT(*) FROM source s LEFT OUTER JOIN shapes USING (source_id)", (3000,)),
        ("SELECT COUNT(*), COUNT(i.source_id) FROM (source AS s JOIN detection AS d"
         " USING (source_id)) LEFT JOIN identification AS i"
         " ON i.source_id = s.source_id AND i.source_id < 0", (3000, 0)),
        ("SELECT COUNT(*), COUNT(i.source_id) FROM source AS s LEFT JOIN (detection AS d"
         " JOIN identification AS i ON i.source_id = d.source_id AND i.source_id < 0)"
         " ON s.source_id = d.source_id", (3000, 0)),
        ("SELECT COUNT(*), COUNT(i.source_id) FROM source AS s LEFT JOIN detection AS d"
         " JOIN identification AS i ON i.source_id = d.source_id AND i.source_id < 0"
         " ON s.source_id = d.source_id", (3000, 0)),
        ("SELECT COUNT(*) FROM ((SELECT source_id FROM source) AS s"
         " JOIN detection USING (source_id))", (3000,)),
        ("SELECT COUNT(*) FROM source WHERE source_id IN (SELECT source_id FROM shapes)", (3000,)),
        ("SELECT COUNT(*) FROM source WHERE source_id IN (1000000000001, -1)", (1,)),
        ("SELECT COUNT(*) FROM (SELECT ra FROM source EXCEPT SELECT ra FROM source) AS q", (0,)),
        ("SELECT COUNT(*) FROM source AS s WHERE EXISTS (SELECT 1 FROM detection AS d"
         " WHERE d.source_id = s.source_id AND ra BETWEEN 0 AND 360)", (3000,)),
    ],
)  # fmt: skip
def test_answers(ask, adql, expected):
    found = ask(adql)[0]
    assert len(found) == len(expected)
    for value, wanted in zip(found, expected, strict=True):
        near = pytest.approx(wanted) if isinstance(wanted, float) else wanted
        assert (float(value) if isinstance(wanted, float) else value) == near


def test_top_offset_and_order_with_what_has_no_value_last(ask):
    rows = ask("SELECT kt FROM source ORDER BY kt OFFSET 2", 5)
    best = ask("SELECT TOP 7 kt FROM source WHERE kt IS NOT NULL ORDER BY kt")
    assert rows == best[2:]
    assert ask("SELECT kt FROM source ORDER BY kt DESC", 1)[0][0] is not None


def test_rows_are_bounded_whatever_the_query_says(ask):
    assert len(ask("SELECT TOP 100 ra FROM source", 7)) == 7
    assert len(ask("SELECT TOP 3 ra FROM source", 7)) == 3
    assert len(ask("(SELECT ra FROM source)", 7)) == 7
    assert len(ask("SELECT ra FROM source UNION ALL SELECT dec FROM source", 7)) == 7
    assert ask("SELECT ra FROM source", 0) == []


def test_tap_schema_describes_itself(ask, every):
    names = {row[0] for row in ask("SELECT table_name FROM tap_schema.tables")}
    assert names == {named.full for named in every}
    described = ask('SELECT column_name, "size" FROM tap_schema.columns')
    assert {('"size"', None), ('"offset"', None)} <= set(described)
    assert ask('SELECT "offset" FROM picture GROUP BY "offset" ORDER BY "offset"')
    assert len(described) == sum(len(named.table.columns) for named in every)
    keys = ask(
        "SELECT from_table, target_table, from_column, target_column FROM tap_schema.keys"
        " JOIN tap_schema.key_columns USING (key_id)"
    )
    assert ("wolter.detection", "wolter.source", "source_id", "source_id") in keys
    assert sum(row[0].startswith("tap_schema") for row in keys) == 5


def columns(adql, every):
    told = translate(adql, Tables(every)).fields
    return [(f.name, f.column.unit if f.column else None) for f in told] if told else told


@pytest.mark.parametrize(
    ("adql", "expected"),
    [
        ("SELECT ra AS x, s.pos_err, 2 * ra FROM source AS s",
         [("x", "deg"), ("pos_err", "arcsec"), ("", None)]),
        ("SELECT MAX(kt), AVG(ra) AS m FROM source", [("max", "keV"), ("m", "deg")]),
        ("WITH q (a, b) AS (SELECT ra, kt FROM source) SELECT b, q.a FROM q",
         [("b", "keV"), ("a", "deg")]),
        ("SELECT q.t FROM (SELECT t_first AS t FROM source) AS q", [("t", "d")]),
        ("SELECT d.pos_err, ra FROM (detection AS d JOIN (SELECT ra AS x FROM source) AS q"
         " ON d.ra = q.x)", [("pos_err", "arcsec"), ("ra", "deg")]),
        ("SELECT pos_err FROM detection UNION SELECT 1 FROM source", [("pos_err", "arcsec")]),
        ("SELECT IN_UNIT(pos_err, 'deg') AS e FROM source", [("e", "deg")]),
        ("SELECT * FROM identification, upper_limit AS u", 17),
        ("SELECT u.* FROM identification AS i, upper_limit AS u", 11),
        ("SELECT exposure_s, ra FROM source UNION SELECT ra, ra FROM detection",
         [("exposure_s", None), ("ra", "deg")]),
        ("SELECT ra FROM source EXCEPT SELECT exposure_s FROM source", [("ra", "deg")]),
    ],
)  # fmt: skip
def test_columns_are_described(every, adql, expected):
    told = columns(adql, every)
    if isinstance(expected, int):
        sizes = {named.table.name: len(named.table.columns) for named in every}
        both = sizes["identification"] + sizes["upper_limit"]
        assert len(told) == (both if "*" in adql[7:9] else sizes["upper_limit"])
    else:
        assert told == expected


@pytest.mark.parametrize("join", ["NATURAL JOIN", "NATURAL LEFT JOIN", "JOIN {} USING (SOURCE_ID)"])
def test_columns_of_merging_joins_are_described_in_their_order(ask, every, join):
    join = join if "{}" in join else join + " {}"
    query = f"SELECT * FROM identification AS i {join.format('upper_limit')}"
    told = translate(query, Tables(every))
    shared = {"source_id"} | ({"release"} if "NATURAL" in join else set())
    ours, theirs = (
        [column.name for column in named.table.columns]
        for name in ("identification", "upper_limit")
        for named in every
        if named.table.name == name
    )
    assert [field.name for field in told.fields] == ours + [c for c in theirs if c not in shared]
    assert len(ask(f"SELECT COUNT(*) FROM ({query}) AS q")) == 1
    assert all(field.column is not None for field in told.fields)


@pytest.mark.parametrize(
    "joined",
    [
        "(source AS s JOIN detection AS d USING (source_id)) JOIN identification AS i"
        " ON i.source_id = s.source_id",
        "source AS s NATURAL JOIN (identification AS i NATURAL JOIN upper_limit)",
        "source AS s JOIN detection AS d JOIN upper_limit AS u ON u.source_id = d.source_id"
        " ON s.source_id = d.source_id",
        "(SELECT ra, source_id FROM source) AS s LEFT JOIN (detection JOIN (upper_limit AS u"
        " NATURAL JOIN identification) USING (source_id)) USING (source_id)",
    ],
)
def test_columns_of_joins_in_parentheses_are_described_in_their_order(answered, every, joined):
    told = translate(f"SELECT * FROM {joined}", Tables(every)).fields
    names, _ = answered(f"SELECT * FROM {joined}", 5)
    assert [field.name for field in told] == names
    assert all(field.column is not None for field in told)


def test_descriptions_of_a_merging_join_belong_to_their_columns(ask, every):
    joined = "FROM source AS s JOIN detection AS d USING (source_id)"
    at = [f.name for f in translate(f"SELECT * {joined}", Tables(every)).fields]
    for name in ("name", "observation_id", "record"):
        (row,) = ask(f"SELECT TOP 1 * {joined} WHERE source_id = 1000000000003")
        (expected,) = ask(f"SELECT TOP 1 {name} {joined} WHERE source_id = 1000000000003")
        assert (row[at.index(name)],) == expected
    assert len(row) == len(at)


def test_what_is_not_like_a_pattern(ask):
    (whole,), (like,), (unlike,), (escaped,) = (
        ask(f"SELECT COUNT(*) FROM source WHERE name {condition}")[0]
        for condition in (
            "IS NOT NULL",
            "LIKE '%7'",
            "NOT LIKE '%7'",
            "NOT ILIKE 'wlt|_%' ESCAPE '|'",
        )
    )
    assert 0 < like == whole - unlike
    assert escaped == whole


def test_shapes_of_shapes_are_columns(ask):
    query = "SELECT TOP 1 CENTROID(CIRCLE(1, 2, 3)) AS m, CIRCLE(POINT(ra, 4), 5), ra FROM source"
    ((middle, circle, ra),) = ask(query)
    assert middle == [1, 2]
    assert circle == [ra, 4, 5]


def test_clauses_behind_parentheses_count(ask):
    whole = [row[0] for row in ask("SELECT source_id FROM source ORDER BY source_id DESC")]
    inner = "(SELECT source_id FROM source)"
    assert [r[0] for r in ask(f"{inner} ORDER BY source_id DESC", 4)] == whole[:4]
    assert [r[0] for r in ask(f"{inner} ORDER BY source_id DESC OFFSET 2", 4)] == whole[2:6]
    assert [r[0] for r in ask(f"(({inner} ORDER BY 1 DESC) OFFSET 1)", 4)] == whole[1:5]
    assert ask("WITH q AS (SELECT 7 AS x) (SELECT x FROM q)", 4) == [(7,)]


def test_the_unit_is_that_of_the_innermost_table(every):
    own = Table("t", "", (Column("pos_err", "", "double", "deg"),), ())
    known = Tables([*every, Named("tap_upload", own)])
    inner = "SELECT 1 FROM tap_upload.t WHERE IN_UNIT(pos_err, 'deg') > 1"
    sql = translate(f"SELECT ra FROM source WHERE EXISTS ({inner})", known).sql
    assert "* CAST(1.0 AS DOUBLE)" in sql
    sql = translate("SELECT IN_UNIT(e, 'deg') FROM (SELECT pos_err AS e FROM source) AS q", known)
    assert repr(1 / 3600) in sql.sql


def test_in_unit(ask):
    assert ask("SELECT TOP 1 IN_UNIT(pos_err, 'deg') FROM source")[0][0] == pytest.approx(1 / 3600)
    for wrong in ("IN_UNIT(pos_err, 'keV')", "IN_UNIT(name, 'deg')", "IN_UNIT(pos_err, 'nope')",
                  "IN_UNIT(2, 'deg')"):  # fmt: skip
        with pytest.raises(InputError, match="IN_UNIT"):
            ask(f"SELECT {wrong} FROM source")
