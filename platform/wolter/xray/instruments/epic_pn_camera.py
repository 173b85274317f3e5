"""EPIC-pn's camera in detector coordinates: frame, CCDs, gaps, vignetting, out-of-time events.

Frames are square images of 416 x 416 pixels of 4 arcsec (twice as many of 2 arcsec at scale 2) that
hold the 411 x 403 pixels of the pipeline's detector images, as the XMM-Newton Users' Handbook,
section 3.3.2, and the calibration (EPN_LINCOORD, XMM_MISCDATA) describe them.
Shapes: H rows (along RAWY), W columns of a frame.
"""

import math

import torch
from torch import Tensor

FRAME = 416
NATIVE = (411, 403)  # rows, columns of the pipeline's images
N_CCD = 12
CORNER = (2, 6)  # row, column of the frame where those begin
PIXEL_ARCSEC = 4.0
DETECTOR_ARCSEC = 0.05  # step of DETX and DETY
FOCAL_MM = 7493.2
BORESIGHT = (223.5, 243.5)  # row, column from the lower left corner of a native image
AXIS_XY = (CORNER[1] + BORESIGHT[1], CORNER[0] + BORESIGHT[0])  # the same in a frame

# Edges in native pixels: the wafer's middle and the field of view.
_MIDDLE = (205.0, 201.0)
_FIELD_MIDDLE, _FIELD_RADIUS = (205.3, 201.0), 15.0 * 60 / PIXEL_ARCSEC
_MM = math.degrees(1 / FOCAL_MM) * 3600 / PIXEL_ARCSEC  # pixels in a millimetre
_PITCH, _GAP, _GAP_HALVES, _CCD_PIXEL = 9.79 * _MM, 0.19 * _MM, 0.29 * _MM, 0.15 * _MM
# Share of all events that are read out while moving, by SUBMODE (XMM-Newton Users' Handbook,
# section 3.3.10); windows, which have few, read other rows.
OUT_OF_TIME = {
    "PrimeFullWindow": 0.063,
    "PrimeFullWindowExtended": 0.023,
}
_ROWS_KEPT = 187  # of 200: those next to the read-out are flagged
_ORDER = ((3, 2, 1, 4, 5, 6), (12, 11, 10, 7, 8, 9))  # of CCDs, upper and lower half
# Columns that the pipeline rejects on the lower and upper halves: first, and one past the last.
BAD_COLUMNS: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]] = (
    ((93, 95), (129, 132), (151, 153), (190, 193), (196, 200), (235, 237), (266, 267)),
    ((180, 182), (272, 274), (289, 291), (323, 325), (370, 372)),
)

# Vignetting of telescope 3 (XRT3_XAREAEF_0012): off-axis angles in steps of 0.6 arcmin, by energy.
_VIGNETTING_STEP = 0.6
_VIGNETTING: tuple[tuple[float, tuple[float, ...]], ...] = (
    (1.0, (
        1, .994, .981, .961, .937, .914, .884, .853, .819, .791, .756, .720, .680, .645,
        .611, .577, .545, .517, .490, .463, .435, .409, .385, .364, .347, .329, .311,
    )),
    (3.0, (
        1, .994, .980, .960, .935, .912, .880, .849, .814, .785, .749, .712, .671, .635,
        .600, .565, .533, .504, .477, .449, .421, .396, .372, .350, .333, .316, .298,
    )),
    (5.0, (
        1, .994, .980, .959, .934, .909, .877, .845, .808, .779, .741, .703, .661, .624,
        .588, .552, .519, .489, .462, .433, .404, .378, .354, .332, .315, .297, .280,
    )),
    (6.0, (
        1, .994, .979, .956, .929, .902, .868, .832, .792, .759, .718, .676, .631, .591,
        .553, .515, .479, .448, .418, .389, .360, .334, .311, .290, .274, .258, .242,
    )),
    (7.0, (
        1, .993, .974, .947, .914, .881, .839, .797, .751, .711, .665, .619, .572, .529,
        .489, .451, .415, .384, .356, .328, .302, .279, .259, .242, .228, .216, .203,
    )),
    (8.0, (
        1, .992, .970, .939, .902, .863, .817, .769, .718, .674, .624, .576, .527, .483,
        .443, .405, .370, .340, .313, .288, .264, .245, .227, .213, .201, .191, .180,
    )),
    (10.0, (
        1, .988, .955, .911, .859, .805, .744, .683, .621, .568, .513, .462, .414, .373,
        .336, .304, .276, .253, .234, .216, .200, .186, .173, .163, .154, .146, .138,
    )),
)  # fmt: skip


def vignetting(theta_arcmin: Tensor, energy_kev: float = 1.0) -> Tensor:
    """Share of the on-axis area at an off-axis angle; the table's last slope beyond 15.6 arcmin."""
    energies = [energy for energy, _ in _VIGNETTING]
    energy = min(max(energy_kev, energies[0]), energies[-1])
    above = next(i for i in range(1, len(energies)) if energy <= energies[i])
    share = (energy - energies[above - 1]) / (energies[above] - energies[above - 1])
    low, high = (theta_arcmin.new_tensor(_VIGNETTING[i][1]) for i in (above - 1, above))
    table = torch.lerp(low, high, share)
    position = theta_arcmin / _VIGNETTING_STEP
    index = position.floor().long().clamp(0, len(table) - 2)
    return torch.lerp(table[index], table[index + 1], position - index).clamp(min=0.0)


def offsets(scale: int = 1, pixel_arcsec: float = PIXEL_ARCSEC) -> tuple[Tensor, Tensor]:
    """Rows (H, 1) and columns (1, W) of a frame's pixel centres, arcsec from the boresight.

    Args:
        scale: 1 or 2, pixels along a side of a native pixel.
        pixel_arcsec: side of a native pixel on the sky.
    """
    middle = (torch.arange(FRAME * scale, dtype=torch.float32) + 0.5) / scale
    row, column = ((middle - axis) * pixel_arcsec for axis in reversed(AXIS_XY))
    return row[:, None], column[None, :]


def off_axis(scale: int = 1, pixel_arcsec: float = PIXEL_ARCSEC) -> Tensor:
    """Off-axis angle of every pixel (H, W), arcmin."""
    y_H1, x_1W = offsets(scale, pixel_arcsec)
    return torch.hypot(y_H1, x_1W) / 60


def native(scale: int = 1) -> tuple[slice, slice]:
    """Position of the pipeline's image within a frame."""
    row, column = (
        slice(corner * scale, (corner + size) * scale)
        for corner, size in zip(CORNER, NATIVE, strict=True)
    )
    return row, column


def live(
    scale: int = 1, bad_columns: tuple[tuple[tuple[int, int], ...], ...] = BAD_COLUMNS
) -> Tensor:
    """Pixels (H, W) that record photons: on a CCD, in the field of view, not rejected.

    A pixel counts only if all of it lies on a CCD, for pipelines reject its edges too.

    Args:
        scale: 1 or 2; both have the same edges.
        bad_columns: rejected native columns of the lower and of the upper half.
    """
    row_H, column_W = (torch.arange(size, dtype=torch.float64) for size in NATIVE)
    # Distance from the middle of the wafer to a pixel's nearer and farther edge.
    near_H, far_H = _edges(row_H - _MIDDLE[0])
    rows_H = (near_H >= _GAP_HALVES / 2 - 0.01) & (
        far_H <= _GAP_HALVES / 2 + _ROWS_KEPT * _CCD_PIXEL + 0.01
    )
    columns_W = torch.zeros(NATIVE[1], dtype=torch.bool)
    for ccd in range(6):
        middle = _MIDDLE[1] + (ccd - 2.5) * _PITCH
        half = (_PITCH - _GAP) / 2
        columns_W |= (column_W >= middle - half - 0.01) & (column_W + 1 <= middle + half + 0.01)
    radius_HW = torch.hypot(
        row_H[:, None] + 0.5 - _FIELD_MIDDLE[0], column_W + 0.5 - _FIELD_MIDDLE[1]
    )
    live_HW = rows_H[:, None] & columns_W & (radius_HW <= _FIELD_RADIUS)
    for half, ranges in enumerate(bad_columns):
        rows = slice(0, int(_MIDDLE[0])) if half == 0 else slice(int(_MIDDLE[0]), None)
        for first, end in ranges:
            live_HW[rows, first:end] = False
    frame_HW = torch.zeros(FRAME, FRAME, dtype=torch.bool)
    frame_HW[native()] = live_HW
    return frame_HW.repeat_interleave(scale, 0).repeat_interleave(scale, 1)


def ccd_numbers() -> Tensor:
    """Number of the CCD, 1 to 12, that every pixel (H, W) of a frame at scale 1 belongs to.

    Pixels in gaps count to a neighbour. Quadrants of three begin next to the wafer's middle: 1 and
    4 on the upper half, left and right, 10 and 7 on the lower (Strueder et al. 2001, A&A 365, L18).
    """
    row_H, column_W = (torch.arange(FRAME) - corner + 0.5 for corner in CORNER)
    place_W = ((column_W - _MIDDLE[1]) / _PITCH + 3).floor().long().clamp(0, 5)
    upper_W, lower_W = (torch.tensor(order)[place_W] for order in _ORDER)
    numbers_HW: Tensor = torch.where(row_H[:, None] > _MIDDLE[0], upper_W, lower_W)
    return numbers_HW


def _edges(left: Tensor) -> tuple[Tensor, Tensor]:
    distances = torch.stack([left.abs(), (left + 1).abs()])
    return distances.amin(0), distances.amax(0)


def draw_bad_columns(
    n: int, generator: torch.Generator
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """Draw `n` places of one to three rejected columns, each on one half of the wafer."""
    half_N = torch.randint(2, (n,), generator=generator).tolist()
    first_N = torch.randint(NATIVE[1] - 3, (n,), generator=generator).tolist()
    width_N = torch.randint(1, 4, (n,), generator=generator).tolist()
    drawn = list(zip(half_N, first_N, width_N, strict=True))
    lower, upper = (
        tuple((first, first + width) for half, first, width in drawn if half == wanted)
        for wanted in (0, 1)
    )
    return lower, upper


def smear(rate_HW: Tensor, share: float, scale: int = 1) -> Tensor:
    """Spread a share of all events evenly along the read-out of their CCD: out-of-time events.

    Every half of the wafer keeps its events.
    """
    if share == 0:
        return rate_HW
    smeared_HW = rate_HW.clone()
    rows, columns = native(scale)
    for half in (
        slice(rows.start, rows.start + (int(_MIDDLE[0]) - 1) * scale),
        slice(rows.start + (int(_MIDDLE[0]) + 1) * scale, rows.stop),
    ):
        ccd = rate_HW[half, columns]
        smeared_HW[half, columns] = (1 - share) * ccd + share * ccd.mean(0, keepdim=True)
    return smeared_HW


def streaks(
    counts_HW: Tensor, live_HW: Tensor, share: float, axis_row: float, pixel_arcsec: float
) -> Tensor:
    """Out-of-time events (H, W) to expect of counts that already hold them; see `smear`.

    Args:
        counts_HW: in detector coordinates, without background.
        live_HW: pixels that record photons.
        share: share of out-of-time events in all events.
        axis_row: row of the boresight, from the lower edge.
        pixel_arcsec: side of a pixel.
    """
    middle = round(axis_row + (_MIDDLE[0] - BORESIGHT[0]) * PIXEL_ARCSEC / pixel_arcsec)
    middle = min(max(middle, 0), len(counts_HW))
    halves = [
        live.float() * (counts * live).sum(0) / live.sum(0).clamp(min=1)
        for counts, live in zip(
            counts_HW.tensor_split([middle]), live_HW.tensor_split([middle]), strict=True
        )
    ]
    return share * torch.cat(halves).clamp(min=0)
