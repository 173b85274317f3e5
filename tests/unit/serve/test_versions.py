"""Other versions than the champions answer when they are asked for."""

import asyncio
import dataclasses

import pytest
from fastapi.testclient import TestClient
from tests.refusals import refused
from tests.served import service  # noqa: F401  # fixture

from wolter.errors import InputError
from wolter.serve.api import build_app
from wolter.serve.versions import Versions

URL, COUNTS = "/v1/spectra/parameters", {"counts": [1] * 256, "exposure_s": 25_000}


@pytest.fixture
def located(untrained):
    asked = []

    async def locate(name, version):
        asked.append((name, version))
        if version == "9":
            raise InputError("version: mlp has no version 9; ask for another one")
        return str(untrained(name))

    return asked, locate


@pytest.mark.parametrize("query", [{"family": "mlp", "version": "7"}, {"family": "mlp@7"}])
def test_a_version_is_asked_for(service, located, query):  # noqa: F811
    asked, locate = located
    client = TestClient(build_app(dataclasses.replace(service, versions=Versions(locate))))
    answer = client.post(URL, params=query, json=COUNTS)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["model_name"], answer.json()["model_version"]) == ("mlp", "7")
    assert asked == [("mlp", "7")]
    champion = client.post(URL, params={"family": "mlp"}, json=COUNTS).json()["model_version"]
    same = client.post(URL, params={"family": f"mlp@{champion}"}, json=COUNTS)
    assert same.json()["model_version"] == champion
    none = client.post(URL, params={"family": "mlp@9"}, json=COUNTS)
    assert refused(none, 422).startswith("version: mlp has no version 9")
    assert len(asked) == 2


def test_few_versions_are_kept(located):
    asked, locate = located

    async def scene():
        versions = Versions(locate)
        for version in ("1", "2", "1", "3", "1", "2"):
            await versions.get("spectra/parameters", "mlp", version)

    asyncio.run(scene())
    assert [version for _, version in asked] == ["1", "2", "3", "2"]


def test_a_server_without_a_registry_has_one_version(service):  # noqa: F811
    client = TestClient(build_app(service))
    answer = client.post(URL, params={"family": "mlp@2"}, json=COUNTS)
    assert "one version of mlp alone" in refused(answer, 422)
