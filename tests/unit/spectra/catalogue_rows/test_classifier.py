import numpy as np
import pytest

from wolter.errors import InputError
from wolter.spectra.catalogue_rows.classifier import ClassifierConfig, RowClassifier, train
from wolter.spectra.catalogue_rows.columns import CLASSES
from wolter.spectra.catalogue_rows.evidence import evidence
from wolter.spectra.catalogue_rows.features import features

AGN, STAR, CV = (CLASSES.index(name) for name in ("AGN", "LM-STAR", "CV"))


def test_classes_that_differ_are_told_apart(population):
    found = features(population)
    classifier = train(found.values_NX[::2], population.class_N[::2])
    probability = classifier.probabilities(found.values_NX[1::2])
    assert probability.sum(1) == pytest.approx(np.ones(100))
    assert np.mean(classifier.decide(probability) == population.class_N[1::2]) > 0.95
    assert classifier.prior_K[[AGN, STAR, CV]] == pytest.approx([0.6, 0.3, 0.1])
    others = [k for k in range(len(CLASSES)) if k not in (AGN, STAR, CV)]
    assert not probability[:, others].any()


def test_the_same_seed_gives_the_same_probabilities(population):
    found = features(population)
    first, again = (train(found.values_NX, population.class_N) for _ in range(2))
    assert np.array_equal(
        first.probabilities(found.values_NX), again.probabilities(found.values_NX)
    )


def test_a_column_without_any_value_is_no_obstacle(population):
    found = features(population)
    assert np.isnan(found.values_NX[:, found.names.index("var_inter")]).all()
    values = found.values_NX.copy()
    classifier = train(values, population.class_N)
    values[:, found.names.index("var_inter")] = 1.0  # unknown in training: says nothing
    assert np.allclose(classifier.probabilities(values), classifier.probabilities(found.values_NX))


def test_too_few_labelled_rows(population):
    values = features(population).values_NX
    with pytest.raises(InputError, match="of one class; give rows of two classes or more"):
        train(values[:50], population.class_N[:50])
    few = np.r_[0:60, 199]
    with pytest.raises(InputError, match=r"too few rows of class CV \(1\); give 2 or more"):
        train(values[few], population.class_N[few])
    with pytest.raises(InputError, match=r"strength 1\.5: give 0 to 1"):
        ClassifierConfig(strength=1.5)


class Logistic:
    """p(class 1) of a linear log-odds."""

    def __init__(self, slope_X):
        self.slope_X, self.classes_ = np.array(slope_X), np.array([0, 1])

    def predict_proba(self, values_NX):
        p_N = 1 / (1 + np.exp(-values_NX @ self.slope_X))
        return np.stack([1 - p_N, p_N], 1)


def test_evidence_is_the_change_of_log_odds_without_a_group():
    classifier = RowClassifier(
        [Logistic([1.0, 2.0, 0.0])], np.array([0.5, 0.5]), 1.0, np.ones(3, bool)
    )
    training = np.zeros((5, 3))  # without a group, its features are 0
    values = np.array([[1.0, 1.5, 7.0], [-1.0, 0.25, 7.0]])
    found = evidence(classifier, values, np.array([1, 0]), [[0], [1], [2], [0, 1]], training)
    # for class 0, the sign turns
    assert found == pytest.approx(np.array([[1, 3, 0, 4], [1, -0.5, 0, 0.5]]), abs=1e-9)


def test_evidence_averages_probabilities_over_training_rows():
    even, used = np.array([0.5, 0.5]), np.ones(2, bool)
    classifier = RowClassifier([Logistic([1.0, 1.0])], even, 1.0, used)
    training = np.array([[0.0, -2.0], [0.0, 3.0]])
    found = evidence(classifier, np.array([[0.5, 1.0]]), np.array([1]), [[1]], training)
    mean = np.mean([1 / (1 + np.exp(-(0.5 + x))) for x in (-2.0, 3.0)])
    assert found[0, 0] == pytest.approx(1.5 - np.log(mean / (1 - mean)))
