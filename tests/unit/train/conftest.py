import pytest
import torch
from tests.synthetic import make_dataset


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors are fastest on one thread, and threads that wait for a busy core are slow."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("records"), 600)


@pytest.fixture(scope="session")
def _store(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def store(_store, monkeypatch):
    """WOLTER_HOME of one session, since MLflow takes seconds to make its tables."""
    monkeypatch.setenv("WOLTER_HOME", str(_store))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return _store
