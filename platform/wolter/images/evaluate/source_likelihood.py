"""Point-source detection in counts images by Poisson likelihood (matching pursuit).

Round by round, sources are added where the photons exceed all that was found so far, and all are
fitted together, as matching pursuit and the emldetect of the XMM-Newton pipeline do. With sources
known, this is the most powerful test (Neyman & Pearson 1933) for one more.

Shapes: H and W rows and columns of an image, P its pixels, N sources, K rows and columns of a
cut-out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from scipy.sparse import csr_array
from scipy.special import xlogy

from wolter.images.evaluate.detection import Array, Detections, Image, peaks

LEAST = 3.0  # sigma of the score test: what may be a source
ROUNDS = 5  # of looking for more
MOVES, FITS = 3, 12  # times that places are fitted in each; before each, steps of the counts'
THETA = 6.0  # arcmin: the kernel of the score test is that of this off-axis angle
CORE_ARCSEC, WHOLE_ARCSEC = 24.0, 150.0  # reach of faint sources' images, and of bright ones'
BRIGHT = 100.0  # counts
MOVED = 5.0  # sigma: from here on places are fitted, too
NOTHING = 1e-9  # counts


@dataclass(frozen=True)
class _Photons:
    image: Image
    counts_P: Array  # 0 where nothing is exposed, as is the background
    background_P: Array


@dataclass(frozen=True)
class _Fit:
    place_N2: Array
    counts_N: Array
    score_N: Array
    level: float  # of the background over the expected one
    model_P: Array


def detect_photons(image: Image) -> Detections:
    """Detect sources in a counts image; the score is sqrt(2 delta log-likelihood).

    Args:
        image: image of photons: rate times exposure plus background are whole numbers.
    """
    live_HW = image.exposure_HW > 0
    background_HW = np.where(live_HW, image.background_HW.clip(min=NOTHING), 0.0)
    counts_HW = np.where(live_HW, image.rate_HW * image.exposure_HW + background_HW, 0.0)
    photons = _Photons(image, counts_HW.ravel(), background_HW.ravel())
    none_N = np.zeros(0)
    fit = _Fit(np.zeros((0, 2)), none_N, none_N, 1.0, photons.background_P.clip(min=NOTHING))
    for _ in range(ROUNDS):
        place_N2, first_N = _more(image, counts_HW, fit.model_P.reshape(counts_HW.shape))
        if not len(place_N2):
            break
        fit = _refit(photons, fit, place_N2, first_N)
    return Detections(image.arcsec(fit.place_N2), fit.score_N)


def _more(image: Image, counts_HW: Array, model_HW: Array) -> tuple[Array, Array]:
    """Places (N, 2) and counts (N) of sources that a model lacks, by Rao's score test.

    One in each neighbourhood: where two overlap, the place of the first is to be fitted before
    what it leaves is taken for the second.
    """
    kernel_KK = image.psf.kernel(THETA, image.pixel_arcsec, image.energy_kev).numpy()
    near = round(CORE_ARCSEC / image.pixel_arcsec)
    cut = slice(kernel_KK.shape[0] // 2 - near, kernel_KK.shape[0] // 2 + near + 1)
    kernel_KK = kernel_KK[cut, cut]
    weight_HW = (image.exposure_HW > 0) / model_HW
    slope_HW = fftconvolve((counts_HW - model_HW) * weight_HW, kernel_KK, mode="same")
    bend_HW = fftconvolve(weight_HW, kernel_KK**2, mode="same").clip(min=NOTHING)
    ratio_HW = np.where(image.exposure_HW > 0, slope_HW / np.sqrt(bend_HW), 0.0)
    place_N2, _ = peaks(ratio_HW, LEAST, near)
    column_N, row_N = np.floor(place_N2 + 0.5).astype(int).T
    return place_N2, (slope_HW / bend_HW)[row_N, column_N].clip(min=0.1)


def _refit(photons: _Photons, fit: _Fit, new_N2: Array, first_N: Array) -> _Fit:
    """Fit all sources together with new ones, and score the new ones."""
    old, level = len(fit.counts_N), fit.level
    counts_P, background_P = photons.counts_P, photons.background_P
    place_N2 = np.concatenate([fit.place_N2, new_N2])
    counts_N = np.concatenate([fit.counts_N, first_N])
    for move in range(MOVES):
        own_NP, slopes, core_NP = _responses(photons.image, place_N2, counts_N > BRIGHT)
        exposed_N = own_NP.sum(1).clip(min=NOTHING)
        for _ in range(FITS):
            model_P = (background_P * level + counts_N @ own_NP).clip(min=NOTHING)
            counts_N = counts_N * (own_NP @ (counts_P / model_P)) / exposed_N
            level *= float(background_P @ (counts_P / model_P) / background_P.sum())
        model_P = (background_P * level + counts_N @ own_NP).clip(min=NOTHING)
        score_N = _worth(own_NP, counts_N, counts_P, model_P)
        if move + 1 < MOVES:  # Fisher's scoring
            wanted = [slope_NP @ (counts_P / model_P - 1) for slope_NP in slopes]
            bends = [counts_N * (slope_NP.power(2) @ (1 / model_P)) for slope_NP in slopes]
            steps_N2 = np.stack(wanted, 1) / np.stack(bends, 1).clip(min=NOTHING)
            steps_N2[score_N <= MOVED] = 0.0
            corner = np.array(photons.image.exposure_HW.shape[::-1]) - 1.0
            place_N2 = (place_N2 + steps_N2.clip(-0.5, 0.5)).clip(0.0, corner)
    gain_P = xlogy(counts_P, model_P / fit.model_P) - model_P + fit.model_P
    # Of new ones beside old ones, only what no change of these explains.
    gained_N = np.sqrt(2 * (core_NP @ gain_P).clip(min=0))
    score_N = np.concatenate([fit.score_N, np.minimum(score_N, gained_N)[old:]])
    kept_N = score_N > LEAST / 2
    return _Fit(place_N2[kept_N], counts_N[kept_N], score_N[kept_N], level, model_P)


def _worth(own_NP: csr_array, counts_N: Array, counts_P: Array, model_P: Array) -> Array:
    """Root of twice the loss of log-likelihood without each source, all others kept."""
    loss_NP = own_NP.copy()
    pixel_J = loss_NP.indices
    part_J = loss_NP.data * np.repeat(counts_N, np.diff(loss_NP.indptr)) / model_P[pixel_J]
    loss_NP.data = -counts_P[pixel_J] * np.log1p(-part_J.clip(max=1 - 1e-9))
    loss_NP.data -= part_J * model_P[pixel_J]
    worth_N: Array = np.sqrt(2 * loss_NP.sum(1).clip(min=0))
    return worth_N


def _responses(
    image: Image, place_N2: Array, bright_N: NDArray[np.bool_]
) -> tuple[csr_array, tuple[csr_array, ...], csr_array]:
    """Point-spread images of sources of 1 count in the exposed pixels.

    Returns:
        Their images (N, P), how these change from column to column and from row to row of their
        place, and 1 in their cores.
    """
    reach, near = (round(each / image.pixel_arcsec) for each in (WHOLE_ARCSEC, CORE_ARCSEC))
    at_K = np.arange(-reach, reach + 1)
    core_K = abs(at_K) <= near
    core_NKK = np.broadcast_to(core_K[:, None] & core_K, (len(place_N2), len(at_K), len(at_K)))
    nearest_N2 = np.floor(place_N2 + 0.5).astype(int)
    column_NK, row_NK = (nearest_N2[:, i, None] + at_K for i in range(2))
    live_HW = np.pad(image.exposure_HW > 0, reach)
    live_NKK = live_HW[row_NK[:, :, None] + reach, column_NK[:, None] + reach]
    kept = np.nonzero((core_NKK | bright_N[:, None, None]) & live_NKK)
    source, row, column = kept
    pixel = row_NK[source, row] * image.exposure_HW.shape[1] + column_NK[source, column]

    def matrix(values_NKK: Array) -> csr_array:
        shape = len(place_N2), image.exposure_HW.size
        return csr_array((values_NKK[kept], (source, pixel)), shape=shape)

    stamp_NKK = image.stamps(image.arcsec(place_N2), reach)
    slopes = tuple(matrix(-np.gradient(stamp_NKK, axis=axis)) for axis in (2, 1))
    return matrix(stamp_NKK), slopes, matrix(core_NKK.astype(float))
