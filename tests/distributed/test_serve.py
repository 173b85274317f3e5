"""The served application on a real Ray cluster, over HTTP."""

import concurrent.futures
import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import httpx2
import numpy as np
import psutil
import pytest
import ray
from astropy.io import fits
from safetensors.torch import load_file, save_file
from tests import processes
from tests.load import Load, until
from tests.starting import Starting, assert_waits
from tests.synthetic import make_dataset

from wolter.data.shards import open_dataset
from wolter.errors import InputError
from wolter.images.fits_output import to_bytes
from wolter.images.predict import enhance_picture
from wolter.network import free_port
from wolter.registry import mlflow_store
from wolter.registry.checkpoint import WEIGHTS, load_model
from wolter.serve.application import start, stop
from wolter.serve.config import ServeConfig
from wolter.serve.jobs.queue import EXECUTING, STALE_S
from wolter.serve.jobs.store import JobStore
from wolter.serve.jobs.store import folder as jobs_folder
from wolter.spectra.check_files import check_files
from wolter.spectra.predict import predict_files
from wolter.xray.imaging.counts_image import read_counts_image

pytestmark = pytest.mark.distributed

URL = "/v1/spectra/parameters"
CONE = "/scs?RA=1&DEC=2&SR=0"
IMAGES = "/v1/images/enhance"


@pytest.fixture(scope="module")
def registered(tmp_path_factory, untrained):
    """Puts a model into a registry of the module's own, and returns the id of its run."""
    home = tmp_path_factory.mktemp("registry")
    make_dataset(home / "data", 50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WOLTER_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)

        def register(name, seed=0, broken=False, made=untrained):
            folder = home / f"{name}-{seed}"
            shutil.copytree(made(name), folder)
            weights = load_file(folder / WEIGHTS)
            if seed:  # other weights, of the same sense
                factor = float("nan") if broken else 1.001
                weights = {
                    k: v * factor if v.is_floating_point() else v for k, v in weights.items()
                }
            save_file(weights, folder / WEIGHTS)
            run_id = mlflow_store.start("tests", name, {}, open_dataset(home / "data"))
            mlflow_store.register(name, run_id, folder)
            return run_id

        yield register


@pytest.fixture(scope="module")
def starting():
    port = free_port("127.0.0.1")
    asked = Starting(f"http://127.0.0.1:{port}", ("/livez", "/readyz", CONE, "/", URL))
    yield port, asked
    asked.ended()


@pytest.fixture(scope="module")
def client(ray_session, registered, enhancer, starting):
    for name in ("deepspectra", "mlp", "posterior"):
        mlflow_store.promote(name, registered(name))
    mlflow_store.promote("superres", registered("superres", made=lambda _: enhancer(2)))
    few = ("spectra-parameters", "images-enhance", "cone")
    limits = {"max_inflated_mb": 50.0, "job_elements": 3000}
    port, asked = starting
    url = start(ServeConfig(port=port, applications=few, parsers=1, **limits))
    asked.ended()
    with httpx2.Client(base_url=url, timeout=60) as client:
        yield client
    stop()


@pytest.mark.slow
def test_while_models_load_each_path_says_why_and_none_is_404(client, starting):
    """The proxy answers first, then the page, then the application itself."""
    answers = starting[1].answers
    assert {answer.status_code for answer in answers["/livez"]} == {200}
    for path, own in (("/readyz", 200), (CONE, 200), ("/", 200), (URL, 405)):
        assert_waits(answers[path], own)
    waited = [answer.text for answer in answers[URL] if answer.status_code == 503]
    assert any("its models are loaded" in text for text in waited)


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
    assert answer["model_version"] == "1"
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
    assert {"deepspectra", "mlp", "posterior"} <= set(versions)
    assert {versions[name] for name in ("deepspectra", "mlp", "posterior")} == {"1"}
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
    with pytest.raises(InputError, match=r"serves page, .* already"):
        start(ServeConfig(port=0, models={"mlp": str(untrained("mlp"))}))


def _replicas(part):
    """Names of the actors of an application's replicas."""
    names = [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]
    return [name for name in names if name.startswith(f"SERVE_REPLICA::{part}#")]


COUNTS = {"counts": [1] * 256, "exposure_s": 25_000}
PLAIN = {"method": "POST", "url": URL, "params": {"family": "mlp"}, "json": COUNTS}


def test_a_killed_replica_loses_what_it_was_doing_alone(client):
    """Others answer on, its own paths say that they are not ready, and come back."""
    with Load(str(client.base_url), PLAIN) as plain, Load(
        str(client.base_url), {"method": "GET", "url": "/v1/models"}
    ) as page:  # fmt: skip
        until(lambda: plain.statuses()[200] > 5 and page.statuses()[200] > 5)
        (name,) = _replicas("spectra-parameters#spectra-parameters")
        ray.kill(ray.get_actor(name, namespace="serve"), no_restart=True)
        until(lambda: plain.statuses()[503] > 0)
        before = plain.statuses()[200]
        until(lambda: plain.statuses()[200] > before + 5)
    assert set(page.statuses()) == {200}
    assert set(plain.statuses()) <= {0, 200, 502, 503}
    lost = plain.statuses()[0] + plain.statuses()[502]
    # Two clients: of each the request in flight, and at most one more while the process ends.
    assert lost <= 4, plain.statuses()


def test_a_lost_lane_of_dear_requests_leaves_plain_ones(client):
    with Load(str(client.base_url), PLAIN) as plain:
        (name,) = _replicas("spectra-parameters#spectra-parameters-dear")
        ray.kill(ray.get_actor(name, namespace="serve"), no_restart=True)
        until(lambda: _replicas("spectra-parameters#spectra-parameters-dear") not in ([], [name]))
        until(lambda: plain.statuses()[200] > 20)
    assert set(plain.statuses()) == {200}


def test_a_new_champion_answers_without_a_failure(client, registered):
    with Load(str(client.base_url), PLAIN) as load:
        until(lambda: load.statuses()[200] > 5)
        version = mlflow_store.promote("mlp", registered("mlp", 1))
        until(lambda: load.answers[-1][1] == version)
    assert set(load.statuses()) == {200}
    versions = [version for _, version in load.answers]
    assert list(dict.fromkeys(versions))[-1] == version
    assert len(set(versions)) == 2
    until(lambda: client.get("/readyz").json()["models"]["mlp"] == version)


@pytest.mark.slow
def test_a_broken_champion_is_refused_and_the_one_before_answers_on(client, registered):
    before = client.get("/readyz").json()["models"]["mlp"]
    broken = mlflow_store.promote("mlp", registered("mlp", 2, broken=True))
    with Load(str(client.base_url), PLAIN) as load:
        problems = until(lambda: client.get("/readyz").json()["problems"])
    assert set(load.answers) == {(200, before)}
    line = problems[f"mlp@{broken}"]
    assert re.match(r"refused as champion: no finite \w+ of a plain record", line)
    assert line.endswith(f"version {before} answers on")
    mlflow_store.promote("mlp", before)
    until(lambda: not client.get("/readyz").json()["problems"])


def _post_image(client, path, **params):
    answer = client.post(IMAGES, params=params, files=[file("image", path)])
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["url"]
    return answer.json()


def _told(client, job):
    answer = client.get(job["url"])
    assert answer.status_code == 200, answer.text  # whatever becomes of the replica that runs it
    return answer.json()


def _done(client, job):
    return until(lambda: (told := _told(client, job))["state"] in ("done", "failed") and told)


def _processes_of(job):
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] and process.info["cmdline"][-1].endswith(job["id"]):
            yield process


def _as_offline(content, path, folder, exposure_s):
    picture = read_counts_image(path, exposure_s=exposure_s)
    expected = to_bytes(enhance_picture(load_model(folder), picture, "1"))
    with fits.open(io.BytesIO(content)) as served, fits.open(io.BytesIO(expected)) as offline:
        assert [hdu.name for hdu in served] == [hdu.name for hdu in offline]
        for one, other in zip(served, offline, strict=True):
            # Another number of threads rounds otherwise.
            np.testing.assert_allclose(one.data, other.data, rtol=1e-4, atol=1e-7, err_msg=one.name)


@pytest.mark.slow
def test_a_large_image_is_a_job_with_the_answer_of_a_request(client, enhancer, picture_file):
    job = _post_image(client, picture_file, exposure=3e4)
    assert _post_image(client, picture_file, exposure=3e4)["id"] == job["id"]
    done = _done(client, job)
    assert (done["state"], done["error"], done["progress"]) == ("done", None, 1.0)
    result = client.get(done["result"])
    assert result.headers["content-type"] == "application/fits"
    _as_offline(result.content, picture_file, enhancer(2), 3e4)
    assert _post_image(client, picture_file, exposure=3e4)["state"] == "done"  # is kept
    assert client.delete(job["url"]).status_code == 204
    assert client.get(job["url"]).status_code == 404


@pytest.mark.slow
def test_a_job_whose_replica_is_killed_is_begun_again(client, enhancer, picture_file):
    job = _post_image(client, picture_file, exposure=2e4)
    begun = until(lambda: (told := _told(client, job))["state"] == "running" and told)
    (name,) = _replicas("images-enhance#images-enhance")
    process = until(lambda: next(_processes_of(job), None))
    replica = process.parent()
    ray.kill(ray.get_actor(name, namespace="serve"), no_restart=True)
    assert psutil.wait_procs([process, replica], timeout=60)[1] == []
    kept = JobStore(jobs_folder())
    assert kept.change(job["id"], (EXECUTING,), seen=time.time() - 2 * STALE_S)  # as time passes
    told = _told(client, job)
    assert (told["state"], told["error"]) == ("queued", None)
    done = _done(client, job)
    assert (done["state"], done["error"]) == ("done", None)
    assert done["started"] > begun["started"]
    assert kept.get(job["id"]).tries == 2
    kept.close()
    _as_offline(client.get(done["result"]).content, picture_file, enhancer(2), 2e4)


@pytest.mark.slow
def test_serving_in_the_foreground_ends_cleanly_when_interrupted(untrained, tmp_path):
    """Ended by SIGTERM, the same is shown with the server of another package's family."""
    code = (
        "import json, sys; from wolter.serve.application import run; "
        "from wolter.serve.config import ServeConfig; "
        "run(ServeConfig(port=0, parsers=1, "
        "applications=('spectra-parameters',), models=json.loads(sys.argv[1])))"
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
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().startswith("shutting down")
        assert process.wait(60) == 0
