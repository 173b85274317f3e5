import numpy as np
import pytest
from tests.unit.spectra.catalogue_rows.conftest import make_rows

from wolter.errors import InputError
from wolter.spectra.catalogue_rows.classifier import ClassifierConfig
from wolter.spectra.catalogue_rows.columns import CLASSES
from wolter.spectra.catalogue_rows.cross_validation import (
    Answers,
    across_flux,
    by_field,
    cross_validate,
    fields_of,
    stratified,
)
from wolter.spectra.catalogue_rows.features import features
from wolter.spectra.catalogue_rows.scores import mean_recall, score

pytestmark = pytest.mark.usefixtures("few_rounds")


def test_every_row_is_answered_once_by_a_classifier_that_did_not_see_it(population):
    splits = stratified(population.class_N, 5, seed=3)
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(200))
    for training, test in splits:
        assert not set(training) & set(test)
        assert np.bincount(population.class_N[test]).tolist() == [24, 0, 12, 0, 0, 0, 0, 4]
    values = features(population).values_NX
    answers = cross_validate(values, population.class_N, splits, ClassifierConfig())
    assert np.array_equal(answers.class_N, population.class_N)
    assert np.mean(answers.decided_N == population.class_N) > 0.95


def test_labels_without_meaning_are_at_chance(population):
    """Nothing of a test row's own class reaches its answer."""
    shuffled = np.random.default_rng(0).permutation(population.class_N)
    values = features(population).values_NX
    splits = stratified(shuffled, 5, seed=0)
    found = score([cross_validate(values, shuffled, splits, ClassifierConfig())])
    assert found.balanced.value == pytest.approx(1 / 3, abs=0.12)


def test_more_folds_than_rows_of_a_class(population):
    with pytest.raises(InputError, match=r"--folds 21: .* \(CV has fewer\)"):
        stratified(population.class_N, 21, seed=0)
    with pytest.raises(InputError, match="--folds 1: give 2 or more"):
        stratified(population.class_N, 1, seed=0)


def test_fields_are_chains_of_near_sources():
    # 0.8 degree from one to the next is one field, also across ra = 0; at dec 60, 1.6 of ra
    ra = np.array([359.6, 0.4, 1.2, 10.0, 11.6, 100.0])
    dec = np.array([0.0, 0.0, 0.0, 60.0, 60.0, -30.0])
    rows = make_rows(np.full((6, 3), 1e-15), ra_N=ra, dec_N=dec)
    assert fields_of(rows).tolist() == [0, 0, 0, 1, 1, 2]


def test_folds_part_no_field(population):
    ra = np.repeat(np.arange(0, 360, 9.0), 5)
    rows = make_rows(population.flux_NB, classes=population.class_N, ra_N=ra, dec_N=np.zeros(200))
    for training, test in by_field(rows, 4, seed=0):
        assert not set(ra[training]) & set(ra[test])


def test_each_part_of_the_fluxes_is_left_out_once():
    rows = make_rows(np.array([[1.0], [4], [2], [3]]) * 1e-15 * np.ones(3))
    first, second = across_flux(rows, parts=2)
    assert [each.tolist() for each in first] == [[3, 1], [0, 2]]
    assert [each.tolist() for each in second] == [[0, 2], [3, 1]]


def answers_of(classes, decided, compact, probability):
    share_NK = np.full((len(classes), len(CLASSES)), 1 / len(CLASSES))
    return Answers(
        np.array(classes), np.array(probability), share_NK, np.array(decided), np.array(compact)
    )


def test_scores_of_known_answers():
    agn, star, cv = (CLASSES.index(name) for name in ("AGN", "LM-STAR", "CV"))
    classes = [agn] * 4 + [star] * 2 + [cv] * 2
    decided = [agn, agn, agn, cv, star, agn, cv, agn]
    probability = np.eye(len(CLASSES))[decided]
    found = score([answers_of(classes, decided, [0, 0, 1, 1, 1, 1, 1, 0], probability)])
    assert found.recall == {"AGN": 0.75, "LM-STAR": 0.5, "CV": 0.5}
    assert found.balanced.value == pytest.approx(1.75 / 3)
    assert found.large.value == pytest.approx(0.625)  # AGN and LM-STAR
    assert found.two_groups.value == pytest.approx(0.5)  # 2 of 4 AGN, 1 of 2 CV; no star counts
    assert found.accuracy == pytest.approx(5 / 8)
    assert found.ece == pytest.approx(3 / 8)  # always certain, right in 5 of 8
    assert found.brier == pytest.approx(2 * 3 / 8)
    assert found.confusion_KK[agn, cv] == 1


def test_scores_average_over_repeats():
    agn, cv = CLASSES.index("AGN"), CLASSES.index("CV")
    classes, probability = [agn, agn, cv], np.full((3, 8), 1 / 8)
    right = answers_of(classes, [agn, agn, cv], [0, 0, 1], probability)
    wrong = answers_of(classes, [agn, cv, agn], [0, 0, 0], probability)
    found = score([right, wrong])
    assert found.recall == {"AGN": 0.75, "CV": 0.5}
    assert found.two_groups.value == pytest.approx(0.75)


def test_the_interval_of_a_mean_recall_is_the_binomial_one():
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], [400, 100])
    right = (rng.random(500) < 0.7).astype(float)
    share = np.array([right[classes == k].mean() for k in (0, 1)])
    expected = 0.5 * np.sqrt((share * (1 - share) / [400, 100]).sum())
    assert mean_recall(right, classes).deviation == pytest.approx(expected, rel=0.1)
