"""Migrations: cards and weights of earlier layouts, brought forward by small named steps.

A card says by `layout` how many steps it has taken; one that says nothing has taken none. A change
of a field's name, or of a tensor's, is a step here: it changes no number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wolter.errors import InputError

Values = dict[str, Any]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Migration:
    """One migration of cards and weights.

    Attributes:
        name: what it does.
        card: the fields of a card, before -> after.
        weights: `(tensors, fresh)`: the tensors, before -> after; `fresh` are those of a new module
            of the present layout.
    """

    name: str
    card: Callable[[Values], Values] = lambda card: card
    weights: Callable[[Tensors, Tensors], Tensors] = lambda tensors, _: tensors


def _renamed(values: Values, names: Mapping[str, str]) -> Values:
    return {names.get(key, key): value for key, value in values.items()}


def _lineage(card: Values) -> Values:
    names = {"only": "trainable", "before": "lineage"}
    card = _renamed(card, names)
    if "lineage" in card:
        card["lineage"] = [_renamed(each, names) for each in card["lineage"]]
    return card


def _anomaly(tensors: Tensors, fresh: Tensors) -> Tensors:
    """`features.novelty.*` -> `features.anomaly.*`, which is unknown (NaN) where it is missing."""
    own = "features.anomaly."
    named = {key.replace("features.novelty.", own): value for key, value in tensors.items()}
    if any(key.startswith(own) for key in named):
        return named
    return named | {key: value for key, value in fresh.items() if key.startswith(own)}


def _other_instrument(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Ranks of embeddings have a fourth score, which is 0 and unknown where it was never learnt."""
    own, ranks = "unusual.others.", "unusual.each.quantile_NQP"
    before, now = tensors.get(ranks), fresh.get(ranks)
    if before is None or now is None or before.shape == now.shape:
        return tensors
    step_P = torch.arange(now.shape[2]).to(before) * 1e-6  # as of scores that are all the same
    missing_NQP = step_P.expand(len(before), now.shape[1] - before.shape[1], -1)
    added = {key: value for key, value in fresh.items() if key.startswith(own)}
    return {**tensors, **added, ranks: torch.cat([before, missing_NQP], 1)}


def _expression(card: Values) -> Values:
    """The spec names the model expression, which the training dataset's config alone did."""
    spec, config = card.get("spec"), card.get("dataset", {}).get("config", {})
    if not isinstance(spec, dict):
        return card
    missing = {k: config[k] for k in ("model", "fixed") if k in config and not spec.get(k)}
    return card | {"spec": spec | missing}


MIGRATIONS = (
    Migration("fields only and before are called trainable and lineage", card=_lineage),
    Migration("novelty is called anomaly, and unknown where it was never learnt", weights=_anomaly),
    Migration("the spec names the model expression and its fixed values", card=_expression),
    Migration("what looks like another instrument is unusual", weights=_other_instrument),
)
LAYOUT = len(MIGRATIONS)


def migrate_card(card: Values) -> Values:
    """Fields of a card in the present layout, with the `layout` that its weights are in.

    Raises:
        InputError: the layout is of a later version, or none.
    """
    found = dict(card)
    for step in MIGRATIONS[_layout(card) :]:
        found = step.card(found)
    return found


def migrate_weights(tensors: Tensors, layout: int, fresh: Tensors) -> dict[str, Tensor]:
    """Tensors in the present layout.

    Args:
        tensors: by name, as they were saved.
        layout: that they were saved in.
        fresh: tensors of a new module.
    """
    for step in MIGRATIONS[layout:]:
        tensors = step.weights(tensors, fresh)
    return dict(tensors)


def _layout(card: Values) -> int:
    layout = card.get("layout", 0)
    if type(layout) is not int or not 0 <= layout <= LAYOUT:
        raise InputError(
            f"layout = {layout!r}, and this version of wolter knows 0 to {LAYOUT}; use the version "
            "that wrote it, or a later one"
        )
    return layout
