import dataclasses
import gzip
import io
import tempfile

import numpy as np
import pytest
from astropy.io import fits
from fastapi.testclient import TestClient
from tests.refusals import refused

from wolter.registry.checkpoint import load_model
from wolter.serve.api import build_app
from wolter.spectra.predict import predict_files

URL = "/v1/spectra/parameters"


def test_models_are_described(client):
    other, _, default = client.get("/v1/models").json()
    assert (default["model_name"], default["default"]) == ("posterior", True)
    assert (other["model_name"], other["default"]) == ("deepspectra", False)
    assert default["parameters"][0] == {
        "name": "nh", "unit": "1e22 cm^-2", "low": 0.01, "high": 1.0
    }  # fmt: skip
    assert len(default["energy_edges"]) == 257
    assert other["components"] == ["powerlaw", "gaussian", "bbody"]
    assert {each["kind"] for each in (other, default)} == {"spectra"}


@pytest.mark.parametrize("family", [None, "mlp"])
def test_uploads_are_answered_as_offline(client, untrained, pha, parts, family):
    query = {} if family is None else {"family": family}
    response = client.post(URL, params=query, files=parts)
    assert response.status_code == 200, response.text
    answer = response.json()
    model = load_model(untrained(family or "posterior"))
    table = predict_files(model, [pha])
    (spectrum,) = answer["spectra"]
    assert answer["model_name"] == table["model_name"][0]
    assert answer["model_version"] == table["model_version"][0]
    assert spectrum["file"] == "source.pha"
    assert spectrum["flags"] == [flag for flag in table["flag"][0].split(";") if flag]
    assert spectrum["counts"] == table["counts"][0]
    assert spectrum["anomaly"] == table["anomaly"][0]
    assert set(spectrum["parameters"]) == set(model.card.spec.names)
    for name, estimate in spectrum["parameters"].items():
        assert estimate["value"] == table[name][0]
        assert (estimate["interval_68"] is None) == (family == "mlp")
        if family is None:
            assert estimate["interval_95"][0] == table[f"{name}_lolim95"][0]
    assert spectrum["parameters"]["kt"]["unit"] == "keV"


def test_several_spectra_share_a_response(client, parts):
    name, data = parts.pop("pha")
    files = [*parts.items(), ("pha", (name, data)), ("pha", ("b.pha.gz", gzip.compress(data)))]
    spectra = client.post(URL, files=files).json()["spectra"]
    assert [spectrum["file"] for spectrum in spectra] == ["source.pha", "b.pha.gz"]
    first, second = ([e["value"] for e in s["parameters"].values()] for s in spectra)
    assert first == pytest.approx(second, rel=1e-5)


def test_counts_are_answered_as_the_file(client, parts):
    query = {"components": True, "family": "deepspectra"}
    response = client.post(URL, params=query, files=parts)
    (uploaded,) = response.json()["spectra"]
    assert set(uploaded["components"]) == {"powerlaw", "gaussian", "bbody"}
    assert len(uploaded["components"]["bbody"]) == 256
    spectrum = {"counts": [1] * 256, "exposure_s": 25_000}
    answer = client.post(URL, json=spectrum).json()
    many = {"counts": [[1] * 256] * 600, "exposure_s": 25_000, "names": ["s"] * 600}
    more = client.post(URL, json=many).json()
    assert len(more["spectra"]) == 600
    one = {n: e["value"] for n, e in answer["spectra"][0]["parameters"].items()}
    last = {n: e["value"] for n, e in more["spectra"][-1]["parameters"].items()}
    assert last == pytest.approx(one, rel=1e-5)
    assert more["spectra"][-1]["file"] == "s"
    assert more["spectra"][-1]["components"] is None
    assert "no_background" in more["spectra"][-1]["flags"]


def test_component_spectra_are_bounded(service, client):
    """Three of 256 channels: as many numbers as two spectra have, and one less."""
    query = {"components": True, "family": "deepspectra"}
    two = {"counts": [[1] * 256] * 2, "exposure_s": 25_000}
    for most, status in ((2 * 3 * 256, 200), (2 * 3 * 256 - 1, 413)):
        config = dataclasses.replace(service.config, max_values=most)
        limited = TestClient(build_app(dataclasses.replace(service, config=config)))
        response = limited.post(URL, params=query, json=two)
        assert response.status_code == status, response.text
        assert limited.post(URL, params=query | {"family": "mlp"}, json=two).status_code == 200
        assert limited.post(URL, params={"family": "deepspectra"}, json=two).status_code == 200
    assert refused(response, 413) == (
        "components: 2 spectra of 3 components of 256 channels; send at most 1 spectra, or ask "
        "without components"
    )


def test_bad_uploads_are_refused_in_one_line_and_leave_nothing(
    client, parts, tmp_path, monkeypatch
):
    stored = tmp_path / "stored"
    stored.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(stored))

    def post(status, query="", **changes):
        files = {field: file for field, file in (parts | changes).items() if file is not None}
        return refused(client.post(URL + query, files=files), status)

    source = parts["pha"][1]
    assert "truncated FITS" in post(422, pha=("cut.pha", source[:-2000]))
    assert post(422, pha=("x.pha", b"hello")).startswith("x.pha: not a FITS file")
    assert "empty file" in post(422, pha=("x.pha", b""))
    assert post(422, rmf=None).startswith("source.pha: its RMF pn.rsp (RESPFILE)")
    assert "no_background=true" in post(422, background=None)
    assert post(422, pha=None).startswith("no file in the field pha; send spectra")
    assert "no MATRIX table" in post(422, rmf=("pn.rsp", source))
    assert "more than 1 MB" in post(413, pha=("big.pha", source + bytes(2**20)))
    bomb = gzip.compress(source + bytes(50 * 2**20))
    assert "more than 4 MB once inflated" in post(413, pha=("bomb.pha.gz", bomb))
    assert "larger than 3 MB" in post(413, pha=("big.pha", bytes(4 * 2**20)))
    assert "unknown field 'model'" in post(422, model=("m", b"x"))
    assert "family: 'cnn' is not served" in post(422, "?family=cnn")
    assert "response: Input should be 'files' or 'embedded'" in post(422, "?response=mine")
    assert "the embedded response has 4096" in post(
        422, "?response=embedded&no_background=true", rmf=None
    )
    assert (
        "XMM EPN, the embedded response is that of CHANDRA ACIS-S; ask for instrument epic_pn"
        in (post(422, "?response=embedded&instrument=acis_s&no_background=true", rmf=None))
    )
    inflated = gzip.compress(source + bytes(2 * 2**20))
    many = [(field, file) for field, file in parts.items()]
    many += [("pha", (f"{i}.pha.gz", inflated)) for i in range(2)]
    assert "with it the files are more than 4 MB" in refused(client.post(URL, files=many), 413)
    assert not [*stored.iterdir()]


def test_queries_are_checked_in_the_words_of_http(client, parts):
    for query, line in (
        ("refined=true", "refined: Extra inputs are not permitted"),
        ("refine=perhaps", "refine: Input should be a valid boolean"),
        ("no_background=-1", "no_background: Input should be"),
        ("components=inf", "components: Input should be"),
        ("family=%00", "family: "),
        ("response=nan", "response: Input should be 'files' or 'embedded'"),
        ("response=embedded&instrument=hubble", "unknown instrument 'hubble'; choose one of: acis"),
    ):
        assert refused(client.post(f"{URL}?{query}", files=parts), 422).startswith(line)


@pytest.mark.parametrize("role", ["pha", "background"])
@pytest.mark.parametrize("value", [3e38, 2e12, -1.0])
def test_counts_of_files_have_bounds(client, parts, role, value):
    name, data = parts[role]
    with fits.open(io.BytesIO(data)) as hdus:
        counts = np.ones(300)
        counts[150] = value
        columns = [
            fits.Column("CHANNEL", "J", array=hdus[1].data["CHANNEL"]),
            fits.Column("COUNTS", "D", array=counts),
        ]
        changed = fits.BinTableHDU.from_columns(columns, hdus[1].header)
        stream = io.BytesIO()
        fits.HDUList([hdus[0], changed]).writeto(stream)
    line = refused(client.post(URL, files=parts | {role: (name, stream.getvalue())}), 422)
    assert "counts" in line


@pytest.mark.parametrize("query", [{}, {"refine": True}])
@pytest.mark.parametrize(
    ("key", "value"), [("EXPOSURE", 1e300), ("EXPOSURE", 2e12), ("BACKSCAL", 1e300)]
)
def test_scales_of_files_have_bounds(client, parts, query, key, value):
    name, data = parts["pha"]
    with fits.open(io.BytesIO(data)) as hdus:
        hdus[1].header[key] = value
        stream = io.BytesIO()
        hdus.writeto(stream)
    files = parts | {"pha": (name, stream.getvalue())}
    line = refused(client.post(URL, params=query, files=files), 422)
    assert line.startswith("source.pha: ")


def test_a_spectrum_is_no_background_of_its_own(client, parts):
    name, source = parts["pha"]
    line = refused(client.post(URL, files=parts | {"background": (name, source)}), 422)
    assert line.startswith("source.pha: is its own background")
    with fits.open(io.BytesIO(source)) as hdus:
        hdus[1].header["BACKFILE"] = name
        stream = io.BytesIO()
        hdus.writeto(stream)
    files = {"pha": (name, stream.getvalue()), "rmf": parts["rmf"]}
    assert "is its own background" in refused(client.post(URL, files=files), 422)


def test_other_bad_requests_are_refused_in_one_line(client):
    assert "counts" in refused(client.post(URL, json={}), 422)
    assert "field pha: not a file" in refused(
        client.post(URL, data={"pha": "x"}, files={"rmf": ("a", b"b")}), 422
    )
    assert "multipart/form-data" in refused(client.post(URL), 415)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert "multipart/form-data" in refused(client.post(URL, content=b"a=b", headers=form), 415)
    multipart = {"content-type": "multipart/form-data"}
    assert "boundary" in refused(client.post(URL, content=b"x", headers=multipart), 400)
    assert refused(client.get(URL), 405)
    assert refused(client.get("/v1/none"), 404)
    chunks = (bytes(2**20) for _ in range(4))
    kind = {"content-type": "application/json"}
    assert "larger than 3 MB" in refused(client.post(URL, content=chunks, headers=kind), 413)


def test_documentation_needs_no_other_server(client):
    page = client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    assert client.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200


def test_openapi_documents_bodies_and_errors(client):
    document = client.get("/openapi.json").json()
    operation = document["paths"][URL]["post"]
    kinds = {"multipart/form-data", "application/json", "application/x-safetensors"}
    assert set(operation["requestBody"]["content"]) == kinds
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert (form["required"], form["properties"]["pha"]["minItems"]) == (["pha"], 1)
    assert set(form["properties"]) == {"pha", "rmf", "arf", "background"}
    assert {"200", "400", "413", "415", "422", "429"} <= set(operation["responses"])
    problem = operation["responses"]["422"]["content"]["application/json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}
    assert "HTTPValidationError" not in document["components"]["schemas"]
