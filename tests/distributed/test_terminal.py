"""What a user reads: our lines alone, from every command that starts Ray, and from a job."""

import re

import pytest
from tests import processes
from tests.synthetic import make_dataset

pytestmark = pytest.mark.distributed

NUMBER = r"[-+.\deinf]+"
EPOCH = rf"loss {NUMBER}(  mfe_percent {NUMBER})?  {NUMBER} samples/s"
RUN = "[0-9a-f]{32}"
PROGRESS = re.compile(rf"[\w ]+: {NUMBER}( of {NUMBER}, \d+ %(, [\d hmin]+ left)?)?")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with a small data set, and after the first test a run."""
    folder = tmp_path_factory.mktemp("home")
    make_dataset(folder / "state" / "datasets" / "spectra", 400)
    return folder


def matches(done, *patterns):
    """Each line of the output is of its pattern; on standard error there is progress alone."""
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == len(patterns), done.out
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), line
    assert [line for line in done.err.splitlines() if not PROGRESS.fullmatch(line)] == []


@pytest.mark.slow
def test_simulate(home):
    out = home / "few"
    done = processes.run(["simulate", "spectra", "--n", "1100", "--out", str(out)], home)
    matches(done, rf"1100 spectra in 1 shards: {out}")


@pytest.mark.slow  # test_other_family.py reads what a training prints, and looks at its sockets
def test_train(home):
    """Two workers, so that they talk; and none of their sockets is open to the network."""
    words = ["train", "mlp", "--train.epochs", "1", "--scale.workers", "2", "--model.width", "16"]
    done = processes.run([*words, "--promote"], home)
    matches(
        done,
        rf"training mlp on {home}/state/datasets/spectra: 400 records, workers 2, device \w+, "
        rf"MLflow at sqlite:///{home}/state/mlflow\.db",
        rf"run {RUN}",
        rf"epoch 1/1  {EPOCH}",
        rf"run {RUN}  mlp version 1",
        r"mlp version 1 is the champion",
    )
    assert {"raylet", "gcs_server"} <= {name for name, _, _ in done.listened}
    assert not processes.outside(done.listened)
    assert not (home / ".ray").exists()  # the user's own token


@pytest.mark.slow
def test_tune(home):
    words = ["tune", "mlp", "--trials", "2", "--over", "width", "--train.epochs", "1"]
    done = processes.run(words, home)
    assert done.code == 0, done.err
    assert re.match(rf"search {RUN}  2 trials of mlp", done.out)
    kept = [line for line in done.out.splitlines() if not re.match(r"[┏┃┡│└┗]", line)]
    for line in kept:
        assert re.match(r"search |trial \d  epoch 1/1  |Pareto front: |recommended: trial ", line)
    assert [line for line in done.err.splitlines() if not PROGRESS.fullmatch(line)] == []


@pytest.mark.parametrize("words", [["train", "mlp"], ["simulate", "spectra", "--n", "10"]])
def test_a_failure_is_one_line(home, words):
    """A file where a folder must be, in every place that is written to."""
    (home / "file").touch()
    done = processes.run(words, home, WOLTER_HOME=str(home / "file"))
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith("wolter: error: ")
