"""Sources of three classes seen through ACIS, for tests of embeddings of Chandra spectra.

Active galactic nuclei are power laws, young stars hot plasma without lines, neutron stars
blackbodies with a hard tail. Shapes: B batch, C channel, F narrow band, P parameter.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from tests.synthetic import write_records
from torch import Tensor, nn

from wolter.data.shards import ShardDataset
from wolter.family import Family
from wolter.outputs import Metric, Output
from wolter.registry.checkpoint import Card, Model
from wolter.spectra import folding
from wolter.spectra.grid import acis_grid
from wolter.spectra.schema import Parameter, SpectraBatch, SpectraSpec, poisson_counts
from wolter.xray.emission import components as emission
from wolter.xray.instruments import instrument as instruments

BANDS = {"s": (0.5, 1.2), "m": (1.2, 2.0), "h": (2.0, 7.0), "b": (0.5, 7.0)}
ERG = 1.602177e-9  # erg/keV
MODELS = ("tbabs * powerlaw", "tbabs * bremss", "tbabs * (bbody + powerlaw)")
SPEC = SpectraSpec(
    energy_edges=acis_grid(),
    parameters=(
        Parameter("nh", 0.01, 3.0, "1e22 cm-2", "log"),
        Parameter("slope", 1.0, 3.0),
        Parameter("kt", 0.1, 10.0, "keV", "log"),
        *(Parameter(f"hard_{pair}", -1.0, 1.0) for pair in ("hm", "hs", "ms")),
        *(Parameter(f"flux_{name}", 1e-18, 1e-10, "erg cm-2 s-1", "log") for name in BANDS),
    ),
    components=("source",),
    instrument="CHANDRA/ACIS",
    exposure_s=(1e4, 1e5),
    classes=("AGN", "YSO", "NS"),
    catalogue=("log_flux_s", "log_flux_m", "log_flux_h", "var_intra_prob"),
)


@functools.cache
def described(name: str = "acis_s") -> tuple[Tensor, Tensor]:
    return folding.describe(instruments.load(name).response("", torch.float64))


def make_sources(n: int, seed: int = 0, counts: tuple[float, float] = (20, 2000)) -> SpectraBatch:
    """Draw `n` sources with a mean number of counts between two, log-uniform."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)

    class_B = torch.randint(len(MODELS), (n,), generator=generator)
    nh_B, slope_B = 10 ** uniform(-1.5, 0.3), uniform(1.3, 2.5)
    kt_B = torch.where(class_B == 1, 10 ** uniform(-0.3, 0.7), 10 ** uniform(-0.9, -0.5))
    flux_BF = torch.zeros(n, folding.BANDS, dtype=torch.float64)
    for k, model in enumerate(MODELS):
        rows = (class_B == k).nonzero()[:, 0]
        values = {"nh": nh_B[rows], "slope": slope_B[rows], "pow_norm": torch.ones(len(rows))}
        values |= {"kt": kt_B[rows], "brems_kt": kt_B[rows]}
        values |= {"brems_norm": torch.ones(len(rows)), "bb_norm": torch.full((len(rows),), 0.05)}
        given = {k: v.double() for k, v in values.items()}
        expression = emission.parse(model)
        own = {name: given[name] for name in expression.parameters}
        flux_BF[rows] = expression(torch.tensor(folding.EDGES_KEV).double(), own)
    area_BF = described()[0].expand(n, -1).clone()
    offset_BTA = described()[1].expand(n, -1, -1).clone()
    exposure_B = (10 ** uniform(4, 5)).float()
    edges = torch.tensor(SPEC.energy_edges)
    plain_BC = folding.fold(flux_BF.float(), area_BF, offset_BTA, exposure_B, edges)
    wanted_B = 10 ** uniform(*np.log10(counts))
    norm_B = wanted_B / plain_BC.sum(1).double()
    expected_BC = (plain_BC * norm_B[:, None]).float()
    flux_BF = flux_BF * norm_B[:, None]
    background_BC = torch.full_like(expected_BC, 0.02)
    scale_B = torch.full((n,), 0.1)
    counts_BC, region_BC = poisson_counts(expected_BC, background_BC, scale_B, generator)
    energy_F = folding.bands_kev().double()
    fluxes = {}
    for name, (low, high) in BANDS.items():
        inside_F = (energy_F >= low) & (energy_F < high)
        fluxes[name] = (flux_BF * energy_F)[:, inside_F].sum(1) * ERG
    ratios = [(fluxes[x] - fluxes[y]) / (fluxes[x] + fluxes[y]) for x, y in ("hm", "hs", "ms")]
    unknown = torch.tensor(torch.nan, dtype=torch.float64)
    parameters = [
        nh_B,
        torch.where(class_B == 1, unknown, slope_B),
        torch.where(class_B == 0, unknown, kt_B),
        *ratios,
        *fluxes.values(),
    ]
    noise = torch.randn(n, 3, generator=generator, dtype=torch.float64) / wanted_B.sqrt()[:, None]
    logs = torch.stack([fluxes[name].log10() for name in "smh"], 1) + 0.4 * noise
    return SpectraBatch(
        counts_BC=counts_BC,
        background_BC=region_BC,
        background_scale_B=scale_B,
        exposure_B=exposure_B,
        parameters_BP=torch.stack(parameters, 1).float(),
        expected_BKC=expected_BC[:, None],
        expected_background_BC=background_BC,
        folding_area_BF=area_BF,
        folding_offsets_BTA=offset_BTA,
        class_B=class_B.float(),
        catalogue_BX=torch.cat([logs, uniform(0, 1)[:, None]], 1).float(),
    )


def make_source_dataset(folder: Path, n: int, seed: int = 0) -> ShardDataset:
    """Write `n` sources as a shard dataset."""
    return write_records(folder, make_sources(n, seed), 2, seed, SPEC)


@dataclass(frozen=True)
class Config:
    """None."""


class Bands(nn.Module):
    """An embedding without training: logarithms of counts in eight bands, and their decoding."""

    def __init__(self, config: Config, spec: SpectraSpec) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))
        self.classes = spec.classes


def _predict(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    net_BC = batch.counts_BC - batch.background_scale_B[:, None] * batch.background_BC
    pieces = net_BC.tensor_split(8, dim=1)
    sum_BL = torch.stack([piece.sum(1).clamp_min(0) for piece in pieces], 1)
    decoded = [
        (sum_BL[:, i : i + 1] / piece.shape[1]).expand(-1, piece.shape[1])
        for i, piece in enumerate(pieces)
    ]
    latent_BL = (sum_BL + 0.5).log10()
    hardness_B = latent_BL[:, 5] - latent_BL[:, 0]
    logit_BK = torch.stack([torch.zeros_like(hardness_B), hardness_B, -hardness_B], 1)
    p_BK = logit_BK.softmax(1)
    classes = cast("Bands", module).classes
    return {
        "latent": latent_BL,
        "reconstruction": torch.cat(decoded, 1),
        "anomaly": (hardness_B - 0.0).abs(),
        **{f"p_{name.lower()}": p_BK[:, i] for i, name in enumerate(classes)},
    }


def _measure(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    return {"size": _predict(module, batch)["latent"].abs().mean()}


BANDS_FAMILY = Family(
    name="bands",
    task="spectra/embedding",
    config=Config,
    build=Bands,
    normalise=lambda module, batch: None,
    loss=lambda module, batch: (torch.zeros((), requires_grad=True), {}),
    predict=_predict,
    outputs=lambda _config, spec: (
        Output("latent", "logarithm of counts in a band", axes="L"),
        Output("reconstruction", "expected counts of the source", "ct", axes="C"),
        Output("anomaly", "size of the difference of two of them"),
        *(Output(f"p_{name.lower()}", f"probability of {name}") for name in spec.classes),
    ),
    measure=_measure,
    metrics=(Metric("size", "higher", "mean absolute value of latents"),),
    search_space={},
)


def bands_model() -> Model:
    """The embedding without training, ready to predict."""
    return Model(BANDS_FAMILY, Card("bands", {}, SPEC), Bands(Config(), SPEC))
