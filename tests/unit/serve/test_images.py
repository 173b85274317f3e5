import io
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from fastapi.testclient import TestClient

from wolter.predict_images import enhance_picture, to_hdus
from wolter.serve.api import build_app
from wolter.serve.config import ServeConfig
from wolter.serve.images import ServedImages
from wolter.serve.requests import UploadReader
from wolter.train.checkpoint import load_model
from wolter.xray.picture import read_picture

URL = "/v1/images/enhance"


@pytest.fixture(scope="module")
def client(enhancer, one_thread):
    """The application without Ray, with models of images alone."""
    config = ServeConfig(parsers=1, max_pixels=4000)
    images = {
        name: ServedImages(load_model(enhancer(scale)), "1")
        for name, scale in (("superres", 2), ("superres-denoise", 1))
    }
    uploads = UploadReader(config)
    service = SimpleNamespace(config=config, models={}, images=images, uploads=uploads)
    with TestClient(build_app(service), raise_server_exceptions=False) as client:
        yield client
    uploads.pool.stop()


def image(path):
    return {"image": (path.name, path.read_bytes())}


def refused(response, status):
    assert response.status_code == status, response.text
    line = response.json()["detail"]
    assert "\n" not in line
    assert "/tmp" not in line
    return line


@pytest.mark.parametrize(("task", "scale"), [("superres", 2), ("denoise", 1)])
def test_the_served_answer_is_the_one_offline(client, picture_file, enhancer, task, scale):
    response = client.post(URL, params={"task": task}, files=image(picture_file))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/fits"
    assert f"field-{task}.fits" in response.headers["content-disposition"]
    offline = to_hdus(enhance_picture(load_model(enhancer(scale)), read_picture(picture_file), "1"))
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
    assert health.json() == {"models": {"superres": "1", "superres-denoise": "1"}}
    assert client.get("/v1/models").json() == []
    operation = client.get("/openapi.json").json()["paths"][URL]["post"]
    assert "application/fits" in operation["responses"]["200"]["content"]
    assert set(operation["requestBody"]["content"]) == {"multipart/form-data"}
    assert {"400", "413", "415", "422", "429"} <= set(operation["responses"])


def test_bad_requests_are_refused_in_one_line(client, picture_file):
    def post(files=None, status=422, **options):
        return refused(client.post(URL, files=files or image(picture_file), **options), status)

    assert "--task colour" in post(params={"task": "colour"})
    assert "exposure" in post(params={"exposure": -1})
    assert "no image; send a FITS file" in post({"mask": ("mask.fits", picture_file.read_bytes())})
    assert "unknown field" in post(image(picture_file) | {"pha": ("a", b"b")})
    assert "not a FITS file" in post({"image": ("field.fits", b"words" * 1000)})
    assert "multipart" in refused(client.post(URL, json={}), 415)
    assert "not served" in refused(client.post("/v1/spectra/parameters", json={}), 422)
    twice = [("image", (picture_file.name, picture_file.read_bytes()))] * 2
    assert "one file" in post(twice)
    with fits.open(picture_file, mode="update") as hdus:
        del hdus[0].header["EXPOSURE"]
    assert "field.fits: no EXPOSURE" in post()
    fits.writeto(picture_file, np.ones((90, 90)), overwrite=True)
    assert "8100 pixels; send at most 4000" in post(params={"exposure": 1e4})
