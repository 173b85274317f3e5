from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.synthetic import SPEC, make_batch, make_dataset

from wolter import config as configs
from wolter import family as families
from wolter.errors import InputError
from wolter.outputs import Metric
from wolter.registry.checkpoint import Card, Model
from wolter.report.family_report import evaluate
from wolter.train.loop import build


def model_of(measure, metrics):
    family = families.load("mlp")
    module = build(family, family.config(), SPEC, seed=0)
    card = Card("mlp", configs.to_dict(family.config()), SPEC)
    return Model(replace(family, measure=measure, metrics=metrics), card, module)


def mean_root(_module, batch):
    return {"root": batch.counts_BC.sum(1).sqrt().mean(), "other": torch.tensor(1.0)}


ROOT = (Metric("root", "higher", "mean root of the counts", "ct", headline=True),)


def test_values_are_means_over_records_with_their_bootstrap_intervals(tmp_path):
    dataset = make_dataset(tmp_path / "d", 230)
    report = evaluate([model_of(mean_root, ROOT)], ["3"], dataset, "all")
    roots = make_batch(230).counts_BC.sum(1).sqrt().double().numpy()
    (found,) = report.models[0].values.values()
    assert found.value == pytest.approx(roots.mean(), rel=1e-6)
    # Groups of 5 records: 46 of them know a standard error to 10 %, taken three times.
    assert found.deviation == pytest.approx(roots.std() / np.sqrt(230), rel=0.3)
    assert report.flat_metrics() == {"all/root": found.value}
    assert report.to_json()["metrics"]["root"]["better"] == "higher"
    assert report.tables[0].columns[0].wanted == "most"
    assert report.lead == f"mean root of the counts {found.value:.1f} ct"


def test_a_limit_is_kept(tmp_path):
    dataset = make_dataset(tmp_path / "d", 230)
    report = evaluate([model_of(mean_root, ROOT)], ["3"], dataset, "all", limit=57)
    assert report.n == 57
    roots = make_batch(230).counts_BC[:57].sum(1).sqrt().double().numpy()
    assert report.models[0].values["root"].value == pytest.approx(roots.mean(), rel=1e-6)
    assert "57 records" in report.remarks[0]


def test_a_metric_that_is_no_number_is_one_line(tmp_path):
    def broken(_module, batch):
        return {"root": torch.tensor(torch.nan)}

    dataset = make_dataset(tmp_path / "d", 20)
    with pytest.raises(InputError, match="mlp: root is not finite; train the model again"):
        evaluate([model_of(broken, ROOT)], ["3"], dataset, "all")


def test_a_metric_is_the_mean_of_the_records_that_have_it(tmp_path):
    def of_bright(_module, batch):
        total_B = batch.counts_BC.sum(1)
        found = {"other": torch.tensor(1.0)}
        return found | ({"root": total_B.sqrt().mean()} if total_B[0] > middle else {})

    dataset = make_dataset(tmp_path / "d", 230)
    roots = make_batch(230).counts_BC.sum(1).sqrt().double().numpy().reshape(-1, 5)
    middle = np.median(roots[:, 0]) ** 2
    report = evaluate([model_of(of_bright, ROOT)], ["3"], dataset, "all")
    (found,) = report.models[0].values.values()
    bright = roots[roots[:, 0] > np.sqrt(middle)]
    assert 0 < len(bright) < len(roots)
    (told,) = report.remarks[1:]
    assert told.startswith("mlp 3: root is of the groups of records that tell it")
    assert told.endswith(f", {bright.size} of 230 records")
    assert found.value == pytest.approx(bright.mean(), rel=1e-6)
    assert found.deviation == pytest.approx(bright.mean(1).std() / np.sqrt(len(bright)), rel=0.3)


def test_metrics_that_no_record_has_are_left_out(tmp_path):
    dataset = make_dataset(tmp_path / "d", 20)
    two = (*ROOT, Metric("labelled", "lower"))
    report = evaluate([model_of(mean_root, two)], ["3"], dataset, "all")
    assert set(report.models[0].values) == {"root"}
    assert report.lead.startswith("mean root of the counts")
    with pytest.raises(InputError, match="mlp: these records tell none of its metrics"):
        evaluate([model_of(mean_root, two[1:])], ["3"], dataset, "all")
