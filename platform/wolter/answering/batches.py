"""Batching of requests: concurrent ones share forward passes, long ones are split.

Shapes: B batch.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wolter.data.schema import RecordBatch
from wolter.threads import one_core_each

Values = dict[str, NDArray[np.float32]]
Join = Callable[
    [Callable[[list[Any]], Awaitable[list[Values]]]], Callable[[Any], Awaitable[Values]]
]
PIECE = 256  # records a forward pass, at most
LEAST = 16  # below which a pass of fewer takes as long
MOST = 1024  # records that are predicted together, on however many cores


class Joined:
    """Predictions of batches of records, concurrent ones together.

    A forward pass takes one core, and as many run at once as there are cores: threads that shared
    a pass would wait for each other after each operation, and long where other work holds a core.

    Args:
        predict: of a batch; it runs in threads.
        join: makes an async function of a list one of a single item; None joins nothing.
        cores: to use; None for as many as torch may.

    Attributes:
        records: that are best given at once; a request of more is answered between others.
    """

    def __init__(
        self,
        predict: Callable[[Any], Values],
        join: Join | None = None,
        cores: int | None = None,
    ) -> None:
        import torch

        self._predict = predict
        self._ask = self._alone if join is None else join(self._together)
        self._cores = cores or torch.get_num_threads()
        self._threads = one_core_each(self._cores)
        self.records = min(PIECE * self._cores, MOST)

    async def __call__(self, batch: RecordBatch) -> Values:
        """Predict a batch, first axis B."""
        return await self._ask(batch)

    async def _alone(self, batch: RecordBatch) -> Values:
        return (await self._together([batch]))[0]

    async def _together(self, batches: list[RecordBatch]) -> list[Values]:
        # In a thread: requests that arrive meanwhile make up the next batch.
        values = await asyncio.to_thread(self._in_pieces, batches)
        ends = np.cumsum([len(batch) for batch in batches])[:-1]
        pieces = {name: np.split(value, ends) for name, value in values.items()}
        return [{name: pieces[name][i] for name in values} for i in range(len(batches))]

    def _in_pieces(self, batches: list[RecordBatch]) -> Values:
        joined = self._threads.submit(type(batches[0]).concatenate, batches).result()
        each = min(max(-(-len(joined) // self._cores), LEAST), PIECE)
        parts = list(self._threads.map(self._predict, joined.split(each)))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
