"""Pretrained weights give the numbers that they gave when they were published.

`tests/golden/predictions.json` holds predictions by the code that published them (commit 987fdee,
and of latents the commit that added them; of latents of real files the one that told how channels
of EPIC-pn fill bins; of their anomaly the one by which spectra like another instrument's are
unusual), in double precision, where processors agree far beyond the tolerance: some
values of every output.

Shapes: B batch, C channel, H and W rows and columns.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits

from wolter.images.schema import ImageBatch
from wolter.registry import pretrained
from wolter.registry.checkpoint import load_model
from wolter.spectra.predict import to_batch
from wolter.spectra.schema import SpectraBatch
from wolter.xray.spectral.observation import read_observation

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "predictions.json").read_text())
SPECTRA = ("PN.pha", "PN_spectrum_grp20.fits")
IMAGE, SIDE = "0085110101_image_split_500_2000_20ks_2_1.fits", 24
KEPT = 12  # values of an output, evenly spread


@pytest.fixture(autouse=True)
def double_precision(monkeypatch, one_thread):
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # which families call
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def doubled(batch):
    tensors = {k: v.double() for k, v in vars(batch).items() if isinstance(v, torch.Tensor)}
    return replace(batch, **tensors)


def spectra(spec) -> SpectraBatch:
    """Four spectra, each four times as bright as the one before."""
    n_B1, k_C = torch.arange(4.0)[:, None], torch.arange(float(spec.n_channels))
    counts_BC = (1 + torch.exp(-k_C / 40)) * (2 + torch.sin(k_C * (n_B1 + 1)))
    background_BC = 1 + torch.cos(k_C * (n_B1 + 2))
    return SpectraBatch(
        (4.0**n_B1 * counts_BC).floor(),
        (4.0**n_B1 * background_BC).floor(),
        torch.tensor([0.1, 0.2, 0.3, 0.4]),
        torch.tensor([5e3, 25e3, 25e3, 1e5]),
    )


def images() -> ImageBatch:
    """Two images of one source each, the second four times as bright."""
    y_HW, x_HW = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    spot_HW = 60 * torch.exp(-((x_HW - 9) ** 2 + (y_HW - 14) ** 2) / 8)
    faint_HW = spot_HW / 4 + 0.8 * (1 + torch.sin(3 * x_HW + 5 * y_HW))
    bright_HW = spot_HW + 1 + torch.cos(7 * x_HW - y_HW)
    return sky(torch.stack([faint_HW, bright_HW]).floor(), (2e4, 5e4))


def sky(counts_BHW, exposure_s) -> ImageBatch:
    exposure_BHW = torch.tensor(exposure_s)[:, None, None].expand_as(counts_BHW).contiguous()
    return ImageBatch(counts_BHW, exposure_BHW, 1e-5 * exposure_BHW)


def real_spectra(folder: Path, spec) -> SpectraBatch:
    return doubled(to_batch([read_observation(folder / name) for name in SPECTRA], spec))


def real_image(folder: Path) -> ImageBatch:
    """The surroundings of the brightest pixel."""
    counts_HW = fits.getdata(folder / IMAGE).astype(float)
    y, x = np.unravel_index(counts_HW.argmax(), counts_HW.shape)
    tile_HW = counts_HW[y - SIDE // 2 : y + SIDE // 2, x - SIDE // 2 : x + SIDE // 2]
    return sky(torch.from_numpy(tile_HW.copy())[None], (2e4,))


@torch.no_grad()
def check(name: str, records: str, make_spectra, make_images) -> None:
    model = load_model(pretrained.find(name, "pretrained")[0])
    model.module.double()
    tiled = model.family.kind == "images"
    batch = make_images() if tiled else make_spectra(model.card.spec)
    found, golden = model.family.predict(model.module, batch), GOLDEN[records][name]
    assert found.keys() == golden.keys()
    for output, value in found.items():
        flat = value.flatten()
        kept = flat[:: max(1, len(flat) // KEPT)][:KEPT].tolist()
        assert kept == pytest.approx(golden[output], rel=1e-6), output


@pytest.mark.parametrize("name", pretrained.names())
def test_pretrained_weights_give_the_numbers_that_they_gave(name):
    check(name, "synthetic", spectra, images)


@pytest.mark.reference
@pytest.mark.parametrize("name", pretrained.names())
def test_pretrained_weights_give_the_numbers_that_they_gave_for_real_files(name, reference_data):
    check(
        name,
        "real",
        lambda spec: real_spectra(reference_data / "xmm" / "ngc7793_ulx4", spec),
        lambda: real_image(reference_data / "xmm_images" / "real" / "20ks"),
    )
