"""Small supervised classifiers in plain torch: on full spectra, and on their representations.

Shapes: C channel, D input, F narrow band, K class, N source.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from wolter.spectra.latents.probes import split_rows
from wolter.spectra.latents.sources import UNKNOWN, Array, Indices, Sources
from wolter.spectra.schema import SpectraBatch

_AREAS = 16  # numbers that tell the effective area


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained.

    Attributes:
        width: of the two hidden layers.
        epochs: at most; the best one on held-out sources is kept.
        patience: epochs without a better one, after which training ends.
        batch: sources a step.
        rate: learning rate of Adam (Kingma & Ba 2014), with weight decay.
        dropout: share of hidden units that are left out of a step.
    """

    width: int = 256
    epochs: int = 40
    patience: int = 8
    batch: int = 256
    rate: float = 1e-3
    dropout: float = 0.2


ON_SPECTRA = Recipe()
ON_NUMBERS = Recipe(width=96, dropout=0.05)


def spectrum_inputs(batch: SpectraBatch) -> Tensor:
    """Everything that a record tells (N, D): counts, background, exposure, effective area.

    Square roots of counts have the same noise at every brightness; shares tell the shape apart
    from it.
    """
    counts_NC = batch.counts_BC
    total_N1 = counts_NC.sum(1, keepdim=True)
    share_NC = counts_NC / total_N1.clamp_min(1)
    expected_NC = batch.background_BC * batch.background_scale_B[:, None]
    pieces = [
        counts_NC.sqrt(),
        10 * share_NC.sqrt(),
        expected_NC.unfold(1, 5, 5).sum(2).sqrt(),
        total_N1.log1p(),
        expected_NC.sum(1, keepdim=True).log1p(),
        batch.exposure_B.clamp_min(1).log()[:, None],
    ]
    if batch.folding_area_BF is not None:
        known_NF = torch.nan_to_num(batch.folding_area_BF)
        step = known_NF.shape[1] // _AREAS
        pieces.append(known_NF.unfold(1, step, step).mean(2).log1p())
    return torch.cat(pieces, 1)


class Classifier(nn.Module):
    """Standardisation, two hidden layers, logits of the classes."""

    mean_D: Tensor
    scale_D: Tensor

    def __init__(self, example_ND: Tensor, n_classes: int, recipe: Recipe) -> None:
        super().__init__()
        deviation_D = example_ND.std(0, correction=min(1, len(example_ND) - 1))
        self.register_buffer("mean_D", example_ND.mean(0))
        self.register_buffer("scale_D", torch.where(deviation_D > 1e-6, deviation_D, 1.0))
        width = recipe.width
        self.layers = nn.Sequential(
            nn.Linear(example_ND.shape[1], width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(recipe.dropout),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(recipe.dropout),
            nn.Linear(width, n_classes),
        )

    def forward(self, input_ND: Tensor) -> Tensor:
        """Logits (N, K), where each class weighs the same."""
        found: Tensor = self.layers(((input_ND - self.mean_D) / self.scale_D).clamp(-8, 8))
        return found


def train(
    draw: Callable[[torch.Generator], Tensor],
    class_N: Indices,
    n_classes: int,
    recipe: Recipe,
    seed: int = 0,
) -> Classifier:
    """Train a classifier with the cross-entropy, each class weighing the same.

    A fifth of the sources is held out, and the epoch with its lowest cross-entropy is kept.

    Args:
        draw: inputs (N, D) of an epoch: fresh noise where the records allow it.
        class_N: classes; sources of an unknown one take no part.
        n_classes: K.
        recipe: sizes and rates.
        seed: of weights, order and noise.
    """
    generator = torch.Generator().manual_seed(seed)
    known = np.flatnonzero(class_N != UNKNOWN)
    learn, held = (torch.from_numpy(known[rows]) for rows in split_rows(len(known), seed))
    target_N = torch.from_numpy(class_N)
    count_K = torch.bincount(target_N[learn], minlength=n_classes)
    weight_K = count_K.clamp_min(1).reciprocal() * (count_K > 0)
    loss = nn.CrossEntropyLoss(weight_K / weight_K.sum())
    first_ND = draw(generator)
    held_ND = first_ND[held]
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        model = Classifier(first_ND[learn], n_classes, recipe)
        optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=1e-3)
        best, waited, kept = float("inf"), 0, model.state_dict()
        for epoch in range(recipe.epochs):
            input_ND = first_ND if epoch == 0 else draw(generator)
            model.train()
            order = learn[torch.randperm(len(learn), generator=generator)]
            for rows in torch.split(order, recipe.batch):
                optimiser.zero_grad()
                loss(model(input_ND[rows]), target_N[rows]).backward()
                optimiser.step()
            model.eval()
            with torch.inference_mode():
                value = float(loss(model(held_ND), target_N[held]))
            waited += 1
            if value < best:
                best, waited = value, 0
                kept = {name: each.clone() for name, each in model.state_dict().items()}
            if waited >= recipe.patience:
                break
    model.load_state_dict(kept)
    return model.eval()


@torch.inference_mode()
def classes_of(model: Classifier, input_ND: Tensor) -> Indices:
    """Most probable class (N) where each weighs the same."""
    found: Indices = model(input_ND).argmax(1).numpy()
    return found


def network_classes(
    train_MD: Array, class_M: Indices, test_ND: Array, n_classes: int, seed: int = 0
) -> Indices:
    """Class (N) by a network on the numbers of a representation."""
    numbers_MD = torch.from_numpy(train_MD).float()
    model = train(lambda _: numbers_MD, class_M, n_classes, ON_NUMBERS, seed)
    return classes_of(model, torch.from_numpy(test_ND).float())


def spectrum_classes(
    learn: Sources, class_M: Indices, test: Sources, n_classes: int, seed: int = 0
) -> Indices:
    """Class (N) by a network on full spectra, which sees fresh noise every epoch."""
    batch = learn.batch

    def draw(generator: torch.Generator) -> Tensor:
        return spectrum_inputs(batch.redraw(generator) if batch.has_expected else batch)

    model = train(draw, class_M, n_classes, ON_SPECTRA, seed)
    return classes_of(model, spectrum_inputs(test.batch))
