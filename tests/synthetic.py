"""Records made up without an instrument, for tests that need tensors fast.

Shapes: B batch, C channel, K component, P parameter.
"""

from pathlib import Path

import numpy as np
import torch

from wolter.data.grid import AREA_EDGES
from wolter.data.schema import Parameter, SpectraBatch, SpectraSpec, poisson_counts
from wolter.data.shards import Manifest, ShardDataset, to_table, write_manifest, write_shard
from wolter.data.split import index_keys

SPEC = SpectraSpec(
    energy_edges=tuple(float(edge) for edge in np.linspace(0.3, 10.0, 33).round(4)),
    parameters=(
        Parameter("slope", 1.0, 3.0),
        Parameter("pow_norm", 1.0, 10.0),
        Parameter("kt", 0.5, 1.5, "keV"),
    ),
    components=("powerlaw", "bbody"),
)


def make_batch(n: int, seed: int = 0) -> SpectraBatch:
    """Draw `n` labelled records of `SPEC`: a power law, a thermal bump, a flat background."""
    generator = torch.Generator().manual_seed(seed)
    low_P, high_P = SPEC.bounds_2P()
    parameters_BP = low_P + (high_P - low_P) * torch.rand(n, 3, generator=generator)
    exposure_B = 100.0 * (1 + torch.rand(n, generator=generator))
    edges = torch.tensor(SPEC.energy_edges)
    energy_C = (edges[1:] + edges[:-1]) / 2
    slope, norm, kt = parameters_BP[:, :, None].unbind(1)
    powerlaw_BC = norm * energy_C**-slope
    bump_BC = energy_C**2 * torch.exp(-energy_C / kt)
    expected_BKC = torch.stack([powerlaw_BC, bump_BC], 1) * 0.1 * exposure_B[:, None, None]
    background_BC = 0.01 * exposure_B[:, None].expand(n, SPEC.n_channels)
    scale_B = torch.full((n,), 0.5)
    counts_BC, region_BC = poisson_counts(expected_BKC.sum(1), background_BC, scale_B, generator)
    return SpectraBatch(
        counts_BC=counts_BC,
        background_BC=region_BC,
        background_scale_B=scale_B,
        exposure_B=exposure_B,
        parameters_BP=parameters_BP,
        expected_BKC=expected_BKC,
        expected_background_BC=background_BC.clone(),
        area_BA=areas(n, seed),
    )


def areas(n: int, seed: int) -> torch.Tensor:
    """Effective areas of `n` records, unlike each other."""
    generator = torch.Generator().manual_seed(seed)
    return 400 + 200 * torch.rand(n, len(AREA_EDGES) - 1, generator=generator)


def make_dataset(folder: Path, n: int, n_shards: int = 3, seed: int = 0) -> ShardDataset:
    """Write `n` records as a shard dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    index_B = np.arange(n)
    batch, keys_B = make_batch(n, seed), index_keys(seed, index_B)
    shards = []
    for i, rows in enumerate(np.array_split(index_B, n_shards)):
        piece = slice(int(rows[0]), int(rows[-1]) + 1)
        names = [f"source-{row}" for row in rows]
        extra = {"source_id": names, "split_key": keys_B[piece]}
        shards.append(write_shard(folder, i, to_table(batch[piece], extra)))
    manifest = Manifest(
        kind="spectra", spec=SPEC, config={}, seed=seed, response_sha256="", shards=tuple(shards)
    )
    return write_manifest(folder, manifest)
