import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file
from tests.synthetic import make_dataset, make_image_dataset

from wolter.data.batches import BatchConfig, count_rows, local_reader, ray_dataset, ray_reader
from wolter.errors import InputError
from wolter.registry import mlflow_store
from wolter.registry.checkpoint import load_model
from wolter.spectra.schema import SpectraBatch
from wolter.train.job import ScaleConfig, make_job
from wolter.train.loop import TrainConfig
from wolter.train.runner import fit_local, train

pytestmark = [pytest.mark.distributed, pytest.mark.usefixtures("one_thread")]
MODEL = {"width": 16, "depth": 2, "dropout": 0.1}
CONFIG = TrainConfig(epochs=3, batch_size=64, device="cpu")
ONE = ScaleConfig(workers=1, threads_per_worker=1)
TWO = ScaleConfig(workers=2, threads_per_worker=1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("records"), 1500)


def in_process(dataset, folder, config, observed=None):
    """Weights that the plain loop gives."""
    job = make_job("mlp", dataset, MODEL, config, observed=observed)
    return load_file(fit_local(job, folder) / "model.safetensors")


def weights(run):
    return load_file(run.checkpoint / "model.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("cache_bytes", [0, 2**30], ids=["streamed", "kept"])
def test_ray_data_gives_the_batches_of_the_files(ray_session, dataset, cache_bytes):
    config = BatchConfig(size=64, shuffle=cache_bytes > 0, cache_bytes=cache_bytes)
    stream = ray_dataset(dataset, "train")
    stream.context.execution_options.preserve_order = True
    n_kept = count_rows(dataset, "train") if cache_bytes else None
    theirs = ray_reader(stream.iterator(), config, n_kept, "spectra")
    ours = local_reader(dataset, "train", config)
    for epoch in range(2):
        for a, b in zip(theirs(epoch), ours(epoch), strict=True):
            assert all(torch.equal(x, y) for x, y in zip(*map(tensors, (a, b)), strict=True))


def tensors(batch: SpectraBatch) -> list[torch.Tensor]:
    return [value for value in vars(batch).values() if value is not None]


def test_two_workers_share_the_rows_of_a_stream_equally(ray_session, dataset, store):
    epochs, steps = [], []
    run = train(
        "mlp",
        dataset.path,
        config=MODEL,
        train=CONFIG,
        scale=dataclasses.replace(TWO, cache_gib=0.0),  # streamed anew every epoch
        on_epoch=epochs.append,
        on_step=steps.append,
    )
    assert {epoch.rows for epoch in epochs} == {count_rows(dataset, "train") // 2 * 2}
    assert steps == sorted(steps)
    assert 0 < steps[0] <= CONFIG.epochs
    assert epochs[-1].train["loss"] < epochs[0].train["loss"]
    assert epochs[-1].validation["mfe_percent"] < epochs[0].validation["mfe_percent"]
    assert load_model(run.checkpoint).card.dataset_sha256 == dataset.sha256()


@pytest.mark.slow  # the run whose worker is killed has observed spectra, too
@pytest.mark.parametrize(
    ("family", "model", "scale"),
    [("mlp", MODEL, ONE), ("mlp", MODEL, TWO), ("translator", {"width": 16}, TWO)],
)
def test_observed_spectra_are_mixed_in(ray_session, dataset, store, tmp_path, family, model, scale):
    observed = make_dataset(tmp_path / "observed", 50, seed=3)
    epochs = []
    run = train(
        family,
        dataset.path,
        config=model,
        train=CONFIG,
        scale=scale,
        observed=observed.path,
        on_epoch=epochs.append,
    )
    rows = count_rows(dataset, "train") // scale.workers * scale.workers
    assert epochs[-1].rows == pytest.approx(rows * 4 / 3, abs=scale.workers)
    assert epochs[-1].train["loss"] < epochs[0].train["loss"]
    if scale is ONE:
        assert same(weights(run), in_process(dataset, tmp_path, CONFIG, observed.path))


@pytest.mark.slow
def test_two_workers_train_a_generator_and_its_critic(ray_session, store, tmp_path):
    images = make_image_dataset(tmp_path, 60)
    epochs = []
    run = train(
        "superres",
        images.path,
        config={"blocks": 1, "filters": 8, "growth": 8, "adversarial": 0.01},
        train=dataclasses.replace(CONFIG, batch_size=8),
        scale=TWO,
        on_epoch=epochs.append,
    )
    assert epochs[-1].rows == count_rows(images, "train") // 2 * 2
    assert epochs[-1].train["poisson"] < epochs[0].train["poisson"]
    assert epochs[-1].validation["deviance"] < epochs[0].validation["deviance"]
    assert any(name.startswith("critic.") for name in weights(run))


def test_a_run_whose_worker_is_killed_ends_like_the_plain_loop(
    ray_session, dataset, store, tmp_path
):
    """With observed spectra mixed in, whose order must go on as well."""
    observed = make_dataset(tmp_path / "observed", 50, seed=3).path
    config = TrainConfig(epochs=10, batch_size=4, device="cpu")  # a third of a second an epoch
    killed, epochs = [], []

    def kill(epoch):
        epochs.append(epoch)
        if epoch.number == 2 and not killed:
            killed.append(worker_process())
            os.kill(killed[0], signal.SIGKILL)

    run = train(
        "mlp", dataset.path, config=MODEL, train=config, scale=ONE, observed=observed, on_epoch=kill
    )
    numbers = [epoch.number for epoch in epochs]
    assert killed
    assert sorted(set(numbers)) == list(range(1, 11))
    assert numbers.count(1) == 1  # it did not start anew
    assert same(weights(run), in_process(dataset, tmp_path, config, observed))
    assert epochs[-1].rows == pytest.approx(count_rows(dataset, "train") * 4 / 3, abs=1)
    assert run.metrics["validation/mfe_percent"] == epochs[-1].validation["mfe_percent"]
    assert mlflow_store.promote("mlp", run.run_id) == run.model_version
    folder, _ = mlflow_store.champion("mlp")
    assert same(load_file(folder / "model.safetensors"), weights(run))


def worker_process() -> int:
    """Process id of the only training worker of this session's Ray."""
    children = psutil.Process().children(recursive=True)
    found = [p.pid for p in children if "RayTrainWorker" in " ".join(p.cmdline())]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.slow
@pytest.mark.parametrize("scale", [ONE, TWO])
def test_a_loss_that_is_not_finite_is_the_users_error_and_is_not_retried(
    ray_session, dataset, store, scale
):
    config = TrainConfig(epochs=3, batch_size=64, learning_rate=1e30, clip=1e30, device="cpu")
    with pytest.raises(InputError, match=r"lower --train\.learning-rate"):
        train("mlp", dataset.path, config=MODEL, train=config, scale=scale, experiment="bad")
    mlflow = mlflow_store.client()
    experiment = mlflow.get_experiment_by_name("bad")
    assert {run.info.status for run in mlflow.search_runs([experiment.experiment_id])} == {"FAILED"}


def test_missing_gpus_are_the_users_error(ray_session, dataset, store):
    with pytest.raises(InputError, match="need a GPU each and the cluster has 0"):
        train("mlp", dataset.path, scale=ScaleConfig(workers=2, use_gpu="yes"))


@pytest.mark.slow
def test_a_lost_node_is_survived(tmp_path):
    """In a process of its own: a session has one Ray."""
    script = Path(__file__).with_name("lose_a_node.py")
    environment = {**os.environ, "WOLTER_HOME": str(tmp_path), "PYTHONPATH": str(script.parents[2])}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert "finished 12 epochs" in done.stdout
