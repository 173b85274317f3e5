"""What every part of an analysis of latents takes: sources, and the outputs of models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.registry.checkpoint import Model
from wolter.spectra.latents.components import Components, principal_components
from wolter.spectra.latents.options import EmbeddingEvaluation
from wolter.spectra.latents.origin import Origin, origin_of
from wolter.spectra.latents.representations import LATENT, Representation, representations
from wolter.spectra.latents.scores import Mask
from wolter.spectra.latents.sources import (
    Indices,
    Outputs,
    Sources,
    encode,
    read,
    read_folds,
    refine,
)


@dataclass(frozen=True)
class Study:
    """What every part of the analysis takes.

    Attributes:
        models: that are analysed.
        labels: names of the models.
        train: sources to learn from.
        test: sources to judge by.
        outputs: outputs of each model for both, by its label.
        origin: of the spectra.
        options: of the evaluation.
        config: how the dataset was made.
        fold_N: part of each source that is judged, where classes are cross-validated.
    """

    models: tuple[Model, ...]
    labels: tuple[str, ...]
    train: Sources
    test: Sources
    outputs: dict[str, tuple[Outputs, Outputs]]
    origin: Origin
    options: EmbeddingEvaluation
    config: Mapping[str, Any] = field(default_factory=dict)
    fold_N: Indices | None = None

    @property
    def tested(self) -> dict[str, Outputs]:
        """Outputs for the sources that are judged, by model."""
        return {label: both[1] for label, both in self.outputs.items()}

    @cached_property
    def refined(self) -> dict[str, Outputs]:
        """Outputs for the sources that are judged, with latents fitted to their counts.

        By model, of those whose latents can be; the labels say so.
        """
        return refined_outputs(self.models, self.labels, self.test)

    @cached_property
    def components(self) -> Components:
        """Principal components of the training split, as many as the first model has latents."""
        n = self.outputs[self.labels[0]][0][LATENT].shape[1]
        return principal_components(self.train.batch.counts_BC, self.train.background(), n)

    @cached_property
    def folds(self) -> tuple["Study", ...]:
        """A study of each part of the sources, which the others teach; itself without parts."""
        if self.fold_N is None:
            return (self,)
        return tuple(self._fold(self.fold_N == each) for each in np.unique(self.fold_N))

    def _fold(self, inside_N: Mask) -> "Study":
        train = np.flatnonzero(~inside_N)[: self.options.learn or None]
        test = np.flatnonzero(inside_N)
        return replace(
            self,
            train=self.test.of(train),
            test=self.test.of(test),
            outputs={
                label: (
                    {name: value[train] for name, value in outputs.items()},
                    {name: value[test] for name, value in outputs.items()},
                )
                for label, outputs in self.tested.items()
            },
            fold_N=None,
        )

    @cached_property
    def representations(self) -> tuple[Representation, ...]:
        """Latents and baselines."""
        return representations(self.labels, self.train, self.test, self.outputs, self.components)


def refined_outputs(
    models: Sequence[Model], labels: Sequence[str], sources: Sources
) -> dict[str, Outputs]:
    """Outputs of models for sources, with latents fitted to their counts; see `Study.refined`."""
    found = {
        f"{label}, refined": refine(model, sources.batch)
        for label, model in zip(labels, models, strict=True)
    }
    return {label: values for label, values in found.items() if values is not None}


def study(
    models: Sequence[Model],
    labels: Sequence[str],
    dataset: ShardDataset,
    split: str,
    limit: int | None,
    options: EmbeddingEvaluation,
    advance: Callable[[int], None] | None = None,
) -> Study:
    """Encode the spectra of a dataset with every model.

    Raises:
        InputError: a split is empty, or there is one part.
    """
    if options.folds < 0 or options.folds == 1:
        raise InputError(f"folds = {options.folds}: give 2 or more, or 0 for the training split")
    train = read(dataset, "train", options.learn or None)
    test = read(dataset, split, limit)
    outputs: dict[str, tuple[Outputs, Outputs]] = {}
    for label, model in zip(labels, models, strict=True):
        both = [encode(model, each.batch, advance) for each in (train, test)]
        outputs[label] = (both[0], both[1])
    return Study(
        models=tuple(models),
        labels=tuple(labels),
        train=train,
        test=test,
        outputs=outputs,
        origin=origin_of(dataset),
        options=options,
        config=dataset.manifest.config,
        fold_N=read_folds(dataset, split, options.folds, limit) if options.folds else None,
    )
