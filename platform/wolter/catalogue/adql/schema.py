"""TAP_SCHEMA: the tables that describe all tables."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from wolter.catalogue.adql.names import CATALOGUE, Named
from wolter.catalogue.adql.obscore import OBSCORE
from wolter.catalogue.adql.words import in_queries
from wolter.catalogue.columns import Column, Key, Table
from wolter.catalogue.release import Release

SCHEMA = "tap_schema"
ABOUT = {
    CATALOGUE: "Sources, detections and estimates of a release of the catalogue.",
    "ivoa": "Views that the IVOA has agreed on.",
    SCHEMA: "Description of all tables and columns.",
}


def _text(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, name.replace("_", " "), "text", principal=True) for name in names)


def _int(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, name.replace("_", " "), "int", principal=True) for name in names)


_TABLES = (
    Table("schemas", "Schemas.", (*_text("schema_name", "description", "utype"),
          *_int("schema_index")), ("schema_name",)),
    Table("tables", "Tables.", (*_text("schema_name", "table_name", "table_type", "description",
          "utype"), *_int("table_index")), ("table_name",),
          (Key(("schema_name",), "schemas", ("schema_name",)),)),
    Table("columns", "Columns.", (*_text("table_name", "column_name", "datatype", "arraysize",
          "xtype"), *_int("size"), *_text("description", "utype", "unit", "ucd"),
          *_int("indexed", "principal", "std", "column_index")), ("table_name", "column_name"),
          (Key(("table_name",), "tables", ("table_name",)),)),
    Table("keys", "Foreign keys.", _text("key_id", "from_table", "target_table", "description",
          "utype"), ("key_id",), (Key(("from_table",), "tables", ("table_name",)),
                                  Key(("target_table",), "tables", ("table_name",)))),
    Table("key_columns", "Columns of foreign keys.", _text("key_id", "from_column",
          "target_column"), ("key_id", "from_column"), (Key(("key_id",), "keys", ("key_id",)),)),
)  # fmt: skip


def tables(release: Release) -> tuple[Named, ...]:
    """All tables of a release that queries may name."""
    own = [Named(CATALOGUE, table) for table in release.tables]
    return (*own, OBSCORE, *(Named(SCHEMA, table) for table in _TABLES))


def rows(name: str, every: Sequence[Named]) -> pa.Table:
    """Rows of a table of TAP_SCHEMA.

    Args:
        name: schemas, tables, columns, keys or key_columns.
        every: tables to describe.
    """
    table = next(each for each in _TABLES if each.name == name)
    making: dict[str, Callable[[Sequence[Named]], Iterable[dict[str, Any]]]] = {
        "schemas": _schemas,
        "tables": _table_rows,
        "columns": _columns,
        "keys": lambda every: (row for row, _ in _keys(every)),
        "key_columns": lambda every: (row for _, several in _keys(every) for row in several),
    }
    return pa.Table.from_pylist(list(making[name](every)), table.schema)


def datatype(column: Column) -> tuple[str, str | None]:
    """Datatype and arraysize of a column in VOTable's words."""
    return ("unicodeChar", "*") if column.datatype == "text" else (column.datatype, None)


def key_id(named: Named, number: int) -> str:
    """Name of a table's foreign key."""
    return f"{named.full}.{number}"


def _schemas(every: Sequence[Named]) -> Iterator[dict[str, Any]]:
    for index, name in enumerate(dict.fromkeys(each.schema for each in every)):
        yield {"schema_name": name, "description": ABOUT[name], "schema_index": index}


def _table_rows(every: Sequence[Named]) -> Iterator[dict[str, Any]]:
    for index, named in enumerate(every):
        yield {
            "schema_name": named.schema,
            "table_name": named.full,
            "table_type": "view" if named is OBSCORE else "table",
            "description": named.table.about,
            "table_index": index,
        }


def _columns(every: Sequence[Named]) -> Iterator[dict[str, Any]]:
    for named in every:
        standard = named.schema != CATALOGUE
        for index, column in enumerate(named.table.columns):
            kind, arraysize = datatype(column)
            yield {
                "table_name": named.full,
                "column_name": in_queries(column.name),
                "datatype": kind,
                "arraysize": arraysize,
                "xtype": column.xtype or None,
                "description": column.about,
                "utype": column.utype or None,
                "unit": column.unit or None,
                "ucd": column.ucd or None,
                "indexed": int(column.indexed),
                "principal": int(column.principal),
                "std": int(standard),
                "column_index": index,
            }


def _keys(every: Sequence[Named]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    for named in every:
        for number, key in enumerate(named.table.keys):
            name = key_id(named, number)
            row = {
                "key_id": name,
                "from_table": named.full,
                "target_table": f"{named.schema}.{key.target}",
                "description": None,
            }
            pairs = zip(key.columns, key.target_columns, strict=True)
            yield row, [{"key_id": name, "from_column": a, "target_column": b} for a, b in pairs]
