"""Simulated spectra ("fakeit"): prior -> expected counts -> Poisson counts, in plain torch.

Shapes: B batch, C channel, E energy, K component, M background template, P parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.data.seeds import seed_of
from wolter.data.split import index_keys
from wolter.errors import InputError
from wolter.spectra.augment import Augmentation, Augmenter
from wolter.spectra.grid import AREA_EDGES, PHOTONS_KEV, RECORDED_SHARES, grid_within
from wolter.spectra.response_variation import ResponseVariation, band_means, throughputs
from wolter.spectra.schema import Parameter, SpectraBatch, SpectraSpec, poisson_counts
from wolter.xray.emission import components as emission
from wolter.xray.instruments import instrument as instruments
from wolter.xray.instruments.instrument import Instrument
from wolter.xray.spectral.forward import Forward
from wolter.xray.spectral.gain import regain_channels, with_gain
from wolter.xray.spectral.observation import read_spectrum
from wolter.xray.spectral.redistribution import recorded_offsets
from wolter.xray.spectral.response import Response, read_response, rebin_channels
from wolter.xray.spectral.smoothing import smooth_background

BLOCK = 1024  # spectra drawn from one seed; a shard holds whole blocks

# Uniform ranges of the reference network (Manduchi et al. 2022) for EPIC-pn sources.
REFERENCE_PRIOR = (
    Parameter("nh", 0.01, 1.0, "1e22 cm^-2"),
    Parameter("slope", 1.0, 3.0, ""),
    Parameter("pow_norm", 4e-5, 4e-3, "photon keV^-1 cm^-2 s^-1 at 1 keV"),
    Parameter("line_energy", 5.0, 7.0, "keV"),
    Parameter("line_norm", 1e-6, 5e-5, "photon cm^-2 s^-1"),
    Parameter("kt", 0.12, 0.20, "keV"),
    Parameter("bb_norm", 1e-6, 5e-5, "1e39 erg s^-1 (10 kpc)^-2"),
)


@dataclass(frozen=True)
class SimulateConfig:
    """Configuration of a simulation.

    Attributes:
        model: emission model, in XSPEC's names.
        prior: free parameters with their priors.
        fixed: values of the other parameters.
        exposure_s: fixed exposure (low = high) or a log-uniform range, s.
        instrument: name of the instrument whose embedded response is used where no RMF is given.
        rmf, arf: response files, of any instrument.
        filter: filter of the embedded response; empty for the instrument's first.
        variety: variation of effective areas and backgrounds, which records store for families.
        augment: random deviations of each spectrum, which records do not store.
        gain: slope and offset (eV) of the energy scale, for a domain with a wrong response: counts
            of nominal energy E are recorded at slope (E + offset), source and background.
        background_factor: factor on the rates of the backgrounds.
        backgrounds: observed background spectra; realistic ones are drawn where none is given.
        source_backscal: BACKSCAL of the source region for observed backgrounds; 0 takes the
            background's own, i.e. regions of equal area.
        n_backgrounds: number of realistic backgrounds to draw.
        energy_edges: keV, the grid of the records; empty for the default grid within the band of
            the instrument.
        components: store the noise-free components, which DeepSpectra and fresh noise need.
    """

    model: str = "wabs * (powerlaw + gaussian + bbody)"
    prior: tuple[Parameter, ...] = REFERENCE_PRIOR
    fixed: dict[str, float] = field(default_factory=lambda: {"sigma": 0.1})
    exposure_s: tuple[float, float] = (25_000.0, 25_000.0)
    instrument: str = instruments.DEFAULT
    rmf: str | None = None
    arf: str | None = None
    filter: str = ""
    backgrounds: tuple[str, ...] = ()
    source_backscal: float = 0.0
    n_backgrounds: int = 30
    variety: ResponseVariation = field(default_factory=ResponseVariation)
    augment: Augmentation = field(default_factory=Augmentation)
    gain: tuple[float, float] = (1.0, 0.0)
    background_factor: float = 1.0
    energy_edges: tuple[float, ...] = ()
    components: bool = True

    def __post_init__(self) -> None:
        """Check the values that need no file."""
        if not self.energy_edges:  # what is written down says which grid it is
            band_kev = instruments.load(self.instrument).band_kev
            object.__setattr__(self, "energy_edges", grid_within(band_kev))
        low, high = self.exposure_s
        if not 0 < low <= high:
            raise InputError(f"exposure_s = {low}, {high}: give 0 < low <= high, in seconds")
        if not 0.5 < self.gain[0] < 2 or abs(self.gain[1]) > 1000:
            raise InputError(
                f"gain = {self.gain[0]}, {self.gain[1]}: give a slope near 1 and an offset in eV"
            )
        if self.background_factor <= 0:
            raise InputError(f"background_factor = {self.background_factor}: give more than 0")


class Simulator:
    """Simulator of spectra from one configuration.

    The response is folded straight into the record grid, so that the cost of folding does not
    depend on the instrument's channel count.
    """

    def __init__(self, config: SimulateConfig) -> None:
        """Read the response and backgrounds.

        Raises:
            InputError: a file is bad, or prior and fixed values do not make up the model.
        """
        self.config = config
        nominal, instrument = self._read_response()
        slope, offset_ev = config.gain
        full = with_gain(nominal, slope, offset_ev / 1e3)
        self.response_sha256 = full.sha256()
        self.forward = Forward.of(
            emission.parse(config.model),
            full.rebin(config.energy_edges).to(dtype=torch.float32),
            [p.name for p in config.prior],
            config.fixed,
        )
        edges_E1 = self.forward.response.energy_edges_E1
        self.energy_E, self.width_E = (edges_E1[1:] + edges_E1[:-1]) / 2, edges_E1.diff()
        augmented = config.augment != Augmentation()
        self.augmenter = Augmenter(config.augment, self.forward) if augmented else None
        self.area_A = self.forward.response.area_between(AREA_EDGES)
        self.redistribution_QA = recorded_offsets(full, PHOTONS_KEV, RECORDED_SHARES).float()
        # Its name alone: a simulator travels to the workers, and an instrument holds functions.
        self.instrument = "" if instrument is None else instrument.name
        is_year = instrument is not None and instrument.filter_is_year
        self.filter = config.filter if is_year else full.filter or config.filter
        self.spec = SpectraSpec(
            energy_edges=config.energy_edges,
            parameters=config.prior,
            components=self.forward.components if config.components else (),
            instrument="/".join((full.telescope, full.instrument, full.filter)),
            exposure_s=config.exposure_s,
            model=config.model,
            fixed=config.fixed,
        )
        self.background_MC, self.background_scale_M = self._backgrounds(nominal, instrument)
        if config.background_factor != 1:
            self.background_MC *= config.background_factor

    def _read_response(self) -> tuple[Response, Instrument | None]:
        """The response, and the instrument that it is of where that is known."""
        named = instruments.load(self.config.instrument)
        if self.config.rmf is None:
            if self.config.arf is not None:
                raise InputError(f"{self.config.arf}: an ARF needs its RMF; give --rmf as well")
            return named.response(self.config.filter), named
        response = read_response(Path(self.config.rmf), self.config.arf or None)
        own = instruments.find(response.telescope, response.instrument)
        return response, named if named in own else next(iter(own), None)

    def _backgrounds(self, full: Response, instrument: Instrument | None) -> tuple[Tensor, Tensor]:
        """Expected rates in the source region (counts/s, M x C) and area ratios (M)."""
        if not self.config.backgrounds:
            return self._drawn_backgrounds(full, instrument)
        observed = self._observed_backgrounds(full)
        if not self.config.variety.backgrounds:
            return observed
        # As many of each kind, so that half of the spectra have an observed one.
        drawn = self._drawn_backgrounds(full, instrument)
        times = -(-len(drawn[1]) // len(observed[1]))
        (rate_MC, scale_M), (drawn_MC, drawn_M) = observed, drawn
        return torch.cat([rate_MC.repeat(times, 1), drawn_MC]), torch.cat(
            [scale_M.repeat(times), drawn_M]
        )

    def _drawn_backgrounds(
        self, full: Response, instrument: Instrument | None
    ) -> tuple[Tensor, Tensor]:
        if instrument is None:
            raise InputError(
                f"no background family for instrument '{full.instrument}'; give observed "
                "backgrounds"
            )
        generator = torch.Generator().manual_seed(seed_of(0, 0, "backgrounds"))
        rate_MC = instrument.draw_backgrounds(full, self.config.n_backgrounds, generator)
        scale_M = 0.1 * 5 ** torch.rand(len(rate_MC), generator=generator)
        return self._binned(rate_MC, full), scale_M

    def _binned(self, rate_MC: Tensor, full: Response) -> Tensor:
        """Rates of channels as they are recorded, summed into the grid."""
        slope, offset_ev = self.config.gain
        rate_MC = regain_channels(rate_MC, full.channel_edges_C1, slope, offset_ev / 1e3)
        return rebin_channels(rate_MC, full.channel_edges_C1, self.config.energy_edges).float()

    def _observed_backgrounds(self, full: Response) -> tuple[Tensor, Tensor]:
        rates, scales = [], []
        for name in self.config.backgrounds:
            background = read_spectrum(Path(name), role="background")
            own = background.backscale
            scale = self.config.source_backscal / own if self.config.source_backscal else 1.0
            counts_C = smooth_background(background.counts_C)
            rate_C = counts_C / background.exposure_s * scale
            rates.append(self._binned(rate_C[None], full)[0])
            scales.append(scale)
        return torch.stack(rates), torch.tensor(scales)

    def expected(
        self, parameters_BP: Tensor, exposure_B: Tensor, throughput_BE: Tensor | None = None
    ) -> Tensor:
        """Noise-free counts at the given parameters, exposures and area factors.

        Returns:
            Counts of each component (B, K, C); where components are not stored, of their sum
            alone, K = 1, which takes a third of the time.
        """
        if self.config.components:
            return self.forward.terms(parameters_BP, exposure_B, throughput_BE)
        return self.forward(parameters_BP, exposure_B, throughput_BE)[:, None]

    def sources(self, seed: int, index_B: NDArray[np.int64]) -> Mapping[str, Any]:
        """Columns `source_id` and `split_key` of records: every one is a source of its own."""
        return own_sources("sim", seed, index_B)

    def draw(self, seed: int, block: int) -> SpectraBatch:
        """Draw one block of spectra; it depends on (config, seed, block) alone."""
        n = BLOCK
        generator = torch.Generator().manual_seed(seed_of(seed, block, "spectra"))
        uniform_BP = torch.rand(n, len(self.spec.parameters), generator=generator)
        parameters_BP = self.spec.prior.quantile(uniform_BP)
        low, high = self.config.exposure_s
        exposure_B = low * (high / low) ** torch.rand(n, generator=generator)
        which_B = torch.randint(len(self.background_MC), (n,), generator=generator)
        instrument = instruments.load(self.instrument) if self.instrument else None
        throughput_BE = throughputs(
            self.config.variety, instrument, self.energy_E, self.filter, n, generator
        )
        background_BC = self.background_MC[which_B] * exposure_B[:, None]
        unmodelled_BC = None
        if self.augmenter is None:
            expected_BKC = self.expected(parameters_BP, exposure_B, throughput_BE)
        else:
            own = torch.Generator().manual_seed(seed_of(seed, block, "augment"))
            nuisance = self.config.augment.draw(n, own)
            seen = self.augmenter(
                nuisance,
                parameters_BP,
                exposure_B,
                throughput_BE,
                background_BC,
                self.config.components,
            )
            expected_BKC, background_BC = seen.expected_BKC, seen.background_BC
            unmodelled_BC = seen.unmodelled_BC
        scale_B = self.background_scale_M[which_B]
        counts_BC, region_BC = poisson_counts(
            expected_BKC.sum(1), background_BC, scale_B, generator, unmodelled_BC
        )
        area_BA = self.area_A.expand(n, -1)
        if throughput_BE is not None:
            area_E = self.forward.response.area_E * self.width_E
            area_BA = area_BA * band_means(self.energy_E, throughput_BE, AREA_EDGES, area_E)
        stored = self.config.components
        return SpectraBatch(
            counts_BC=counts_BC,
            background_BC=region_BC,
            background_scale_B=scale_B,
            exposure_B=exposure_B,
            parameters_BP=parameters_BP,
            expected_BKC=expected_BKC if stored else None,
            expected_background_BC=background_BC if stored else None,
            area_BA=area_BA,
            unmodelled_BC=unmodelled_BC if stored else None,
            redistribution_BQA=self.redistribution_QA.expand(n, -1, -1).clone(),
        )


def own_sources(prefix: str, seed: int, index_B: NDArray[np.int64]) -> Mapping[str, Any]:
    """Columns `source_id` and `split_key` of records, each of another source."""
    return {
        "source_id": np.char.add(f"{prefix}-{seed}-", index_B.astype(str)),
        "split_key": index_keys(seed_of(seed, 0, "split"), index_B),
    }
