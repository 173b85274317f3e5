"""Reads HATS collections with hats and lsdb, in their own environment (`make hats`): JSON out.

`.venv-hats/bin/python tests/hats_reader.py < QUESTIONS`. Imports nothing of the project, which that
environment does not hold.
"""

import json
import sys
from typing import Any

import lsdb
import pandas as pd
from hats.io.validation import is_valid_collection


def main() -> None:
    """Answer the questions on standard input, by their names."""
    answers = {
        question["name"]: globals()[question["what"]](**question["with"])
        for question in json.load(sys.stdin)
    }
    print(json.dumps(answers))


def valid(folder: str) -> bool:
    """Strict validity of a collection."""
    return bool(is_valid_collection(folder, strict=True, verbose=False))


def matches(folder: str, other: str, radius_arcsec: float) -> list[list[float]]:
    """Identifiers of both sources, and their separation (arcsec), of each nearest pair."""
    columns = ["source_id", "ra", "dec"]
    one, two = (lsdb.open_catalog(each, columns=columns) for each in (folder, other))
    found = one.crossmatch(
        two,
        radius_arcsec=radius_arcsec,
        suffixes=("_one", "_two"),
        suffix_method="all_columns",
        require_right_margin=True,
    ).compute()
    names = ["source_id_one", "source_id_two", "_dist_arcsec"]
    return [[int(a), int(b), float(d)] for a, b, d in found[names].itertuples(index=False)]


def cones(folder: str, places: list[list[float]]) -> list[list[int]]:
    """Identifiers within a radius (deg) of each position (deg)."""
    catalogue = lsdb.open_catalog(folder, columns=["source_id", "ra", "dec"])
    found = [catalogue.cone_search(ra, dec, radius * 3600).compute() for ra, dec, radius in places]
    return [sorted(map(int, each["source_id"])) for each in found]


def rows(folder: str, source_ids: list[int]) -> dict[int, dict[str, Any]]:
    """Columns of sources, found by the index; of nested columns, their lists by name."""
    catalogue = lsdb.open_catalog(folder, columns="all")
    found = catalogue.id_search(values={"source_id": source_ids}).compute()
    told = {}
    for _, row in found.iterrows():
        values = dict(row)
        for name in found.nested_columns:
            bins = values[name]
            values[name] = None if bins is None or len(bins) == 0 else bins.to_dict("list")
        told[int(row["source_id"])] = json.loads(json.dumps(values, default=_plain))
    return told


def _plain(value: Any) -> Any:
    return None if value is pd.NA else value.item()


if __name__ == "__main__":
    main()
