import pytest

from wolter.cluster import connected
from wolter.serve import environment


@pytest.fixture(scope="session")
def ray_session(tmp_path_factory):
    """The one local Ray of a test session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("WOLTER_HOME", str(tmp_path_factory.mktemp("ray")))
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")
        patch.setenv("RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", "2")  # few clients here
        environment.prepare()  # Ray Serve's processes read it
        # Ray keeps the environment of its start: where tests keep their state comes with it.
        with connected(logical_cpus=8):
            yield
        environment.tidy()


@pytest.fixture(scope="session")
def _store(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def store(_store, monkeypatch):
    """WOLTER_HOME of one session, since MLflow takes seconds to make its tables."""
    monkeypatch.setenv("WOLTER_HOME", str(_store))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return _store
