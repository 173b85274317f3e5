"""Database of one query: read-only, closed to files and settings."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from wolter.catalogue import publisher
from wolter.catalogue import release as releases
from wolter.catalogue.adql import obscore, schema
from wolter.catalogue.adql.jobs import Limits
from wolter.catalogue.adql.names import CATALOGUE, UPLOADS, Named

# Estimates of these are of what they give, not of what they compare.
_PAIRS = ("CROSS_PRODUCT", "BLOCKWISE_NL_JOIN", "NESTED_LOOP_JOIN")


def connect(
    path: Path,
    limits: Limits,
    temporary: Path,
    used: Sequence[Named],
    uploads: Mapping[str, pa.Table],
    every: Sequence[Named],
    base_url: str,
    authority: str = publisher.AUTHORITY,
) -> duckdb.DuckDBPyConnection:
    """A database with the tables that a query reads, then closed.

    Args:
        path: folder of the release.
        limits: bounds.
        temporary: folder for what does not fit into memory.
        used: tables that the query reads.
        uploads: rows by name of an uploaded table.
        every: all tables, which TAP_SCHEMA describes.
        base_url: of the service.
        authority: naming authority of its publisher.
    """
    database = duckdb.connect(
        config={
            "threads": limits.threads,
            "memory_limit": f"{limits.memory_mb}MB",
            "temp_directory": str(temporary),
            "max_temp_directory_size": f"{limits.temp_mb}MB",
            "preserve_insertion_order": "true",
        }
    )
    file = str(path / releases.DATABASE).replace("'", "''")
    database.execute(f"ATTACH '{file}' AS release_ (READ_ONLY)")
    for name in (CATALOGUE, "ivoa", schema.SCHEMA, UPLOADS):
        database.execute(f'CREATE SCHEMA "{name}"')
    full = {named.full for named in used}
    with_obscore = obscore.OBSCORE.full in full
    for named in every:
        table = f'"{named.schema}"."{named.table.name}"'
        if named.schema == CATALOGUE and (named.full in full or with_obscore):
            view = f'SELECT * FROM release_.main."{named.table.name}"'
            database.execute(f"CREATE VIEW {table} AS {view}")
        elif named.schema == schema.SCHEMA and named.full in full:
            _create(database, table, schema.rows(named.table.name, every))
    if with_obscore:
        view = obscore.view(base_url, publisher.identifier(authority))
        database.execute(f"CREATE VIEW ivoa.obscore AS {view}")
    for name, rows in uploads.items():
        _create(database, f'"{UPLOADS}"."{name}"', rows)
    for setting in (
        "enable_external_access = false",
        "allow_community_extensions = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "python_enable_replacements = false",
        "lock_configuration = true",
    ):
        database.execute(f"SET {setting}")
    return database


def _create(database: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    database.register("arriving_", rows)
    database.execute(f"CREATE TABLE {table} AS SELECT * FROM arriving_")
    database.unregister("arriving_")


def cost(database: duckdb.DuckDBPyConnection, sql: str) -> float:
    """Rows that a query looks at, by the database's estimates."""
    plan = json.loads(database.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()[0][1])
    return sum(_cost(node)[1] for node in (plan if isinstance(plan, list) else [plan]))


def _cost(node: dict[str, Any]) -> tuple[float, float]:
    """Rows that a step gives, and rows that it and those below it look at."""
    below = [_cost(each) for each in node.get("children", [])]
    given = node.get("extra_info", {}).get("Estimated Cardinality")
    rows_below = [rows for rows, _ in below]
    name = node.get("name", "")
    product = functools.reduce(lambda a, b: a * b, rows_below, 1.0)
    largest = max(rows_below, default=0.0)
    pairs = name in _PAIRS
    # The estimate of a join by ranges takes every range to be wide.
    rows = product if pairs else (largest if name == "IE_JOIN" else float(given or largest))
    looked = product if pairs else max(rows, largest)
    return rows, looked + sum(cost for _, cost in below)
