"""Grouping of channels: OGIP flags, by factor, by minimum counts; cutting and summing of spectra.

Shapes: C channels, G groups.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.ogip.pha import Spectrum
from wolter.xray.spectral.response import sum_channels

# QUALITY of a last group that stays short of the minimum ("dubious", as grppha sets it).
DUBIOUS = 2


def group_index(grouping_C: Tensor) -> Tensor:
    """Group number of each channel, from 0, by OGIP grouping flags.

    A flag of -1 continues the group before; any other flag starts a group.
    """
    starts_C = grouping_C != -1
    starts_C[:1] = True
    return torch.cumsum(starts_C, 0) - 1


def grouping_flags(index_C: Tensor) -> Tensor:
    """OGIP flags (int16) out of the number of each channel's group; undoes `group_index`."""
    starts_C = torch.ones_like(index_C, dtype=torch.bool)
    starts_C[1:] = index_C[1:] != index_C[:-1]
    return torch.where(starts_C, 1, -1).to(torch.int16)


def group_by_factor(spectrum: Spectrum, factor: int) -> Spectrum:
    """Group every `factor` channels; the last group may have fewer.

    Raises:
        InputError: the factor is not a positive number.
    """
    if factor < 1:
        raise InputError(f"grouping factor {factor} must be 1 or more")
    index_C = torch.arange(spectrum.n_channels) // factor
    return replace(spectrum, grouping_C=grouping_flags(index_C))


def group_min_counts(spectrum: Spectrum, minimum: float) -> Spectrum:
    """Group channels until each group holds `minimum` counts.

    Channels that QUALITY excludes stay alone and end the group before them. A group that ends
    short of the minimum gets QUALITY 2, so that fits leave it out.

    Raises:
        InputError: the minimum is not positive.
    """
    if not minimum > 0:
        raise InputError(f"minimum of {minimum} counts a group must be positive")
    good = spectrum.good_C.tolist()
    flags = [1] * spectrum.n_channels
    quality_C = torch.zeros(spectrum.n_channels, dtype=torch.int16)
    if spectrum.quality_C is not None:
        quality_C = spectrum.quality_C.clone()
    start, total = 0, 0.0
    counts = spectrum.counts_C.tolist()
    for channel in range(spectrum.n_channels + 1):
        if channel == spectrum.n_channels or not good[channel]:
            if start < channel:  # an unfinished group
                quality_C[start:channel] = DUBIOUS
            start, total = channel + 1, 0.0
            continue
        if channel > start:
            flags[channel] = -1
        total += counts[channel]
        if total >= minimum:
            start, total = channel + 1, 0.0
    grouping_C = torch.tensor(flags, dtype=torch.int16)
    return replace(spectrum, grouping_C=grouping_C, quality_C=quality_C)


def cut(spectrum: Spectrum, channels: slice) -> Spectrum:
    """Cut a spectrum to consecutive channels."""
    return _rearranged(
        spectrum,
        lambda values_C: values_C[channels],
        first_channel=spectrum.first_channel + channels.start,
    )


def turned(spectrum: Spectrum) -> Spectrum:
    """Reverse the channel order of a spectrum (see `Spectrum.descending`)."""
    turned_round = _rearranged(spectrum, lambda values_C: values_C.flip(0))
    grouping_C = spectrum.grouping_C
    if grouping_C is not None:
        grouping_C = grouping_flags(group_index(grouping_C).flip(0))
    return replace(turned_round, grouping_C=grouping_C, descending=not spectrum.descending)


def summed(spectrum: Spectrum, bin_C: Tensor, n_bins: int) -> Spectrum:
    """Channels added into the bins whose numbers are given, -1 for none.

    A scale that varies by channel becomes its mean over the channels of a bin; flags are dropped.
    """
    n_channels_G = sum_channels(torch.ones_like(spectrum.counts_C), bin_C, n_bins)

    def mean(scale: float | Tensor) -> float | Tensor:
        if isinstance(scale, Tensor):
            return sum_channels(scale, bin_C, n_bins) / n_channels_G.clamp(min=1)
        return scale

    return replace(
        spectrum,
        counts_C=sum_channels(spectrum.counts_C, bin_C, n_bins),
        backscale=mean(spectrum.backscale),
        areascale=mean(spectrum.areascale),
        first_channel=spectrum.first_channel + int(torch.nonzero(bin_C >= 0)[0]),
        grouping_C=None,
        quality_C=None,
    )


def _rearranged(
    spectrum: Spectrum, change: Callable[[Tensor], Tensor], first_channel: int | None = None
) -> Spectrum:
    """Apply the same change to everything that has one value a channel."""
    names = ("counts_C", "backscale", "areascale", "grouping_C", "quality_C")
    values = {name: getattr(spectrum, name) for name in names}
    changed: dict[str, Any] = {
        name: change(v) for name, v in values.items() if isinstance(v, Tensor)
    }
    if first_channel is not None:
        changed["first_channel"] = first_channel
    return replace(spectrum, **changed)
