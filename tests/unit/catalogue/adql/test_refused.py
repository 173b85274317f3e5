"""What is no ADQL, or more than it, is refused in one line."""

import pytest

from wolter.catalogue.adql.names import Tables
from wolter.catalogue.adql.translate import translate
from wolter.errors import InputError

STILL_ANSWERED = (
    "SELECT * FROM query('select 42')",
    "SELECT * FROM query_table('source')",
    "PRAGMA database_list",
    "SELECT current_setting('temp_directory') FROM source",
    "SELECT * FROM duckdb_settings()",
    "LOAD json",
)
"""What a closed DuckDB still answers."""

HOSTILE = (
    *STILL_ANSWERED,
    "SELECT * FROM \"query\"('select 42')",
    "SELECT * FROM tap_schema.query('select 42')",
    "SELECT a.b.query('x') FROM source",
    "SELECT getenv('HOME') FROM source",
    "SELECT version() FROM source",
    'SELECT "version"() FROM source',
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM glob('*')",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM release_.main.source",
    "SELECT * FROM main.source",
    "SELECT 1 FROM source; DROP TABLE source",
    "SELECT 1 FROM source; SELECT 2 FROM source",
    "SELECT /* hidden */ 1 FROM source",
    "SELECT 1 INTO other FROM source",
    "DROP TABLE source",
    "ATTACH 'x.db'",
    "COPY source TO 'x.csv'",
    "INSTALL httpfs",
    "SET memory_limit = '1TB'",
    "CALL pragma_version()",
    "EXPLAIN SELECT 1 FROM source",
    "WITH RECURSIVE q AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM q) SELECT * FROM q",
    "SELECT * FROM range(1000000000)",
    "SELECT * FROM generate_series(1, 1000000000)",
    "SELECT * FROM unnest([1, 2])",
    "SELECT * FROM (VALUES (1)) AS t (a)",
    "SELECT * FROM source TABLESAMPLE (5)",
    "SELECT * FROM source CROSS APPLY query('x')",
    "SELECT * EXCLUDE (ra) FROM source",
    "SELECT COLUMNS('.*') FROM source",
    "SELECT repeat('x', 1000000000) FROM source",
    "SELECT SUM(ra) OVER (PARTITION BY dec) FROM source",
    "SELECT list_transform([1], x -> x) FROM source",
    "SELECT ra::TEXT FROM source",
    "SELECT ra FROM source WHERE name SIMILAR TO 'x'",
    "SELECT ra FROM source WHERE name GLOB '*'",
    "SELECT $1 FROM source",
    "SELECT ? FROM source",
    "SELECT @x FROM source",
    "SELECT [ra] FROM source",
    "SELECT {'a': 1} FROM source",
    "SELECT 'no end FROM source",
    'SELECT "no end FROM source',
    "SELECT 0x1F FROM source",
    "SELECT TOP 5 PERCENT ra FROM source",
    "SELECT TOP (SELECT 5) ra FROM source",
    "SELECT CAST(ra AS BLOB) FROM source",
    "SELECT CAST(ra AS HUGEINT[]) FROM source",
    "SELECT INTERVAL '1' DAY FROM source",
    "SELECT ABS() FROM source",
    "SELECT ABS(1, 2) FROM source",
    "SELECT ABS(*) FROM source",
    "SELECT LOG(DISTINCT ra) FROM source",
    "SELECT POINT(ra, dec) + 1 FROM source",
    "SELECT ra FROM source WHERE CONTAINS(POINT(ra, dec)) = 1",
    "SELECT ra FROM nowhere",
    "(source)",
    "SELECT 1 FROM (source)",
    "source JOIN detection",
    "(source JOIN detection USING (source_id))",
    "SELECT 1 FROM (source JOIN detection USING (source_id)) AS both",
    "SELECT 1 FROM (source JOIN detection USING (source_id) ORDER BY ra)",
    "SELECT 1 FROM (source JOIN detection USING (source_id) LIMIT 1)",
    "SELECT 1 FROM (source JOIN query('x') ON 1 = 1)",
    "SELECT 1 FROM source WHERE source_id IN (source JOIN detection USING (source_id))",
    "SELECT 1 FROM source WHERE EXISTS (source JOIN detection USING (source_id))",
    "WITH q AS (source) SELECT 1 FROM q",
    "SELECT (*) FROM source",
    "SELECT DISTINCT(*) FROM source",
    "SELECT (s.*) FROM source AS s",
    "SELECT*ra FROM source",
    "SELECT 1 JOIN source",
    "SELECT COUNT(* + 1) FROM source",
    "SELECT (source JOIN detection USING (source_id)) FROM source",
    "(source) UNION (detection)",
    "SELECT 1 FROM source UNION (detection)",
    "",
    "-- nothing",
    ";",
    "SELECT",
    "SELECT FROM source",
    "SELECT ra FROM source WHERE",
    "\x00SELECT ra FROM source",
    "SELECT ra FROM source WHERE ra > 1 ⁄ 2",
    "SELECT " + "(" * 1000 + "1" + ")" * 1000 + " FROM source",
    "SELECT " + "NOT " * 5000 + "1 FROM source",
    "SELECT " + "-" * 5001 + "1 FROM source",
    "SELECT " + "- " * 5000 + "1 FROM source",
    "SELECT " + "1 + " * 5000 + "1 FROM source",
    "SELECT ra FROM source WHERE ra IN (" + "1, " * 50_000 + "1)",
    "SELECT ra FROM source WHERE " + " OR ".join(["ra = 1"] * 5000),
    "SELECT ra FROM source" + " UNION SELECT ra FROM source" * 2000,
    "SELECT ra FROM source" + ", source" * 20_000,
    "SELECT '" + "x" * 600_000 + "' FROM source",
)


@pytest.mark.parametrize("adql", HOSTILE, ids=lambda adql: adql[:40])
def test_refused_in_one_line(every, adql):
    with pytest.raises(InputError) as refusal:
        translate(adql, Tables(every))
    line = str(refusal.value)
    assert line
    assert "\n" not in line
    assert len(line) < 1000


def test_words_of_the_database_are_columns_or_nothing(ask):
    for word in ("user", "current_user", "current_date", "current_catalog", "session_user"):
        with pytest.raises(InputError, match="no column"):
            ask(f"SELECT {word} FROM source")


def test_a_minus_never_begins_a_comment(ask):
    first = ask("SELECT TOP 1 ra - -5, -(-5), ra-- comment\n FROM source")[0]
    assert first[1] == 5
    assert first[0] == pytest.approx(first[2] + 5)
    whole = ask("SELECT COUNT(*) FROM source WHERE ra - -1 > 0 AND dec < -100")
    assert whole == [(0,)]
    found = ask("SELECT COUNT(*) FROM source WHERE DISTANCE(POINT(ra, dec), POINT(-10, -5)) < 3")
    same = ask("SELECT COUNT(*) FROM source WHERE DISTANCE(POINT(ra, dec), POINT(350, -5)) < 3")
    assert found == same


def test_long_lists_are_answered(ask):
    several = ", ".join(str(10**12 + i) for i in range(15_000))
    assert ask(f"SELECT COUNT(*) FROM source WHERE source_id IN ({several})") == [(3000,)]


def test_many_conditions_are_answered(ask):
    several = " OR ".join(f"source_id = {10**12 + i}" for i in range(400))
    assert ask(f"SELECT COUNT(*) FROM source WHERE {several}") == [(400,)]
