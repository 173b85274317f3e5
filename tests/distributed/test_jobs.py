"""The jobs as users submit them: `ray start --head` in the checkout, then `ray job submit`."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests import event_lists
from tests.synthetic import make_dataset, make_image_dataset

from wolter.network import free_port

pytestmark = pytest.mark.distributed
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

Submit = Callable[..., str]


def free_ports(n: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < n:
        ports.add(free_port())
    return list(ports)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """State of the jobs, with a small default dataset."""
    folder = tmp_path_factory.mktemp("home")
    make_dataset(folder / "datasets" / "spectra", 600)
    return folder


@pytest.fixture(scope="module")
def submit(home) -> Iterator[Submit]:
    """Start a head in the checkout; returns the function that submits a job to it."""
    port, dashboard, client, agent = free_ports(4)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("RAY_")},
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),  # without a token of Ray, as it is at first
        "WOLTER_HOME": str(home),
    }
    head = [
        *(str(BIN / "ray"), "start", "--head", "--block", f"--port={port}", "--num-cpus=8"),
        *(f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}"),
        f"--dashboard-agent-listen-port={agent}",  # the default is that of another Ray here
        "--object-store-memory=200000000",
        "--disable-usage-stats",
        f"--temp-dir={tempfile.mkdtemp(prefix='ray-')}",
    ]
    # In a session of its own: `ray stop` would end the Ray of the other tests as well.
    running = subprocess.Popen(
        head, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    url = f"http://127.0.0.1:{dashboard}"
    wait_for(f"{url}/api/version", 120)

    def run(*arguments: str) -> str:
        for _ in range(30):
            result = subprocess.run(
                [str(BIN / "ray"), "job", "submit", *arguments],
                cwd=ROOT,
                env=environment | {"RAY_API_SERVER_ADDRESS": url},
                capture_output=True,
                text=True,
                timeout=900,
                check=False,
            )
            if "No available agent" not in result.stderr:  # the head is still starting
                break
            time.sleep(2)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    yield run
    os.killpg(running.pid, signal.SIGKILL)  # it would wait half a minute for its parts
    running.wait(timeout=60)


def wait_for(url: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(url)


def log_of(output: str) -> list[str]:
    """Lines that a job printed, without those of Ray's own."""
    job = output.partition("Running entrypoint for job")[2].splitlines()[1:]
    log = job[: next(i for i, line in enumerate(job) if "-----" in line)]
    return [line for line in log if line]


@pytest.mark.slow
def test_train_as_it_is_written_in_the_readme(submit, home):
    output = submit("jobs/train_spectra.py")
    assert "deepspectra version 1" in output
    assert "epoch 30/30" in output
    words = ("deepspectra", "--version", "1", "--split", "all")
    report = submit("--", "python", "jobs/evaluate_spectra.py", *words)
    assert "report:" in report
    assert (home / "reports" / "deepspectra" / "report.html").is_file()


def test_options_go_with_a_working_dir(submit):
    output = submit(
        *("--working-dir", ".", "--", "python", "jobs/train_spectra.py", "mlp"),
        *("--train.epochs", "1"),
    )
    assert "mlp version 1" in output
    ours = ("training mlp", "run ", "epoch 1/1")
    assert [line for line in log_of(output) if not line.startswith(ours)] == []


@pytest.mark.slow
def test_train_images_as_a_job(submit, tmp_path):
    images = make_image_dataset(tmp_path, 40)
    output = submit(
        *("--", "python", "jobs/train_sr.py", "--data", str(images.path), "--train.epochs", "1"),
        *("--model.blocks", "1", "--model.filters", "8", "--model.growth", "8"),
    )
    assert "superres version 1" in output


@pytest.mark.slow
def test_search_images_as_a_job(submit, tmp_path):
    images = make_image_dataset(tmp_path, 120)
    found = tmp_path / "sweep.json"
    output = submit(
        *("--", "python", "jobs/tune_sr.py", "--data", str(images.path), "--trials", "2"),
        *("--over", "l1", "--train.epochs", "1", "--train.fraction", "0.5", "--json", str(found)),
        *("--model.blocks", "1", "--model.filters", "8", "--model.growth", "8"),
    )
    assert "Pareto front: " in output
    assert "in full: wolter train superres --data" in output
    trials = json.loads(found.read_text())["trials"]
    assert [trial["status"] for trial in trials] == ["finished"] * 2


@pytest.mark.slow
def test_ingest_images_as_a_job(submit, tmp_path):
    (tmp_path / "archive").mkdir()
    event_lists.epic_pn(tmp_path / "archive" / "a.fits", 20_000, OBS_ID="0000000001", OBJECT="One")
    output = submit(
        *("--", "python", "jobs/ingest_images.py", str(tmp_path / "archive")),
        *("--out", str(tmp_path / "out"), "--exposure", "9000", "--pairs", "1"),
    )
    assert "1 pairs of 1 files in 16 records, 0 rejected, 0 other files" in output


@pytest.mark.slow
def test_simulate_fit_and_ingest_as_jobs(submit, home, pha):
    output = submit(
        *("--", "python", "jobs/simulate_spectra.py", "--n", "100"),
        *("--out", str(home / "few")),
    )
    assert "100 spectra in 1 shards" in output
    output = submit(
        *("--", "python", "jobs/fit_spectra.py", "--data", str(home / "few"), "--split", "all"),
        *("--n", "10", "--no-intervals", "--out", str(home / "fits.parquet")),
    )
    assert "10 spectra" in output
    fits = pq.read_table(home / "fits.parquet")
    assert fits["file"].to_pylist() == [f"sim-0-{i}" for i in range(10)]
    assert all(1 <= slope <= 3 for slope in fits["slope"].to_pylist())  # its bounds
    output = submit("--", "python", "jobs/ingest_spectra.py", str(pha.parent))
    assert "1 spectra read, 0 rejected, 1 backgrounds, 1 other files" in output
