"""Means over pairs of unequal weight, fields that are resampled whole, background once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.synthetic import IMAGES, make_images
from torch import nn

from wolter import family as families
from wolter.images.evaluate.coverage import Coverage
from wolter.images.evaluate.evaluation import ImageEvaluation, Network
from wolter.images.evaluate.scoring import Scores, _network, fold_of
from wolter.images.targets import targets
from wolter.registry.checkpoint import Card, Model


def test_the_flux_is_a_ratio_of_sums_and_fields_are_resampled_whole():
    columns = {"flux_made": np.array([90.0, 2.0, 2.0]), "flux_seen": np.array([100.0, 1.0, 1.0])}
    columns["deviance"] = np.array([1.0, 3.0, 3.0])
    scores = Scores({"net": {"": columns}}, 3, ("a", "b", "b"))
    network = Network("net", "superres", "1", {})
    means = ImageEvaluation((network,), scores, {}, (), resamples=400).means("net")
    assert means["flux_ratio"][1].value == pytest.approx(94 / 102)
    assert means["deviance"][1].value == pytest.approx(7 / 3)
    # Two fields: all of the one, all of the other, or both.
    ratio = means["flux_ratio"][1]
    assert ratio.interval_95 == pytest.approx((0.9, 2.0))


@pytest.mark.parametrize("name", ["sweere2022", "superres"])
def test_the_background_of_an_answer_that_holds_it_is_not_added_again(name):
    spec = replace(IMAGES, target_background=True)
    batch = make_images(2, spec=spec, sources=0)
    target = targets(batch, spec)
    rate_BHW = target.truth
    if name == "sweere2022":
        rate_BHW = rate_BHW + target.background / target.exposure
    family = replace(families.load(name), predict=lambda module, batch: {"rate": rate_BHW})
    module = nn.Linear(1, 1)
    card = Card(name, {}, spec)
    found, _, limits = _network(Model(family, card, module), batch, target, fold_of(spec))
    assert float(found["chi2"].mean()) == pytest.approx(1, abs=0.25)
    assert not limits


def test_coverage_by_brightness():
    truth_BHW = torch.logspace(-8, -3, 10_000).reshape(1, 100, 100)
    low_BHW = torch.where(truth_BHW < 1e-7, truth_BHW * 2, truth_BHW / 2)
    found = Coverage()
    for rows in (slice(0, 50), slice(50, 100)):
        limits = {"68": (low_BHW[:, rows], 3 * truth_BHW[:, rows])}
        part_BHW = truth_BHW[:, rows]
        found.add(10 * part_BHW, part_BHW, part_BHW > 0, limits)
    rows = found.deciles()
    assert len(rows) == 10
    assert [row["inside"]["68"] for row in rows] == pytest.approx([0, 0, *[1] * 8], abs=0.05)
    assert sum(row["n"] for row in rows) == 10_000
    assert rows[0]["rate_high"] == pytest.approx(10**-6.5, rel=0.05)
