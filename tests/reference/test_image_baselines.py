"""What needs no network, on the reference's images, beside figures measured before.

`NOTED` are means over six SIXTE objects and over nine real pairs, and `BEST` the best baseline of
four of those objects. Here are these four objects and six of the pairs, so that a mean cannot be
compared as it stands, and SSIM and MS-SSIM of single objects not at all, for none were noted. But
the missing objects must have had what makes up the difference: `missing` says how much that is, and
it has to be like what those here have. Full frames with zeros around them, as the reference has
them, plain exposures, and gaps that nobody knows of.
"""

import re

import numpy as np
import pytest
import torch

from wolter.images.evaluate import baselines
from wolter.images.evaluate.scores import compare
from wolter.images.schema import CLAMP, ImageBatch
from wolter.xray.imaging.image_file import read_image

pytestmark = pytest.mark.reference

NAMES = [f"{metric}_{s}" for s in ("linear", "sqrt") for metric in ("psnr", "ssim", "ms_ssim")]
NOTED = {
    "sixte": {
        "nearest": (33.10, 0.835, 0.947, 21.98, 0.387, 0.686),
        "bicubic": (33.91, 0.840, 0.956, 22.38, 0.333, 0.707),
        "Gaussian": (36.64, 0.914, 0.982, 25.13, 0.513, 0.822),
        "zeros": (30.24, 0.691, 0.872, 20.28, 0.442, 0.639),
    },
    "real": {
        "input": (33.47, 0.900, 0.983, 24.30, 0.677, 0.915),
        "Gaussian": (33.51, 0.919, 0.985, 24.46, 0.630, 0.914),
    },
}
BEST = {"343638": 33.60, "296363": 37.19, "415728": 39.05, "382215": 36.06}  # linear PSNR, dB
LEVEL = 1.05e-5  # ct/s in an input pixel: SIXTE's background, where vignetting is left out


def padded(image_HW, scale):
    """Rows and columns (1, 416 S, 416 S), with zeros around the image."""
    rows, columns = (416 * scale - size for size in image_HW.shape)
    sides = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return torch.nn.functional.pad(torch.from_numpy(image_HW)[None], sides)


def pair(path, target, scale, level=0.0):
    """A batch of the input, and the target's rate."""
    (counts_HW, own), (photons_HW, other) = read_image(path), read_image(target)
    counts_BHW = padded(counts_HW, 1)
    exposure_BHW = torch.full_like(counts_BHW, own["EXPOSURE"])
    background_BHW = padded(np.ones_like(counts_HW), 1) * level * own["EXPOSURE"]
    batch = ImageBatch(counts_BHW, exposure_BHW, background_BHW)
    return batch, padded(photons_HW, scale) / other["EXPOSURE"]


def scored(rate_BHW, true_BHW, scale):
    found = compare(rate_BHW, true_BHW, CLAMP[scale])
    return [float(found[name]) for name in NAMES]


@pytest.fixture(scope="module")
def sixte(reference_data):
    """Scores by method and object; and the best linear PSNR of all Gaussians."""
    folder = reference_data / "xmm_images" / "sim" / "combined"
    found, best = {name: {} for name in NOTED["sixte"]}, {}
    for path in sorted((folder / "20ks").iterdir()):
        key = re.search(r"subhalos_(\d+)", path.name)[1]
        (target,) = (folder / "100ks").glob(f"*subhalos_{key}_*")
        batch, true_BHW = pair(path, target, 2, LEVEL)
        rates = {
            "nearest": baselines.nearest(batch, 2),
            "bicubic": baselines.bicubic(batch, 2),
            "Gaussian": baselines.gaussian(batch, 2, 1.0),
            "zeros": torch.zeros_like(true_BHW),
        }
        for name, rate_BHW in rates.items():
            found[name][key] = scored(rate_BHW, true_BHW, 2)
        true_BHW = (true_BHW / CLAMP[2]).clamp(max=1)
        best[key] = max(
            float(-10 * (made / CLAMP[2]).clamp(max=1).sub(true_BHW).square().mean().log10())
            for made in (baselines.gaussian(batch, 2, sigma) for sigma in baselines.SIGMAS)
        )
    return found, best


@pytest.fixture(scope="module")
def real(reference_data):
    folder = reference_data / "xmm_images" / "real"
    found = {"input": {}, "Gaussian": {}}
    for path in sorted((folder / "20ks").iterdir()):
        key = path.name.split("_")[0]
        (target,) = (folder / "50ks").glob(f"{key}_*")
        batch, true_BHW = pair(path, target, 1)
        found["input"][key] = scored(baselines.nearest(batch, 1), true_BHW, 1)
        smoothed_BHW = baselines.gaussian(batch, 1, 1.0, background=True)
        found["Gaussian"][key] = scored(smoothed_BHW, true_BHW, 1)
    return found


def missing(noted, n_noted, here):
    """Mean score of the objects that are not here, and the scores (N) of those that are."""
    here_N = np.array(here)
    return (n_noted * noted - here_N.sum()) / (n_noted - len(here_N)), here_N


def check(noted, n_noted, scores, names):
    """The missing ones lie no farther from those here than these from each other."""
    for name in names:
        i = NAMES.index(name)
        implied, here_N = missing(noted[i], n_noted, [each[i] for each in scores.values()])
        width = np.ptp(here_N)
        print(name, "here", np.round(here_N, 3), "missing", round(implied, 3))
        assert here_N.min() - width <= implied <= here_N.max() + width
        if "ssim" in name:
            assert implied <= 1


@pytest.mark.parametrize("method", ["nearest", "bicubic", "Gaussian"])
def test_super_resolution(sixte, method):
    """Of roots of sharp cubics the PSNR alone: which cubic it was, was not noted (ours: -0.75).

    It dips below 0 around single photons, and how far is what their similarity hangs on.
    """
    names = NAMES[:4] if method == "bicubic" else NAMES
    check(NOTED["sixte"][method], 6, sixte[0][method], names)


def test_zeros(sixte):
    """They say how bright targets are, in which objects differ more than in all else."""
    check(NOTED["sixte"]["zeros"], 6, sixte[0]["zeros"], ("psnr_linear", "psnr_sqrt"))


def test_what_interpolation_gains(sixte):
    """Differences of methods hardly hang on the object: by 0.03 dB, and 0.003, in brightness."""
    mean = {k: np.mean(list(v.values()), 0) for k, v in sixte[0].items()}
    gain, noted = (np.subtract(each["bicubic"], each["nearest"]) for each in (mean, NOTED["sixte"]))
    print(np.round(gain, 3), np.round(noted, 3))
    assert gain[:3] == pytest.approx(noted[:3], abs=0.1)
    assert gain[1:3] == pytest.approx(noted[1:3], abs=0.006)
    assert gain[3] == pytest.approx(noted[3], abs=0.15)  # the root shows what is faint


def test_best_baseline_of_each_object(sixte):
    """The best width of ours beside theirs, of which neither width nor background was noted.

    Widths differ by 0.1 to 0.2 dB, padding moves 0.1 to 0.3; and the 20 ks are one of several
    draws. PSNR of the root moves by up to 1 dB with the background that is subtracted: not
    compared.
    """
    print(sixte[1])
    assert sixte[1].keys() == BEST.keys()
    for key, expected in BEST.items():
        assert sixte[1][key] == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("method", ["input", "Gaussian"])
def test_denoising(real, method):
    check(NOTED["real"][method], 9, real[method], NAMES)
