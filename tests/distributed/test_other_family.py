"""A family of another package, installed beside wolter, goes through the public commands."""

import concurrent.futures
import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from astropy.io.votable import parse_single_table
from tests import processes
from tests.processes import PYTHON, environment
from tests.synthetic import make_dataset

pytestmark = pytest.mark.distributed
ROOT = Path(__file__).parents[2]
SMALL = ("--model.width", "16", "--train.batch-size", "64", "--train.device", "cpu")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Folder that `pip install` puts the package `tests/other_family` into, offline."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")  # pip builds beside the source
    for name in ("pyproject.toml", "hardness_autoencoder.py"):
        (source / name).write_bytes((ROOT / "tests" / "other_family" / name).read_bytes())
    words = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", folder)
    subprocess.run([sys.executable, "-m", "pip", "install", *words, source], check=True)
    return folder


@pytest.fixture(scope="module")
def user(site, tmp_path_factory):
    """Folder and environment of a user who installed the package."""
    home = tmp_path_factory.mktemp("home")
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    return {"cwd": home, "env": environment(home, PYTHONPATH=path)}


SHELL = """
import contextlib, io, json, sys
from wolter.cli import main
for line in sys.stdin:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main(json.loads(line))
    print(json.dumps([code, said.getvalue()]), flush=True)
"""


class Shell:
    """The command line of a user who installed the package; `listened` is all that was seen.

    One process runs all commands: its imports take longer than most of them.
    """

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.listened: set[tuple[str, str, int]] = set()

    def __call__(self, *words: object) -> str:
        """What a command prints."""
        print(json.dumps(list(map(str, words))), file=self.process.stdin, flush=True)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            line = pool.submit(self.process.stdout.readline)
            while not concurrent.futures.wait([line], timeout=3).done:
                self.listened |= processes.listening(self.process.pid)
        code, said = json.loads(line.result())
        assert code == 0, said
        return said


@pytest.fixture(scope="module")
def wolter(user):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", SHELL], **user, **pipes, text=True) as process:
        yield Shell(process)
        process.stdin.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data"), 400).path


@pytest.fixture(scope="module")
def trained(wolter, data) -> str:
    """What training on two workers printed."""
    words = ("--train.epochs", "12", "--train.learning-rate", "0.01", "--scale.workers", "2")
    return wolter("train", "hardness", "--data", data, *words, *SMALL)


@pytest.fixture(scope="module")
def promoted(wolter, trained) -> str:
    """Run of the champion."""
    run = trained.rpartition("run ")[2].split()[0]
    assert "hardness version 1 is the champion" in wolter("promote", "hardness", run)
    return run


def test_training_shows_its_own_headline_metrics(trained):
    epochs = [line.split() for line in trained.splitlines() if line.startswith("epoch ")]
    assert len(epochs) == 12
    assert all("decoding_error" in words and "accuracy" in words for words in epochs)
    errors = [float(words[words.index("decoding_error") + 1]) for words in epochs]
    assert errors[-1] < 0.9 * errors[0]
    ours = ("training hardness on ", "run ", "epoch ")
    assert [line for line in trained.splitlines() if not line.startswith(ours)] == []


def test_nothing_of_a_training_listens_to_the_network(wolter, trained):
    """Its two workers talk to each other."""
    assert {"raylet", "gcs_server"} <= {name for name, _, _ in wolter.listened}
    assert not processes.outside(wolter.listened)


@pytest.mark.slow
def test_a_search_judges_by_its_own_directions(wolter, data, tmp_path):
    out = tmp_path / "search.json"
    words = ("--trials", "2", "--train.epochs", "1", "--over", "width", "--json", out)
    wolter("tune", "hardness", "--data", data, *words, *SMALL[2:])
    found = json.loads(out.read_text())
    assert found["metrics"] == {"decoding_error": "min", "accuracy": "max"}
    assert len(found["trials"]) == 2


def test_an_exported_model_has_a_card(wolter, promoted, data, tmp_path):
    wolter("export", "hardness", "--data", data, "--out", tmp_path)
    card = json.loads((tmp_path / "hardness.json").read_text())
    assert card["family"] == "hardness"
    assert card["metrics"]["accuracy"] > 70
    assert (tmp_path / "hardness.safetensors").stat().st_size > 1000


def test_evaluation_reports_its_own_metrics(wolter, promoted, data, tmp_path):
    out = tmp_path / "evaluation.json"
    words = ("--data", data, "--version", "champion", "--split", "validation", "--json", out)
    wolter("evaluate", "hardness", *words)
    assert '"accuracy"' in out.read_text()


def test_predictions_are_its_own_outputs_with_units(wolter, promoted, pha, tmp_path):
    latents = [f"latent_{i}" for i in range(8)]
    for suffix in ("csv", "vot"):
        wolter("predict", "hardness", pha, "--out", tmp_path / f"found.{suffix}")
    (row,) = csv.DictReader((tmp_path / "found.csv").read_text().splitlines())
    assert row["model_name"] == "hardness"
    assert float(row["p_soft"]) + float(row["p_hard"]) == pytest.approx(1, abs=1e-5)
    assert all(abs(float(row[name])) < 1e3 for name in latents)
    assert 0.3 < float(row["mean_energy"]) < 10
    table = parse_single_table(tmp_path / "found.vot")
    assert str(table.get_field_by_id("mean_energy").unit) == "keV"
    assert table.get_field_by_id("p_hard").description == "probability that the spectrum is hard"
    for name in (*latents, "p_hard", "mean_energy"):
        assert table.array[name][0] == pytest.approx(float(row[name]), rel=1e-5)


@pytest.fixture(scope="module")
def server(user, promoted):
    """The user's server, a process, and its address."""
    limits = ("--parsers", "1", "--max-ongoing", "1", "--max-queued", "1")
    with subprocess.Popen(
        [*PYTHON, "serve", "--port", "0", *limits],
        **user,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        line = process.stdout.readline()
        found = re.search(r"serving at (http://\S+)", line)
        assert found, line
        yield process, found[1]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def client(server):
    with httpx2.Client(base_url=server[1], timeout=60) as client:
        yield client


@pytest.mark.slow
def test_served_answers_are_its_own_outputs(client, wolter, pha, tmp_path):
    url = "/v1/spectra/embedding?family=hardness"
    files = {
        "pha": pha,
        "rmf": pha.with_name("pn.rsp"),
        "background": pha.with_name("background.pha"),
    }
    response = client.post(url, files={k: (v.name, v.read_bytes()) for k, v in files.items()})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["model_name"], answer["model_version"]) == ("hardness", "1")
    (spectrum,) = answer["spectra"]
    wolter("predict", "hardness", pha, "--out", tmp_path / "found.csv")
    (row,) = csv.DictReader((tmp_path / "found.csv").read_text().splitlines())
    told = spectrum["values"]
    assert set(told) == {"latent", "p_soft", "p_hard", "mean_energy"}
    assert told["latent"] == pytest.approx([float(row[f"latent_{i}"]) for i in range(8)], rel=1e-4)
    assert told["mean_energy"] == pytest.approx(float(row["mean_energy"]), rel=1e-5)
    assert ";".join(spectrum["flags"]) == row["flag"]


@pytest.mark.slow
def test_the_served_interface_documents_its_outputs(client):
    told = {each["model_name"]: each for each in client.get("/v1/models").json()}
    units = {each["name"]: each["unit"] for each in told["hardness"]["outputs"]}
    assert units == {"latent": "", "p_soft": "", "p_hard": "", "mean_energy": "keV"}
    assert {"posterior", "superres"} <= told.keys()
    paths = client.get("/openapi.json").json()["paths"]
    response = paths["/v1/spectra/embedding"]["post"]["responses"]["200"]
    assert "mean energy of the counts (keV)" in json.dumps(response)


@pytest.mark.slow
def test_it_listens_on_loopback_refuses_what_is_too_much_and_ends_cleanly(server):
    """All that the command says of a server, on the one of this file: its start is dear."""
    process, url = server
    listens = processes.listening(process.pid)
    assert {"raylet", "gcs_server"} <= {name for name, _, _ in listens}
    assert not processes.outside(listens)
    body = {"counts": [[1] * 256] * 500, "exposure_s": 25_000}
    parameters = f"{url}/v1/spectra/parameters"
    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        asked = [threads.submit(httpx2.post, parameters, json=body, timeout=60) for _ in range(12)]
    answers = [each.result() for each in asked]
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read().startswith("shutting down")
    assert process.wait(60) == 0
