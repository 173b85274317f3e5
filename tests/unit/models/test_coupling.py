"""Fast samples of the coupling flow are those of zuko's own inverse."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import zuko
from hypothesis import given, settings
from hypothesis import strategies as st

from wolter.models import _coupling
from wolter.models._coupling import BOUND, invert
from wolter.registry import pretrained
from wolter.registry.checkpoint import load_model
from wolter.threads import apart

CONTEXT = 4


def make_flow(variables=5, transforms=3, bins=8, hidden=(32, 32), gain=3.0, seed=0):
    """A flow in float64 whose weights are `gain` times as large as at birth."""
    torch.manual_seed(seed)
    flow = zuko.flows.NSF(
        features=variables,
        context=CONTEXT,
        transforms=transforms,
        bins=bins,
        passes=2,
        hidden_features=hidden,
    ).double()
    for parameter in flow.parameters():
        parameter.data *= gain
    return flow


def draw(*shape, scale=1.0, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


@torch.no_grad()
def by_zuko(flow, context_BC, base_PS):
    inverse = flow(context_BC).transform.inv
    base_SBP = base_PS.T[:, None].expand(-1, len(context_BC), -1)
    values_SBP, log_volume_SB = inverse.call_and_ladj(base_SBP)
    return values_SBP.permute(1, 2, 0), log_volume_SB.T


@settings(max_examples=60, derandomize=True)  # single precision has heavy tails
@given(
    variables=st.integers(1, 8),
    transforms=st.integers(1, 4),
    bins=st.integers(2, 12),
    hidden=st.lists(st.integers(2, 40), min_size=1, max_size=3).map(tuple),
    gain=st.floats(0, 5),
    scale=st.sampled_from([1.0, 5.0, 50.0]),  # most in the splines' bounds, half, and few
    seed=st.integers(0, 2**31),
)
def test_samples_and_densities_are_those_of_zuko(
    variables, transforms, bins, hidden, gain, scale, seed
):
    flow = make_flow(variables, transforms, bins, hidden, gain, seed)
    context_BC, base_PS = draw(3, CONTEXT), draw(variables, 100, scale=scale)
    values_BPS, log_volume_BS = invert(flow, context_BC, base_PS)
    expected_BPS, expected_BS = by_zuko(flow, context_BC, base_PS)
    # Bins and slopes a thousand times as large as their neighbours magnify float64's rounding, in a
    # chain of couplings again and again: to 1e-10 and 2e-7 at the worst of 600 random flows.
    torch.testing.assert_close(values_BPS, expected_BPS, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(log_volume_BS, expected_BS, rtol=1e-5, atol=1e-5)


def test_what_lies_beyond_the_splines_stays():
    flow = make_flow(transforms=1)
    base_PS = torch.tensor([-1e3, -BOUND - 1e-9, BOUND + 1e-9, 7.0], dtype=torch.float64)
    values_BPS, log_volume_BS = invert(flow, draw(2, CONTEXT), base_PS.expand(5, -1))
    torch.testing.assert_close(values_BPS, base_PS.expand(2, 5, -1))
    torch.testing.assert_close(log_volume_BS, torch.zeros(2, 4, dtype=torch.float64))


def test_single_precision_is_as_good_as_zukos():
    flow = make_flow(variables=7)
    context_BC, base_PS = draw(8, CONTEXT), draw(7, 1000)
    exact = by_zuko(flow, context_BC, base_PS)
    flow, context_BC, base_PS = flow.float(), context_BC.float(), base_PS.float()
    ours, theirs = invert(flow, context_BC, base_PS), by_zuko(flow, context_BC, base_PS)
    for own, their, true in zip(ours, theirs, exact, strict=True):
        assert own.dtype == torch.float32
        # The largest of 56,000 rounding errors scatter; their mean depends on the instructions that
        # a processor has: 1.0 to 1.23 times was seen.
        assert (own - true).abs().mean() < 1.5 * (their - true).abs().mean()
        assert (own - true).abs().max() < 4 * (their - true).abs().max()


def test_shipped_weights_give_the_samples_that_zuko_gives_of_them():
    module = load_model(pretrained.find("posterior", "pretrained")[0]).module.eval().double()
    context_BC = draw(20, module.to_context.out_features)
    base_PS = module.base_SP.T
    values_BPS, log_volume_BS = invert(module.flow, context_BC, base_PS)
    expected_BPS, expected_BS = by_zuko(module.flow, context_BC, base_PS)
    torch.testing.assert_close(values_BPS, expected_BPS, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(log_volume_BS, expected_BS, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("threads", [1, 3])
def test_pieces_and_threads_change_nothing_but_the_time(threads, monkeypatch):
    monkeypatch.setattr(_coupling, "_TOGETHER", 4)
    flow, context_BC, base_PS = make_flow(), draw(10, CONTEXT), draw(5, 50)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        values_BPS, log_volume_BS = invert(flow, context_BC, base_PS)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for i in range(10):
        one_BPS, one_BS = invert(flow, context_BC[i : i + 1], base_PS)
        torch.testing.assert_close(values_BPS[i : i + 1], one_BPS)
        torch.testing.assert_close(log_volume_BS[i : i + 1], one_BS)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_to_come_have_as_many_as_before(threads):
    """What the workers set for themselves is what new threads would start with."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        invert(make_flow(), draw(40, CONTEXT), draw(5, 50))
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == threads
        bad_PS = draw(4, 50)  # of too few variables
        with pytest.raises((RuntimeError, IndexError)):
            invert(make_flow(), draw(40, CONTEXT), bad_PS)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == threads
    finally:
        torch.set_num_threads(before)


def test_threads_that_start_meanwhile_have_as_many(monkeypatch):
    inverted, all_work, found = _coupling._invert, threading.Barrier(3), []

    def noted(*given):
        all_work.wait(timeout=60)
        found.append(apart(torch.get_num_threads))
        return inverted(*given)

    monkeypatch.setattr(_coupling, "_invert", noted)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        invert(make_flow(), draw(40, CONTEXT), draw(5, 50))  # in three pieces
    finally:
        torch.set_num_threads(before)
    assert found == [3, 3, 3]
