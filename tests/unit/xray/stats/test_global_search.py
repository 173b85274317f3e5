"""The lowest minimum from the middle of the prior; the long proof is benchmarks/starts.py."""

import pytest
import torch

from wolter.spectra.fitting.datasets import bounds_of
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.xray.stats.counts import Counted
from wolter.xray.stats.fit import fit, middle, random_starts
from wolter.xray.stats.global_search import escape
from wolter.xray.stats.levenberg_marquardt import Optimum, minimise
from wolter.xray.stats.unit_box import UnitBox

LOWEST = 1.0  # of the statistic: what counts as another minimum


def simulated(n: int, exposure_s: float) -> tuple[Simulator, SpectraBatch, torch.Tensor]:
    simulator = Simulator(SimulateConfig(exposure_s=(exposure_s, exposure_s)))
    return simulator, simulator.draw(1, 0)[:n], bounds_of(simulator.spec.parameters)


def counted(batch: SpectraBatch, measured: bool) -> Counted:
    if measured:
        scale_B = batch.background_scale_B
        return Counted(batch.counts_BC, batch.exposure_B, batch.background_BC, scale_B)
    return Counted(batch.counts_BC, batch.exposure_B, batch.expected_background_BC)


@pytest.mark.usefixtures("one_thread")
def test_a_search_finds_what_one_descent_misses():
    simulator, batch, bounds_2P = simulated(10, 25e3)
    data, start_BP = counted(batch, False), middle(bounds_2P, 10)
    truth = fit(simulator.forward, data, batch.parameters_BP, bounds_2P)
    plain = fit(simulator.forward, data, start_BP, bounds_2P)
    found = fit(simulator.forward, data, start_BP, bounds_2P, search=True)
    assert (plain.statistic_B > truth.statistic_B + LOWEST).any()
    assert (found.statistic_B < truth.statistic_B + LOWEST).all()
    assert found.converged_B.all()
    assert (found.statistic_B <= plain.statistic_B + 1e-9).all()


def test_a_search_keeps_what_it_cannot_better():
    def scaled(parameters_BP, _exposure_B):
        return parameters_BP[:, :1] * torch.ones(20, dtype=torch.float64)

    counts_BC = torch.full((2, 20), 3.0, dtype=torch.float64)
    data = Counted(counts_BC, torch.ones(2).double(), 0 * counts_BC)
    box = UnitBox.of(scaled, torch.tensor([[0.1], [5.0]], dtype=torch.float64))
    best = minimise(box, data, torch.full((2, 1), 0.3, dtype=torch.float64))
    again = escape(box, data, best)
    assert torch.equal(again.statistic_B, best.statistic_B)
    assert again.converged_B.all()
    # One that no minimiser ended well at is replaced by one as low that it did.
    lost = Optimum(best.point_BP + 1e-3, best.statistic_B + 1e-3, best.converged_B & False)
    assert escape(box, data, lost).converged_B.all()


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("measured", [False, True])
@pytest.mark.parametrize("exposure_s", [5e3, 25e3, 100e3])
def test_hardly_any_fit_misses_the_lowest_minimum(exposure_s, measured):
    simulator, batch, bounds_2P = simulated(400, exposure_s)
    data = counted(batch, measured)
    found = fit(simulator.forward, data, middle(bounds_2P, 400), bounds_2P, search=True)
    generator = torch.Generator().manual_seed(0)
    starts_BRP = random_starts(bounds_2P, 400, 5, generator)
    starts_BRP[:, 0] = batch.parameters_BP
    known = fit(simulator.forward, data, starts_BRP, bounds_2P)
    missed_B = found.statistic_B > known.statistic_B + LOWEST
    assert int(missed_B.sum()) <= 2  # 0.5 %
    assert found.converged_B.double().mean() > 0.99
