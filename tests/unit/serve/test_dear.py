"""Requests that take seconds are answered elsewhere, or refused at once; others never wait."""

import asyncio
import dataclasses

import pytest
import torch
from fastapi.testclient import TestClient
from ray.exceptions import ActorDiedError
from tests.refusals import refused
from tests.served import parts, service  # noqa: F401  # fixtures

from wolter.errors import InputError, TooLargeError, UnavailableError
from wolter.serve.api import build_app
from wolter.serve.dear import DearLane, Sent, ToDeployment
from wolter.serve.limits import BusyError
from wolter.xray.spectral.observation import read_spectrum, write_spectrum

URL = "/v1/spectra/parameters"


class Method:
    """A method of a deployment, called without Ray."""

    def __init__(self, lane):
        self.lane, self.sent = lane, []

    async def remote(self, sent):
        self.sent.append(sent)
        return await self.lane.answer(sent)


class Handle:
    def __init__(self, answers):
        self.answer = Method(DearLane(answers))


@pytest.fixture
def apart(service):  # noqa: F811
    """The application whose dear requests go elsewhere, and where they go."""
    handle = Handle(service)
    app = build_app(dataclasses.replace(service, dear=ToDeployment(handle)))
    return TestClient(app), handle.answer


def test_refined_answers_come_from_elsewhere_and_plain_ones_do_not(apart, service, parts):  # noqa: F811
    client, elsewhere = apart
    plain = client.post(URL, files=parts)
    assert plain.status_code == 200
    assert elsewhere.sent == []
    refined = client.post(URL, params={"refine": True}, files=parts)
    assert refined.status_code == 200, refined.text
    (sent,) = elsewhere.sent
    assert sent.query == {"refine": True}
    here = TestClient(build_app(service)).post(URL, params={"refine": True}, files=parts)
    assert refined.json()["spectra"][0]["parameters"] == here.json()["spectra"][0]["parameters"]
    many = [*parts.items(), *[("pha", parts["pha"])] * 2]
    assert "send at most 2" in refused(client.post(f"{URL}?refine=true", files=many), 422)
    counts = {"counts": [1] * 256, "exposure_s": 1}
    assert "refine: counts" in refused(client.post(f"{URL}?refine=true", json=counts), 422)


@pytest.fixture
def holed(pha):
    """A spectrum unlike the training data, which is refined unasked."""
    quality_C = torch.zeros(300, dtype=torch.int16)
    quality_C[100] = 5
    path = pha.with_name("holed.pha")
    write_spectrum(path, dataclasses.replace(read_spectrum(pha), quality_C=quality_C))
    return path.name, path.read_bytes()


def test_unasked_refinement_is_done_elsewhere_or_left_out(apart, parts, holed):  # noqa: F811
    client, elsewhere = apart
    files = parts | {"pha": holed}
    (refined,) = client.post(URL, files=files).json()["spectra"]
    assert len(elsewhere.sent) == 1
    assert refined["fit"] is not None

    async def busy(sent):
        return "busy", "too many", 7

    elsewhere.lane.answer = busy
    (plain,) = client.post(URL, files=files).json()["spectra"]
    assert plain["fit"] is None
    assert "band_not_covered" in plain["flags"]
    answer = client.post(URL, params={"refine": True}, files=files)
    assert refused(answer, 429) == "too many"
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TooLargeError("a"), TooLargeError),
        (InputError("a"), InputError),
        (UnavailableError("a"), UnavailableError),
        (BusyError("a", 3), BusyError),
    ],
)
def test_errors_come_back_as_they_were(service, monkeypatch, error, kind):  # noqa: F811
    handle = Handle(service)

    async def fail(sent):
        raise error

    monkeypatch.setattr(handle.answer.lane, "_answer", fail)

    class Asked:
        task, query, body, uploads, tabular = "a/b", service, b"{}", None, False
        left_s, waits = staticmethod(lambda: 1.0), True

    Asked.query = type("Query", (), {"model_dump": lambda self, exclude_unset: {}})()
    with pytest.raises(kind, match=r"^a$") as caught:
        asyncio.run(ToDeployment(handle)(Asked()))
    assert getattr(caught.value, "again_s", 3) == 3


def test_a_request_whose_process_ends_may_be_sent_again(apart, parts, monkeypatch):  # noqa: F811
    client, elsewhere = apart

    async def dies(sent):
        elsewhere.sent.append(sent)
        raise ActorDiedError

    monkeypatch.setattr(elsewhere, "remote", dies)
    answer = client.post(URL, params={"refine": True}, files=parts)
    assert answer.status_code == 503
    assert answer.json()["detail"] == "the process that answered ended; try again"
    assert int(answer.headers["retry-after"]) > 0
    assert len(elsewhere.sent) == 1


def test_a_request_that_waits_too_long_is_told(service, monkeypatch):  # noqa: F811
    lane = DearLane(service)

    async def slow(sent):
        await asyncio.sleep(60)

    monkeypatch.setattr(lane, "_answer", slow)
    kind, line, _ = asyncio.run(lane.answer(Sent("a/b", {}, b"", None, 0.1)))
    assert (kind, line.partition(";")[0]) == ("unavailable", "no answer in time")
