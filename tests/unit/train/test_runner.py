import dataclasses
import json

import pytest
import torch
from tests.synthetic import make_batch, make_dataset

from wolter.data.batches import count_rows, local_reader
from wolter.data.shards import open_dataset
from wolter.errors import InputError
from wolter.registry import mlflow_store
from wolter.registry.checkpoint import load_model
from wolter.train.job import ScaleConfig, make_job, prepare
from wolter.train.loop import TrainConfig
from wolter.train.runner import train_local

CONFIG = TrainConfig(epochs=2, batch_size=64, device="cpu")


@pytest.fixture(scope="module")
def run(dataset, home):
    epochs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WOLTER_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        result = train_local(
            "mlp",
            dataset.path,
            config={"width": 16},
            train=CONFIG,
            experiment="runner",
            on_epoch=epochs.append,
        )
    return result, epochs


def test_a_run_gives_a_model_that_predicts(run):
    result, _ = run
    model = load_model(result.checkpoint)
    assert model.card.config == {"width": 16, "depth": 3, "dropout": 0.0}
    with torch.no_grad():
        assert model.family.predict(model.module, make_batch(3))["slope"].shape == (3,)


def test_progress_and_metrics_agree(run, dataset):
    result, epochs = run
    assert [e.number for e in epochs] == [1, 2]
    assert epochs[1].rows == count_rows(dataset, "train")
    assert result.metrics["train/loss"] == epochs[1].train["loss"]
    assert result.metrics["validation/mfe_percent"] == epochs[1].validation["mfe_percent"]
    assert result.metrics["samples_per_s"] > 0


def test_mlflow_knows_how_the_model_came_about(run, dataset, store):
    result, _ = run
    kept = mlflow_store.client().get_run(result.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params["model.width"] == "16"
    assert kept.data.params["train.epochs"] == "2"
    assert kept.data.params["dataset.sha256"] == dataset.sha256()
    assert kept.data.params["dataset.rows"] == "600"
    assert kept.data.tags["family"] == "mlp"
    assert kept.data.metrics["train/loss"] == pytest.approx(result.metrics["train/loss"])
    assert [step for step, _ in mlflow_store.history(result.run_id)["train/loss"]] == [1, 2]


def test_the_registry_keeps_the_model_and_not_the_optimiser(run, store):
    result, _ = run
    folder, version = mlflow_store.find("mlp", result.run_id)
    assert version == result.model_version
    assert {f.name for f in folder.iterdir()} == {"model.safetensors", "config.json"}
    assert json.loads((folder / "config.json").read_text())["family"] == "mlp"


def test_a_failed_run_is_marked_so(dataset, store):
    bad = dataclasses.replace(CONFIG, learning_rate=1e30, clip=1e30, seed=77)
    with pytest.raises(InputError, match="the loss is"):
        train_local("mlp", dataset.path, train=bad, experiment="failing")
    mlflow = mlflow_store.client()
    experiment = mlflow.get_experiment_by_name("failing")
    (failed,) = mlflow.search_runs([experiment.experiment_id])
    assert failed.info.status == "FAILED"


class TestBadInput:
    def test_an_unknown_family(self, dataset):
        with pytest.raises(InputError, match="unknown family 'gru'; choose one of: aligner, "):
            make_job("gru", dataset)

    def test_an_unknown_key(self, dataset):
        with pytest.raises(InputError, match="colour"):
            make_job("mlp", dataset, {"colour": "red"})

    def test_a_dataset_without_what_the_family_needs(self, dataset):
        spec = dataclasses.replace(dataset.spec, components=())
        manifest = dataclasses.replace(dataset.manifest, spec=spec)
        with pytest.raises(InputError, match="components"):
            make_job("deepspectra", dataclasses.replace(dataset, manifest=manifest))

    def test_a_dataset_of_another_kind(self, dataset):
        manifest = dataclasses.replace(dataset.manifest, kind="images")
        with pytest.raises(InputError, match="holds images and mlp reads spectra"):
            make_job("mlp", dataclasses.replace(dataset, manifest=manifest))

    def test_more_workers_than_rows(self, tmp_path):
        tiny = make_dataset(tmp_path, 6, n_shards=1)
        with pytest.raises(InputError, match="fewer workers"):
            make_job("mlp", tiny, scale=ScaleConfig(workers=7))

    def test_a_missing_dataset(self, tmp_path):
        with pytest.raises(InputError, match=r"no dataset\.json"):
            train_local("mlp", tmp_path)

    @pytest.mark.parametrize(
        "bad", [{"workers": 0}, {"workers": 2, "min_workers": 3}, {"use_gpu": "maybe"}]
    )
    def test_scale(self, bad):
        with pytest.raises(InputError, match="scale"):
            ScaleConfig(**bad)


def test_workers_share_a_batch_and_start_from_the_same_weights(dataset):
    job = make_job("mlp", dataset, train=CONFIG)
    first, second = (prepare(job, rank, world=2) for rank in range(2))
    assert first.train.size == second.train.size == 32
    assert first.trainer.steps_per_epoch == -(-(job.rows // 2) // 32)
    a, b = (ready.trainer.module.state_dict() for ready in (first, second))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert open_dataset(job.dataset).sha256() == first.card.dataset_sha256


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("observed"), 50, seed=3)


class TestObservedSpectra:
    def job(self, dataset, observed, **changes):
        config = dataclasses.replace(CONFIG, **changes)
        return make_job("mlp", dataset, {"width": 16}, config, observed=observed.path)

    def test_a_run_mixes_them_into_every_batch(self, dataset, observed, store):
        epochs = []
        result = train_local(
            "mlp", dataset.path, train=CONFIG, observed=observed.path, on_epoch=epochs.append
        )
        rows = count_rows(dataset, "train")
        assert epochs[-1].rows == pytest.approx(rows * 4 / 3, abs=2)
        assert epochs[-1].train["loss"] < epochs[0].train["loss"]
        params = mlflow_store.client().get_run(result.run_id).data.params
        assert params["observed"] == str(observed.path)
        assert params["train.observed_fraction"] == "0.25"

    def test_the_schedule_counts_the_smaller_share_of_simulated_rows(self, dataset, observed):
        job = self.job(dataset, observed, observed_fraction=0.5)
        ready = prepare(job)
        batches = list(ready.mix(local_reader(ready.dataset, "train", ready.train))(0))
        assert ready.trainer.steps_per_epoch == len(batches) == -(-job.rows // 32)

    def test_every_worker_has_rows_of_its_own(self, dataset, observed):
        first, second = (prepare(self.job(dataset, observed), rank, world=2) for rank in (0, 1))
        drawn = []
        for ready in (first, second):
            batch = next(ready.mix(local_reader(ready.dataset, "train", ready.train))(0))
            assert (len(batch), int(batch.observed_B.sum())) == (32, 8)
            drawn.append(batch.counts_BC[batch.observed_B])
        assert not torch.equal(*drawn)

    def test_a_share_outside_0_to_1_is_an_error(self):
        with pytest.raises(InputError, match="observed_fraction"):
            TrainConfig(observed_fraction=1.0)


class TestStartingFromWeights:
    """The run of this file took two epochs from fresh weights."""

    def first_loss(self, dataset, start, model=None):
        epochs = []
        still = 1e-12  # a learning rate that moves no weight
        config = dataclasses.replace(CONFIG, epochs=1, learning_rate=still)
        job = make_job("mlp", dataset, model, config, start=start)
        ready = prepare(job)
        reader = local_reader(ready.dataset, "train", ready.train)
        ready.trainer.run(reader, on_epoch=epochs.append)
        return epochs[0].train["loss"], job

    def test_the_loss_goes_on_where_it_ended(self, run, dataset):
        result, epochs = run
        loss, job = self.first_loss(dataset, result.checkpoint)
        assert job.config == {"width": 16, "depth": 3, "dropout": 0.0}
        assert loss < epochs[-1].train["loss"] < epochs[0].train["loss"]
        fresh, _ = self.first_loss(dataset, None, {"width": 16})
        assert fresh > epochs[0].train["loss"]

    def test_weights_and_normalisation_are_the_checkpoint_s(self, run, dataset):
        result, _ = run
        moved = dataclasses.replace(CONFIG, seed=5)
        ready = prepare(make_job("mlp", dataset, train=moved, start=result.checkpoint))
        kept = load_model(result.checkpoint).module.state_dict()
        mine = ready.trainer.module.state_dict()
        assert all(torch.equal(kept[name], mine[name]) for name in kept)

    def test_mlflow_knows_the_start(self, run, dataset, store):
        result, _ = run
        config = dataclasses.replace(CONFIG, epochs=1)
        tuned = train_local("mlp", dataset.path, train=config, start=result.checkpoint)
        assert (
            mlflow_store.client().get_run(tuned.run_id).data.params["start"].endswith("checkpoint")
        )
        assert load_model(tuned.checkpoint).card.config["width"] == 16

    @pytest.mark.parametrize(
        ("family", "config", "message"),
        [
            ("cnn", None, "weights of mlp; cnn starts from its own"),
            ("mlp", {"width": 17}, "has another width"),
            ("mlp", {"colour": 1}, "colour"),
        ],
    )
    def test_what_does_not_fit_is_said(self, run, dataset, family, config, message):
        with pytest.raises(InputError, match=message):
            make_job(family, dataset, config, start=run[0].checkpoint)

    def test_so_is_a_dataset_of_other_ranges(self, run, dataset, untrained):
        with pytest.raises(InputError, match="another energy grid, or estimates other"):
            make_job("mlp", dataset, start=untrained("mlp"))
