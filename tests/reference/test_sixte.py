"""The image simulator against images that SIXTE made, and against the pipeline's masks.

Those SIXTE images are of one large chip (no gaps, no out-of-time events) whose pixels of 150 um
subtend 150 um / 7493.2 mm = 4.129 arcsec though their headers say 4; nothing of the mirrors' image
falls farther than 1 arcmin; and their spectra, absorbed power laws of slope 2 cut below 0.5 keV,
are counted in all channels, with fluxes that mean 0.5-2 keV.
"""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits

from wolter.xray.imaging.imager import TYPICAL_BACKGROUND, Exposure, Imager
from wolter.xray.imaging.scenes import Scene
from wolter.xray.instruments import epic_pn
from wolter.xray.instruments import epic_pn_camera as camera
from wolter.xray.instruments.psf import TARGET_SHARPNESS, Psf
from wolter.xray.spectral.fluxes import counts_per_flux
from wolter.xray.spectral.response import read_response

pytestmark = pytest.mark.reference

PIXEL = 4.129
REACH = 60.0
RINGS = (0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 25.0, 30.0)  # arcsec
ONE = {"agn": 1.0, "cluster": 1.0}


def counts(path: Path) -> torch.Tensor:
    return torch.from_numpy(fits.getdata(path).astype(np.float32))


@pytest.fixture(scope="module")
def sim(reference_data):
    return reference_data / "xmm_images" / "sim"


@pytest.fixture(scope="module")
def imager():
    wide = Psf(reach_arcsec=REACH)
    sharp = Psf(reach_arcsec=REACH, sharpness=TARGET_SHARPNESS)
    return Imager({"1x": (wide, 1), "2x": (sharp, 2)}, pixel_arcsec=PIXEL)


# -- point sources ---------------------------------------------------------------------------------


def peaks(image_HW: torch.Tensor) -> torch.Tensor:
    """Positions (N, 2), column and row, of the sources in a 2x image of AGN alone."""
    axis = torch.arange(-9, 10, dtype=torch.float32)
    bell = (-(axis**2) / (2 * 2.0**2)).exp()
    bell = bell[:, None] * bell / bell.sum() ** 2
    smooth = torch.nn.functional.conv2d(image_HW[None, None], bell[None, None], padding=9)[0, 0]
    highest = torch.nn.functional.max_pool2d(smooth[None], 11, 1, 5)[0]
    row_N, column_N = ((smooth == highest) & (smooth > 0.08)).nonzero().unbind(1)
    at_N2 = torch.stack([column_N, row_N], 1).double()
    rows, columns = (torch.arange(size, dtype=torch.float64) for size in image_HW.shape)
    for i, at in enumerate(at_N2):
        for _ in range(8):  # centroid under a bell that follows it
            weight = (-((rows - at[1]) ** 2) / 18).exp()[:, None] * (
                -((columns - at[0]) ** 2) / 18
            ).exp()
            weighted = weight * image_HW
            total = weighted.sum()
            mean = torch.stack([(weighted.sum(0) * columns).sum(), (weighted.sum(1) * rows).sum()])
            at = at + 1.5 * (mean / total - at)
        at_N2[i] = at
    return at_N2


def scene_at(at_N2: torch.Tensor, flux_N: torch.Tensor) -> Scene:
    """Point sources at pixels of a native 2x image, with counts as seen (i.e. vignetted)."""
    row, column = camera.BORESIGHT
    arcsec_N2 = (at_N2 + 0.5 - 2 * torch.tensor([column, row])) * PIXEL / 2
    vignetting_N = camera.vignetting(torch.hypot(*arcsec_N2.unbind(1)) / 60)
    return Scene(torch.cat([arcsec_N2, (flux_N / vignetting_N)[:, None]], 1).float())


def model_of(imager: Imager, name: str, at_N2: torch.Tensor, image_HW: torch.Tensor):
    """Our image of the sources, with the fluxes that fit (expectation maximisation)."""
    scale = 2 if name == "2x" else 1
    near = [around(image_HW.shape, at, scale) <= 12.0 for at in at_N2]
    flux_N = torch.stack([image_HW[mask].sum() for mask in near]).clamp(min=1.0)
    for _ in range(12):
        whole = imager.rates(scene_at(at_N2, flux_N), ONE)[name][camera.native(scale)]
        ratio = [image_HW[mask].sum() / whole[mask].sum().clamp(min=1e-6) for mask in near]
        flux_N = flux_N * torch.stack(ratio)
    return imager.rates(scene_at(at_N2, flux_N), ONE)[name][camera.native(scale)], flux_N


def around(shape: torch.Size, at: torch.Tensor, scale: int) -> torch.Tensor:
    """Distance of every pixel from a position in a 2x image, in arcsec."""
    column, row = ((at + 0.5) * scale / 2 - 0.5).tolist()
    rows, columns = (torch.arange(size, dtype=torch.float32) for size in shape)
    return torch.hypot(rows[:, None] - row, columns - column) * PIXEL / scale


@pytest.fixture(scope="module")
def fields(sim):
    """AGN fields: 2x at 100 ks, and 1x at 50 ks."""
    pairs = []
    for path in sorted((sim / "100ks" / "agn" / "2x").iterdir()):
        key = re.match(r"agn_abs_[\d.]+_\d+", path.name)[0]
        (wide,) = (sim / "50ks" / "agn" / "1x").glob(f"{key}_*")
        image_HW = counts(path)
        if image_HW.sum() > 1000:
            pairs.append({"2x": image_HW, "1x": counts(wide), "at": peaks(image_HW)})
    return pairs


@pytest.mark.parametrize("name", ["1x", "2x"])
def test_radial_profiles_of_point_sources(imager, fields, name):
    """Within 10 % out to 30 arcsec, summed over all sources above 80 counts."""
    data, model = np.zeros(len(RINGS) - 1), np.zeros(len(RINGS) - 1)
    n = 0
    for field in fields:
        image_HW = field[name]
        model_HW, flux_N = model_of(imager, name, field["at"], image_HW)
        scale = 2 if name == "2x" else 1
        for at, flux in zip(field["at"], flux_N, strict=True):
            if flux < 80 * scale / 2:
                continue
            n += 1
            distance_HW = around(image_HW.shape, at, scale)
            for i, (low, high) in enumerate(itertools.pairwise(RINGS)):
                ring = (distance_HW >= low) & (distance_HW < high)
                data[i] += float(image_HW[ring].sum())
                model[i] += float(model_HW[ring].sum())
    print(name, n, "sources; counts", data, "ratio", np.round(data / model, 3))
    assert n > 50
    assert np.abs(data / model - 1).max() < 0.10


# -- counts per flux -------------------------------------------------------------------------------


def central_box(path: Path) -> tuple[float, float]:
    """Flux and counts (vignetting undone) of the middle 5 % by 5 % of a SIXTE source image.

    Its makers set the flux of this box, whatever the image: (6.1056e-12 + sigma_b 7.8787e-12)
    zoom 0.05^2 erg/cm^2/s, on a map 0.8 degrees times the zoom wide, moved by a share of a third
    of it times (1 - 1/zoom).
    """
    with fits.open(path) as hdus:
        header, image_HW = hdus[0].header, hdus[0].data.astype(float)
    words = re.search(r"_sb_([\d_]+)_zoom_([\d_]+)_offx_(-?[\d_]+)_offy_(-?[\d_]+)_mult", path.name)
    sigma_b, zoom, off_x, off_y = (float(word.replace("_", ".")) for word in words.groups())
    flux = (6.105610561056106e-12 + sigma_b * 7.878743811881188e-12) * zoom * 0.05**2
    pixel = PIXEL / header["RESMULT"]
    width = 0.8 * 3600 * zoom / pixel
    moved = width / 3 * (1 - 1 / zoom)
    column = header["CRPIX1"] - 1 - off_x * moved
    row = header["CRPIX2"] - 1 - off_y * moved
    y, x = np.mgrid[: image_HW.shape[0], : image_HW.shape[1]]
    box = (abs(x - column) < 0.025 * width) & (abs(y - row) < 0.025 * width)
    theta = np.hypot(x - header["CRPIX1"] + 1, y - header["CRPIX2"] + 1) * pixel / 60
    vignetting = camera.vignetting(torch.from_numpy(theta)).numpy()
    mean = (image_HW / vignetting)[box].mean()
    return flux, mean * (0.05 * width) ** 2 / header["EXPOSURE"]


@pytest.mark.parametrize("scale", ["1x", "2x"])
def test_counts_per_flux(sim, scale):
    ours = counts_per_flux(
        "tbabs * powerlaw",
        {"nh": 0.04, "slope": 2.0, "pow_norm": 1.0},
        epic_pn.response("thin"),
        band_kev=(0.05, 15.0),
        flux_band_kev=(0.5, 2.0),
        photons_kev=(0.5, 10.0),
    )
    paths = sorted(sim.glob(f"*/img/{scale}/*.fits.gz"))
    ratios = {}
    for path in paths:
        flux, rate = central_box(path)
        ratios[path.name[:25] + path.name[-20:]] = rate / flux / ours
    print(scale, ours, ratios)
    assert len(ratios) >= 4
    assert max(abs(ratio - 1) for ratio in ratios.values()) < 0.05


def test_counts_per_flux_of_the_calibration(reference_data):
    """0.5-2 keV, as the pretrained scenes use it, by the calibration's own response."""
    folder = reference_data / "xmm_instrument"
    theirs = read_response(folder / "epn_e3_ff20_sdY9_v19.0.rmf", folder / "pn_thin_onaxis.arf")
    spectrum = ("tbabs * powerlaw", {"nh": 0.04, "slope": 1.9, "pow_norm": 1.0})
    ours, expected = (
        counts_per_flux(*spectrum, response) for response in (epic_pn.response("thin"), theirs)
    )
    assert ours == pytest.approx(expected, rel=0.02)


# -- background ------------------------------------------------------------------------------------


@pytest.mark.parametrize("exposure", [20_000, 50_000])
def test_background_level(sim, imager, exposure):
    """The typical background, all sky (SIXTE made it at 1x alone)."""
    image_HW, ours = observed_background(sim, exposure), background(imager, exposure)
    total = float(image_HW.sum() / ours.sum())
    print(exposure, "whole", round(total, 3))
    assert total == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("exposure", [20_000, 50_000])
def test_background_in_rings(reference_data, sim, imager, exposure):
    """Every 2 arcmin, with the vignetting of the photons that SIXTE counted, 0.15 to 15 keV."""
    image_HW, ours = observed_background(sim, exposure), background(imager, exposure)
    energies = (1.0, 3.0, 5.0, 7.0, 9.0)
    weights = shares_of_background(reference_data / "xmm_instrument", energies)
    theta_HW = camera.off_axis(1, PIXEL)[camera.native()]
    mixed = sum(w * camera.vignetting(theta_HW, e) for w, e in zip(weights, energies, strict=True))
    ours = ours / camera.vignetting(theta_HW) * mixed
    ratios = []
    for low in range(0, 16, 2):
        ring = (theta_HW >= low) & (theta_HW < low + 2)
        ratios.append(float(image_HW[ring].sum() / ours[ring].sum()))
    print(exposure, "weights", np.round(weights, 3), "rings", np.round(ratios, 3))
    assert ratios == pytest.approx([1] * len(ratios), abs=0.05)


def observed_background(sim: Path, exposure: int) -> torch.Tensor:
    paths = sorted((sim / f"{exposure // 1000}ks" / "background" / "1x").iterdir())
    return torch.stack([counts(path) for path in paths]).mean(0)


def background(imager: Imager, exposure: int) -> torch.Tensor:
    dark = torch.zeros(camera.FRAME, camera.FRAME)
    everywhere = torch.ones_like(dark, dtype=torch.bool)
    how = Exposure(exposure, background=TYPICAL_BACKGROUND)
    return imager.expose(dark, how, everywhere).background_HW[camera.native()]


def shares_of_background(folder: Path, energies: tuple[float, ...]) -> list[float]:
    """Shares of SIXTE's background counts around each energy: blank sky times on-axis area."""
    with fits.open(folder / "pntffg_spectrum.ds") as hdus:
        table, step = hdus["SPECTRUM"].data, hdus["SPECTRUM"].header["SPECDELT"] / 1000
        energy, rate = table["CHANNEL"] * step, table["COUNTS"].astype(float)
    area = fits.getdata(folder / "pn_thin_onaxis.arf", 1)
    rate *= np.interp(energy, (area["ENERG_LO"] + area["ENERG_HI"]) / 2, area["SPECRESP"])
    middles = [(low + high) / 2 for low, high in itertools.pairwise(energies)]
    edges = [0.15, *middles, 15.0]
    counted = [
        rate[(energy >= low) & (energy < high)].sum() for low, high in itertools.pairwise(edges)
    ]
    return [float(each / sum(counted)) for each in counted]


# -- masks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 2])
def test_mask(reference_data, scale):
    path = reference_data / "xmm_instrument" / f"pn_mask_500_2000_detxy_{scale}x.ds"
    theirs = torch.from_numpy(fits.getdata(path).astype(bool))
    ours = camera.live(scale)[camera.native(scale)]
    # single bad pixels and the steps of the rim are theirs alone
    assert float((ours == theirs).double().mean()) > 0.998
    assert float(ours.double().mean()) == pytest.approx(float(theirs.double().mean()), abs=0.001)


def test_vignetting(reference_data):
    table = fits.getdata(reference_data / "xmm_instrument" / "XRT3_XAREAEF_0012.CCF", 2)
    theta = torch.arange(27, dtype=torch.float64) * 0.6
    for energy in (0.5, 1.0, 1.5, 2.0, 4.0, 6.0, 7.0, 9.0):
        row = int(np.abs(table.field(0) - 1000 * energy).argmin())
        theirs = table.field(1)[row].tolist()
        assert camera.vignetting(theta, energy).tolist() == pytest.approx(theirs, abs=0.01)
