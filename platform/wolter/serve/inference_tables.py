"""Predictions as VOTable, CSV, FITS or parquet, with the names, units and UCDs of the outputs."""

import re
from dataclasses import replace

import pyarrow as pa

from wolter.answering.contract import Reply
from wolter.answering.tables import Predictions
from wolter.catalogue import formats
from wolter.catalogue.columns import Column
from wolter.catalogue.formats import Format
from wolter.catalogue.publish import column_of
from wolter.errors import InputError

_ABOUT = (
    Column("file", "name of the record", "text", ucd="meta.id;meta.main"),
    Column("model_name", "model that answered", "text", ucd="meta.id"),
    Column("model_version", "version of the model", "text", ucd="meta.version"),
    Column("flag", "what limits the answer, parted by semicolons", "text", ucd="meta.code"),
)


def packed(reply: Reply, wanted: Format, explicit: bool) -> Reply:
    """A reply in a format.

    Args:
        reply: with a table where the model answers with one.
        wanted: the format.
        explicit: whether the request named it.

    Raises:
        InputError: the model answers with no table, and the request named a format.
    """
    if reply.table is None:
        if explicit and wanted.name != "json" and reply.media_type != wanted.media:
            raise InputError(
                f"format={wanted.name}: this answer is no table but {reply.media_type}; leave "
                "format out"
            )
        return reply
    rows, columns = _table(reply.table)
    infos = (("model", reply.table.model_name), ("version", reply.table.model_version))
    content = formats.encode(rows, columns, wanted.name, infos=infos)
    return Reply(content, wanted.media, f"{reply.table.model_name}{wanted.suffix}")


def _table(table: Predictions) -> tuple[pa.Table, list[Column]]:
    n = len(table.files)
    texts = (
        list(table.files),
        [table.model_name] * n,
        [table.model_version] * n,
        [";".join(flags) for flags in table.flags],
    )
    columns = list(_ABOUT)
    arrays = [pa.array(each, pa.string()) for each in texts]
    for output, values_B in table.columns():
        name = re.sub(r"\W", "_", output.name).lower()
        columns.append(replace(column_of(output), name=name))
        # What is not finite is no number of a table.
        arrays.append(pa.array(values_B.astype("float32"), pa.float32(), from_pandas=True))
    return pa.Table.from_arrays(arrays, [column.name for column in columns]), columns
