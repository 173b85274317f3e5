"""Answers as a page for a person."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import pyarrow as pa

from wolter.catalogue.columns import Column
from wolter.catalogue.votable import Infos

PIECE = 1_000  # rows written together
_START = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Answer - wolter</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/static/style.css"></head>
<body><header><a class="home" href="/">wolter</a></header><main><h1>Answer</h1>
"""


def hypertext(
    rows: pa.Table, columns: Sequence[Column], status: str, infos: Infos
) -> Iterator[bytes]:
    """Rows as HTML, identifiers of sources as links to their pages.

    Args:
        rows: columns as described, in that order.
        columns: descriptions.
        status: OK, or OVERFLOW where there are more rows.
        infos: names and values of what is said besides.
    """
    more = "; there are more rows than are shown" if status == "OVERFLOW" else ""
    said = "".join(f"<br>{escape(name)}: {escape(value)}" for name, value in infos)
    head = "".join(_heading(column) for column in columns)
    table = '<div class="scroll"><table><thead><tr>'
    yield f'{_START}<p class="note">{len(rows)} rows{more}{said}</p>'.encode()
    yield f"{table}{head}</tr></thead><tbody>\n".encode()
    for part in rows.to_batches(PIECE):
        lines = zip(*(part[i].to_pylist() for i in range(len(columns))), strict=True)
        yield "".join(_line(line, columns) for line in lines).encode()
    yield b"</tbody></table></div></main></body></html>\n"


def _heading(column: Column) -> str:
    kind = ' class="text"' if column.textual else ""
    about = f' title="{escape(column.about)}"' if column.about else ""
    unit = f'<span class="unit">{escape(column.unit)}</span>'
    return f'<th scope="col"{kind}{about}>{escape(column.name)}{unit}</th>'


def _line(line: Sequence[Any], columns: Sequence[Column]) -> str:
    cells = (_cell(value, column) for value, column in zip(line, columns, strict=True))
    return f"<tr>{''.join(cells)}</tr>\n"


def _cell(value: Any, column: Column) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "<td></td>"
    if column.textual:
        return f'<td class="text">{escape(str(value))}</td>'
    # As many digits as its type holds.
    text = f"{value:.7g}" if column.datatype == "float" else escape(str(value))
    if column.name == "source_id" and isinstance(value, int):
        return f'<td><a href="/source/{text}">{text}</a></td>'
    return f"<td>{text}</td>"
