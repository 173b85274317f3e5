"""Models that answer with parameters: pieces, joined requests, refinement within its time."""

import asyncio
import dataclasses
import threading
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wolter import family as families
from wolter import task as tasks
from wolter.answering.batches import PIECE
from wolter.errors import InputError
from wolter.registry.checkpoint import fingerprint, load_model
from wolter.spectra import parameters_serving as serving
from wolter.spectra import tasks as task_module
from wolter.spectra.parameters_serving import ServedParameters
from wolter.spectra.predict import estimate
from wolter.spectra.schema import SpectraBatch


def batch_of(n, n_channels):
    counts_BC = torch.poisson(torch.full((n, n_channels), 5.0), torch.Generator().manual_seed(n))
    one_B = torch.ones(n)
    return SpectraBatch(counts_BC, counts_BC, 0.1 * one_B, 25_000.0 * one_B)


def test_long_requests_are_answered_in_pieces(untrained):
    model = load_model(untrained("mlp"))
    served = ServedParameters(model)
    batch = batch_of(2 * PIECE + 1, served.spec.n_channels)
    values = asyncio.run(served.estimate(batch))
    torch.testing.assert_close(values["nh"], estimate(model, batch)["nh"], rtol=1e-5, atol=0)


def test_no_forward_pass_is_of_more_than_a_piece(untrained, monkeypatch):
    sizes = []

    def noted(_, batch):
        sizes.append(len(batch))
        return {"nh": batch.counts_BC.sum(1).numpy()}

    monkeypatch.setattr(serving, "estimate", noted)
    served = ServedParameters(load_model(untrained("mlp")))
    batch = batch_of(600, served.spec.n_channels)
    values = asyncio.run(served.estimate(batch))
    assert sizes == [256, 256, 88]
    assert values["nh"].tolist() == batch.counts_BC.sum(1).tolist()


def test_joined_requests_are_answered_each_with_its_own(untrained):
    sizes: Counter[int] = Counter()

    def join(function):
        """Joins three calls, as `ray.serve.batch` may."""
        waiting = []

        async def one(batch):
            answer = asyncio.get_running_loop().create_future()
            waiting.append((batch, answer))
            if len(waiting) == 3:
                sizes[len(waiting)] += 1
                answers = await function([batch for batch, _ in waiting])
                for (_, future), value in zip(waiting, answers, strict=True):
                    future.set_result(value)
            return await answer

        return one

    model = load_model(untrained("mlp"))
    batches = [batch_of(n, model.card.spec.n_channels) for n in (1, 3, 2)]

    async def ask():
        served = ServedParameters(model, "", join)
        return await asyncio.gather(*(served.estimate(batch) for batch in batches))

    for batch, values in zip(batches, asyncio.run(ask()), strict=True):
        torch.testing.assert_close(values["kt"], estimate(model, batch)["kt"], rtol=1e-5, atol=0)
    assert sizes == {3: 1}


def test_refinement_ends_when_its_time_is_up(untrained, monkeypatch):
    served, asked = ServedParameters(load_model(untrained("mlp"))), []

    async def check_model(gridded, refined):
        asked.append((gridded, refined))
        await asyncio.sleep(3600 if gridded == "slow" else 0)
        return f"checked {gridded}"

    monkeypatch.setattr(served, "check_model", check_model)
    gridded = {3: "quick", 5: "quick", 8: "slow", 9: "quick"}
    found = asyncio.run(served.refine_within(gridded, 0.2))
    assert found == {3: "checked quick", 5: "checked quick"}
    assert asked == [("quick", True), ("quick", True), ("slow", True)]
    assert asyncio.run(served.refine_within({1: "quick"}, 0.0)) == {}
    assert asyncio.run(served.refine_within({1: "quick"}, -5.0)) == {}
    assert len(asked) == 3


def evidence_of(name):
    return SimpleNamespace(record=SimpleNamespace(name=name))


def test_spectra_are_judged_one_at_a_time_and_as_asked(untrained, monkeypatch):
    lock, asked, together = threading.Lock(), [], []

    def check_model(model, gridded, refined):
        together.append(lock.acquire(blocking=False))
        time.sleep(0.02)
        asked.append((gridded.record.name, refined))
        lock.release()
        return gridded.record.name

    monkeypatch.setattr(serving, "check_model", check_model)
    served = ServedParameters(load_model(untrained("mlp")))

    async def ask():
        waiting = [served.check_model(evidence_of(str(i)), refined=i % 2 == 0) for i in range(4)]
        return await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == ["0", "1", "2", "3"]
    assert asked == [("0", True), ("1", False), ("2", True), ("3", False)]
    assert together == [True] * 4


def test_a_spectrum_is_judged_on_one_core(untrained, monkeypatch):
    """Its operations are small: on two cores they took longer, and nearly twice the processor."""
    monkeypatch.setattr(serving, "check_model", lambda *_: torch.get_num_threads())
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        served = ServedParameters(load_model(untrained("mlp")))
        assert asyncio.run(served.check_model(evidence_of("a.pha"), refined=True)) == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("posterior: no posterior"), r"^posterior: no posterior$"),
        (ValueError("x"), r"^a\.pha: no likelihood of it \(ValueError\); check its response$"),
        (RuntimeError("x"), r"^a\.pha: no likelihood of it \(RuntimeError\); check its response$"),
        (ZeroDivisionError("x"), r"^a\.pha: no likelihood of it \(ZeroDivisionError\)"),
    ],
)
def test_what_cannot_be_judged_is_told_in_one_line(untrained, monkeypatch, error, told):
    def check_model(*_):
        raise error

    monkeypatch.setattr(serving, "check_model", check_model)
    served = ServedParameters(load_model(untrained("mlp")))
    with pytest.raises(InputError, match=told):
        asyncio.run(served.check_model(evidence_of("a.pha"), refined=True))


@pytest.mark.parametrize(("trained_s", "asked_s"), [((2e4, 3e4), 2e4), (None, 1e4)])
def test_a_model_is_asked_for_a_plain_spectrum(untrained, monkeypatch, trained_s, asked_s):
    """One count in each channel of source and background, of the shortest trained exposure."""
    model, asked, bad = load_model(untrained("mlp")), [], []
    card = model.card
    card = dataclasses.replace(card, spec=dataclasses.replace(card.spec, exposure_s=trained_s))
    model = dataclasses.replace(model, card=card)

    def estimate(_, batch):
        asked.append(batch)
        return {n: np.float32([np.nan if n in bad else 1.0]) for n in card.spec.names}

    monkeypatch.setattr(task_module, "estimate", estimate)
    task = tasks.load("spectra/parameters")
    assert task.problem(model) == ""
    assert torch.equal(asked[0].counts_BC, torch.ones(1, 256))
    assert torch.equal(asked[0].background_BC, torch.ones(1, 256))
    assert asked[0].background_scale_B.tolist() == [1.0]
    assert asked[0].exposure_B.tolist() == [asked_s]
    bad += ["kt", "slope"]
    assert task.problem(model) == "no finite kt of a plain record"


def test_a_version_that_nobody_numbered_is_a_fingerprint(untrained):
    model = load_model(untrained("mlp"))
    assert ServedParameters(model).version == fingerprint(model)
    assert ServedParameters(model, "5").version == "5"


def test_the_default_is_the_one_with_intervals():
    found = [families.load(name) for name in ("mlp", "deepspectra", "posterior", "cnn")]
    default = tasks.load("spectra/parameters").serving().default
    assert default(found).name == "posterior"
    assert default(found[:2]).name == "deepspectra"
    assert default([found[0], found[3]]).name == "mlp"
    assert default([found[3], found[0]]).name == "cnn"
