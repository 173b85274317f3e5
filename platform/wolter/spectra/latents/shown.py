"""Oddities told by a classifier that was shown some: what can be seen of them at all.

No anomaly score knows what it looks for. Boosted trees that learn one kind of oddity from examples
say how many of that kind can be told from the sources at all: a bar to judge ranks by.

Shapes: B record, N source, X feature.
"""

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import nn

from wolter.spectra.latents.representations import LATENT
from wolter.spectra.latents.sources import Array, Outputs, numbers
from wolter.spectra.schema import SpectraBatch

SHOWN = 2048  # examples of an oddity
BANDS, BACKGROUND_BANDS = 31, 16


def features(batch: SpectraBatch, outputs: Outputs) -> Array:
    """What a classifier is given of records (B, X): bands of counts, response, latents, scores."""
    counts_BX = _bands(batch.counts_BC, BANDS)
    total_B1 = counts_BX.sum(1, keepdim=True).clamp_min(1.0)
    columns = [counts_BX, counts_BX.cumsum(1) / total_B1]
    columns += [_bands(batch.background_BC, BACKGROUND_BANDS), batch.background_scale_B[:, None]]
    if batch.area_BA is not None:
        columns.append(batch.area_BA / batch.area_BA.amax(1, keepdim=True))
    told = [value.reshape(len(batch), -1) for name, value in outputs.items() if name in _TOLD]
    return np.concatenate([*map(numbers, columns), *told], 1)


_TOLD = (LATENT, f"{LATENT}_sigma", "anomaly", "deviance")


def _bands(counts_BC: torch.Tensor, n: int) -> torch.Tensor:
    """Sums of counts over `n` bands of as many channels."""
    mean_BX = nn.functional.adaptive_avg_pool1d(counts_BC[:, None], n)[:, 0]
    return mean_BX * counts_BC.shape[1] / n


def classifier_scores(
    usual_NX: Array, shown_BX: Array, judged: tuple[Array, ...], seed: int
) -> list[Array]:
    """Scores of being one of the shown, of several tables of features.

    Args:
        usual_NX: sources to learn from.
        shown_BX: examples of the oddity.
        judged: tables that neither of them is of.
        seed: of the trees.
    """
    truth = np.r_[np.zeros(len(usual_NX)), np.ones(len(shown_BX))]
    # Ranks need no weights of classes, and with weights binning takes a hundred times as long.
    trees = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.1, max_leaf_nodes=15, early_stopping=False,
        random_state=seed,
    )  # fmt: skip
    trees.fit(np.concatenate([usual_NX, shown_BX]), truth)
    return [np.asarray(trees.decision_function(each), float) for each in judged]
