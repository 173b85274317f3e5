"""The served application on a real Ray cluster, over HTTP."""

import concurrent.futures
import gzip
import json
import os
import re
import signal
import subprocess
import sys

import httpx2
import pytest
from tests import processes

from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.serve.application import start, stop
from wolter.serve.config import ServeConfig
from wolter.spectra.check_files import check_files
from wolter.spectra.predict import predict_files

pytestmark = pytest.mark.distributed

URL = "/v1/spectra/parameters"


@pytest.fixture(scope="module")
def client(ray_session, untrained):
    models = {name: str(untrained(name)) for name in ("deepspectra", "mlp", "posterior")}
    url = start(ServeConfig(port=0, models=models, parsers=1, max_inflated_mb=50.0))
    with httpx2.Client(base_url=url, timeout=60) as client:
        yield client
    stop()


def file(field, path, name=None):
    return field, (name or path.name, path.read_bytes())


@pytest.mark.reference
def test_real_spectrum_is_answered_as_offline(client, untrained, reference_data):
    folder = reference_data / "xmm" / "ngc7793_ulx4"
    pha = folder / "PN_spectrum_grp20.fits"
    files = [
        file("pha", pha),
        file("rmf", folder / "PN.rmf"),
        file("arf", folder / "PN.arf"),
        file("background", folder / "PNbackground_spectrum.fits"),
    ]
    response = client.post(URL, files=files)
    assert response.status_code == 200, response.text
    answer, table = response.json(), predict_files(load_model(untrained("posterior")), [pha])
    assert answer["model_name"] == "posterior"
    assert answer["model_version"] == table["model_version"][0]
    (spectrum,) = answer["spectra"]
    assert spectrum["file"] == pha.name
    for name, estimate in spectrum["parameters"].items():
        assert estimate["value"] == pytest.approx(float(table[name][0]), rel=1e-6)
        assert estimate["value_mfe"] == pytest.approx(float(table[f"{name}_mfe"][0]), rel=1e-6)

    embedded = client.post(URL, params={"response": "embedded"}, files=[files[0], files[3]])
    assert embedded.status_code == 200, embedded.text

    missing = client.post(URL, files=[files[0], *files[2:]])
    assert missing.status_code == 422
    assert missing.json()["detail"].startswith(f"{pha.name}: its RMF PN.rmf (RESPFILE)")


@pytest.mark.reference
def test_a_real_spectrum_is_refined_as_offline(client, untrained, reference_data):
    folder = reference_data / "xmm" / "ngc7793_ulx4"
    pha = folder / "PN.pha"
    files = [
        file("pha", pha),
        file("rmf", folder / "PN.rmf"),
        file("arf", folder / "PN.arf"),
        file("background", folder / "PNbackground_spectrum.fits"),
    ]
    response = client.post(URL, params={"refine": True}, files=files)
    assert response.status_code == 200, response.text
    (spectrum,) = response.json()["spectra"]
    (row,) = check_files(load_model(untrained("posterior")), [pha], refined=True)
    # Another number of threads rounds otherwise.
    assert spectrum["fit"]["cstat"] == pytest.approx(float(row["cstat"]), abs=0.01)
    assert "not_explained" in spectrum["flags"]
    for name, estimate in spectrum["parameters"].items():
        low, high = estimate["interval_68"]
        assert low < high
        assert low == pytest.approx(float(row[f"{name}_lolim"]), abs=0.3 * (high - low))
        assert high == pytest.approx(float(row[f"{name}_hilim"]), abs=0.3 * (high - low))


def test_health_and_models(client):
    assert client.get("/livez").json() == {"status": "alive"}
    versions = {m["model_name"]: m["model_version"] for m in client.get("/v1/models").json()}
    assert set(versions) == {"deepspectra", "mlp", "posterior"}
    for path in ("/healthz", "/readyz"):
        health = client.get(path)
        assert health.status_code == 200
        assert health.json()["models"] == versions
        assert health.json()["problems"] == {}
    assert client.get("/docs").status_code == 200


def test_bad_uploads_are_refused(client, pha):
    folder = pha.parent
    files = [file("rmf", folder / "pn.rsp"), file("background", folder / "background.pha")]
    data = pha.read_bytes()
    good = client.post(URL, files=[("pha", ("source.pha", data)), *files])
    assert good.status_code == 200, good.text
    bomb = gzip.compress(data + bytes(60 * 2**20))
    for name, sent, status, message in (
        ("cut.pha", data[:-2000], 422, "truncated FITS file"),
        ("text.pha", b"hello", 422, "not a FITS file"),
        ("bomb.pha.gz", bomb, 413, "with it the files are more than 50 MB once inflated"),
        ("big.pha", data + bytes(21 * 2**20), 413, "more than 20 MB"),
        ("huge.pha", bytes(101 * 2**20), 413, "larger than 100 MB"),
    ):
        response = client.post(URL, files=[("pha", (name, sent)), *files])
        assert response.status_code == status, response.text
        assert message in response.json()["detail"]


def test_concurrent_requests_get_their_own_answers(client):
    def ask(level):
        body = {"counts": [level] * 256, "exposure_s": 25_000, "names": [str(level)]}
        (spectrum,) = client.post(URL, json=body).json()["spectra"]
        return spectrum

    levels = list(range(1, 25))
    alone = {level: ask(level) for level in levels}
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        together = list(threads.map(ask, levels))
    for level, spectrum in zip(levels, together, strict=True):
        assert spectrum["file"] == str(level)
        for name, estimate in spectrum["parameters"].items():
            expected = alone[level]["parameters"][name]["value"]
            assert estimate["value"] == pytest.approx(expected, rel=1e-5)


def test_openapi_is_served(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert URL in document["paths"]


def test_a_port_in_use_is_named(client, untrained):
    with pytest.raises(InputError, match="cannot listen there"):
        start(ServeConfig(port=client.base_url.port, models={"mlp": str(untrained("mlp"))}))
    with pytest.raises(InputError, match="serves wolter already"):
        start(ServeConfig(port=0, models={"mlp": str(untrained("mlp"))}))


def _check_backpressure(url):
    """One request at once and one in the queue: the others are told to come again."""
    body = {"counts": [[1] * 256] * 500, "exposure_s": 25_000}
    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        asked = [threads.submit(httpx2.post, url, json=body, timeout=60) for _ in range(12)]
    answers = [each.result() for each in asked]
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "2"


@pytest.mark.parametrize("stopping", [signal.SIGINT, signal.SIGTERM])
def test_serving_in_the_foreground_ends_cleanly(untrained, tmp_path, stopping):
    code = (
        "import json, sys; from wolter.serve.application import run; "
        "from wolter.serve.config import ServeConfig; "
        "run(ServeConfig(port=0, parsers=1, max_ongoing=1, max_queued=1, "
        "models=json.loads(sys.argv[1])))"
    )
    models = json.dumps({"mlp": str(untrained("mlp"))})
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    with subprocess.Popen(
        [sys.executable, "-c", code, models],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        env=environment,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"serving at (http://\S+)", line)
        assert found, line
        assert httpx2.get(f"{found[1]}/healthz", timeout=60).status_code == 200
        listens = processes.listening(process.pid)
        assert {"raylet", "gcs_server"} <= {name for name, _, _ in listens}
        assert not processes.outside(listens)
        if stopping == signal.SIGINT:
            _check_backpressure(f"{found[1]}{URL}")
        process.send_signal(stopping)
        assert process.stdout.read() == "shutting down\n"
        assert process.wait(60) == 0
