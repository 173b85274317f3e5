import json
import re
from dataclasses import replace

import numpy as np
import pytest

from wolter.errors import InputError
from wolter.report import style
from wolter.report.page import Figure
from wolter.report.training_curves import training_curves
from wolter.report.write import write
from wolter.spectra.evaluate import reference
from wolter.spectra.evaluate.evaluation import evaluate
from wolter.spectra.schema import Parameter

PNG = b"\x89PNG\r\n\x1a\n"
HISTORY = {  # as the tracker gives it
    "train/loss": [(1, 3.0), (2, 1.0)],
    "train/mfe": [(1, 0.5), (2, 0.4)],
    "validation/mfe_percent": [(1, 50.0), (2, 40.0)],
    "validation/mfe_percent_nh": [(1, 60.0), (2, float("nan"))],
}


@pytest.fixture(autouse=True)
def small_figures(monkeypatch):
    """Figures of few pixels, which take a quarter of the time."""
    monkeypatch.setattr(style, "DPI", 40)


def test_known_errors_come_out(make_dataset, known_model):
    result = evaluate(known_model(), make_dataset(80), resamples=20).to_json()
    assert result["family"] == "deepspectra"
    assert result["n"] == 80
    assert result["exposure_s"] == 25_000.0
    assert set(result["mfe_percent"]) == set(result["rmse"]) == set(reference.PARAMETERS)
    for name, low, high in (("nh", 0.01, 1.0), ("bb_norm", 1e-6, 5e-5)):
        assert result["mfe_percent"][name] == pytest.approx(20.0, rel=1e-5)
        # 10 % of the label's root mean square; 80 labels know it to 10 %, taken four times
        expected = 0.1 * np.sqrt((high**3 - low**3) / 3 / (high - low))
        assert result["rmse"][name] == pytest.approx(expected, rel=0.4)
    assert result["mean_mfe_percent"] == pytest.approx(20.0, rel=1e-5)
    assert result["components"]["relative_percent"]["bbody"] == pytest.approx(21.0, rel=1e-3)


def test_json_has_the_stable_fields(make_dataset, known_model):
    result = evaluate(known_model(), make_dataset(40), versions=("12",), resamples=20).to_json()
    assert result["model_version"] == "12"
    assert result["reference"]["mfe_percent"]["line_energy"] == 0.56
    assert result["reference"]["rmse"]["nh"] == pytest.approx(2.72e-2)
    assert result["reference"]["rmse"]["bb_norm"] == pytest.approx(6.83e-6)
    assert result["units"]["kt"] == "keV"
    for level in ("68", "95"):
        for metric in ("mfe_percent", "rmse"):
            low, high = result[f"{metric}_interval"][level]["kt"]
            value = result[metric]["kt"]
            assert low <= value * (1 + 1e-9)
            assert value <= high * (1 + 1e-9)
        assert len(result["mean_mfe_percent_interval"][level]) == 2
    json.dumps(result, allow_nan=False)


def test_models_are_compared_on_the_same_spectra(make_dataset, known_model):
    models = [known_model(), known_model(mfe_factor=0.6, name="cnn", component_factor=None)]
    result = evaluate(models, make_dataset(30), resamples=20).to_json()
    other = result["compared"][0]
    assert other["family"] == "cnn"
    assert other["mfe_percent"]["nh"] == pytest.approx(40.0, rel=1e-4)
    assert other["mean_mfe_ratio"]["value"] == pytest.approx(0.5, rel=1e-4)
    assert "components" not in other


def test_two_models_of_one_name_are_told_apart(make_dataset, known_model):
    evaluation = evaluate([known_model(), known_model()], make_dataset(10), resamples=5)
    assert [m.label for m in evaluation.models] == ["deepspectra (1)", "deepspectra (2)"]


def test_flat_metrics_are_finite_numbers_under_plain_names(make_dataset, known_model):
    flat = evaluate(known_model(), make_dataset(20), resamples=5).flat_metrics()
    assert flat["test/mfe_percent"] == pytest.approx(20.0, rel=1e-4)
    assert flat["test/component_percent_gaussian"] == pytest.approx(21.0, rel=1e-2)
    assert len(flat) == 1 + 2 * 7 + 2 * 3
    assert all(re.fullmatch(r"test/[a-z_]+", name) for name in flat)
    assert np.isfinite(list(flat.values())).all()


def test_the_same_evaluation_writes_the_same_files(make_dataset, untrained_model, tmp_path):
    dataset, model = make_dataset(30), untrained_model("deepspectra")
    texts = []
    for name in ("a", "b"):
        folder = write(evaluate(model, dataset, resamples=20), tmp_path / name)
        texts.append({file.name: file.read_bytes() for file in folder.iterdir()})
    assert texts[0] == texts[1]


def test_the_report_is_whole_and_needs_nothing_from_outside(make_dataset, known_model, tmp_path):
    evaluation = evaluate(known_model(), make_dataset(30), versions=("3",), resamples=20)
    folder = tmp_path / "deep" / "report"
    curves = Figure("training", "each epoch", style.to_png(training_curves(HISTORY)))
    write(evaluation, folder, {"deepspectra 3": curves}, {"run": "<abc>"})
    names = {file.name for file in folder.iterdir()}
    assert names == {
        "evaluation.json",
        "report.html",
        "results.png",
        "predicted-deepspectra-3.png",
        "components.png",
        "training-deepspectra-3.png",
    }
    assert all(f.read_bytes().startswith(PNG) for f in folder.glob("*.png"))
    page = (folder / "report.html").read_text()
    words = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?:|//|url\(|<script|<link|<iframe|@import", words)
    assert re.findall(r'src="([^"]{0,22})', page) == ["data:image/png;base64,"] * 4
    for text in ("deepspectra 3", "DeepSpectra", "exact, MFE-optimal, 25 ks", "&lt;abc&gt;"):
        assert text in page
    assert "/far/away" not in page + (folder / "evaluation.json").read_text()
    assert "pn.rmf" in page


def test_an_earlier_reports_figures_go_and_other_files_stay(make_dataset, known_model, tmp_path):
    dataset, folder = make_dataset(20), tmp_path / "report"
    write(evaluate(known_model(), dataset, resamples=5), folder)
    (folder / "mine.png").write_text("kept")
    write(evaluate(known_model(component_factor=None, name="mlp"), dataset, resamples=5), folder)
    names = {file.name for file in folder.glob("*.png")}
    assert names == {"mine.png", "results.png", "predicted-mlp.png"}


def test_an_output_that_cannot_be_made_is_one_clear_line(make_dataset, known_model, tmp_path):
    (tmp_path / "file").write_text("")
    evaluation = evaluate(known_model(), make_dataset(10), resamples=5)
    with pytest.raises(InputError, match="cannot be created"):
        write(evaluation, tmp_path / "file" / "report")


def remarks(model, dataset, split="test"):
    return " ".join(evaluate(model, dataset, split, resamples=5).remarks)


def test_the_standard_test_needs_no_remark_but_of_its_size(make_dataset, known_model):
    evaluation = evaluate(known_model(), make_dataset(10), resamples=5)
    assert evaluation.standard
    assert len(evaluation.remarks) == 1
    assert "10 spectra: a few bad cases" in evaluation.remarks[0]
    assert "Note: 10 spectra" in evaluation.to_text()


def test_what_cannot_be_compared_is_said(make_dataset, known_model, spec):
    longer = make_dataset(10, exposure_s=5e4, config={"fixed": {"sigma": 0.05}}, name="a")
    evaluation = evaluate(known_model(), longer, resamples=5)
    said = " ".join(evaluation.remarks)
    assert not evaluation.standard
    assert "results.png" not in evaluation.figures()
    assert "Exposure 50 ks" in said
    assert "Line width 0.05 keV" in said
    assert "Embedded response" in said
    other = replace(spec, parameters=(Parameter("nh", 0.01, 3.0), *spec.parameters[1:]))
    said = remarks(known_model(), make_dataset(10, other, name="b"))
    assert "not the reference's" in said
    assert "trained on a narrower prior of nh" in said
    elsewhere = replace(spec, instrument="CHANDRA/ACIS/")
    model = known_model(spec=replace(spec, instrument="XMM/EPN/Thin"))
    assert "XMM/EPN/Thin, these spectra are CHANDRA" in remarks(
        model, make_dataset(10, elsewhere, name="c")
    )


def test_an_evaluation_on_training_spectra_is_said(make_dataset, known_model):
    dataset, model = make_dataset(10, split_key=0.5), known_model()
    model = replace(model, card=replace(model.card, dataset_sha256=dataset.sha256()))
    assert "trained on spectra of this split" in remarks(model, dataset, "train")
