"""Tables and columns of a catalogue: names, types, units and UCDs, as every answer tells them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import pyarrow as pa

DataType = Literal["short", "int", "long", "float", "double", "text", "char", "doubles"]
"""Datatype in VOTable's words; "text" is unicodeChar of any length, "char" text of ASCII, "doubles"
an array of any length. Truths are short, 0 or 1, as ADQL has no booleans. The tables of a release
have neither char nor doubles, which answers to queries have."""

ARROW: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "short": pa.int16(),
        "int": pa.int32(),
        "long": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "text": pa.string(),
        "char": pa.string(),
        "doubles": pa.list_(pa.float64()),
    }
)


@dataclass(frozen=True)
class Column:
    """A column of a catalogue table.

    Attributes:
        name: lower case, letters, digits and underscores.
        about: description in a few words.
        datatype: see `DataType`.
        unit: unit in the syntax of VOTable; empty for a pure number.
        ucd: IVOA Unified Content Descriptor (UCD1+); empty where none fits.
        indexed: a query on it is fast.
        principal: shown where only the most important columns are.
        utype: place in a data model of the IVOA.
        xtype: what the values mean beyond their datatype: point, circle, polygon, timestamp.
    """

    name: str
    about: str
    datatype: DataType
    unit: str = ""
    ucd: str = ""
    indexed: bool = False
    principal: bool = False
    utype: str = ""
    xtype: str = ""

    @property
    def arrow(self) -> pa.DataType:
        """Arrow type of the values."""
        return ARROW[self.datatype]

    @property
    def textual(self) -> bool:
        """True for text of any kind."""
        return self.datatype in ("text", "char")


@dataclass(frozen=True)
class Key:
    """A foreign key: `columns` of a table refer to `target_columns` of the table `target`."""

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of a catalogue.

    Attributes:
        name: lower case.
        about: description in one sentence.
        columns: in order.
        primary: columns whose values name a row.
        keys: foreign keys.
    """

    name: str
    about: str
    columns: tuple[Column, ...]
    primary: tuple[str, ...]
    keys: tuple[Key, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the rows."""
        return pa.schema([(column.name, column.arrow) for column in self.columns])

    def column(self, name: str) -> Column:
        """A column by its name.

        Raises:
            KeyError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
