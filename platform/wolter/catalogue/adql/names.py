"""Tables that queries may name, and their columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wolter.catalogue.columns import Column, Table
from wolter.errors import InputError

CATALOGUE, UPLOADS = "wolter", "tap_upload"
"""Schemas of the release's tables and of uploads."""


@dataclass(frozen=True)
class Named:
    """A table under its full name.

    Attributes:
        schema: name of its schema.
        table: name and columns.
    """

    schema: str
    table: Table

    @property
    def full(self) -> str:
        """Name with the schema's."""
        return f"{self.schema}.{self.table.name}"


class Tables:
    """Tables by their names, which are not case-sensitive; those of the release need no schema.

    Args:
        tables: all that queries may name.
    """

    def __init__(self, tables: Iterable[Named]) -> None:
        self._by_name: Mapping[str, Named] = {each.full.lower(): each for each in tables}

    def find(self, schema: str, name: str) -> Named:
        """A table by its name.

        Args:
            schema: empty where the query has none.
            name: name in the schema.

        Raises:
            InputError: there is no such table.
        """
        full = f"{schema or CATALOGUE}.{name}".lower()
        if full not in self._by_name:
            said = f"{schema}.{name}" if schema else name
            known = ", ".join(self._by_name)
            raise InputError(f"no table {said[:64]!r}; there are: {known[:600]}")
        return self._by_name[full]

    def columns(self, named: Named) -> tuple[Column, ...]:
        """Columns of a table."""
        return named.table.columns
