"""Fast inversion (sampling) of a neural spline coupling flow.

zuko's flow is a chain of couplings: in each, the first half of the variables goes through splines
(Durkan et al. 2019, arXiv:1906.04032) that the context alone sets, the second through splines that
the first half sets too. zuko's own inverse evaluates all splines of all variables twice, and the
whole network for every sample. Here what the context alone sets is computed once a spectrum and
each spline once a sample, and samples come last in memory, so that operations run over long rows.

Shapes: B spectrum, C context, F variable of one half, I and O inputs and outputs of a layer, K bin,
P variable, R raw parameter of a spline (K widths, K heights, K + 1 slopes), S sample.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import zuko
from torch import Tensor

from wolter.threads import one_core_each

_TOGETHER = 16  # spectra a piece: its intermediate results stay in the cache
BOUND = 5.0  # zuko's splines leave what lies beyond as it is
_LIMIT = -math.log(1e-3)  # zuko's, on logarithms of slopes and of ratios of widths or heights


def invert(flow: Any, context_BC: Tensor, base_PS: Tensor) -> tuple[Tensor, Tensor]:
    """Samples of the flow from samples of its base, on as many threads as torch may use.

    The same as zuko's `flow(context).transform.inv.call_and_ladj(base)`, but for the axes' order,
    and without gradients.

    Args:
        flow: a `zuko.flows.NSF` of two passes.
        context_BC: context vector of each spectrum.
        base_PS: samples of the base.

    Returns:
        The samples (B, P, S) and the logarithm of the map's volume factor (B, S).
    """
    threads = torch.get_num_threads()
    pieces = torch.split(context_BC, _TOGETHER)
    if threads == 1:
        found = [_invert(flow, piece_MC, base_PS) for piece_MC in pieces]
    else:
        found = _invert_on(threads, flow, pieces, base_PS)
    values, log_volumes = zip(*found, strict=True)
    return torch.cat(values), torch.cat(log_volumes)


def _invert_on(
    threads: int, flow: Any, pieces: Sequence[Tensor], base_PS: Tensor
) -> list[tuple[Tensor, Tensor]]:
    # Threads that shared each operation would meet after it, thousands of times, and wait long
    # wherever other work holds a core: so each takes spectra of its own.
    with one_core_each(threads) as pool:
        return list(pool.map(lambda piece_MC: _invert(flow, piece_MC, base_PS), pieces))


@torch.no_grad()
def _invert(flow: Any, context_BC: Tensor, base_PS: Tensor) -> tuple[Tensor, Tensor]:
    values_BPS = base_PS.expand(len(context_BC), -1, -1)
    log_volume_BS = torch.zeros_like(values_BPS[:, 0])
    for coupling in reversed(flow.transform.transforms):
        values_BPS, log_factor_BS = _invert_coupling(coupling, context_BC, values_BPS)
        log_volume_BS = log_volume_BS + log_factor_BS
    return values_BPS, log_volume_BS


def _invert_coupling(
    coupling: Any, context_BC: Tensor, values_BPS: Tensor
) -> tuple[Tensor, Tensor]:
    n = values_BPS.shape[1]
    if n == 1:  # which zuko gives a plain network of the context
        raw_BRP = _raw(coupling.hyper(context_BC), n)
        return _invert_splines(raw_BRP[..., None], values_BPS)
    first_F, second_F = ((coupling.order == half).nonzero()[:, 0] for half in (0, 1))
    layers, known_BRP = _split(coupling.hyper, first_F, second_F, context_BC)
    first_BFS, log_first_BS = _invert_splines(known_BRP[..., first_F, None], values_BPS[:, first_F])
    hidden_BIS = first_BFS
    for weight_OI, known_BO in layers[:-1]:
        hidden_BIS = _affine(weight_OI, known_BO, hidden_BIS).relu_()
    raw_BRFS = _affine(*layers[-1], hidden_BIS)
    raw_BRFS = raw_BRFS.view(len(raw_BRFS), -1, len(second_F), raw_BRFS.shape[2])
    second_BFS, log_second_BS = _invert_splines(raw_BRFS, values_BPS[:, second_F])
    order_P = torch.cat([first_F, second_F]).argsort()
    return torch.cat([first_BFS, second_BFS], 1)[:, order_P], log_first_BS + log_second_BS


def _affine(weight_OI: Tensor, known_BO: Tensor, input_BIS: Tensor) -> Tensor:
    weight_BOI = weight_OI.expand(len(known_BO), -1, -1)
    return torch.baddbmm(known_BO[..., None], weight_BOI, input_BIS)


def _split(
    network: Any, first_F: Tensor, second_G: Tensor, context_BC: Tensor
) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """Part a coupling's masked network by what depends on the first half.

    Returns:
        Of each layer, the weights among units that do, and what the others and the bias add to
        them for each spectrum; and the raw parameters (B, R, P) of the splines that do not (those
        of the second half are unfinished).
    """
    n = len(first_F) + len(second_G)
    input_BI = torch.cat([context_BC.new_zeros(len(context_BC), n), context_BC], 1)
    moves_I = torch.zeros_like(input_BI[0], dtype=torch.bool)
    moves_I[first_F] = True
    layers = []
    *hidden, last = (layer for layer in network if isinstance(layer, zuko.nn.MaskedLinear))
    for layer in hidden:
        weight_OI = layer.weight * layer.mask
        known_BO = torch.addmm(layer.bias, input_BI, weight_OI.T)
        moves_O = (layer.mask & moves_I).any(1)
        layers.append((weight_OI[moves_O][:, moves_I], known_BO[:, moves_O]))
        input_BI, moves_I = known_BO.relu().masked_fill(moves_O, 0), moves_O
    weight_OI = last.weight * last.mask
    weight_IRP = _raw(weight_OI.T, n)
    known_BRP = _raw(torch.addmm(last.bias, input_BI, weight_OI.T), n)
    weight_IRF = weight_IRP[moves_I][..., second_G]
    layers.append((weight_IRF.flatten(1).T, known_BRP[..., second_G].flatten(1)))
    return layers, known_BRP


def _raw(outputs: Tensor, n: int) -> Tensor:
    """A network's outputs for `n` splines as (..., R, P), the slopes at both ends among them."""
    inner = outputs.reshape(*outputs.shape[:-1], n, -1).mT
    bins = (inner.shape[-2] + 1) // 3
    lengths, slopes = torch.split(inner, [2 * bins, bins - 1], -2)
    end = torch.zeros_like(lengths[..., :1, :])
    return torch.cat([lengths, end, slopes, end], -2)


def _bounded(raw: Tensor, limit: float) -> Tensor:
    """Exponentials of raw parameters, whose logarithms stay within the limit."""
    return (raw / raw.abs().div_(limit).add_(1)).exp_()


def _invert_splines(raw_BRFS: Tensor, values_BFS: Tensor) -> tuple[Tensor, Tensor]:
    """Values before monotonic rational-quadratic splines, and the log volume factor (B, S).

    Durkan et al. 2019, eqs. 4-8. The samples' axis of `raw_BRFS` is 1 where all share a spline.
    """
    bins = raw_BRFS.shape[1] // 3
    # Widths and heights in units in which a spline's do not add up to 1: that is left to the end.
    size_BRFS = _bounded(raw_BRFS[:, : 2 * bins], _LIMIT / 2)
    width_BKFS, height_BKFS = torch.split(size_BRFS, bins, 1)
    x_BKFS, y_BKFS = _edges(width_BKFS), _edges(height_BKFS)
    x_scale_BFS, y_scale_BFS = 2 * BOUND / x_BKFS[:, -1], 2 * BOUND / y_BKFS[:, -1]

    y_BFS = (values_BFS + BOUND) / y_scale_BFS
    bin_B1FS = (y_BKFS[:, 1:-1] < y_BFS[:, None]).sum(1, keepdim=True)

    def at(values_BKFS: Tensor, index_B1FS: Tensor) -> Tensor:
        wide_BKFS = values_BKFS.expand(-1, -1, -1, values_BFS.shape[2])
        return wide_BKFS.gather(1, index_B1FS)[:, 0]

    raw_slope_BKFS = raw_BRFS[:, 2 * bins :]
    left_BFS = _bounded(at(raw_slope_BKFS, bin_B1FS), _LIMIT)
    right_BFS = _bounded(at(raw_slope_BKFS, bin_B1FS + 1), _LIMIT)
    width_BFS = at(width_BKFS, bin_B1FS) * x_scale_BFS
    height_BFS = at(height_BKFS, bin_B1FS)
    mean_BFS = height_BFS * y_scale_BFS / width_BFS
    share_BFS = (y_BFS - at(y_BKFS, bin_B1FS)) / height_BFS

    excess_BFS = left_BFS + right_BFS - 2 * mean_BFS
    bend_BFS = share_BFS * excess_BFS
    b_BFS = left_BFS - bend_BFS
    c_BFS = mean_BFS * share_BFS
    root_BFS = (b_BFS * b_BFS + 4 * (mean_BFS - b_BFS) * c_BFS).sqrt_()
    z_BFS = 2 * c_BFS / (b_BFS + root_BFS)
    found_BFS = at(x_BKFS, bin_B1FS) * x_scale_BFS + z_BFS * width_BFS - BOUND

    rest_BFS = 1 - z_BFS
    across_BFS = z_BFS * rest_BFS
    relative_BFS = 1 + excess_BFS * across_BFS / mean_BFS
    slope_BFS = left_BFS * rest_BFS**2 + 2 * mean_BFS * across_BFS + right_BFS * z_BFS**2
    factor_BFS = relative_BFS**2 / slope_BFS
    inside_BFS = values_BFS.abs() < BOUND  # beyond, all of the above is void
    log_factor_BS = torch.where(inside_BFS, factor_BFS, 1.0).log_().sum(1)
    return torch.where(inside_BFS, found_BFS, values_BFS), log_factor_BS


def _edges(sizes_BKFS: Tensor) -> Tensor:
    """Sums of the sizes before each bin and, last, of all."""
    shape = list(sizes_BKFS.shape)
    shape[1] += 1
    edges_BKFS = sizes_BKFS.new_zeros(shape)
    for k in range(sizes_BKFS.shape[1]):  # faster than cumsum, which goes by single numbers
        torch.add(edges_BKFS[:, k], sizes_BKFS[:, k], out=edges_BKFS[:, k + 1])
    return edges_BKFS
