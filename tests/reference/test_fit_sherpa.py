"""Fits agree with Sherpa's: the same optimum, errors and profile of a power law."""

import numpy as np
import pytest
import torch

from wolter.xray.emission.components import parse
from wolter.xray.spectral.forward import Forward
from wolter.xray.spectral.response import read_response
from wolter.xray.spectral.writing import write_response
from wolter.xray.stats.fit import Counted, fit

pytestmark = [pytest.mark.reference, pytest.mark.peers]
EXPOSURE_S = 5_000.0
BOUNDS = torch.tensor([[1.0, 1e-5], [4.0, 1e-2]], dtype=torch.float64)


def test_power_laws_through_a_real_response(reference_data, tmp_path):
    from sherpa.astro.data import DataPHA
    from sherpa.astro.instrument import Response1D
    from sherpa.astro.io import read_rmf
    from sherpa.estmethods import Confidence, Covariance
    from sherpa.fit import Fit
    from sherpa.models.basic import PowLaw1D
    from sherpa.optmethods import LevMar
    from sherpa.stats import CStat

    folder = reference_data / "xmm" / "ngc7793_ulx4"
    full = read_response(folder / "PN.rmf", folder / "PN.arf", dtype=torch.float64)
    response = full.rebin(np.geomspace(0.3, 10, 111))
    write_response(tmp_path / "grid.rsp", response)
    forward = Forward.of(parse("powerlaw"), response, ("slope", "pow_norm"))
    truth_BP = torch.tensor([[1.5, 3e-4], [2.0, 5e-4], [2.8, 1e-3]], dtype=torch.float64)
    counts_BC = torch.poisson(forward(truth_BP, EXPOSURE_S), torch.Generator().manual_seed(0))
    data = Counted(counts_BC, torch.full((3,), EXPOSURE_S), torch.zeros_like(counts_BC))
    ours = fit(forward, data, truth_BP * 1.2, BOUNDS, intervals=True)
    assert ours.limits_BSP is not None

    rmf = read_rmf(str(tmp_path / "grid.rsp"))
    for row, counts_C in enumerate(counts_BC.numpy()):
        spectrum = DataPHA("spectrum", np.arange(rmf.detchans) + rmf.offset, counts_C)
        spectrum.exposure = EXPOSURE_S
        spectrum.set_response(rmf=rmf)
        power = PowLaw1D()
        power.gamma, power.ampl = truth_BP[row].tolist()
        power.ampl.min, power.ampl.max = BOUNDS[:, 1].tolist()
        fitting = Fit(spectrum, Response1D(spectrum)(power), CStat(), LevMar(), Covariance())
        theirs = fitting.fit()
        # Each optimiser stops within 1e-3 of the lowest statistic: 3 % of an error.
        assert ours.statistic_B[row] == pytest.approx(theirs.statval, abs=2e-3)
        error_P = ours.error_BP[row].numpy()
        assert (np.abs(ours.parameters_BP[row].numpy() - theirs.parvals) < 0.05 * error_P).all()
        # Theirs is the observed curvature, ours the expected one: some 1/sqrt(counts) apart.
        np.testing.assert_allclose(error_P, fitting.est_errors().parmaxes, rtol=0.03)
        fitting.estmethod = Confidence()
        profile = fitting.est_errors()
        limits_SP = ours.limits_BSP[row].numpy() - np.array(theirs.parvals)
        np.testing.assert_allclose(limits_SP[0], profile.parmins, rtol=0.07)
        np.testing.assert_allclose(limits_SP[1], profile.parmaxes, rtol=0.07)
