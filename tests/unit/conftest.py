import os
import subprocess
import sys

import pytest
from tests.synthetic import make_dataset


@pytest.fixture(scope="module", autouse=True)
def on_one_thread(one_thread):
    """All tests of this folder."""


@pytest.fixture(autouse=True)
def without_a_server(monkeypatch):
    """Tests of a real server, which run in the same process, have set its environment there."""
    for name in [n for n in os.environ if n.startswith(("RAY_SERVE", "WOLTER_SERVE"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("records"), 600)


@pytest.fixture(scope="session")
def new_store(tmp_path_factory):
    """A new WOLTER_HOME with its MLflow tables, and the process that made them elsewhere."""
    home, elsewhere = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("elsewhere")
    code = (
        "from wolter.registry import mlflow_client; mlflow_client.client().search_experiments();"
        "from mlflow.telemetry.utils import is_telemetry_disabled as off; assert off()"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "WOLTER_HOME": str(home)},
        cwd=elsewhere,
        capture_output=True,
        text=True,
    )
    return home, elsewhere, done


@pytest.fixture(scope="session")
def home(new_store):
    return new_store[0]


@pytest.fixture
def store(home, monkeypatch):
    """The session's WOLTER_HOME, since MLflow takes seconds to make its tables."""
    monkeypatch.setenv("WOLTER_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return home
