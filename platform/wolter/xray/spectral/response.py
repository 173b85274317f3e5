"""Response of an instrument: effective area times energy redistribution, and its folding.

Shapes: B batch, E energies of photons, C channels, G groups of channels. Energies in keV, areas in
cm^2.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.ogip.matrices import MOST_CHANCE, Arf, Rmf, read_arf, read_rmf
from wolter.xray.ogip.tables import Array
from wolter.xray.spectral.banded import FEWEST, Bands, banded_product, find_bands

__all__ = ["Arf", "Response", "Rmf", "read_arf", "read_response", "read_rmf", "rebin_channels"]

Edges = Sequence[float] | Tensor | Array


@dataclass(frozen=True, eq=False)
class Response:
    """Area times redistribution on its own energies and channels.

    Attributes:
        energy_edges_E1: contiguous ascending edges of the photon energies, keV, float64.
        matrix_EC: cm^2; float32, or float64 for exact work.
        channel_edges_C1: nominal energies of the channel bounds (EBOUNDS), keV, float64, ascending.
        first_channel: number of the first channel (0 XMM-Newton, 1 ACIS); after `band` or `rebin`
            the number of the first original channel that is kept.
        telescope, instrument, filter: as the file says, or empty.
        descending: the files number the channels downwards in energy (gratings); here they ascend.
    """

    energy_edges_E1: Tensor
    matrix_EC: Tensor
    channel_edges_C1: Tensor
    first_channel: int
    telescope: str = ""
    instrument: str = ""
    filter: str = ""
    descending: bool = False

    def __post_init__(self) -> None:
        assert self.matrix_EC.shape == (self.n_energies, self.n_channels)

    @property
    def n_energies(self) -> int:
        """Number of photon energy bins."""
        return len(self.energy_edges_E1) - 1

    @property
    def n_channels(self) -> int:
        """Number of channels (or groups, after `rebin`)."""
        return len(self.channel_edges_C1) - 1

    def fold(self, flux_BE: Tensor, exposure_B: Tensor | float = 1.0) -> Tensor:
        """Expected counts of photon fluxes.

        Args:
            flux_BE: photons cm^-2 s^-1 in each energy bin, (..., E).
            exposure_B: s, one number or one for each spectrum (...).

        Returns:
            Counts (..., C), in the precision of `matrix_EC`; differentiable.
        """
        if isinstance(exposure_B, Tensor):
            exposure_B = exposure_B.to(self.matrix_EC).unsqueeze(-1)
        flux_BE = flux_BE.to(self.matrix_EC.dtype)
        # Mixed precision would round the counts to three digits.
        with torch.autocast(self.matrix_EC.device.type, enabled=False):
            if flux_BE[..., 0].numel() < FEWEST or self._bands is None:
                return flux_BE @ self.matrix_EC * exposure_B
            flat = banded_product(flux_BE.reshape(-1, self.n_energies), self.matrix_EC, self._bands)
            return flat.reshape(*flux_BE.shape[:-1], self.n_channels) * exposure_B

    @cached_property
    def _bands(self) -> Bands | None:
        """Blocks of the matrix where skipping its zeros is faster: on CPU, and if it is sparse."""
        plain = self.matrix_EC.device.type == "cpu" and not self.matrix_EC.requires_grad
        return find_bands(self.matrix_EC) if plain else None

    def band(self, low_kev: float, high_kev: float) -> "Response":
        """The channels whose centre is in [low, high) keV.

        Raises:
            InputError: no channel is.
        """
        channels = self.channels_between(low_kev, high_kev)
        start, stop = channels.start, channels.stop
        return replace(
            self,
            matrix_EC=self.matrix_EC[:, start:stop].contiguous(),
            channel_edges_C1=self.channel_edges_C1[start : stop + 1],
            first_channel=self.first_channel + start,
        )

    def channels_between(self, low_kev: float, high_kev: float) -> slice:
        """The channels whose centre is in [low, high) keV.

        Raises:
            InputError: no channel is.
        """
        inside_C = channel_bins(self.channel_edges_C1, [low_kev, high_kev]) == 0
        kept = torch.nonzero(inside_C).flatten()
        if len(kept) == 0:
            raise InputError(f"no channel between {low_kev} and {high_kev} keV; {self._extent()}")
        return slice(int(kept[0]), int(kept[-1]) + 1)

    def rebin(self, edges_kev: Edges) -> "Response":
        """Channels summed into bins: each goes where its centre lies; those outside are dropped.

        Args:
            edges_kev: G + 1 ascending edges, keV.

        Raises:
            InputError: the edges do not ascend, or hold no channel.
        """
        bin_C = channel_bins(self.channel_edges_C1, edges_kev)
        if not bool((bin_C >= 0).any()):
            raise InputError(f"no channel inside the given edges; {self._extent()}")
        return self.sum_into(bin_C, edges_kev)

    def sum_into(self, bin_C: Tensor, edges_kev: Edges) -> "Response":
        """Sum channels into the bins whose numbers are given, -1 for none; edges are nominal."""
        edges_G1 = _edges_tensor(edges_kev).to(self.channel_edges_C1.device)
        bin_C = bin_C.to(self.matrix_EC.device)
        return replace(
            self,
            matrix_EC=sum_channels(self.matrix_EC, bin_C, len(edges_G1) - 1),
            channel_edges_C1=edges_G1,
            first_channel=self.first_channel + int(torch.nonzero(bin_C >= 0)[0]),
        )

    @property
    def area_E(self) -> Tensor:
        """Effective area of the channels together at each energy, cm^2."""
        return self.matrix_EC.sum(1)

    def area_between(self, edges_kev: Edges) -> Tensor:
        """Effective area of the channels together, averaged over energy bands (A), cm^2.

        A band beyond the energies of the response has an area of 0.
        """
        edges_A1 = _edges_tensor(edges_kev).to(self.energy_edges_E1.device)
        summed_E = self.area_E.double() * self.energy_edges_E1.diff()
        zero = summed_E.new_zeros(1)
        integral_E1 = torch.cat([zero, summed_E.cumsum(0)])
        bin_A1 = torch.searchsorted(self.energy_edges_E1, edges_A1).clamp(1, self.n_energies)
        low_A1, high_A1 = self.energy_edges_E1[bin_A1 - 1], self.energy_edges_E1[bin_A1]
        share_A1 = ((edges_A1 - low_A1) / (high_A1 - low_A1)).clamp(0, 1)
        at_A1 = torch.lerp(integral_E1[bin_A1 - 1], integral_E1[bin_A1], share_A1)
        return (at_A1.diff() / edges_A1.diff()).to(self.matrix_EC.dtype)

    def seen(self) -> "Response":
        """Response without the leading and trailing energies that no channel records."""
        rows = torch.nonzero(self.matrix_EC.any(1)).flatten()
        first, last = int(rows[0]), int(rows[-1])
        return replace(
            self,
            energy_edges_E1=self.energy_edges_E1[first : last + 2],
            matrix_EC=self.matrix_EC[first : last + 1].contiguous(),
        )

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> "Response":
        """Move the response to another device or precision."""
        return replace(
            self,
            energy_edges_E1=self.energy_edges_E1.to(device),
            matrix_EC=self.matrix_EC.to(device=device, dtype=dtype),
            channel_edges_C1=self.channel_edges_C1.to(device),
        )

    def sha256(self) -> str:
        """Hash of grids and matrix (rounded to float32), the same on every device and precision."""
        digest = hashlib.sha256()
        for array in (self.energy_edges_E1, self.channel_edges_C1, self.matrix_EC.float()):
            digest.update(str(tuple(array.shape)).encode())
            digest.update(np.ascontiguousarray(array.cpu().numpy()).data)
        digest.update(str(self.first_channel).encode())
        return digest.hexdigest()

    def _extent(self) -> str:
        low, high = float(self.channel_edges_C1[0]), float(self.channel_edges_C1[-1])
        return f"the response covers {low:g}-{high:g} keV"


def read_response(
    rmf: Path, arf: Path | str | None = None, dtype: torch.dtype = torch.float32
) -> Response:
    """Read an RMF and multiply it by an ARF.

    Args:
        rmf: redistribution matrix, or a response that holds the area already.
        arf: effective area; None when the matrix says that it holds it, "none" to take its word
            for it where its file says nothing.
        dtype: precision of the matrix; it is read and multiplied in float64.

    Raises:
        InputError: a file cannot be read, the energies of the two differ, or the area is missing or
            there twice.
    """
    trusted = str(arf).lower() == "none" and arf is not None
    area = None if arf is None or trusted else read_arf(Path(arf))
    return response_of(read_rmf(Path(rmf)), area, dtype, trusted=trusted)


def response_of(
    rmf: Rmf, arf: Arf | None, dtype: torch.dtype = torch.float32, *, trusted: bool = False
) -> Response:
    """Multiply a matrix by an area; the ARF may cover more energies than the RMF.

    Args:
        rmf: the matrix.
        arf: the area; None when the matrix holds it.
        dtype: precision of the response.
        trusted: the user says that the matrix holds the area. It is believed where the file says
            nothing, or where no chance can be as large as the matrix.

    Raises:
        InputError: the energies of the two differ, or the area is missing or there twice.
    """
    _check_area(rmf, arf, trusted)
    edges_E1 = rmf.energy_edges_E1
    area_E = np.ones(len(rmf.matrix_EC)) if arf is None else _area_on(rmf, arf)
    product_EC = torch.empty(rmf.matrix_EC.shape, dtype=dtype)
    # In float64 and rounded once, without a second matrix of that size.
    matrix_EC = np.multiply(
        rmf.matrix_EC,
        area_E[:, None],
        out=product_EC.numpy(),
        dtype=np.float64,
        casting="same_kind",
    )
    wide_E = np.diff(edges_E1) > 0  # no photon falls into a bin of no width
    if not wide_E.all():
        matrix_EC, edges_E1 = matrix_EC[wide_E], np.append(edges_E1[:-1][wide_E], edges_E1[-1])
    return Response(
        energy_edges_E1=torch.from_numpy(edges_E1),
        matrix_EC=torch.from_numpy(matrix_EC),
        channel_edges_C1=torch.from_numpy(rmf.channel_edges_C1),
        first_channel=rmf.first_channel,
        telescope=rmf.telescope,
        instrument=rmf.instrument,
        filter=rmf.filter,
        descending=rmf.descending,
    )


def _check_area(rmf: Rmf, arf: Arf | None, trusted: bool) -> None:
    """Refuse a response without an area, or with the area twice."""
    trusted = trusted and (not rmf.needs_area or rmf.largest_sum > MOST_CHANCE)
    if arf is None and not (rmf.has_area or trusted):
        said = f"HDUCLAS3 {rmf.kind}" if rmf.kind else "no HDUCLAS3"
        raise InputError(
            f"{rmf.source}: a redistribution matrix ({said}) holds no effective area; pass its ARF"
        )
    # A matrix that is called FULL by mistake has rows that sum to about 1.
    twice = rmf.has_unit or rmf.largest_sum > (1.05 if rmf.says_area else MOST_CHANCE)
    if arf is not None and twice:
        raise InputError(
            f"{rmf.source}: holds the effective area already (up to {rmf.largest_sum:g} cm^2), and "
            f'{arf.source} would count it twice; pass "none" as ARF'
        )


def _area_on(rmf: Rmf, arf: Arf) -> Array:
    """The area on the energies of the matrix.

    The lower end of the first bin may differ, as in what SAS writes: its bin is then the matrix's.
    """
    edges_E1, n = rmf.energy_edges_E1, len(rmf.energy_edges_E1) - 1
    start = int(np.argmin(np.abs(arf.energy_edges_E1[1:] - edges_E1[1])))
    covered_E1 = arf.energy_edges_E1[start : start + n + 1]
    width_E = np.diff(edges_E1)
    # Files keep energies in float32, and tools round them; a tenth of a bin is another grid.
    narrow_E1 = np.minimum(np.append(width_E, width_E[-1]), np.append(width_E[0], width_E))
    allowed_E1 = np.maximum(0.1 * narrow_E1, 1e-5 * edges_E1)
    if start == 0:
        allowed_E1[0] = np.inf
    if len(covered_E1) <= n or (np.abs(covered_E1 - edges_E1) > allowed_E1).any():
        raise InputError(
            f"{arf.source}: energies {_grid(arf.energy_edges_E1)} differ from "
            f"{_grid(edges_E1)} of {rmf.source}; make both with the same energy grid"
        )
    return arf.area_E[start : start + n]


def _grid(edges_E1: Array) -> str:
    return f"{edges_E1[0]:g}-{edges_E1[-1]:g} keV in {len(edges_E1) - 1} bins"


def rebin_channels(counts_BC: Tensor, channel_edges_C1: Edges, edges_kev: Edges) -> Tensor:
    """Sum counts (..., C) into G bins by the same rule as `Response.rebin`."""
    bin_C = channel_bins(channel_edges_C1, edges_kev).to(counts_BC.device)
    return sum_channels(counts_BC, bin_C, len(edges_kev) - 1)


def width_in_bins(
    channel_edges_C1: Edges, edges_kev: Edges, good_C: Tensor | None = None
) -> Tensor:
    """Width of the channels whose counts `rebin_channels` puts into each bin (G), keV.

    It is not the bin's where channels do not nest in the bins.

    Args:
        channel_edges_C1: edges of the channels, keV.
        edges_kev: G + 1 ascending edges of the bins, keV.
        good_C: channels that count; None: all.
    """
    width_C = _edges_tensor(channel_edges_C1).diff().abs()
    width_C = width_C if good_C is None else width_C * good_C.to(width_C)
    return rebin_channels(width_C[None], channel_edges_C1, edges_kev)[0]


def sum_channels(values_BC: Tensor, bin_C: Tensor, n_bins: int) -> Tensor:
    """Add channels (..., C) into bins (..., G); channels of bin -1 are dropped."""
    kept = torch.nonzero(bin_C >= 0).flatten()
    sums_BG = values_BC.new_zeros(*values_BC.shape[:-1], n_bins)
    return sums_BG.index_add(-1, bin_C[kept], values_BC[..., kept])


def _edges_tensor(edges: Edges) -> Tensor:
    tensor = torch.as_tensor(edges, dtype=torch.float64)
    if tensor.ndim != 1 or len(tensor) < 2 or not bool((tensor.diff() >= 0).all()):
        raise InputError("bin edges must be two or more ascending numbers")
    return tensor


def channel_bins(channel_edges_C1: Edges, edges_kev: Edges) -> Tensor:
    """Bin of each channel's centre, -1 outside; bins include their lower edge.

    Raises:
        InputError: the edges do not ascend.
    """
    edges_C1 = _edges_tensor(channel_edges_C1)
    edges_G1 = _edges_tensor(edges_kev).to(edges_C1.device)
    centre_C = 0.5 * (edges_C1[:-1] + edges_C1[1:])
    bin_C = torch.searchsorted(edges_G1, centre_C, right=True) - 1
    return torch.where(bin_C < len(edges_G1) - 1, bin_C, -1)
