"""Which model answers, what is told of models, and what requests of spectra ask of them."""

import asyncio
import dataclasses
import threading
import time
from types import SimpleNamespace

import pytest
import torch
from fastapi.testclient import TestClient
from tests.refusals import refused

from wolter import family as families
from wolter.errors import InputError, UnavailableError
from wolter.serve import service
from wolter.serve.api import build_app
from wolter.serve.config import ServeConfig
from wolter.serve.health import Watch
from wolter.serve.models import ServedRef
from wolter.serve.service import Service
from wolter.xray.spectral.observation import read_spectrum, write_spectrum

URL = "/v1/spectra/parameters"


def bare(models=(), problems=()):
    """A service of models in name alone."""
    named = {name: families.load(name).task for name in (*models, *problems)}
    watch = Watch({}, dict.fromkeys(problems, "broken"))
    return Service(
        ServeConfig(parsers=1), {name: name.upper() for name in models}, named, None, watch
    )


@pytest.mark.parametrize(
    ("models", "problems", "default"),
    [
        (("mlp", "deepspectra", "posterior"), (), "posterior"),
        (("mlp", "deepspectra"), (), "deepspectra"),
        (("mlp", "deepspectra"), ("posterior",), "posterior"),
        (("mlp", "superres", "cnn"), (), "mlp"),
        (("mlp",), ("cnn",), "mlp"),
        ((), ("cnn",), "cnn"),
    ],
)
def test_the_default_family_is_its_task_s(models, problems, default):
    assert bare(models, problems).default("spectra/parameters") == default


def test_models_are_found_by_name():
    names = "mlp", "posterior", "superres", "superres-denoise"
    found, task, query = bare(names, ("cnn",)), "spectra/parameters", SimpleNamespace(task="")
    assert found.served_tasks == ("images/enhance", task)
    assert list(found.of_task("images/enhance")) == ["superres", "superres-denoise"]
    assert found.ask(task, "mlp", query) == "MLP"
    assert found.ask(task, None, query) == found.ask(task, "", query) == "POSTERIOR"
    assert found.ask("images/enhance", None, query) == "SUPERRES"
    asked = SimpleNamespace(task="denoise")
    assert found.ask("images/enhance", None, asked) == "SUPERRES-DENOISE"
    with pytest.raises(InputError) as caught:
        found.ask(task, "x" * 60, query)
    assert str(caught.value) == (
        f"family: {'x' * 50!r} is not served; choose one of mlp, posterior"
    )
    with pytest.raises(InputError, match=r"^family: 'superres' is not served"):
        found.ask(task, "superres", query)
    with pytest.raises(
        InputError, match=r"^no superres-denoise is served; choose one of superres$"
    ):
        bare(names[:3]).ask("images/enhance", None, asked)
    with pytest.raises(UnavailableError, match=r"^cnn does not answer now"):
        found.ask(task, "cnn", query)
    with pytest.raises(InputError, match=r"choose one of \(none\)$"):
        bare(problems=("cnn",)).ask(task, "mlp", query)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InputError("/secret/a: cannot be read; b"), "cannot be read; b"),
        (InputError("posterior: its artifact is gone"), "posterior: its artifact is gone"),
        (InputError("/secret: "), "/secret: "),
        (InputError("plain words"), "plain words"),
        (KeyError("/secret"), "KeyError"),
    ],
)
def test_reasons_tell_no_folder(error, reason):
    assert service._reason(error) == reason


def test_bulky_work_is_done_one_at_a_time():
    lock, together, alone = threading.Lock(), [], bare()

    def work(a, b):
        together.append(lock.acquire(blocking=False))
        time.sleep(0.02)
        lock.release()
        return a + b

    async def ask():
        return await asyncio.gather(*(alone.alone(work, i, 10) for i in range(4)))

    assert asyncio.run(ask()) == [10, 11, 12, 13]
    assert together == [True] * 4
    assert "ThreadPoolExecutor" not in repr(alone)


def test_models_are_loaded_by_kind(untrained, enhancer, tmp_path):
    chosen = [
        ServedRef("mlp", str(untrained("mlp")), "3"), ServedRef("superres", str(enhancer(2)), "4"),
        ServedRef("cnn", str(tmp_path)), ServedRef("posterior", "", problem="posterior: gone"),
    ]  # fmt: skip
    loaded = Service.load(chosen, ServeConfig(parsers=1), join=None)
    assert {name: each.version for name, each in loaded.models.items()} == {
        "mlp": "3", "superres": "4"
    }  # fmt: skip
    assert loaded.tasks == {
        "mlp": "spectra/parameters", "superres": "images/enhance", "cnn": "spectra/parameters",
        "posterior": "spectra/parameters",
    }  # fmt: skip
    assert set(loaded.watch.problems) == {"cnn", "posterior"}
    assert loaded.watch.problems["posterior"] == "posterior: gone"
    assert loaded.watch.versions == {"mlp": "3", "superres": "4"}


def test_a_model_answers_on_where_its_next_version_cannot_be_loaded(untrained, tmp_path):
    config, good = ServeConfig(parsers=1), ServedRef("mlp", str(untrained("mlp")), "3")
    before = Service.load([good], config)
    bad = ServedRef("mlp", str(tmp_path), "4")
    for _ in range(2):  # also when another model changes later
        after = Service.load([bad], config, before=before, uploads=before.uploads)
        assert after.models["mlp"] is before.models["mlp"]
        assert after.chosen == (good,)
        after.watch.check()
        assert after.watch.versions == {"mlp": "3"}
        assert after.watch.problems.keys() == {"mlp@4"}
        assert after.watch.problems["mlp@4"].endswith("; version 3 answers on")
        assert after.ask("spectra/parameters", "mlp", SimpleNamespace()).version == "3"
        before = after
    better = ServedRef("mlp", good.folder, "5")
    assert Service.load([better], config, before=after).watch.versions == {"mlp": "5"}


def test_the_application_has_the_limits_of_the_config():
    config = ServeConfig(max_request_mb=1.5, max_json_mb=0.5, max_ongoing=3, max_queued=4)
    app = build_app(dataclasses.replace(bare(("mlp",)), config=config))
    options = {each.cls.__name__: each.kwargs for each in app.user_middleware}
    assert options["LimitBody"] == {"max_bytes": 3 * 2**19, "max_json": 2**19}
    assert options["Admit"] == {"at_once": 3, "waiting": 4, "timeout_s": 120.0}
    client = TestClient(app)
    assert client.get("/redoc").status_code == 404
    assert client.get("/docs").status_code == 200


@pytest.fixture
def seconds(service, monkeypatch):
    """What time each request may spend on refining, s."""
    asked = []

    async def refine_within(gridded, left_s):
        asked.append((sorted(gridded), left_s))
        return {}

    monkeypatch.setattr(service.models["posterior"], "refine_within", refine_within)
    return asked


@pytest.mark.parametrize(("refine_s", "least", "most"), [(30.0, 30, 30), (1e9, 95, 105)])
def test_refining_leaves_time_to_answer(service, pha, parts, seconds, refine_s, least, most):
    """Of 120 s, 15 are kept to write the answer."""
    quality_C = torch.zeros(300, dtype=torch.int16)
    quality_C[100] = 5  # a hole, of which networks know nothing
    path = pha.with_name("holed.pha")
    write_spectrum(path, dataclasses.replace(read_spectrum(pha), quality_C=quality_C))
    config = dataclasses.replace(service.config, refine_s=refine_s)
    client = TestClient(build_app(dataclasses.replace(service, config=config)))
    files = [*parts.items(), ("pha", (path.name, path.read_bytes()))]
    spectra = client.post(URL, files=files).json()["spectra"]
    assert ["band_not_covered" in each["flags"] for each in spectra] == [False, True]
    ((indices, left_s),) = seconds
    assert indices == [1]
    assert least <= left_s <= most


def test_many_spectra_are_answered_in_pieces(service, monkeypatch):
    served, sizes = service.models["mlp"], []
    plain = served.estimate

    async def estimate(batch):
        sizes.append(len(batch))
        return await plain(batch)

    monkeypatch.setattr(served, "estimate", estimate)
    client = TestClient(build_app(service))
    many = {"counts": [[i % 7] * 256 for i in range(600)], "exposure_s": 25_000}
    spectra = client.post(URL, params={"family": "mlp"}, json=many).json()["spectra"]
    assert sizes == [256, 256, 88]
    assert [each["file"] for each in spectra] == [str(i) for i in range(600)]
    assert [each["counts"] for each in spectra[:9]] == [256.0 * (i % 7) for i in range(9)]


@pytest.mark.parametrize(
    ("kind", "status"),
    [("application/json; charset=utf-8", 200), ("Application/JSON ", 200), ("text/plain", 415)],
)
def test_kinds_of_bodies(client, kind, status):
    body = b'{"counts": [%s], "exposure_s": 25000}' % b",".join([b"1"] * 256)
    response = client.post(URL, content=body, headers={"content-type": kind})
    assert response.status_code == status, response.text
    if status == 415:
        assert refused(response, 415) == (
            "send multipart/form-data (spectra (OGIP PHA type I) in the field pha) or "
            "application/json or application/x-safetensors"
        )


def test_so_many_spectra_may_be_sent(service):
    config = dataclasses.replace(service.config, max_records=2)
    client = TestClient(build_app(dataclasses.replace(service, config=config)))
    for n, status in ((2, 200), (3, 422)):
        sent = {"counts": [[1] * 256] * n, "exposure_s": 25_000}
        assert client.post(URL, params={"family": "mlp"}, json=sent).status_code == status


def test_words_in_a_form_are_no_more_than_its_fields(client, parts):
    words = {f"w{i}": "x" for i in range(5)}
    assert "4" in refused(client.post(URL, data=words, files=parts), 400)
    assert refused(client.post(URL, data={"w": "x"}, files=parts), 422).startswith("unknown field")
