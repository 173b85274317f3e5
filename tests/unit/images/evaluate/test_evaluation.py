"""A network and the baselines scores on a small data set: tables, JSON, page."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.synthetic import IMAGES, make_image_dataset, make_images

from wolter import family as families
from wolter.cli import main
from wolter.errors import InputError
from wolter.images.evaluate.evaluation import evaluate_images
from wolter.images.evaluate.scoring import Scores
from wolter.registry.checkpoint import Card, Model
from wolter.report.write import write


def superres(spec=IMAGES):
    family = families.load("superres")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = family.build(family.config(blocks=1, filters=8, growth=8), spec)
    family.normalise(module, make_images(16, spec=spec))
    config = {"blocks": 1, "filters": 8, "growth": 8}
    return Model(family, Card("superres", config, spec), module)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_image_dataset(tmp_path_factory.mktemp("images") / "data", 8)


@pytest.fixture(scope="module")
def evaluation(dataset):
    return evaluate_images([superres()], dataset, "all", versions=("7",), resamples=20)


def test_scores_are_finite_and_beside_the_baselines(evaluation):
    result = evaluation.to_json()
    json.dumps(result, allow_nan=False)
    assert (result["family"], result["model_version"], result["n"]) == ("superres", "7", 8)
    assert set(result["baselines"]) == {"input", "bicubic", "Gaussian", "Richardson-Lucy"}
    for name in ("deviance", "psnr_linear", "masked_ssim_sqrt", "true_ms_ssim_sqrt", "coverage_68"):
        low, high = result["scores"][name]["interval"]["95"]
        assert low <= result["scores"][name]["value"] <= high
    assert result["baselines"]["Gaussian"]["psnr_linear"]["setting"].endswith("px")
    assert result["over_best_baseline"]["deviance"] > 0
    assert all(math.isfinite(value) for value in evaluation.flat_metrics().values())


def test_the_report_is_whole(evaluation, tmp_path):
    folder = write(evaluation, tmp_path / "report", run={"run": "<abc>"})
    page = (folder / "report.html").read_text()
    for text in ("superres 7", "best Gaussian", "without a network", "&lt;abc&gt;", "8 pairs"):
        assert text in page
    assert json.loads((folder / "evaluation.json").read_text())["n"] == 8


def test_the_best_setting_is_chosen_for_each_score():
    settings = {
        "1": {"deviance": np.array([1.0, 2.0]), "psnr_sqrt": np.array([20.0, 20.0])},
        "2": {"deviance": np.array([2.0, 2.0]), "psnr_sqrt": np.array([21.0, 22.0])},
    }
    best = Scores({"Gaussian": settings}, 2).best("Gaussian")
    assert {name: setting for name, (setting, *_) in best.items()} == {
        "deviance": "1",
        "psnr_sqrt": "2",
    }


def test_a_limit_is_kept_and_other_pixels_are_refused(dataset):
    assert evaluate_images([superres()], dataset, "all", 3, resamples=5).n == 3
    other = superres(replace(IMAGES, scale=1))
    with pytest.raises(InputError, match="1x images"):
        evaluate_images([other], dataset, "all", resamples=5)


def test_the_command_judges_shipped_weights_and_writes_the_report(dataset, tmp_path, capsys):
    out = tmp_path / "report"
    arguments = ["evaluate", "superres", "--version", "pretrained", "--data", str(dataset.path)]
    figures = tmp_path / "figures.json"
    arguments += ["--split", "all", "--n", "4", "--fields", "0", "--out", str(out)]
    assert main([*arguments, "--json", str(figures)]) == 0
    assert json.loads(figures.read_text())["n"] == 4
    assert [*out.glob("*.html")]
    assert "report:" in capsys.readouterr().out


def test_families_of_another_kind_are_refused(dataset, capsys):
    assert main(["evaluate", "mlp", "--version", "pretrained", "--data", str(dataset.path)]) == 2
    assert "a dataset of images, and mlp reads spectra" in capsys.readouterr().err
