"""Pictures of the sky from tiles of images: photons, and the rate that a model makes of them.

Shapes: B batch, H and W rows and columns.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from wolter.answering.picturing import Picturing
from wolter.answering.sky_picture import PLACES, Layer
from wolter.data.integrity import read_schema
from wolter.data.record_kinds import record_kind
from wolter.data.shards import ShardDataset, table_to_numpy, to_batch
from wolter.family import Family
from wolter.images.outputs import RATE
from wolter.images.reading import PIXEL_TOLERANCE
from wolter.images.schema import ImageSpec
from wolter.images.tiling import Tiled, enhance, enlarged, holds_background
from wolter.registry.checkpoint import Model
from wolter.xray.imaging.tangent_plane import NUMBERS

PHOTONS = "photons"
MAIN = "superres"  # family that is published
UNPLACED = "no sky coordinates: simulated, or ingested by an older wolter; ingest it again"
UNKNOWN = "no sky coordinates in its header, and no pointing of the detector; add them"
UNEXPOSED = "no exposure is known; ingest it again"
INPUTS = ("counts", "exposure", "background")


class EnhancedPictures(Picturing):
    """Photons of a tile beside the rate by any model that enhances images."""

    def default(self, families: Sequence[Family]) -> Family:
        """See `Picturing`: super-resolution, where there is one."""
        named = {family.name: family for family in families}
        return named.get(MAIN) or families[0]

    def problem(self, model: Model, spec: Any) -> str:
        """See `Picturing`."""
        if not isinstance(spec, ImageSpec):
            return f"reads images, not {spec.kind}"
        own = model.card.spec.pixel_arcsec
        if abs(spec.pixel_arcsec / own - 1) > PIXEL_TOLERANCE:
            return (
                f"reads pixels of {own:g} arcsec, these are {spec.pixel_arcsec:g} (see --pixel of "
                "`wolter ingest`)"
            )
        if model.family.ability(Tiled) is None or RATE not in {o.name for o in model.outputs}:
            return "gives no rates of images"
        return ""

    def simulated(self, dataset: ShardDataset) -> bool:
        """See `Picturing`: simulated pairs keep what is expected in each pixel."""
        return bool(dataset.files) and "expected" in read_schema(dataset.files[0]).names

    def layers(self, model: Model) -> tuple[Layer, ...]:
        """See `Picturing`."""
        rate = next(output for output in model.outputs if output.name == RATE)
        of = "sources and background" if holds_background(model) else "sources"
        return (
            Layer(PHOTONS, "photons", "count", True),
            Layer(RATE, f"rate of the {of}, enhanced", rate.unit, False, model.card.spec.scale),
        )

    def places(self, table: pa.Table, spec: Any) -> pa.Table:
        """See `Picturing`."""
        n, (rows, columns) = table.num_rows, spec.shape

        def known(name: str, otherwise: Any) -> Any:
            return table[name] if name in table.column_names else pa.array([otherwise] * n)

        numbers = {name: known(name, np.nan) for name in NUMBERS}
        placed_N = np.isfinite([np.asarray(each, np.float64) for each in numbers.values()]).all(0)
        why = UNKNOWN if set(NUMBERS) <= set(table.column_names) else UNPLACED
        exposure_N = np.asarray(known("exposure_s", np.nan), np.float64)
        source, told = table["source_id"], known("observation_id", "")
        corners = zip(
            known("file", "").to_pylist(),
            source.to_pylist(),
            known("pair", 0).to_pylist(),
            known("row", 0).to_pylist(),
            known("column", 0).to_pylist(),
            strict=True,
        )
        found: dict[str, Any] = {
            "record": [
                f"{file or of}: pair {i}, tile at {y}, {x}" for file, of, i, y, x in corners
            ],
            "reason": np.where(placed_N, np.where(exposure_N > 0, "", UNEXPOSED), why),
            "observation_id": pc.if_else(pc.equal(told, ""), source, told),
            "instrument": known("instrument", spec.instrument),
            "t_start": known("t_start", np.nan),
            "t_stop": known("t_stop", np.nan),
            "exposure_s": exposure_N,
            "rows": [rows] * n,
            "columns": [columns] * n,
            **numbers,
        }
        return pa.table({name: found[name] for name in PLACES.names}).cast(PLACES)

    def pictures(
        self, model: Model, table: pa.Table, spec: Any
    ) -> list[Mapping[str, NDArray[np.float32]]]:
        """See `Picturing`."""
        kind, scale = record_kind("images"), model.card.spec.scale
        size, found = kind.batch_rows(spec), list[Mapping[str, NDArray[np.float32]]]()
        for start in range(0, table.num_rows, size):
            piece = table.slice(start, size).select(INPUTS)
            batch = to_batch(table_to_numpy(piece), kind.name)
            rate_BHW = enhance(model.family, model.module, batch, scale)[RATE]
            seen_BHW = batch.exposure_BHW > 0
            photons_BHW = torch.where(seen_BHW, batch.counts_BHW, torch.nan)
            rate_BHW = torch.where(enlarged(seen_BHW, scale), rate_BHW, torch.nan)
            pairs = zip(photons_BHW.numpy(), rate_BHW.numpy(), strict=True)
            found += [{PHOTONS: photons_HW, RATE: rate_HW} for photons_HW, rate_HW in pairs]
        return found
