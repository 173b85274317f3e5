"""The page: health and documents of all applications, and the paths of those that are not up."""

import subprocess
import sys
import time

import pytest
from fastapi.testclient import TestClient

from wolter.serve.page import STARTING, Seen, build_app

WAITING = {"/v1/a/b": "its models are loaded", "/tap": "the catalogue opens"}


def told(prefix="", versions=None, problems=None, **more):
    empty = {"models": [], "metrics": "", "checked_at": time.time(), "openapi": None}
    return {
        **empty,
        "prefix": prefix,
        "versions": versions or {},
        "problems": problems or {},
        **more,
    }


def client_of(reports, notes=None):
    return TestClient(build_app(lambda: Seen(reports, notes or {}, time.time()), WAITING))


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/a/b", "/v1/a/b/c", "/tap/sync"])
def test_paths_of_an_application_that_is_not_up_are_503(method, path):
    answer = client_of({}).request(method, path)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    prefix = answer.headers[STARTING]
    assert path.startswith(prefix)
    assert answer.json()["detail"].startswith(f"{prefix} is not ready ({WAITING[prefix]})")


def test_other_paths_are_404():
    for path in ("/v1/a", "/v1/a/bc", "/tapas", "/nothing"):
        answer = client_of({}).get(path)
        assert answer.status_code == 404, path
        assert STARTING not in answer.headers


def test_readiness_is_that_of_all_replicas(monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    reports = {
        "a": [told("/v1/a/b", {"x": "1"}, {"y": "broken"}, checked_at=now - 7)],
        "page": [told()],
    }
    health = client_of(reports, {"x@2": "refused"}).get("/readyz").json()
    assert health["models"] == {"x": "1"}
    assert health["problems"] == {"y": "broken", "x@2": "refused"}
    assert health["starting"] == ["/tap"]
    assert health["checked_s"] == pytest.approx(7)


def test_nothing_is_ready_without_models():
    answer = client_of({"page": [told()]}).get("/readyz")
    assert answer.status_code == 503
    assert "loading: /v1/a/b, /tap" in answer.json()["detail"]
    assert client_of({}).get("/livez").json() == {"status": "alive"}


@pytest.mark.parametrize(
    ("models", "problems", "status"),
    [([], {}, 200), ([{"model_name": "x"}], {}, 503), ([], {"x": "broken"}, 503)],
)
def test_applications_without_models_are_ready_and_models_that_do_not_answer_are_not(
    models, problems, status
):
    one = told("/v1/a/b", problems=problems, models=models)
    answer = client_of({"a": [one], "adql": [told("/tap")]}).get("/readyz")
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"models": {}, "problems": {}, "checked_s": 0.0, "starting": []}


def test_models_and_metrics_of_all_replicas_are_told_once():
    one = told("/v1/a/b", models=[{"model_name": "x"}], metrics="# TYPE a counter\na 1\n")
    client = client_of({"a": [one, {**one, "metrics": "# TYPE a counter\na 2\n"}]})
    assert client.get("/v1/models").json() == [{"model_name": "x"}]
    text = client.get("/metrics")
    assert text.headers["content-type"].startswith("text/plain")
    assert text.text == "# TYPE a counter\na 1\na 2\n"


def test_documents_are_merged():
    schema = {"type": "object", "title": "Other"}
    document = {
        "paths": {"/sync": {"get": {"$ref": "#/components/schemas/Health"}}, "/": {"get": {}}},
        "components": {"schemas": {"Health": schema}},
    }
    whole = {"paths": {"/v1/a/b": {"post": {}}, "/readyz": {"get": {"other": True}}}}
    client = client_of(
        {"adql": [told("/tap", openapi=document)], "a": [told("/v1/a/b", openapi=whole)]}
    )
    found = client.get("/openapi.json").json()
    assert {"/tap", "/tap/sync", "/v1/a/b", "/readyz"} <= set(found["paths"])
    assert "other" not in found["paths"]["/readyz"]["get"]
    renamed = found["paths"]["/tap/sync"]["get"]["$ref"].rpartition("/")[2]
    assert found["components"]["schemas"][renamed] == schema
    assert found["components"]["schemas"]["Health"]["title"] == "Health"
    assert client.get("/docs").status_code == 200


def test_the_page_imports_no_network():
    code = "import sys, wolter.serve.page, wolter.serve.replicas; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
