"""One parquet file with VOTable metadata, as TOPCAT and astropy open it (VOParquet 1.0)."""

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as Xml

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wolter.catalogue.columns import Table
from wolter.catalogue.packing import smallest
from wolter.catalogue.release import Release

FILE = "catalogue.parquet"
VERSION_KEY, CONTENT_KEY = b"IVOA.VOTable-Parquet.version", b"IVOA.VOTable-Parquet.content"
LENGTH_KEY = b"table::len::"  # astropy's: the longest text of a column
NAMESPACE = "http://www.ivoa.net/xml/VOTable/v1.3"


def write_voparquet(path: Path, about: Release, described: Table, rows: pa.Table) -> None:
    """Write a table with its description.

    Args:
        path: file to write.
        about: description of the release.
        described: the table's columns.
        rows: its rows.
    """
    metadata, longest = {VERSION_KEY: b"1.0"}, {}
    for i, field in enumerate(rows.schema):
        if pa.types.is_string(field.type):  # VOTable's null text is empty; astropy reads no other
            filled = pc.fill_null(rows.column(i), "")
            rows = rows.set_column(i, field, filled)
            longest[field.name] = pc.max(pc.utf8_length(filled)).as_py() or 1
            metadata[LENGTH_KEY + field.name.encode()] = str(longest[field.name]).encode()
    metadata[CONTENT_KEY] = votable(about, described, len(rows), longest)
    told = rows.replace_schema_metadata(metadata)
    pq.write_table(told, path, **smallest(told))


def votable(about: Release, table: Table, n: int, longest: Mapping[str, int]) -> bytes:
    """VOTable document of a table, without its data.

    Args:
        about: description of the release.
        table: its columns.
        n: number of rows.
        longest: length of the longest text by column: astropy joins only text of known length.
    """
    root = Xml.Element("VOTABLE", {"version": "1.4", "xmlns": NAMESPACE})
    resource = Xml.SubElement(root, "RESOURCE", {"name": about.name})
    words = f"Simulated. {about.about}" if about.simulated else about.about
    Xml.SubElement(resource, "DESCRIPTION").text = words
    Xml.SubElement(resource, "COOSYS", {"ID": "icrs", "system": "ICRS"})
    element = Xml.SubElement(resource, "TABLE", {"name": table.name, "nrows": str(n)})
    Xml.SubElement(element, "DESCRIPTION").text = table.about
    for name, value in (("release", about.name), *about.models.items()):
        told = {"name": name, "datatype": "unicodeChar", "arraysize": str(len(value))}
        Xml.SubElement(element, "PARAM", told | {"value": value})
    for column in table.columns:
        kind: dict[str, str] = {"datatype": column.datatype}
        if column.datatype == "text":
            kind = {"datatype": "unicodeChar", "arraysize": str(longest[column.name])}
        attributes = {"name": column.name, **kind}
        attributes |= {k: v for k, v in (("unit", column.unit), ("ucd", column.ucd)) if v}
        if column.name in ("ra", "dec"):
            attributes["ref"] = "icrs"
        field = Xml.SubElement(element, "FIELD", attributes)
        Xml.SubElement(field, "DESCRIPTION").text = column.about
    return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True))
