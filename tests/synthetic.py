"""Records made up without an instrument, for tests that need tensors fast.

Shapes: B batch, C channel, K component, P parameter, H and W rows and columns, N sources.
"""

from pathlib import Path

import numpy as np
import torch

from wolter.data.schema import RecordBatch
from wolter.data.shards import Manifest, ShardDataset, to_table, write_manifest, write_shard
from wolter.data.split import index_keys
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.spectra.folding import BANDS, SHARES
from wolter.spectra.grid import AREA_EDGES, PHOTONS_KEV, RECORDED_SHARES
from wolter.spectra.schema import Parameter, SpectraBatch, SpectraSpec, poisson_counts

SPEC = SpectraSpec(
    energy_edges=tuple(float(edge) for edge in np.linspace(0.3, 10.0, 33).round(4)),
    parameters=(
        Parameter("slope", 1.0, 3.0),
        Parameter("pow_norm", 1.0, 10.0),
        Parameter("kt", 0.5, 1.5, "keV"),
    ),
    components=("powerlaw", "bbody"),
    classes=("flat", "steep"),
    catalogue=("log_soft", "log_hard"),
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
        redistribution_BQA=torch.zeros(n, len(RECORDED_SHARES), len(PHOTONS_KEV)),
        folding_area_BF=torch.full((n, BANDS), 500.0),
        folding_offsets_BTA=torch.zeros(n, len(SHARES), len(PHOTONS_KEV)),
        class_B=(parameters_BP[:, 0] > 2).float(),
        catalogue_BX=torch.stack([counts_BC[:, :10].sum(1), counts_BC[:, 10:].sum(1)], 1).log1p(),
    )


def areas(n: int, seed: int) -> torch.Tensor:
    """Effective areas of `n` records, unlike each other."""
    generator = torch.Generator().manual_seed(seed)
    return 400 + 200 * torch.rand(n, len(AREA_EDGES) - 1, generator=generator)


IMAGES = ImageSpec(
    shape=(16, 16),
    exposure_s=(2e4, 1e5),
    target_exposure_s=1e5,
    psf_fwhm_arcsec=(10.0, 5.0),
)


def make_images(
    n: int, seed: int = 0, spec: ImageSpec = IMAGES, sources: int = 4, gaps: bool = False
) -> ImageBatch:
    """Draw `n` pairs of images of point sources, which are blurred twice as much in the input.

    Args:
        n: pairs.
        seed: of all that is drawn.
        spec: of the images.
        sources: in each of them.
        gaps: whether some columns of the detector see nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    (height, width), (low, high) = spec.shape, spec.exposure_s or (2e4, 2e4)
    place_BN2 = torch.rand(n, sources, 2, generator=generator) * torch.tensor(spec.shape)
    rate_BN = 3e-4 * 30 ** torch.rand(n, sources, generator=generator)  # ct/s
    exposure_B11 = (low + (high - low) * torch.rand(n, generator=generator))[:, None, None]
    live_HW = torch.ones(height, width)
    if gaps:
        live_HW[:, width // 3 : width // 3 + 2] = 0

    def rate(scale: int, fwhm_arcsec: float) -> torch.Tensor:
        sigma = fwhm_arcsec / 2.3548 * scale / spec.pixel_arcsec
        profiles = []
        for axis, size in enumerate(spec.shape):
            centre = torch.arange(size * scale) + 0.5
            offset = centre - scale * place_BN2[:, :, axis, None]
            profiles.append(torch.exp(-0.5 * (offset / sigma) ** 2) / (sigma * 2.5066))
        return torch.einsum("bn,bnh,bnw->bhw", rate_BN, *profiles)

    exposure_BHW = exposure_B11 * live_HW
    background_BHW = 1e-5 * exposure_BHW
    expected_BHW = rate(1, spec.psf_fwhm_arcsec[0]) * exposure_BHW + background_BHW
    scale = spec.scale
    large_HW = live_HW.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    target_exposure_BHW = (spec.target_exposure_s or high) * large_HW.expand(n, -1, -1).clone()
    truth_BHW = rate(scale, spec.psf_fwhm_arcsec[1]) * target_exposure_BHW
    if spec.target_background:
        truth_BHW = truth_BHW + 1e-5 / scale**2 * target_exposure_BHW
    batch = ImageBatch(
        counts_BHW=expected_BHW,
        exposure_BHW=exposure_BHW,
        background_BHW=background_BHW,
        target_BHW=truth_BHW,
        target_exposure_BHW=target_exposure_BHW,
        expected_BHW=expected_BHW,
        expected_target_BHW=truth_BHW,
    )
    return batch.redraw(generator)


def make_image_dataset(
    folder: Path, n: int, n_shards: int = 2, seed: int = 0, spec: ImageSpec = IMAGES
) -> ShardDataset:
    """Write `n` pairs of images as a shard dataset."""
    return write_records(folder, make_images(n, seed, spec), n_shards, seed, spec)


RECORDS = {"spectra": (SPEC, make_batch), "images": (IMAGES, make_images)}
"""Spec of training records, and the function that draws so many, by the kind of record."""


def make_dataset(folder: Path, n: int, n_shards: int = 3, seed: int = 0) -> ShardDataset:
    """Write `n` records as a shard dataset."""
    return write_records(folder, make_batch(n, seed), n_shards, seed, SPEC)


def write_records(
    folder: Path, batch: RecordBatch, n_shards: int, seed: int, spec: SpectraSpec | ImageSpec
) -> ShardDataset:
    folder.mkdir(parents=True, exist_ok=True)
    index_B = np.arange(len(batch))
    keys_B = index_keys(seed, index_B)
    shards = []
    for i, rows in enumerate(np.array_split(index_B, n_shards)):
        piece = slice(int(rows[0]), int(rows[-1]) + 1)
        names = [f"source-{row}" for row in rows]
        extra = {"source_id": names, "split_key": keys_B[piece]}
        shards.append(write_shard(folder, i, to_table(batch[piece], extra)))
    manifest = Manifest(
        kind=spec.kind, spec=spec, config={}, seed=seed, response_sha256="", shards=tuple(shards)
    )
    return write_manifest(folder, manifest)
