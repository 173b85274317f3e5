"""A search as users run it: real trials, a real MLflow store."""

import json
import re
import shlex

import pytest
from tests.synthetic import make_dataset, make_image_dataset

from wolter import cli
from wolter.errors import InputError
from wolter.registry import mlflow_store
from wolter.train.loop import TrainConfig
from wolter.tune import search as searches
from wolter.tune.plan import SearchConfig, plan, planned

pytestmark = pytest.mark.distributed
SMALL = {"blocks": 1, "filters": 8, "growth": 8}
WORDS = [f"--model.{key}={value}" for key, value in SMALL.items()]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_image_dataset(tmp_path_factory.mktemp("images"), 120)


def test_a_search_prints_and_keeps_its_front(ray_session, store, images, tmp_path, capsys):
    out = tmp_path / "sweep.json"
    words = ["tune", "superres", "--data", str(images.path), "--trials", "3", "--json", str(out)]
    words += ["--over", "l1", "adversarial", "--train.epochs", "2", "--train.batch-size", "16"]
    words += ["--train.fraction", "0.5", "--train.device", "cpu", "--parallel", "2"]
    assert cli.main([*words, *WORDS]) == 0
    text = capsys.readouterr().out
    found = json.loads(out.read_text())
    assert re.search(r"Pareto front: \d of 3 trials", text)
    assert "psnr_sqrt" in text
    assert found["metrics"] == {"deviance": "min", "psnr": "max", "psnr_sqrt": "max"}
    assert 30 < found["budget"]["rows"] < 80  # half of nine tenths
    trials = {trial["number"]: trial for trial in found["trials"]}
    assert list(trials) == [0, 1, 2]
    assert {trial["status"] for trial in found["trials"]} <= {"finished", "stopped"}
    assert all(trials[number]["status"] == "finished" for number in found["front"])
    assert found["recommended"]["number"] in found["front"]
    assert len({trial["config"]["l1"] for trial in found["trials"]}) == 3

    children = mlflow_store.children(found["run_id"])
    assert set(children.values()) == {trial["run_id"] for trial in found["trials"]}
    mlflow = mlflow_store.client()
    parent = mlflow.get_run(found["run_id"])
    assert parent.info.status == "FINISHED"
    best = trials[found["recommended"]["number"]]
    assert parent.data.metrics["validation/psnr"] == best["metrics"]["psnr"]
    for trial in found["trials"]:
        run = mlflow.get_run(trial["run_id"])
        assert run.info.status == "FINISHED"
        assert run.data.params["model.l1"] == str(trial["config"]["l1"])
        assert run.data.metrics["validation/deviance"] == trial["metrics"]["deviance"]
        assert len(mlflow.get_metric_history(trial["run_id"], "train/loss")) == trial["epochs"]
    kept = {file.path for file in mlflow.list_artifacts(found["run_id"], "search")}
    assert kept == {"search/search.json", "search/front.png"}

    command = shlex.split(found["recommended"]["command"])
    assert f"in full: {found['recommended']['command']}" in text
    assert command[:3] == ["wolter", "train", "superres"]
    assert "--model.blocks" in command
    assert "--train.batch-size" not in command  # it is the family's own
    assert not any(word.startswith("--train.epochs") for word in command)


@pytest.mark.slow
def test_an_interrupted_search_goes_on_where_it_was(ray_session, store, images):
    sweep = plan(
        "superres",
        images.path,
        config=SMALL,
        train=TrainConfig(epochs=2, batch_size=16, device="cpu"),
        search=SearchConfig(trials=2, over=("l1",), parallel=1, grace=2, metrics=("psnr",)),
        experiment="images",
    )
    seen = []

    def stop(number, epoch):
        seen.append((number, epoch.number))
        if number == 1:
            raise ZeroDivisionError("the lights went out")

    with pytest.raises(RuntimeError, match="the lights went out"):
        searches.run(sweep, stop)
    assert mlflow_store.client().get_run(sweep.run_id).info.status == "FAILED"
    assert (0, 2) in seen
    before = mlflow_store.children(sweep.run_id)
    again = []
    result = searches.run(
        planned(sweep.run_id), lambda number, epoch: again.append((number, epoch.number))
    )
    assert len(result.outcomes) == 2
    assert {each.status for each in result.outcomes} == {"finished"}
    assert (1, 2) in again
    assert before.items() <= mlflow_store.children(sweep.run_id).items()
    assert len(mlflow_store.children(sweep.run_id)) == 2
    values = {each.number: each.metrics["psnr"] for each in result.outcomes}
    assert (result.recommended,) == result.front == (max(values, key=values.__getitem__),)


def test_a_trial_that_diverges_is_told_and_the_others_go_on(ray_session, store, tmp_path):
    dataset = make_dataset(tmp_path, 600)
    sweep = plan(
        "mlp",
        dataset.path,
        config={"width": 16},
        train=TrainConfig(epochs=2, batch_size=64, learning_rate=1e30, clip=1e30, device="cpu"),
        search=SearchConfig(trials=2, over=("depth",)),
    )
    with pytest.raises(InputError, match=r"no trial of mlp finished: .* lower --train\.learning-"):
        searches.run(sweep)
    mlflow = mlflow_store.client()
    runs = [sweep.run_id, *mlflow_store.children(sweep.run_id).values()]
    assert [mlflow.get_run(run).info.status for run in runs] == ["FAILED"] * 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--over", "colour"], "--over colour: not in the search space of superres"),
        (["--trials", "0"], "trials = 0"),
        (["--metrics", "beauty"], "--metrics beauty: not measured; choose from deviance, psnr"),
        (["--metrics", "coverage_68"], "give coverage_68:min or coverage_68:max"),
        (["--resume", "nothing"], "no search has the run 'nothing'"),
    ],
)
def test_bad_input_is_one_line(store, images, words, message, capsys):
    assert cli.main(["tune", "superres", "--data", str(images.path), *WORDS, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
