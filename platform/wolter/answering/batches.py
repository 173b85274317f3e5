"""Batching of requests: concurrent ones share a forward pass, long ones are split.

Shapes: B batch.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wolter.data.schema import RecordBatch

Values = dict[str, NDArray[np.float32]]
Join = Callable[
    [Callable[[list[Any]], Awaitable[list[Values]]]], Callable[[Any], Awaitable[Values]]
]
PIECE = 256  # records a forward pass; a request of more is answered between those of others


class Joined:
    """Predictions of batches of records, concurrent ones in one forward pass.

    Args:
        predict: of a batch; it runs in a thread.
        join: makes an async function of a list one of a single item; None joins nothing.
    """

    def __init__(self, predict: Callable[[Any], Values], join: Join | None = None) -> None:
        self._predict = predict
        self._ask = self._alone if join is None else join(self._together)

    async def __call__(self, batch: RecordBatch) -> Values:
        """Predict a batch, first axis B."""
        return await self._ask(batch)

    async def _alone(self, batch: RecordBatch) -> Values:
        return (await self._together([batch]))[0]

    async def _together(self, batches: list[RecordBatch]) -> list[Values]:
        joined = type(batches[0]).concatenate(batches)
        # In a thread: requests that arrive meanwhile make up the next batch.
        values = await asyncio.to_thread(self._in_pieces, joined)
        ends = np.cumsum([len(batch) for batch in batches])[:-1]
        pieces = {name: np.split(value, ends) for name, value in values.items()}
        return [{name: pieces[name][i] for name in values} for i in range(len(batches))]

    def _in_pieces(self, batch: RecordBatch) -> Values:
        parts = [self._predict(piece) for piece in batch.split(PIECE)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
