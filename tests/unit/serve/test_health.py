import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from wolter.errors import UnavailableError
from wolter.serve import health
from wolter.serve.api import build_app
from wolter.serve.config import ServeConfig
from wolter.serve.health import Watch
from wolter.serve.models import ServedRef
from wolter.serve.service import Service

COUNTS = {"counts": [1] * 256, "exposure_s": 25_000}


class Model:
    """Counts how often it is asked."""

    def __init__(self, problem=""):
        self.version, self.problem, self.asked = "1", problem, 0

    def check(self):
        self.asked += 1
        if self.problem == "raise":
            raise RuntimeError("out of order")
        return self.problem


def client_of(watch):
    app = FastAPI()
    health.add_routes(app, watch)
    from wolter.serve.problems import add_handlers

    add_handlers(app)
    return TestClient(app)


def test_requests_for_health_run_no_model():
    models = {"a": Model(), "b": Model("no finite nh of a plain spectrum"), "c": Model("raise")}
    watch = Watch(models, {"d": "not this model's weights"})
    watch.check()
    client = client_of(watch)
    for path in ("/healthz", "/readyz", "/livez"):
        for _ in range(5):
            response = client.get(path)
            assert response.status_code == 200
    told = client.get("/readyz").json()
    assert told["models"] == {"a": "1"}
    assert told["problems"] == {
        "b": "no finite nh of a plain spectrum",
        "c": "RuntimeError when asked",
        "d": "not this model's weights",
    }
    assert 0 <= told["checked_s"] < 60
    assert {model.asked for model in models.values()} == {1}


def test_a_service_without_any_model_is_alive_and_not_ready():
    model = Model("broken")
    watch = Watch({"a": model}, {})
    watch.check()
    client = client_of(watch)
    assert client.get("/livez").json() == {"status": "alive"}
    for path in ("/readyz", "/healthz"):
        response = client.get(path)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "2"
        assert "no model answers" in response.json()["detail"]
    model.problem = ""
    watch.check()
    assert client.get("/readyz").status_code == 200


def test_the_watch_looks_again_until_it_is_stopped(monkeypatch):
    monkeypatch.setattr(health, "EVERY_S", 0.01)
    model = Model()
    watch = Watch({"a": model}, {})
    watch.start()
    assert model.asked >= 1
    while model.asked < 3:
        pass
    watch.stop()


@pytest.fixture(scope="module")
def broken(untrained, tmp_path_factory):
    """A service whose champions are bad: one not to be loaded, one not found, one without sense."""
    folder = tmp_path_factory.mktemp("empty")
    chosen = [
        ServedRef("deepspectra", str(untrained("deepspectra"))),
        ServedRef("mlp", str(untrained("mlp"))),
        ServedRef("cnn", str(folder)),
        ServedRef("posterior", "", problem="posterior: the registry's artifact is gone"),
    ]
    service = Service.load(chosen, ServeConfig(parsers=1))
    for parameter in service.models["mlp"].model.module.parameters():
        parameter.data.fill_(float("nan"))
    service.watch.check()
    return TestClient(build_app(service), raise_server_exceptions=False)


def test_one_bad_champion_leaves_the_others_to_answer(broken):
    def ask(family):
        query = {} if family is None else {"family": family}
        return broken.post("/v1/spectra/parameters", params=query, json=COUNTS)

    assert ask("deepspectra").status_code == 200
    for family, why in (
        ("mlp", "no finite bb_norm"),
        ("cnn", "cannot be read"),
        ("posterior", "artifact is gone"),
        (None, "artifact is gone"),  # the default stays the one with intervals
    ):
        response = ask(family)
        assert response.status_code == 503
        line = response.json()["detail"]
        assert why in line
        assert "models that do: deepspectra" in line
        assert "/tmp" not in line
    assert ask("mine").status_code == 422
    told = broken.get("/healthz").json()
    assert set(told["models"]) == {"deepspectra"}
    assert set(told["problems"]) == {"mlp", "cnn", "posterior"}
    assert {m["model_name"] for m in broken.get("/v1/models").json()} == {"deepspectra", "mlp"}
    image = broken.post("/v1/images/enhance", files={"image": ("a.fits", b"x")})
    assert image.status_code == 404  # no model of its task is served


def test_the_age_of_a_check_is_told_in_seconds(monkeypatch):
    watch = Watch({"a": Model()}, {})
    watch.check()
    watch.checked_at = 100.0
    monkeypatch.setattr(health.time, "time", lambda: 307.0)
    assert client_of(watch).get("/readyz").json()["checked_s"] == 207


def test_the_watch_ends_with_the_process_and_asks_every_minute(monkeypatch):
    started = []

    class Thread:
        def __init__(self, target, daemon):
            started.append(daemon)

        def start(self):
            pass

    monkeypatch.setattr(health.threading, "Thread", Thread)
    Watch({"a": Model()}, {}).start()
    assert started == [True]
    assert health.EVERY_S == 60


def test_an_unloaded_model_is_told_even_when_another_answers():
    watch = Watch({"a": Model()}, {"d": "broken weights"})
    watch.check()
    assert watch.versions == {"a": "1"}
    watch.require("a")
    with pytest.raises(UnavailableError, match=r"d does not answer now \(broken weights\).*: a$"):
        watch.require("d")


def test_health_documents_that_no_model_may_answer():
    paths = client_of(Watch({}, {})).get("/openapi.json").json()["paths"]
    for path in ("/readyz", "/healthz"):
        assert set(paths[path]["get"]["responses"]) == {"200", "503"}


def test_a_watch_that_never_looked_is_as_old_as_the_clock(monkeypatch):
    monkeypatch.setattr(health.time, "time", lambda: 5.0)
    assert client_of(Watch({"a": Model()}, {})).get("/readyz").json()["checked_s"] == 5.0
