"""Evaluation of labelled rows of one field, of few classes, and without one of two groups."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.spectra.catalogue_rows.conftest import make_rows

from wolter.errors import InputError
from wolter.spectra.catalogue_rows.classifier import ClassifierConfig
from wolter.spectra.catalogue_rows.columns import CLASSES
from wolter.spectra.catalogue_rows.cross_validation import Answers, by_field
from wolter.spectra.catalogue_rows.evaluation import (
    FIELD,
    FLUX,
    LATITUDE,
    RATIOS,
    XRAY,
    evaluate,
)
from wolter.spectra.catalogue_rows.report import RowReport
from wolter.spectra.catalogue_rows.scores import score


def test_fewer_fields_than_folds(population):
    rows = make_rows(population.flux_NB, classes=population.class_N, ra_N=np.arange(200) % 3 * 9.0)
    rows = replace(rows, dec_N=np.zeros(200))
    assert len(by_field(rows, 3, seed=0)) == 3
    with pytest.raises(InputError, match="in 3 fields of sky; needed: 4, one for each fold"):
        by_field(rows, 4, seed=0)


def test_protocols_that_too_few_rows_allow_are_left_out_with_the_reason(population):
    """All sources are in one field, and the four CV are the brightest quarter."""
    agn, cv = (np.flatnonzero(population.class_N == CLASSES.index(n)) for n in ("AGN", "CV"))
    rows = population[np.concatenate([agn[:12], cv[:4]])]
    bright = np.where(rows.class_N == CLASSES.index("CV"), 1e3, 1.0)[:, None]
    rows = replace(
        rows,
        flux_NB=rows.flux_NB * bright,
        error_NB=rows.error_NB * bright,
        ra_N=np.full(16, 83.8),
        dec_N=np.full(16, -5.4),
    )
    found = evaluate(rows, ClassifierConfig(strength=1.0, iterations=2), folds=2, repeats=1)
    assert found.left_out == {
        FIELD: "sources in 1 fields of sky; needed: 2, one for each fold",
        FLUX: "labelled rows of one class; give rows of two classes or more",
    }
    assert found.scores.keys() == {XRAY, LATITUDE, RATIOS}
    told = "; ".join(RowReport(found, {}).remarks)
    assert "X-ray, by field of sky: left out; sources in 1 fields of sky" in told


def test_protocols_of_positions_are_left_out_where_a_row_has_none(population):
    agn, star = (np.flatnonzero(population.class_N == CLASSES.index(n)) for n in ("AGN", "LM-STAR"))
    rows = population[np.concatenate([agn[:12], star[:12]])]
    rows.ra_N[3] = np.nan
    found = evaluate(rows, ClassifierConfig(strength=1.0, iterations=2), folds=2, repeats=1)
    assert found.scores.keys() == {XRAY, RATIOS, FLUX}
    reason = "rows without a position: 1 of 24"
    assert found.left_out == {LATITUDE: reason, FIELD: reason}


def answers_of(decided, compact):
    share_NK = np.full((len(decided), len(CLASSES)), 1 / len(CLASSES))
    decided_N = np.array(decided)
    return Answers(decided_N, np.eye(8)[decided], share_NK, decided_N, np.array(compact))


@pytest.mark.parametrize("name", ["AGN", "CV"])
def test_one_group_alone_is_not_told_from_the_other(name):
    star, other = CLASSES.index("LM-STAR"), CLASSES.index(name)
    found = score([answers_of([star, other, other], [0, 1, 0])])
    assert found.balanced.value == 1
    assert found.two_groups is None
    assert found.to_json()["agn_compact_balanced_accuracy"] is None
    assert found.large.value == 1
    assert (score([answers_of([other, other], [0, 1])]).large is None) == (name == "CV")
