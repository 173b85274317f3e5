"""Point sources in photons by Poisson likelihood: the strongest that is known without a network.

Round by round, sources are added where the photons exceed all that was found so far, and all are
fitted together, as matching pursuit and the emldetect of the XMM-Newton pipeline do. With sources
known, this is the most powerful test (Neyman & Pearson 1933) for one more.

Shapes: H and W rows and columns of an image, N sources, K rows and columns of a cut-out.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve
from scipy.sparse import csr_array

from wolter.evaluate.images.detection import Array, Detections, Image, peaks

LEAST = 3.0  # sigma of the score test: what may be a source
ROUNDS = 5  # of looking for more
MOVES, FITS = 3, 12  # times that places are fitted in each; before each, steps of the counts'
THETA = 6.0  # arcmin: the kernel of the score test is that of this off-axis angle
CORE_ARCSEC, WHOLE_ARCSEC = 24.0, 150.0  # reach of faint sources' images, and of bright ones'
BRIGHT = 100.0  # counts
MOVED = 5.0  # sigma: from here on places are fitted, too
NOTHING = 1e-9  # counts


@dataclass(frozen=True)
class _Fit:
    place_N2: Array
    counts_N: Array
    score_N: Array
    level: float
    model_HW: Array


def detect_photons(image: Image) -> Detections:
    """Sources in counts; the score is the root of twice the log-likelihood that one is worth.

    Args:
        image: of photons: rate times exposure plus background are whole numbers.
    """
    live_HW = image.exposure_HW > 0
    background_HW = np.where(live_HW, image.background_HW.clip(min=NOTHING), 0.0)
    counts_HW = np.where(live_HW, image.rate_HW * image.exposure_HW + background_HW, 0.0)
    kernel_KK = image.psf.kernel(THETA, image.pixel_arcsec, image.energy_kev).numpy()
    reach = kernel_KK.shape[0] // 2
    near = round(CORE_ARCSEC / image.pixel_arcsec)
    kernel_KK = kernel_KK[reach - near : reach + near + 1, reach - near : reach + near + 1]
    none_N = np.zeros(0)
    fit = _Fit(np.zeros((0, 2)), none_N, none_N, 1.0, background_HW)
    for _ in range(ROUNDS):
        excess_HW = np.where(live_HW, counts_HW / fit.model_HW.clip(min=NOTHING) - 1, 0.0)
        weight_HW = np.where(live_HW, 1 / fit.model_HW.clip(min=NOTHING), 0.0)
        slope_HW = fftconvolve(excess_HW, kernel_KK, mode="same")
        bend_HW = fftconvolve(weight_HW, kernel_KK**2, mode="same").clip(min=NOTHING)
        ratio_HW = np.where(live_HW, slope_HW / np.sqrt(bend_HW), 0.0)
        radius = image.psf.fwhm() / image.pixel_arcsec
        place_N2, _ = peaks(ratio_HW, LEAST, radius)
        column_N, row_N = np.floor(place_N2 + 0.5).astype(int).T
        if not len(place_N2):
            break
        first_N = (slope_HW / bend_HW)[row_N, column_N].clip(min=0.1)
        fit = _refit(image, counts_HW, background_HW, fit, place_N2, first_N)
    return Detections(image.arcsec(fit.place_N2), fit.score_N)


def _refit(
    image: Image, counts_HW: Array, background_HW: Array, fit: _Fit, new_N2: Array, first_N: Array
) -> _Fit:
    """Fit all sources together with new ones; what these are worth is scored once, now."""
    old = len(fit.counts_N)
    place_N2 = np.concatenate([fit.place_N2, new_N2])
    counts_N = np.concatenate([fit.counts_N, first_N])
    live_P = image.exposure_HW.ravel() > 0
    photons_P, background_P = counts_HW.ravel(), background_HW.ravel()
    level = fit.level
    for move in range(MOVES):
        shape = _Shapes.of(image, place_N2, counts_N > BRIGHT)
        own_PN = shape.matrix(shape.stamps, live_P)
        own_NP = own_PN.T.tocsr()
        exposed_N = np.asarray(own_PN.sum(0)).ravel().clip(min=NOTHING)
        for _ in range(FITS):
            model_P = (background_P * level + own_PN @ counts_N).clip(min=NOTHING)
            ratio_P = np.where(live_P, photons_P / model_P, 0.0)
            counts_N = counts_N * (own_NP @ ratio_P) / exposed_N
            level *= float(background_P @ ratio_P / background_P.sum())
        model_P = (background_P * level + own_PN @ counts_N).clip(min=NOTHING)
        score_N = _worth(own_NP, counts_N, photons_P, model_P)
        if move + 1 < MOVES:
            place_N2 = place_N2 + shape.steps(live_P, photons_P, model_P, counts_N, score_N)
    before_P = fit.model_HW.ravel().clip(min=NOTHING)
    gain_P = np.where(live_P, photons_P * np.log(model_P / before_P) - model_P + before_P, 0.0)
    # Of new ones beside old ones, only what no change of these explains.
    gained_N = shape.within @ gain_P
    score_N[:old] = fit.score_N
    score_N[old:] = np.minimum(score_N[old:], np.sqrt(2 * gained_N[old:].clip(min=0)))
    kept_N = score_N > LEAST / 2
    return _Fit(
        place_N2[kept_N], counts_N[kept_N], score_N[kept_N], level, model_P.reshape(counts_HW.shape)
    )


def _worth(own_NP: csr_array, counts_N: Array, photons_P: Array, model_P: Array) -> Array:
    """Root of twice the loss of log-likelihood without each source, all others kept."""
    each = own_NP.copy()
    pixel_J = each.indices
    part_J = each.data * np.repeat(counts_N, np.diff(each.indptr)) / model_P[pixel_J]
    each.data = -photons_P[pixel_J] * np.log1p(-part_J.clip(max=1 - 1e-9))
    each.data -= part_J * model_P[pixel_J]
    worth_N: Array = np.sqrt(2 * np.asarray(each.sum(1)).ravel().clip(min=0))
    return worth_N


@dataclass(frozen=True)
class _Shapes:
    """Images of sources of 1 count: those of faint ones are cut off near the core.

    Attributes:
        groups: number (N) of each source, its pixels (N, K, K) in the flat image and its stamp, by
            the size of the cut-outs; pixels beyond the edges are -1.
        size: pixels of the image.
        n: sources.
        within: (N, pixels) 1 in the core of each source.
    """

    stamps: list[Array]
    groups: list[tuple[Array, Array]]
    size: int
    n: int
    within: csr_array

    @classmethod
    def of(cls, image: Image, place_N2: Array, bright_N: Array) -> "_Shapes":
        rows, columns = image.exposure_HW.shape
        stamps, groups = [], []
        nearest_N2 = np.floor(place_N2 + 0.5).astype(int)
        for wanted_N, arcsec in ((~bright_N, CORE_ARCSEC), (bright_N, WHOLE_ARCSEC)):
            number_N = np.flatnonzero(wanted_N)
            reach = round(arcsec / image.pixel_arcsec)
            at_K = np.arange(-reach, reach + 1)
            column_NK, row_NK = (nearest_N2[number_N, i, None] + at_K for i in range(2))
            inside_NKK = ((row_NK >= 0) & (row_NK < rows))[:, :, None] & (
                (column_NK >= 0) & (column_NK < columns)
            )[:, None, :]
            pixel_NKK = np.where(inside_NKK, row_NK[:, :, None] * columns + column_NK[:, None], -1)
            groups.append((number_N, pixel_NKK))
            stamps.append(image.stamps(image.arcsec(place_N2[number_N]), reach))
        made = cls(stamps, groups, rows * columns, len(place_N2), csr_array((0, 0)))
        near = [np.ones_like(stamps[0]), _cropped_ones(stamps[1], stamps[0].shape[1] // 2)]
        within = made.matrix(near, np.ones(rows * columns, dtype=bool)).T.tocsr()
        return cls(stamps, groups, rows * columns, len(place_N2), within)

    def matrix(self, values: list[Array], live_P: Array) -> csr_array:
        """Values of the stamps' pixels by pixel and source (P, N), those that are exposed."""
        parts = []
        for (number_N, pixel_NKK), value_NKK in zip(self.groups, values, strict=True):
            kept = (pixel_NKK >= 0) & live_P[pixel_NKK] & (value_NKK != 0)
            source_NKK = np.broadcast_to(number_N[:, None, None], pixel_NKK.shape)
            parts.append((value_NKK[kept], pixel_NKK[kept], source_NKK[kept]))
        value, pixel, source = (np.concatenate(each) for each in zip(*parts, strict=True))
        return csr_array((value, (pixel, source)), shape=(self.size, self.n))

    def steps(
        self, live_P: Array, photons_P: Array, model_P: Array, counts_N: Array, score_N: Array
    ) -> Array:
        """By how many pixels (N, 2) the likelihood wants sources moved: Fisher's scoring."""
        excess_P = np.where(live_P, photons_P / model_P - 1, 0.0)
        steps_N2 = np.zeros((self.n, 2))
        for i, axis in enumerate((2, 1)):
            slope_PN = self.matrix([-np.gradient(each, axis=axis) for each in self.stamps], live_P)
            slope_NP = slope_PN.T.tocsr()
            wanted_N = slope_NP @ excess_P
            bend_N = slope_NP.power(2) @ (1 / model_P)
            step_N = wanted_N / (bend_N * counts_N).clip(min=NOTHING)
            steps_N2[:, i] = np.where(score_N > MOVED, step_N.clip(-0.5, 0.5), 0.0)
        return steps_N2


def _cropped_ones(stamp_NKK: Array, reach: int) -> Array:
    ones_NKK = np.zeros_like(stamp_NKK)
    middle = stamp_NKK.shape[1] // 2
    inner = slice(middle - reach, middle + reach + 1)
    ones_NKK[:, inner, inner] = 1.0
    return ones_NKK
