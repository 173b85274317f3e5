"""ADQL 2.1 over a release of the catalogue: translation to DuckDB, and processes that run it."""
