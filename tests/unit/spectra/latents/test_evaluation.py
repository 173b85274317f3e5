"""The whole analysis of latents, as `wolter evaluate` calls it."""

import json

import numpy as np
import pytest

from wolter.data.batches import count_rows
from wolter.report.write import write
from wolter.spectra.latents.options import EmbeddingEvaluation
from wolter.task import load


@pytest.fixture(scope="module")
def report(sources, model):
    task = load("spectra/embedding")
    options = EmbeddingEvaluation(clusters=8, learn=600)
    return task.evaluate([model, model], ["1", "2"], sources, "test", None, options)


def table(report, start):
    return next(each for each in report.tables if each.title.startswith(start))


def test_every_row_tells_where_its_spectra_are_from(report):
    for each in report.tables[1:]:  # the first holds the family's own metrics
        for line in each.lines:
            assert line.label.endswith(("(simulated)", "(real)")), (each.title, line.label)


def test_both_models_and_the_baselines_have_rows(report):
    lines = table(report, "Balanced accuracy: 3 classes").lines
    assert [line.label.removesuffix(" (simulated)") for line in lines][:5] == [
        "bands 1",
        "bands 2",
        "hardness ratios",
        "hardness ratios and flux",
        "8 principal components",
    ]
    first, second = lines[0].values, lines[1].values
    assert first == second  # the same model twice, and one seed
    assert all(40 < value < 100 for value in first.values())


def test_noise_free_counts_are_the_limit_of_reconstructions(report, sources):
    rows = {line.label: line.values["all"] for line in table(report, "Reconstruction").lines}
    assert rows["noise-free counts (simulated)"] == pytest.approx(0.85, abs=0.1)
    assert rows["noise-free counts (simulated)"] < rows["bands 1 (simulated)"]


def test_the_report_has_all_parts(report):
    titles = [each.title for each in report.tables]
    for start in (
        "Share of the supervised network's balanced accuracy",
        "Class probabilities of the models",
        "Recall of each class",
        "Mean absolute error",
        "Strongest |correlation|",
        "Mutual information",
        "Variability within observations, at fixed counts",
        "Formulas of band fluxes",
        "Mutual nearest neighbours",
        "Injected oddities",
        "Quality vetoes",
    ):
        assert any(title.startswith(start) for title in titles), start


def test_the_report_is_written_and_its_json_is_finite(report, tmp_path, sources):
    folder = write(report, tmp_path / "report")
    values = json.loads((folder / "evaluation.json").read_text())
    assert values["n"] == count_rows(sources, "test")
    flat = report.flat_metrics()
    assert flat["test/balanced_accuracy_classes_knn"] == pytest.approx(
        values["latents"]["bands 1"]["balanced_accuracy_classes_knn"]
    )
    assert all(np.isfinite(value) for value in flat.values())
    pictures = {name.partition("-")[0] for name in values["files"] if name.endswith(".png")}
    assert pictures == {"latents", "reconstructions", "confusion", "reliability", "physics"}


def test_plain_gives_the_families_own_metrics_alone(sources, model):
    options = EmbeddingEvaluation(plain=True)
    plain = load("spectra/embedding").evaluate([model], ["1"], sources, "test", None, options)
    assert [each.title for each in plain.tables] == ["Metrics"]
