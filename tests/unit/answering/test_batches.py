"""Requests that are joined and cut: each gets its own answer."""

import asyncio
import threading

import numpy as np
import pytest
import torch

from wolter.answering.batches import MOST, PIECE, Joined
from wolter.spectra.schema import SpectraBatch


def batch_of(values):
    values_B = torch.tensor(values, dtype=torch.float32)
    return SpectraBatch(values_B[:, None], values_B[:, None], values_B, values_B)


def doubled(sizes):
    def predict(batch):
        sizes.append(len(batch))
        return {"twice": 2 * batch.exposure_B.numpy(), "row": batch.counts_BC.numpy()}

    return predict


def test_long_requests_are_cut_into_pieces():
    sizes = []
    joined = Joined(doubled(sizes), cores=1)
    values = asyncio.run(joined(batch_of(range(2 * PIECE + 88))))
    assert joined.records == PIECE
    assert sizes == [PIECE, PIECE, 88]
    assert values["twice"].tolist() == [2.0 * i for i in range(2 * PIECE + 88)]
    assert values["row"].shape == (2 * PIECE + 88, 1)


def test_concurrent_requests_share_a_pass_and_get_their_own():
    sizes = []

    def join(function):
        """Joins three calls, as `ray.serve.batch` may."""
        waiting = []

        async def one(batch):
            answer = asyncio.get_running_loop().create_future()
            waiting.append((batch, answer))
            if len(waiting) == 3:
                answers = await function([batch for batch, _ in waiting])
                for (_, future), value in zip(waiting, answers, strict=True):
                    future.set_result(value)
            return await answer

        return one

    async def ask():
        joined = Joined(doubled(sizes), join, cores=1)
        return await asyncio.gather(*(joined(batch_of(v)) for v in ([1], [2, 3], [4, 5, 6])))

    answers = asyncio.run(ask())
    assert sizes == [6]
    expected = ([2], [4, 6], [8, 10, 12])
    for answer, twice in zip(answers, expected, strict=True):
        assert np.array_equal(answer["twice"], np.float32(twice))


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (1, [1]),
        (16, [16]),
        (40, [16, 16, 8]),
        (90, [30] * 3),
        (700, [234, 234, 232]),
        (800, [256, 256, 256, 32]),
    ],
)
def test_cores_share_the_records(n, sizes):
    seen, threads = [], set()

    def predict(batch):
        threads.add((threading.get_ident(), torch.get_num_threads()))
        return doubled(seen)(batch)

    joined = Joined(predict, cores=3)
    values = asyncio.run(joined(batch_of(range(n))))
    assert sorted(seen) == sorted(sizes)
    assert values["twice"].tolist() == [2.0 * i for i in range(n)]
    assert len(threads) <= 3
    assert {cores for _, cores in threads} == {1}
    assert joined.records == 3 * PIECE
    assert Joined(predict, cores=64).records == MOST  # the most that a replica joins
