"""A database to ask in ADQL."""

import duckdb
import numpy as np
import pytest

from wolter.catalogue import release as releases
from wolter.catalogue.adql import schema
from wolter.catalogue.adql.database import connect
from wolter.catalogue.adql.jobs import Limits
from wolter.catalogue.adql.names import Tables
from wolter.catalogue.adql.translate import translate


@pytest.fixture(scope="session")
def every(release_root):
    return schema.tables(releases.load(releases.find("R1", release_root)))


@pytest.fixture(scope="session")
def answered(release_root, every, tmp_path_factory):
    """Names of the columns and rows of the answer to a query."""
    path = releases.find("R1", release_root)
    temporary = tmp_path_factory.mktemp("temporary")

    def run(adql, most_rows=None):
        found = translate(adql, Tables(every), most_rows)
        told = ("https://example.org", "example.org")
        with connect(path, Limits(), temporary, found.tables, {}, every, *told) as database:
            answer = database.execute(found.sql)
            return [each[0] for each in answer.description], answer.fetchall()

    return run


@pytest.fixture(scope="session")
def ask(answered):
    return lambda adql, most_rows=None: answered(adql, most_rows)[1]


@pytest.fixture(scope="session")
def positions(release_root):
    """Identifiers and positions (N, 3) of all sources."""
    file = releases.find("R1", release_root) / releases.DATABASE
    with duckdb.connect() as database:  # the file may be open with other settings
        database.execute(f"ATTACH '{file}' AS release_ (READ_ONLY)")
        rows = database.execute("SELECT source_id, ra, dec FROM release_.source").fetchall()
    return np.array(rows)
