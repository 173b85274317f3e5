"""JSON answers and their OpenAPI schema, from a family's declared outputs.

An answer is made in parts: Python's objects fill far more memory than the text.

Shapes: B batch.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from wolter.errors import TooLargeError
from wolter.outputs import Output


class OutputInfo(BaseModel):
    """A quantity that a model predicts of a record."""

    name: str
    unit: str = Field(description="of FITS and VOTable; empty for a pure number")
    description: str
    axes: str = Field(
        description="one letter an axis: none for one number, S samples, P parameters, L latents, "
        "K components, C channels, H rows, W columns"
    )
    ucd: str = Field(description="IVOA Unified Content Descriptor; empty where none fits")


def describe(outputs: Iterable[Output]) -> list[OutputInfo]:
    """Describe outputs for JSON."""
    return [
        OutputInfo(name=o.name, unit=o.unit, description=o.about, axes=o.axes, ucd=o.ucd)
        for o in outputs
    ]


def check_size(
    outputs: Sequence[Output], values: Mapping[str, NDArray[np.float32]], n: int, most: int
) -> None:
    """Check that an answer holds no more numbers than allowed, in outputs that have axes.

    Args:
        outputs: that are told.
        values: values of some records (B, ...).
        n: records of the whole answer.
        most: numbers.

    Raises:
        TooLargeError: it does.
    """
    sizes = {o.name: int(np.prod(values[o.name].shape[1:])) for o in outputs if o.axes}
    total = sum(sizes.values())
    if n * total > most:
        raise TooLargeError(
            f"{', '.join(sizes)}: {total} numbers of each of {n} records; send at most "
            f"{most // total} records"
        )


def records_json(
    outputs: Sequence[Output],
    values: Mapping[str, NDArray[np.float32]],
    names: Sequence[str],
    flags: Sequence[Sequence[str]],
) -> bytes:
    """JSON of predictions of some records: a part of `whole_json`.

    Args:
        outputs: to tell.
        values: by name (B, ...); null in JSON where they are not finite.
        names: names of the records (B).
        flags: flags of each record (B).
    """
    rows = []
    arrays = {output.name: np.ascontiguousarray(values[output.name]) for output in outputs}
    for i, name in enumerate(names):
        told = {output.name: arrays[output.name][i] for output in outputs}
        row = {"file": in_json(name), "flags": list(flags[i]), "values": told}
        rows.append(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY))
    return b",".join(rows)


def in_json(text: str) -> str:
    """Text as JSON can hold it: names of files may have halves of surrogate pairs."""
    return text.encode(errors="replace").decode()


def whole_json(
    model_name: str, model_version: str, records: str, parts: Iterable[bytes], more: Any = None
) -> bytes:
    """JSON of an answer from that of its records.

    Args:
        model_name: that answered.
        model_version: of it.
        records: key of the list of records.
        parts: of the list.
        more: dictionary of further fields.
    """
    head = {"model_name": model_name, "model_version": model_version, **(more or {}), records: []}
    start = json.dumps(head, separators=(",", ":")).encode().removesuffix(b"]}")
    return start + b",".join(parts) + b"]}"


def schema(model_name: str, outputs: Iterable[Output], records: str) -> dict[str, Any]:
    """JSON schema of the answers of a model."""
    text = {"type": "string"}
    values = {output.name: _schema(output) for output in outputs}
    record = {
        "file": text | {"description": "name of the record"},
        "flags": {"type": "array", "items": text, "description": "what limits the answer"},
        "values": {"type": "object", "properties": values, "required": list(values)},
    }
    listed = {
        "type": "array",
        "items": {"type": "object", "properties": record, "required": list(record)},
    }
    answer = {"model_name": text, "model_version": text, records: listed}
    return {
        "title": f"Answer of {model_name}",
        "type": "object",
        "properties": answer,
        "required": list(answer),
    }


def _schema(output: Output) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": ["number", "null"]}
    for _ in output.axes:
        inner = {"type": "array", "items": inner}
    unit = f" ({output.unit})" if output.unit else ""
    return inner | {"description": f"{output.about}{unit}", "x-unit": output.unit}
