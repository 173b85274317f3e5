"""Evaluation of the classifier of catalogue rows: cross-validated, shifted, tested, compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wolter.errors import InputError
from wolter.spectra.catalogue_rows.classifier import ClassifierConfig
from wolter.spectra.catalogue_rows.columns import CatalogueRows
from wolter.spectra.catalogue_rows.comparison import Comparison, compare
from wolter.spectra.catalogue_rows.cross_validation import (
    Answers,
    Splits,
    across_flux,
    answer,
    by_field,
    cross_validate,
    stratified,
)
from wolter.spectra.catalogue_rows.features import features
from wolter.spectra.catalogue_rows.metrics import Array
from wolter.spectra.catalogue_rows.scores import Scores, score

XRAY, LATITUDE, RATIOS = "X-ray", "X-ray and |b|", "3 hardness ratios"
FIELD, FLUX = "X-ray, by field of sky", "X-ray, by range of flux"
TEST, TEST_LATITUDE = "X-ray, other table", "X-ray and |b|, other table"
FLUX_PARTS = 4  # of the range of flux; each is left out once
STRENGTHS = (0.0, 0.5, 0.9, 1.0)  # corrections of decisions for class shares


@dataclass(frozen=True)
class RowEvaluation:
    """Scores of the classifier under several protocols.

    Attributes:
        answers: repeats of each protocol, by its label.
        scores: scores of each protocol.
        strengths: scores of the X-ray features by correction for class shares.
        left_out: protocols without scores, and why.
        comparison: paired with another classifier's probabilities, where there are any.
        folds: folds of each cross-validation.
        seeds: seeds of the repeats.
        config: settings of the classifier.
        feature_names: features, latitude apart.
    """

    answers: Mapping[str, tuple[Answers, ...]]
    scores: Mapping[str, Scores]
    strengths: Mapping[float, Scores]
    left_out: Mapping[str, str]
    comparison: Comparison | None
    folds: int
    seeds: tuple[int, ...]
    config: ClassifierConfig
    feature_names: tuple[str, ...]


def has_positions(rows: CatalogueRows) -> bool:
    """True if every row has a position."""
    return bool(np.isfinite(rows.ra_N).all() and np.isfinite(rows.dec_N).all())


def fits_of(rows: CatalogueRows, test: CatalogueRows | None, folds: int, repeats: int) -> int:
    """Trainings that `evaluate` needs, for its progress."""
    positions = has_positions(rows)
    tests = 0 if test is None else 1 + (positions and has_positions(test))
    return (
        folds * repeats * (3 if positions else 2) + (folds if positions else 0) + FLUX_PARTS + tests
    )


def evaluate(
    rows: CatalogueRows,
    config: ClassifierConfig,
    folds: int = 10,
    repeats: int = 3,
    seed: int = 0,
    compare_with: Path | None = None,
    test: CatalogueRows | None = None,
    progress: Callable[[int], None] | None = None,
) -> RowEvaluation:
    """Evaluate the classifier on labelled rows that it was not trained on.

    With positions, Galactic latitude is a protocol of its own, and a cross-validation by field of
    sky is added. Protocols by field and by flux are left out, with the reason, where too few rows
    are there to train on. Nothing is learnt outside the folds: features are functions of single
    rows, and medians, quantiles and class shares are those of the training rows.

    Args:
        rows: labelled rows.
        config: settings of the classifier.
        folds: folds of each cross-validation.
        repeats: repeats with other folds and seeds.
        seed: first seed.
        compare_with: table of another classifier's probabilities; see `comparison.compare`.
        test: labelled rows of another selection; common sources are left out of the training.
        progress: told of each training.

    Raises:
        InputError: a class has fewer rows than there are folds, or the comparison is unreadable.
    """
    seeds = tuple(range(seed, seed + repeats))
    positions = has_positions(rows)
    plain = features(rows)
    ratios = [plain.names.index(name) for name in ("hard_hm", "hard_hs", "hard_ms")]

    def repeated(values_NX: Array) -> tuple[Answers, ...]:
        return tuple(run(values_NX, stratified(rows.class_N, folds, s), s) for s in seeds)

    def run(values_NX: Array, splits: Splits, seed: int) -> Answers:
        own = replace(config, seed=seed)
        return cross_validate(values_NX, rows.class_N, splits, own, progress)

    def shifted(label: str, splits: Callable[[], Splits]) -> None:
        try:
            answers[label] = (run(plain.values_NX, splits(), seed),)
        except InputError as error:  # fields, or classes to train on, are too few
            left_out[label] = str(error)

    left_out: dict[str, str] = {}
    if not positions:
        without = int((~np.isfinite(rows.ra_N + rows.dec_N)).sum())
        left_out[LATITUDE] = left_out[FIELD] = f"rows without a position: {without} of {len(rows)}"
    answers = {XRAY: repeated(plain.values_NX)}
    comparison = None if compare_with is None else compare(rows, answers[XRAY], compare_with)
    if positions:
        answers[LATITUDE] = repeated(features(rows, latitude=True).values_NX)
    answers[RATIOS] = repeated(plain.values_NX[:, ratios])
    if positions:
        shifted(FIELD, lambda: by_field(rows, folds, seed))
    shifted(FLUX, lambda: across_flux(rows, FLUX_PARTS))
    if test is not None:
        answers[TEST] = (_tested(rows, test, config, False),)
        _advance(progress)
        if positions and has_positions(test):
            answers[TEST_LATITUDE] = (_tested(rows, test, config, True),)
            _advance(progress)
    return RowEvaluation(
        answers=answers,
        scores={label: score(each) for label, each in answers.items()},
        left_out=left_out,
        strengths={strength: score(answers[XRAY], strength) for strength in STRENGTHS},
        comparison=comparison,
        folds=folds,
        seeds=seeds,
        config=config,
        feature_names=plain.names,
    )


def _tested(
    rows: CatalogueRows, test: CatalogueRows, config: ClassifierConfig, latitude: bool
) -> Answers:
    """Answers for the rows of another selection; no source that it names is trained on."""
    training = rows[~rows.also_in(test)]
    own_NX, other_NX = (features(each, latitude).values_NX for each in (training, test))
    return Answers(test.class_N, *answer(own_NX, training.class_N, other_NX, config))


def _advance(progress: Callable[[int], None] | None) -> None:
    if progress is not None:
        progress(1)
