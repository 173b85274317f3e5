"""A family of others, of another task than ours, is served from what it declares."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from tests.refusals import refused
from torch import nn

from wolter import family as families
from wolter import plugins
from wolter.family import Family
from wolter.outputs import Metric, Output
from wolter.registry.checkpoint import Card, load_model, save_model
from wolter.serve.api import build_app
from wolter.serve.config import ServeConfig
from wolter.serve.models import ServedRef
from wolter.serve.service import Service
from wolter.spectra.predict import predict_batch
from wolter.spectra.reading import read_record

URL = "/v1/spectra/embedding"
CLASSES = ("agn", "star")


def points_of(point):
    """Entry points of an environment where one package adds one family."""
    return lambda group: [point] if group == families.GROUP else []


@dataclass(frozen=True)
class Config:
    latents: int = 3


class Network(nn.Module):
    def __init__(self, config, spec):
        super().__init__()
        self.latents = nn.Linear(spec.n_channels, config.latents)
        self.classes = nn.Linear(config.latents, len(CLASSES))


def predict(module, batch):
    latents_BL = module.latents(batch.counts_BC.log1p())
    p_BK = module.classes(latents_BL).softmax(1)
    found = {f"p_{name}": p_BK[:, i] for i, name in enumerate(CLASSES)}
    return {"latents": latents_BL, **found, "hardness": 10 * latents_BL[:, 0]}


def outputs(config, spec):
    return (
        Output("latents", "place in the space of spectra", axes="L"),
        *(Output(f"p_{name}", f"probability of the class {name}") for name in CLASSES),
        Output("hardness", "mean energy of the photons", "keV", ucd="em.energy"),
    )


FAMILY = Family(
    name="toy",
    task="spectra/embedding",
    config=Config,
    build=Network,
    normalise=lambda module, batch: None,
    loss=lambda module, batch: (torch.zeros(()), {}),
    predict=predict,
    outputs=outputs,
    measure=lambda module, batch: {"loss": torch.zeros(())},
    metrics=(Metric("loss", "lower"),),
    search_space={},
)


@pytest.fixture(scope="module")
def model(untrained, tmp_path_factory):
    point = SimpleNamespace(load=lambda: FAMILY, value="toy:FAMILY", name="toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            plugins, "entry_points", lambda group: [point] if group == families.GROUP else []
        )
        spec = load_model(untrained("mlp")).card.spec
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp("toy")
        save_model(folder, Card("toy", {"latents": 3}, spec), Network(Config(), spec))
        yield folder


@pytest.fixture(scope="module")
def client(model, untrained):
    chosen = [ServedRef("toy", str(model), "5"), ServedRef("mlp", str(untrained("mlp")))]
    service = Service.load(chosen, ServeConfig(parsers=1, max_values=6))
    service.start()
    with TestClient(build_app(service), raise_server_exceptions=False) as client:
        yield client
    service.stop()


def test_files_are_answered_with_what_the_family_declares(client, model, pha, parts):
    response = client.post(URL, files=parts)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["model_name"], answer["model_version"]) == ("toy", "5")
    (spectrum,) = answer["spectra"]
    loaded = load_model(model)
    offline = predict_batch(loaded, read_record(pha, loaded.card.spec).batch)
    assert spectrum["file"] == "source.pha"
    assert spectrum["flags"] == ["training_ranges_unknown"]
    assert list(spectrum["values"]) == ["latents", "p_agn", "p_star", "hardness"]
    # JSON has the shortest numbers that are the same in single precision.
    assert np.float32(spectrum["values"]["latents"]).tolist() == offline["latents"][0].tolist()
    assert np.float32(spectrum["values"]["hardness"]) == offline["hardness"][0]
    assert spectrum["values"]["p_agn"] + spectrum["values"]["p_star"] == pytest.approx(1)


def test_counts_are_answered_too_and_no_more_than_fit(client):
    two = {"counts": [[1] * 256] * 2, "exposure_s": 25_000, "names": ["a", "b"]}
    spectra = client.post(URL, json=two).json()["spectra"]
    assert [each["file"] for each in spectra] == ["a", "b"]
    assert len(spectra[0]["values"]["latents"]) == 3
    three = {"counts": [[1] * 256] * 3, "exposure_s": 25_000}
    line = refused(client.post(URL, json=three), 413)
    assert line == "latents: 3 numbers of each of 3 records; send at most 2 records"


def test_models_and_openapi_describe_its_outputs(client):
    toy, mlp = client.get("/v1/models").json()
    assert (toy["model_name"], toy["path"], toy["default"]) == ("toy", URL, True)
    assert (mlp["model_name"], mlp["path"], mlp["default"]) == (
        "mlp",
        "/v1/spectra/parameters",
        True,
    )
    assert toy["outputs"][-1] == {
        "name": "hardness", "unit": "keV", "description": "mean energy of the photons", "axes": "",
        "ucd": "em.energy",
    }  # fmt: skip
    operation = client.get("/openapi.json").json()["paths"][URL]["post"]
    (answer,) = operation["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    values = answer["properties"]["spectra"]["items"]["properties"]["values"]["properties"]
    assert values["hardness"]["description"] == "mean energy of the photons (keV)"
    assert values["hardness"]["x-unit"] == "keV"
    assert values["latents"]["type"] == "array"
    assert {each["name"] for each in operation["parameters"]} == {
        "family", "version", "format", "response", "instrument", "no_background"
    }  # fmt: skip


def test_each_task_has_its_own_families(client, parts):
    assert "'mlp' is not served" in refused(client.post(f"{URL}?family=mlp", files=parts), 422)
    other = client.post("/v1/spectra/parameters", params={"family": "toy"}, files=parts)
    assert "'toy' is not served" in refused(other, 422)
    assert refused(client.post(f"{URL}?refine=true", files=parts), 422).startswith("refine: Extra")


def test_a_champion_that_does_not_answer_leaves_other_routes(model, untrained):
    chosen = [ServedRef("toy", str(model), "5"), ServedRef("mlp", str(untrained("mlp")), "6")]
    service = Service.load(chosen, ServeConfig(parsers=1))
    for parameter in service.models["toy"].model.module.parameters():
        parameter.data.fill_(float("nan"))
    service.watch.check()
    client = TestClient(build_app(service), raise_server_exceptions=False)
    counts = {"counts": [1] * 256, "exposure_s": 25_000}
    assert "toy does not answer now (no finite" in refused(client.post(URL, json=counts), 503)
    assert client.post("/v1/spectra/parameters", json=counts).status_code == 200
    ready = client.get("/readyz").json()
    assert ready["models"] == {"mlp": "6"}
    assert set(ready["problems"]) == {"toy"}


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (lambda config, spec: (), "declares no outputs"),
        (lambda config, spec: 1 / 0, "ZeroDivisionError"),
        (lambda config, spec: outputs(config, spec)[1:], "latents: predicted, and not declared"),
    ],
)
def test_families_that_declare_wrongly_leave_the_others(
    model, untrained, monkeypatch, declared, why
):
    family = replace(FAMILY, outputs=declared)
    point = SimpleNamespace(load=lambda: family, value="toy:FAMILY", name="toy")
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [point] if group == families.GROUP else []
    )
    chosen = [ServedRef("toy", str(model), "5"), ServedRef("mlp", str(untrained("mlp")), "6")]
    service = Service.load(chosen, ServeConfig(parsers=1))
    service.watch.check()
    client = TestClient(build_app(service), raise_server_exceptions=False)
    assert why in client.get("/readyz").json()["problems"]["toy"]
    counts = {"counts": [1] * 256, "exposure_s": 25_000}
    assert why in refused(client.post(URL, json=counts), 503)
    assert client.get("/v1/models").status_code == 200
    response = client.get("/openapi.json").json()["paths"][URL]["post"]["responses"]["200"]
    assert response["content"]["application/json"]["schema"].get("anyOf") != []
    assert client.post("/v1/spectra/parameters", json=counts).status_code == 200
