import asyncio
import dataclasses
import io
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from astropy.io import fits
from fastapi.testclient import TestClient
from tests.refusals import refused
from tests.synthetic import IMAGES

from wolter import task as tasks
from wolter.data.record_kinds import record_kind
from wolter.errors import InputError
from wolter.images import serving as images
from wolter.images.fits_output import to_hdus
from wolter.images.predict import enhance_picture
from wolter.images.serving import EnhanceQuery, ServedImages
from wolter.registry.checkpoint import fingerprint, load_model
from wolter.serve.api import build_app
from wolter.serve.config import ServeConfig
from wolter.serve.models import ServedRef
from wolter.serve.service import Service
from wolter.xray.imaging.counts_image import read_counts_image

URL = "/v1/images/enhance"


@pytest.fixture(scope="module")
def client(enhancer, one_thread):
    """The application without Ray, with models of images alone."""
    config = ServeConfig(parsers=1, max_elements=4000)
    names = (("superres", 2), ("superres-denoise", 1))
    chosen = [ServedRef(name, str(enhancer(scale)), "1") for name, scale in names]
    service = Service.load(chosen, config)
    service.start()
    with TestClient(build_app(service), raise_server_exceptions=False) as client:
        yield client
    service.stop()


def image(path):
    return {"image": (path.name, path.read_bytes())}


@pytest.mark.parametrize(("task", "scale"), [("superres", 2), ("denoise", 1)])
def test_the_served_answer_is_the_one_offline(client, picture_file, enhancer, task, scale):
    response = client.post(URL, params={"task": task}, files=image(picture_file))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/fits"
    assert f"field-{task}.fits" in response.headers["content-disposition"]
    offline = to_hdus(
        enhance_picture(load_model(enhancer(scale)), read_counts_image(picture_file), "1")
    )
    with fits.open(io.BytesIO(response.content)) as served:
        assert [hdu.name for hdu in served] == [hdu.name for hdu in offline]
        for ours, theirs in zip(served, offline, strict=True):
            assert np.array_equal(ours.data, theirs.data, equal_nan=True)
        assert served[0].header["ENHVERS"] == "1"


def test_maps_and_the_exposure_can_be_sent(client, picture_file):
    mask = picture_file.with_name("mask.fits")
    fits.writeto(mask, np.tri(61, 50, dtype=np.uint8))
    files = image(picture_file) | {"mask": (mask.name, mask.read_bytes())}
    response = client.post(URL, params={"exposure": 30e3}, files=files)
    with fits.open(io.BytesIO(response.content)) as served:
        assert served[0].header["EXPOSURE"] == 30e3
        assert np.array_equal(np.isnan(served["CHECK"].data), np.tri(61, 50) == 0)


def test_health_and_documentation_know_them(client):
    health = client.get("/healthz")
    assert health.json()["models"] == {"superres": "1", "superres-denoise": "1"}
    large, same = client.get("/v1/models").json()
    assert (large["kind"], large["task"], large["scale"]) == ("images", "superres", 2)
    assert (same["model_name"], same["task"], same["scale"]) == ("superres-denoise", "denoise", 1)
    assert (large["default"], same["default"]) == (True, False)
    assert large["pixel_arcsec"] == 4.0
    operation = client.get("/openapi.json").json()["paths"][URL]["post"]
    assert "application/fits" in operation["responses"]["200"]["content"]
    assert set(operation["requestBody"]["content"]) == {"multipart/form-data"}
    assert {"400", "413", "415", "422", "429"} <= set(operation["responses"])


def test_bad_requests_are_refused_in_one_line(client, picture_file):
    def post(files=None, status=422, **options):
        return refused(client.post(URL, files=files or image(picture_file), **options), status)

    assert post(params={"task": "colour"}).startswith("task colour: superres has superres, denoise")
    for exposure in (-1, 0, "inf", "nan", 1e13, "long"):
        assert post(params={"exposure": exposure}).startswith("exposure: ")
    assert "exposures: Extra inputs" in post(params={"exposures": 1})
    assert "no file in the field image; send FITS image of counts" in post(
        {"mask": ("mask.fits", picture_file.read_bytes())}
    )
    assert "unknown field" in post(image(picture_file) | {"pha": ("a", b"b")})
    assert "not a FITS file" in post({"image": ("field.fits", b"words" * 1000)})
    assert "multipart" in refused(client.post(URL, json={}), 415)
    assert "not served" in post(params={"family": "mlp"})
    assert refused(client.post("/v1/spectra/parameters", json={}), 404)  # no model of it
    twice = [("image", (picture_file.name, picture_file.read_bytes()))] * 2
    assert "one file" in post(twice)
    with fits.open(picture_file, mode="update") as hdus:
        del hdus[0].header["EXPOSURE"]
    assert "field.fits: no EXPOSURE" in post()
    fits.writeto(picture_file, np.ones((90, 90)), overwrite=True)
    line = post(status=413, params={"exposure": 1e4})
    assert line == "field.fits: 8100 pixels; send at most 4000"


@pytest.mark.parametrize("name", ["поле.fits", "宇宙 β.fits", 'a"b;c\\d.fits', "é" * 200 + ".fits"])
def test_names_in_any_script_come_back(client, picture_file, name):
    response = client.post(URL, files={"image": (name, picture_file.read_bytes())})
    assert response.status_code == 200, response.text
    told = response.headers["content-disposition"]
    assert told.isascii()
    with fits.open(io.BytesIO(response.content)) as served:
        assert served[0].data.shape == (122, 100)


@pytest.mark.parametrize("value", [3e38, 2e12, np.inf])
def test_values_of_images_have_bounds(client, picture_file, value):
    pixels, header = fits.getdata(picture_file, header=True)
    bad = pixels.astype(np.float64)
    bad[30, 20] = value
    fits.writeto(picture_file, bad, header, overwrite=True)
    line = refused(client.post(URL, files=image(picture_file)), 422)
    assert line.startswith("field.fits: ")
    header["EXPOSURE"] = 1e300
    fits.writeto(picture_file, pixels, header, overwrite=True)
    line = refused(client.post(URL, files=image(picture_file)), 422)
    assert line.startswith("field.fits: ")


def test_sizes_are_read_from_the_header_before_the_pixels(client, picture_file):
    """A compressed image of very many pixels is small as a file."""
    huge = fits.CompImageHDU(np.zeros((3000, 3000), np.int32), compression_type="RICE_1")
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), huge]).writeto(stream)
    for role in ("image", "exposure_map", "mask"):
        files = image(picture_file) | {role: ("huge.fits", stream.getvalue())}
        line = refused(client.post(URL, files=files), 413)
        assert line == "huge.fits: 9000000 pixels; send at most 4000"


@pytest.fixture
def served(enhancer):
    return ServedImages(load_model(enhancer(2)))


def test_a_version_that_nobody_numbered_is_a_fingerprint(served):
    assert served.version == fingerprint(served.model)
    assert ServedImages(served.model, "5").version == "5"


def test_what_is_told_of_models(served):
    spec = dataclasses.replace(IMAGES, scale=2, exposure_s=(5e3, 1e5))
    told = served.info(default=True)
    assert (told.path, told.task, told.default, told.scale) == (URL, "superres", True, 2)
    assert told.exposure_s == [5e3, 1e5]
    assert told.band_kev == list(spec.band_kev)
    assert {each.name for each in told.outputs} >= {"rate"}
    card = dataclasses.replace(served.model.card, spec=dataclasses.replace(spec, exposure_s=None))
    served.model = dataclasses.replace(served.model, card=card)
    assert served.info(default=False).exposure_s is None


def test_a_model_without_finite_rates_has_a_problem(enhancer):
    model, task = load_model(enhancer(2)), tasks.load("images/enhance")
    assert task.problem(model) == ""
    plain = record_kind("images").example(model.card.spec, 1)
    with torch.inference_mode():
        found = model.family.predict(model.module, plain)
    bad = found | {"rate": torch.full_like(found["rate"], torch.inf)}
    family = dataclasses.replace(model.family, predict=lambda *_: bad)
    broken = dataclasses.replace(model, family=family)
    assert task.problem(broken) == "no finite rate of a plain record"
    family = dataclasses.replace(model.family, predict=lambda *_: {"rate": found["rate"]})
    assert "declared, and not predicted" in task.problem(dataclasses.replace(model, family=family))


@pytest.mark.parametrize("error", [ValueError("x" * 300), TypeError(), LookupError("y")])
def test_headers_that_cannot_be_written_are_told(served, monkeypatch, error):
    def to_bytes(_):
        raise error

    monkeypatch.setattr(images, "enhance_picture", lambda *_: None)
    monkeypatch.setattr(images, "to_bytes", to_bytes)
    with pytest.raises(InputError) as caught:
        asyncio.run(served.enhance(SimpleNamespace(file="a.fits")))
    told = (str(error) or "TypeError")[:200]
    assert str(caught.value) == f"a.fits: its header cannot be written again ({told}); correct it"


def test_images_are_enhanced_one_at_a_time(served, monkeypatch):
    lock, together = threading.Lock(), []

    def fits_of(picture, progress):
        together.append(lock.acquire(blocking=False))
        time.sleep(0.02)
        lock.release()
        return picture

    monkeypatch.setattr(served, "_fits", fits_of)

    async def ask():
        return await asyncio.gather(*(served.enhance(i) for i in range(4)))

    assert asyncio.run(ask()) == [0, 1, 2, 3]
    assert together == [True] * 4


def test_exposures_at_their_limits_are_taken():
    for exposure in (1e-6, 1e12, None):
        assert EnhanceQuery(exposure=exposure).exposure == exposure
    assert (EnhanceQuery().task, EnhanceQuery().exposure) == ("", None)
    for exposure in (0.99e-6, 1.01e12):
        with pytest.raises(ValueError, match="exposure"):
            EnhanceQuery(exposure=exposure)


def test_answers_are_named_after_the_file(client, picture_file):
    files = {"image": ("a.b.fits.gz", picture_file.read_bytes())}
    response = client.post(URL, params={"task": "denoise"}, files=files)
    assert response.headers["content-disposition"] == 'attachment; filename="a-denoise.fits"'


def test_fields_of_an_image_are_no_more_than_its_maps(client, picture_file):
    words = {f"w{i}": "x" for i in range(4)}
    assert "3" in refused(client.post(URL, data=words, files=image(picture_file)), 400)
    four = [("image", (picture_file.name, b"x"))] * 4
    assert "3" in refused(client.post(URL, files=four), 400)
    three = [("image", (picture_file.name, b"x"))] * 3
    assert "one file" in refused(client.post(URL, files=three), 422)
